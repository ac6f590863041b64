"""Llama 3.2 1B from one set of float weights: GGUF Q4_K_M and Q8_0 for llama.cpp, ONNX INT4 for ONNX Runtime.

Weights are asked for by their Hugging Face names. Synthetic ones are cut from a pool of blocks that are quantised once
(`gguf.source`), so that building copies instead of quantising 1.2 billion weights, yet each precision errs against a
known float truth, which `reference` computes with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from harness.errors import SpecError
from harness.measure import gguf
from harness.measure.graph import Built, Graph, check_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import onnx
    from numpy.typing import NDArray

    from harness.measure.weights import Weights

    Floats = NDArray[np.float32]
    Wrote = tuple[dict[str, str], list[str], int]
    """Files by role, notes on the weights, and the bytes [B] of weights that one span reads."""

WRITES = ("gguf/q4_k_m", "gguf/q8_0", "onnx/int4")

_ALIGN = 4096
"""Offsets in the external data file, so that a runtime can map tensors page by page."""


class Config(NamedTuple):
    """The architecture; the defaults are Llama 3.2 1B. Every field is a build option."""

    layers: int = 16
    d: int = 2048
    heads: int = 32
    kv_heads: int = 8
    head_dim: int = 64
    ffn: int = 8192
    vocab: int = 128_256
    eps: float = 1e-5
    rope_theta: float = 500_000.0
    rope_factor: float = 32.0
    rope_low: float = 1.0
    rope_high: float = 4.0
    rope_context: int = 8192
    """Positions of the original training, which the RoPE scaling stretches."""
    context: int = 131_072
    positions: int = 2048
    """Length of the ONNX graph's rotary tables: the longest context it can run."""
    prefill: int = 128
    decode: int = 64
    """Tokens of the default prompt, and tokens generated after it: what `ops` counts."""
    pool: int = 131_071
    """Blocks in the pool of synthetic weights. A prime, and not below `vocab`, keeps all embedding rows different."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Config:
        """The configuration with `options` put in; raises SpecError for what no artifact could hold."""
        check_request(WRITES[0], WRITES, options, cls._fields)
        for key, value in options.items():
            if not isinstance(value, (int, type(cls._field_defaults[key]))) or value <= 0:
                raise SpecError(f"model option {key} = {value!r}", f"give a positive number, like {cls._field_defaults[key]}")
        config = cls(**options)
        widths = (config.d, config.ffn, config.heads * config.head_dim)
        if any(width % gguf.BLOCK for width in widths):
            raise SpecError(f"matrix widths {widths} are not multiples of 256", "K-quants need rows of whole blocks")
        if config.heads % config.kv_heads or config.head_dim % 2 or config.vocab < 258:
            raise SpecError(
                f"heads {config.heads}, kv_heads {config.kv_heads}, head_dim {config.head_dim}, vocab {config.vocab}",
                "heads must be a multiple of kv_heads, head_dim even, and vocab hold 256 bytes, BOS and EOS",
            )
        return config


class Matrix(NamedTuple):
    """A weight matrix [rows, cols] = [out, in]: its names, its layer, and the heads whose rows GGUF interleaves."""

    name: str
    gguf: str
    rows: int
    cols: int
    layer: int = 0
    rotated_heads: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.cols


def embedding(config: Config) -> Matrix:
    """The token table, which is the output matrix too."""
    return Matrix("model.embed_tokens.weight", "token_embd.weight", config.vocab, config.d)


def matrices(config: Config, layer: int) -> dict[str, Matrix]:
    """The seven matrices of one layer by their short GGUF names."""
    d, ffn, q, kv = config.d, config.ffn, config.heads * config.head_dim, config.kv_heads * config.head_dim
    listed = (
        ("attn_q", "self_attn.q_proj", q, d, config.heads),
        ("attn_k", "self_attn.k_proj", kv, d, config.kv_heads),
        ("attn_v", "self_attn.v_proj", kv, d, 0),
        ("attn_output", "self_attn.o_proj", d, q, 0),
        ("ffn_gate", "mlp.gate_proj", ffn, d, 0),
        ("ffn_up", "mlp.up_proj", ffn, d, 0),
        ("ffn_down", "mlp.down_proj", d, ffn, 0),
    )
    return {
        short: Matrix(f"model.layers.{layer}.{name}.weight", f"blk.{layer}.{short}.weight", rows, cols, layer, heads)
        for short, name, rows, cols, heads in listed
    }


def _all_matrices(config: Config) -> list[Matrix]:
    return [embedding(config), *(m for i in range(config.layers) for m in matrices(config, i).values())]


def norms(config: Config) -> list[tuple[str, str]]:
    """Names of the RMSNorm weights [d], as published and in GGUF."""
    pairs = [("model.norm.weight", "output_norm.weight")]
    for i in range(config.layers):
        pairs.append((f"model.layers.{i}.input_layernorm.weight", f"blk.{i}.attn_norm.weight"))
        pairs.append((f"model.layers.{i}.post_attention_layernorm.weight", f"blk.{i}.ffn_norm.weight"))
    return pairs


def parameters(config: Config) -> int:
    """Parameters, the tied table once."""
    layer = sum(m.rows * m.cols for m in matrices(config, 0).values())
    return config.vocab * config.d + config.layers * layer + len(norms(config)) * config.d


def operations(config: Config) -> dict[str, float]:
    """Operations [op] that one span needs, 2 a multiply-accumulate: matrix products and attention, nothing else.

    prefill is the whole prompt of `config.prefill` tokens, with causal attention (position t looks at t keys) and the
    output matrix once, for the last token. decode is one token at the mean context of `config.decode` tokens.
    """
    layers = 2 * config.layers * sum(m.rows * m.cols for m in matrices(config, 0).values())
    output = 2 * config.vocab * config.d
    per_key = 2 * 2 * config.layers * config.heads * config.head_dim  # scores, and the weighted sum of values
    n = config.prefill
    mean_context = n + (config.decode + 1) / 2
    return {
        "prefill": float(n * layers + output + per_key * n * (n + 1) // 2),
        "decode": layers + output + per_key * mean_context,
    }


def rope_factors(config: Config) -> NDArray[np.float64]:
    """What Llama 3 divides each of the head_dim / 2 rotary frequencies by."""
    wavelength = 2 * np.pi / _base_frequencies(config)
    t = (config.rope_context / wavelength - config.rope_low) / (config.rope_high - config.rope_low)
    t = np.clip(t, 0.0, 1.0)
    factors: NDArray[np.float64] = 1 / ((1 - t) / config.rope_factor + t)
    return factors


def _base_frequencies(config: Config) -> NDArray[np.float64]:
    frequencies: NDArray[np.float64] = config.rope_theta ** (-np.arange(0, config.head_dim, 2) / config.head_dim)
    return frequencies


def rotary_tables(config: Config, positions: int) -> tuple[Floats, Floats]:
    """Cosines and sines [positions, head_dim / 2] of the scaled frequencies."""
    angle = np.outer(np.arange(positions), _base_frequencies(config) / rope_factors(config))
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def _norm(weights: Weights, config: Config, name: str) -> Floats:
    """One RMSNorm's weight [d]. Drawn: 1, but 0.5 before the feed-forward part, which with 1 would amplify every rounding layer by layer."""
    return weights.get(name, (config.d,), mean=0.5 if "post_attention" in name else 1.0)


def float_tensors(weights: Weights, options: Mapping[str, Any]) -> Iterator[tuple[str, Floats]]:
    """The float weights themselves, one tensor at a time, by their published names and in their published layout."""
    config = Config.of(options)
    source = gguf.source(weights, config.pool, gguf.same)
    yield from ((name, _norm(weights, config, name)) for name, _ in norms(config))
    yield from ((m.name, source.rows(m.name, m.shape, 0, m.rows)) for m in _all_matrices(config))


def reference(weights: Weights, options: Mapping[str, Any], token_ids: NDArray[np.int64]) -> Floats:
    """Logits [n, vocab] at every position of `token_ids` [n], in float32: what each precision is compared with.

    Holds the pool, or one tensor of stored weights, at a time; never the model.
    """
    config = Config.of(options)
    source = gguf.source(weights, config.pool, gguf.same)
    table = embedding(config)
    n, heads, width = len(token_ids), config.heads, config.head_dim
    cos, sin = rotary_tables(config, n)
    future = np.triu(np.full((n, n), -np.inf, dtype=np.float32), 1)

    def normed(x: Floats, name: str) -> Floats:
        scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(config.eps))
        scaled: Floats = x * scale * _norm(weights, config, name)
        return scaled

    def linear(x: Floats, matrix: Matrix) -> Floats:
        product: Floats = x @ source.rows(matrix.name, matrix.shape, 0, matrix.rows).T
        return product

    def split(x: Floats) -> Floats:
        return x.reshape(n, -1, width).transpose(1, 0, 2)

    def rotate(x: Floats) -> Floats:
        first, second = x[..., : width // 2], x[..., width // 2 :]
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    x = np.concatenate([source.rows(table.name, table.shape, int(i), int(i) + 1) for i in token_ids])
    for layer in range(config.layers):
        m = matrices(config, layer)
        inner = normed(x, f"model.layers.{layer}.input_layernorm.weight")
        q, k, v = (split(linear(inner, m[short])) for short in ("attn_q", "attn_k", "attn_v"))
        k, v = (np.repeat(kv, heads // config.kv_heads, axis=0) for kv in (rotate(k), v))
        scores = rotate(q) @ k.transpose(0, 2, 1) / np.float32(math.sqrt(width)) + future
        weight = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (weight / weight.sum(-1, keepdims=True)) @ v
        x = x + linear(seen.transpose(1, 0, 2).reshape(n, heads * width), m["attn_output"])
        inner = normed(x, f"model.layers.{layer}.post_attention_layernorm.weight")
        gate = linear(inner, m["ffn_gate"])
        with np.errstate(over="ignore"):  # exp of a large number is infinite, and the gate rightly 0
            opened = gate / (1 + np.exp(-gate))
        x = x + linear(opened * linear(inner, m["ffn_up"]), m["ffn_down"])
    x = normed(x, "model.norm.weight")
    step = 8192  # the whole table in float32 would be a gigabyte
    spans = ((start, min(start + step, config.vocab)) for start in range(0, config.vocab, step))
    return np.concatenate([x @ source.rows(table.name, table.shape, *span).T for span in spans], axis=1)


def build(form: str, out: Path, weights: Weights, options: Mapping[str, Any]) -> Built:
    """Write Llama as `form` (one of WRITES) into the folder `out`; `options` are fields of Config.

    Raises ArtifactError for another form, SpecError for options no file could hold, WeightsError for unusable weights.
    """
    check_request(form, WRITES, {}, ())
    config = Config.of(options)
    kind, _, mix = form.partition("/")
    files, notes, read = (write_gguf if kind == "gguf" else _write_onnx)(out, weights, config, mix)
    note = [weights.note]
    if weights.source != "pretrained":
        note.append(f"cut from a pool of {config.pool} blocks of {gguf.BLOCK} weights")
    return Built(
        files=files,
        parameters=parameters(config),
        ops=operations(config),
        weights=weights.source,
        weights_note="; ".join([*note, *notes]),
        # A prompt and a token read the same: every weight once. An input table that is only looked up does not count.
        weight_bytes={"prefill": read, "decode": read},
    )


# --- GGUF, for llama.cpp -------------------------------------------------------------------------------------------


def gguf_types(config: Config, mix: str) -> dict[str, str]:
    """The type of each matrix by its GGUF name, as llama.cpp mixes them for `mix` ("q4_k_m", "q8_0" or "f16")."""
    if mix != "q4_k_m":
        return {m.gguf: mix.upper() for m in _all_matrices(config)}
    n = config.layers
    # The first and last eighth of the layers and every third between them keep more bits in two matrices; so does the
    # token table, being the output matrix too.
    favoured = {i for i in range(n) if i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2}
    better = {f"blk.{i}.{short}.weight" for i in favoured for short in ("attn_v", "ffn_down")}
    better.add(embedding(config).gguf)
    return {m.gguf: "Q6_K" if m.gguf in better else "Q4_K" for m in _all_matrices(config)}


def gguf_bytes(config: Config, mix: str) -> int:
    """Bytes of all tensors in the GGUF file [B], without its header."""
    types = gguf_types(config, mix)
    vectors = 4 * (len(norms(config)) * config.d + config.head_dim // 2)
    return vectors + sum(m.rows * m.cols * gguf.KINDS[types[m.gguf]].size // gguf.BLOCK for m in _all_matrices(config))


def write_gguf(out: Path, weights: Weights, config: Config, mix: str) -> Wrote:
    """Write `out`/model.gguf in the given mix, which may also be "f16"."""
    kinds = {name: gguf.KINDS[kind] for name, kind in gguf_types(config, mix).items()}
    vocabulary = _vocabulary(weights, config)
    encoders = dict.fromkeys(kind.encode for kind in kinds.values())
    source = gguf.source(weights, config.pool, *encoders)

    def matrix(m: Matrix) -> gguf.Tensor:
        encode, order = kinds[m.gguf].encode, _interleaved(m) if m.rotated_heads else None
        return gguf.Tensor(m.gguf, m.shape, kinds[m.gguf], lambda: source.parts(m.name, m.shape, encode, order))

    def vector(name: str, values: Floats) -> gguf.Tensor:
        return gguf.Tensor(name, values.shape, gguf.KINDS["F32"], lambda: [values])

    tensors = [vector(target, _norm(weights, config, name)) for name, target in norms(config)]
    tensors.append(vector("rope_freqs.weight", rope_factors(config).astype(np.float32)))
    tensors += [matrix(m) for m in _all_matrices(config)]
    metadata: dict[str, Any] = {
        "general.name": f"Llama 3.2 1B {weights.source}",
        "general.file_type": gguf.FILE_TYPES[mix],
        "llama.context_length": config.context,
        "llama.embedding_length": config.d,
        "llama.block_count": config.layers,
        "llama.feed_forward_length": config.ffn,
        "llama.attention.head_count": config.heads,
        "llama.attention.head_count_kv": config.kv_heads,
        "llama.attention.key_length": config.head_dim,
        "llama.attention.value_length": config.head_dim,
        "llama.attention.layer_norm_rms_epsilon": config.eps,
        "llama.rope.freq_base": config.rope_theta,
        "llama.rope.dimension_count": config.head_dim,
        "llama.vocab_size": config.vocab,
        **dict(gguf.tokenizer_metadata(vocabulary)),
    }
    gguf.write(out / "model.gguf", "llama", metadata, tensors)
    return {"model": "model.gguf"}, [vocabulary.note], gguf_bytes(config, mix)


def _interleaved(matrix: Matrix) -> NDArray[np.intp]:
    """Row order for GGUF: it rotates neighbouring rows of a head, published weights the two halves of a head."""
    rows = np.arange(matrix.rows).reshape(matrix.rotated_heads, 2, -1)
    return rows.swapaxes(1, 2).ravel()


def _vocabulary(weights: Weights, config: Config) -> gguf.Vocabulary:
    path: Path | None = getattr(weights, "path", None)
    if weights.source == "pretrained" and path is not None:
        stored = gguf.stored_vocabulary(path if path.is_dir() else path.parent, config.vocab)
        if stored:
            return stored
    bos = min(128_000, config.vocab - 2)
    return gguf.byte_vocabulary(config.vocab, bos, bos + 1)


# --- ONNX, for ONNX Runtime ----------------------------------------------------------------------------------------

INT4_BLOCK = 32
_CONTRIB = "com.microsoft"


def onnx_bytes(config: Config) -> dict[str, int]:
    """Bytes [B] of the external data: int4 matrices with their scales, and the float16 input table."""
    weights = config.layers * sum(m.rows * m.cols for m in matrices(config, 0).values()) + config.vocab * config.d
    return {"levels": weights // 2, "scales": weights // INT4_BLOCK * 4, "table": config.vocab * config.d * 2}


class _External(NamedTuple):
    """A tensor of the external data file; `parts` yields its bytes in order."""

    name: str
    dtype: type[np.generic]
    shape: tuple[int, ...]
    parts: Iterator[NDArray[Any]]


def _write_onnx(out: Path, weights: Weights, config: Config, _mix: str) -> Wrote:
    source = gguf.source(weights, config.pool, gguf.f16, gguf.int4_levels, gguf.int4_scales)
    decoder = _Decoder(config, weights, source)
    model = decoder.build()
    data = "model.onnx.data"
    with (out / data).open("wb") as stream:
        for tensor in decoder.external:
            stream.write(bytes(-stream.tell() % _ALIGN))
            begin = stream.tell()
            length = gguf.put(stream, tensor.parts)
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
            stored = model.graph.initializer.add(name=tensor.name, data_type=kind, dims=tensor.shape)
            stored.data_location = TensorProto.EXTERNAL
            for key, value in {"location": data, "offset": begin, "length": length}.items():
                stored.external_data.add(key=key, value=str(value))
    (out / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    sizes = onnx_bytes(config)
    read = sizes["levels"] + sizes["scales"] + 4 * len(norms(config)) * config.d
    return {"model": "model.onnx", "model.data": data}, [], read


class _Decoder:
    """The ONNX graph without its large tensors, and those tensors. Inputs and outputs are named as onnxruntime-genai's.

    `logits_from` is an input that may be left out: the first position whose logits are wanted. By default it is the
    last one, as in llama.cpp; a graph that computed all would spend a fifth of a prompt's work on unused logits.
    """

    def __init__(self, config: Config, weights: Weights, source: gguf.Source) -> None:
        self.config = config
        self.weights = weights
        self.source = source
        self.graph = Graph("llama", {"": 18, _CONTRIB: 1})
        self.external: list[_External] = []

    def build(self) -> onnx.ModelProto:
        """Build the whole graph; `external` then lists what it still lacks."""
        config, graph = self.config, self.graph
        ids = graph.input("input_ids", ["batch", "sequence"], np.int64)
        shared = self._positions()
        table = embedding(config)
        rows = self._large(table.name, np.float16, table.shape, self.source.parts(table.name, table.shape, gguf.f16))
        looked_up = graph.node("Gather", rows, ids, name="model.embed_tokens")
        x = graph.node("Cast", looked_up, name="model.embed_tokens.f32", to=TensorProto.FLOAT)
        first = "model.layers.0.input_layernorm"
        gamma = self._gamma(first)
        inner = graph.node("SimplifiedLayerNormalization", x, gamma, name=first, epsilon=config.eps, axis=-1)
        for layer in range(config.layers):
            x, inner = self._layer(layer, x, inner, shared)

        start = graph.input("logits_from", [1], np.int64)
        end = graph.const("end", [np.iinfo(np.int64).max], np.int64)
        wanted = graph.node("Slice", inner, start, end, graph.const("one", [1], np.int64), name="logits_from.slice")
        graph.output(self._linear(wanted, table, "logits"), ["batch", "wanted", config.vocab])
        for layer in range(config.layers):
            for part in ("key", "value"):
                graph.output(f"present.{layer}.{part}", self._cache("total"))

        large = {tensor.name for tensor in self.external}
        inputs = [value for value in graph.model.graph.input if value.name not in large]
        del graph.model.graph.input[:]
        graph.model.graph.input.extend(inputs)
        # An input that is an initialiser too has that as its default.
        graph.model.graph.initializer.append(numpy_helper.from_array(np.array([-1], dtype=np.int64), start))
        return graph.model

    def _positions(self) -> tuple[str, ...]:
        """What every attention node reads: index of the last key, number of keys, rotary tables."""
        graph = self.graph
        mask = graph.input("attention_mask", ["batch", "total"], np.int64)
        one = graph.const("one", [1], np.int64)
        seen = graph.node("ReduceSum", mask, one, name="mask.sum", keepdims=0)
        last = graph.node("Sub", seen, one, name="mask.last")
        shape = graph.node("Shape", mask, name="mask.shape")
        length = graph.node("Gather", shape, graph.const("axis", 1, np.int64), name="mask.length")
        cos, sin = rotary_tables(self.config, self.config.positions)
        return (
            graph.node("Cast", last, name="last_key", to=TensorProto.INT32),
            graph.node("Cast", length, name="keys", to=TensorProto.INT32),
            graph.const("cos", cos),
            graph.const("sin", sin),
        )

    def _layer(self, layer: int, x: str, inner: str, shared: Sequence[str]) -> tuple[str, str]:
        """One layer: from the residual stream and its norm to the next residual stream and its norm."""
        config, graph, m = self.config, self.graph, matrices(self.config, layer)
        name = f"model.layers.{layer}"
        q, k, v = (self._linear(inner, m[short]) for short in ("attn_q", "attn_k", "attn_v"))
        past = (graph.input(f"past_key_values.{layer}.{part}", self._cache("past")) for part in ("key", "value"))
        attended, *_ = graph.nodes(
            "GroupQueryAttention",
            *(q, k, v, *past, *shared),
            name=f"{name}.self_attn",
            outputs=(f"{name}.self_attn", f"present.{layer}.key", f"present.{layer}.value"),
            domain=_CONTRIB,
            num_heads=config.heads,
            kv_num_heads=config.kv_heads,
            scale=config.head_dim**-0.5,
            do_rotary=1,
            rotary_interleaved=0,
        )
        x, inner = self._add_and_norm(x, self._linear(attended, m["attn_output"]), f"{name}.post_attention_layernorm")
        gate, up = self._linear(inner, m["ffn_gate"]), self._linear(inner, m["ffn_up"])
        opened = graph.node("Mul", gate, graph.node("Sigmoid", gate, name=f"{name}.mlp.sigmoid"), name=f"{name}.mlp.silu")
        down = self._linear(graph.node("Mul", opened, up, name=f"{name}.mlp.gated"), m["ffn_down"])
        following = f"model.layers.{layer + 1}.input_layernorm" if layer + 1 < config.layers else "model.norm"
        return self._add_and_norm(x, down, following)

    def _linear(self, x: str, matrix: Matrix, name: str = "") -> str:
        name = name or matrix.name.removesuffix(".weight")
        blocks = matrix.cols // INT4_BLOCK
        levels = self.source.parts(matrix.name, matrix.shape, gguf.int4_levels)
        scales = self.source.parts(matrix.name, matrix.shape, gguf.int4_scales)
        return self.graph.node(
            "MatMulNBits",
            x,
            self._large(f"{name}.levels", np.uint8, (matrix.rows, blocks, INT4_BLOCK // 2), levels),
            self._large(f"{name}.scales", np.float32, (matrix.rows, blocks), scales),
            name=name,
            domain=_CONTRIB,
            K=matrix.cols,
            N=matrix.rows,
            bits=4,
            block_size=INT4_BLOCK,
            accuracy_level=4,  # activations in int8 too, as in llama.cpp
        )

    def _add_and_norm(self, x: str, more: str, name: str) -> tuple[str, str]:
        """The sum, and its RMSNorm called `name`."""
        op, gamma, made = (
            "SkipSimplifiedLayerNormalization",
            self._gamma(name),
            (f"{name}.normed", "", "", f"{name}.sum"),
        )
        normed, _, _, total = self.graph.nodes(op, x, more, gamma, name=name, outputs=made, domain=_CONTRIB, epsilon=self.config.eps)
        return total, normed

    def _gamma(self, norm: str) -> str:
        return self.graph.weight(f"{norm}.weight", _norm(self.weights, self.config, f"{norm}.weight"))

    def _cache(self, length: str) -> list[int | str]:
        return ["batch", self.config.kv_heads, length, self.config.head_dim]

    def _large(self, name: str, dtype: type[np.generic], shape: tuple[int, ...], parts: Iterator[NDArray[Any]]) -> str:
        # Declared as an input for now, so that nodes may read it.
        self.external.append(_External(name, dtype, shape, parts))
        return self.graph.input(name, shape, dtype)

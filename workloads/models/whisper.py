"""Whisper (tiny, base) as two ONNX graphs: an encoder for a 30 s window and a decoder that takes one token a step.

The encoder also makes the keys and values of the decoder's cross-attention, once a window. Published in Radford et al.,
"Robust Speech Recognition via Large-Scale Weak Supervision", arXiv:2212.04356; code and weights MIT. Pretrained weights
are asked for under the names of transformers.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import SpecError
from harness.measure.graph import Built, Graph, check_request, count_ops, count_parameters, count_weight_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.measure.weights import Weights

WRITES: tuple[str, ...] = ("onnx/fp32",)

SIZES = {"tiny": (384, 6, 4), "base": (512, 8, 6)}
"""Width of the model, heads, layers (encoder and decoder alike)."""
HEAD = 64
MELS = 80
FRAMES = 3000
POSITIONS = 1500
TOKENS = 448
VOCABULARY = 51865
LAYER_NORM_EPS = 1e-5
SINUSOID = 0.7
"""Standard deviation of drawn encoder positions: that of the published sine waves. Smaller ones leave silent frames all alike."""


def build(form: str, out: Path, weights: Weights, options: Mapping[str, Any]) -> Built:
    """Write `encoder.onnx` and `decoder.onnx`, float32, batch 1; H heads, l = 0 .. layers - 1, V tokens.

    Encoder: `input_features` [1,80,3000] -> `cross_k_l` [1,H,64,1500], `cross_v_l` [1,H,1500,64].
    Decoder: `input_ids` [1,1] and `position_ids` [1,1] (int64), `past_self_k_l` and `past_self_v_l` [1,H,past,64],
    the cross tensors -> `logits` [1,1,V], `present_self_k_l` and `present_self_v_l` [1,H,past + 1,64].
    Options: `size` tiny (the default) or base; `vocabulary`, 51864 for the English-only weights.
    `ops["decode"]` is a step with an empty cache; each token in the cache adds 2 x 2 x width x layers.
    Raises ArtifactError for another form, SpecError for an option, WeightsError when `weights` do not fit.
    """
    check_request(form, WRITES, options, known=("size", "vocabulary"))
    size = options.get("size", "tiny")
    if size not in SIZES:
        raise SpecError(f"Whisper has no size {size!r}", f"write size = one of {', '.join(SIZES)}")
    vocabulary = int(options.get("vocabulary", VOCABULARY))
    encoder = _Whisper("whisper_encoder", weights, *SIZES[size]).encoder().save(out / "encoder.onnx")
    decoder = _Whisper("whisper_decoder", weights, *SIZES[size]).decoder(vocabulary).save(out / "decoder.onnx")
    return Built(
        files={"encoder": "encoder.onnx", "decoder": "decoder.onnx"},
        parameters=count_parameters(encoder) + count_parameters(decoder),
        ops={"encode": count_ops(encoder, {}), "decode": count_ops(decoder, {"past": 0, "total": 1})},
        weights=weights.source,
        weights_note=weights.note,
        weight_bytes={"encode": count_weight_bytes(encoder), "decode": count_weight_bytes(decoder)},
    )


class _Whisper:
    """One graph of one size; names are those of the transformers state_dict."""

    def __init__(self, name: str, weights: Weights, width: int, heads: int, layers: int) -> None:
        self.g = Graph(name)
        self.weights = weights
        self.width = width
        self.heads = heads
        self.layers = layers

    def encoder(self) -> Graph:
        """Log-mel frames to the keys and values of every decoder layer's cross-attention."""
        g, name = self.g, "model.encoder"
        x = g.input("input_features", [1, MELS, FRAMES])
        for conv, inputs, stride in (("conv1", MELS, 1), ("conv2", self.width, 2)):
            weight = self.weights.get(f"{name}.{conv}.weight", (self.width, inputs, 3), math.sqrt(2.0 / (3 * inputs)))
            bias = self.weights.get(f"{name}.{conv}.bias", (self.width,))
            x = self._gelu(g.conv(x, f"{name}.{conv}", weight, bias, stride=stride), f"{name}.{conv}.gelu")
        x = g.node("Transpose", x, name=f"{name}.transpose", perm=[0, 2, 1])
        x = g.node("Add", x, self._table(f"{name}.embed_positions.weight", POSITIONS, SINUSOID), name=f"{name}.embed")
        for i in range(self.layers):
            layer = f"{name}.layers.{i}"
            x = self._residual(x, f"{layer}.self_attn", f"{layer}.self_attn_layer_norm", self._attend_all)
            x = self._residual(x, f"{layer}.mlp", f"{layer}.final_layer_norm", self._mlp)
        x = self._norm(x, f"{name}.layer_norm")
        for i in range(self.layers):
            cross = f"model.decoder.layers.{i}.encoder_attn"
            keys = self._linear(x, f"{cross}.k_proj", bias=False)
            keys = self._split_heads(keys, f"cross_k_{i}", POSITIONS, keys=True)
            values = self._split_heads(self._linear(x, f"{cross}.v_proj"), f"cross_v_{i}", POSITIONS)
            g.output(keys, [1, self.heads, HEAD, POSITIONS])
            g.output(values, [1, self.heads, POSITIONS, HEAD])
        return g

    def decoder(self, vocabulary: int) -> Graph:
        """One token, the cache of those before it and the cross tensors to logits and the grown cache."""
        g, name = self.g, "model.decoder"
        token = g.input("input_ids", [1, 1], np.int64)
        position = g.input("position_ids", [1, 1], np.int64)
        for i in range(self.layers):
            for tensor in ("k", "v"):
                g.input(f"past_self_{tensor}_{i}", [1, self.heads, "past", HEAD])
            g.input(f"cross_k_{i}", [1, self.heads, HEAD, POSITIONS])
            g.input(f"cross_v_{i}", [1, self.heads, POSITIONS, HEAD])
        embedding = self._table(f"{name}.embed_tokens.weight", vocabulary)
        positions = self._table(f"{name}.embed_positions.weight", TOKENS)
        x = g.node("Gather", embedding, token, name=f"{name}.token")
        x = g.node("Add", x, g.node("Gather", positions, position, name=f"{name}.position"), name=f"{name}.embed")
        for i in range(self.layers):
            layer = f"{name}.layers.{i}"
            x = self._residual(x, f"{layer}.self_attn", f"{layer}.self_attn_layer_norm", partial(self._attend_cache, layer=i))
            x = self._residual(x, f"{layer}.encoder_attn", f"{layer}.encoder_attn_layer_norm", partial(self._attend_cross, layer=i))
            x = self._residual(x, f"{layer}.mlp", f"{layer}.final_layer_norm", self._mlp)
        x = self._norm(x, f"{name}.layer_norm")
        # Gemm reads the embedding table as it is stored: one copy for both ends of the decoder.
        x = g.node("Reshape", x, g.const("row", [1, self.width], "int64"), name="logits.row")
        x = g.node("Gemm", x, embedding, name="logits.gemm", transB=1)
        x = g.node("Reshape", x, g.const("logits_shape", [1, 1, vocabulary], "int64"), name="logits")
        g.output(x, [1, 1, vocabulary])
        for i in range(self.layers):
            for tensor in ("k", "v"):
                g.output(f"present_self_{tensor}_{i}", [1, self.heads, "total", HEAD])
        return g

    def _residual(self, x: str, name: str, norm: str, block: Callable[[str, str], str]) -> str:
        return self.g.node("Add", x, block(self._norm(x, norm), name), name=f"{name}.residual")

    def _attend_all(self, x: str, name: str) -> str:
        """Self-attention of the encoder: every position sees every other."""
        query = self._split_heads(self._query(x, name), f"{name}.q", POSITIONS)
        keys = self._split_heads(self._linear(x, f"{name}.k_proj", bias=False), f"{name}.k", POSITIONS, keys=True)
        values = self._split_heads(self._linear(x, f"{name}.v_proj"), f"{name}.v", POSITIONS)
        return self._attention(query, keys, values, name, POSITIONS)

    def _attend_cache(self, x: str, name: str, layer: int) -> str:
        """Self-attention of the decoder: the token sees the cache and itself, so no mask is needed."""
        g = self.g
        query = self._split_heads(self._query(x, name), f"{name}.q", 1)
        key = self._split_heads(self._linear(x, f"{name}.k_proj", bias=False), f"{name}.k", 1)
        value = self._split_heads(self._linear(x, f"{name}.v_proj"), f"{name}.v", 1)
        keys = g.node("Concat", f"past_self_k_{layer}", key, name=f"present_self_k_{layer}", axis=2)
        values = g.node("Concat", f"past_self_v_{layer}", value, name=f"present_self_v_{layer}", axis=2)
        keys = g.node("Transpose", keys, name=f"{name}.k_transposed", perm=[0, 1, 3, 2])
        return self._attention(query, keys, values, name, 1)

    def _attend_cross(self, x: str, name: str, layer: int) -> str:
        """Attention to the audio, whose keys and values the encoder graph made."""
        query = self._split_heads(self._query(x, name), f"{name}.q", 1)
        return self._attention(query, f"cross_k_{layer}", f"cross_v_{layer}", name, 1)

    def _attention(self, query: str, keys: str, values: str, name: str, steps: int) -> str:
        g = self.g
        scores = g.node("MatMul", query, keys, name=f"{name}.scores")
        shares = g.node("Softmax", scores, name=f"{name}.softmax", axis=-1)
        x = g.node("MatMul", shares, values, name=f"{name}.mix")
        x = g.node("Transpose", x, name=f"{name}.mix_transposed", perm=[0, 2, 1, 3])
        shape = g.const(f"joined_{steps}", [1, steps, self.width], "int64")
        return self._linear(g.node("Reshape", x, shape, name=f"{name}.joined"), f"{name}.out_proj")

    def _split_heads(self, x: str, name: str, steps: int, *, keys: bool = False) -> str:
        """[1,steps,width] to [1,H,steps,64], or to [1,H,64,steps] for keys that are ready to be multiplied."""
        shape = self.g.const(f"heads_{steps}", [1, steps, self.heads, HEAD], "int64")
        x = self.g.node("Reshape", x, shape, name=f"{name}.heads")
        return self.g.node("Transpose", x, name=name, perm=[0, 2, 3, 1] if keys else [0, 2, 1, 3])

    def _mlp(self, x: str, name: str) -> str:
        layer = name.removesuffix(".mlp")
        x = self._linear(x, f"{layer}.fc1", outputs=4 * self.width)
        return self._linear(self._gelu(x, f"{layer}.gelu"), f"{layer}.fc2", inputs=4 * self.width)

    def _gelu(self, x: str, name: str) -> str:
        """The exact GELU in the one spelling that QNN fuses: Div by sqrt(2), not Mul by its inverse."""
        g = self.g
        y = g.node("Div", x, g.const("sqrt2", math.sqrt(2.0)), name=f"{name}.div")
        y = g.node("Add", g.node("Erf", y, name=f"{name}.erf"), g.const("one", 1.0), name=f"{name}.add")
        return g.node("Mul", g.node("Mul", x, y, name=f"{name}.mul"), g.const("half", 0.5), name=name)

    def _norm(self, x: str, name: str) -> str:
        scale = self.g.weight(f"{name}.weight", self.weights.get(f"{name}.weight", (self.width,), mean=1.0))
        shift = self.g.weight(f"{name}.bias", self.weights.get(f"{name}.bias", (self.width,)))
        return self.g.node("LayerNormalization", x, scale, shift, name=name, axis=-1, epsilon=LAYER_NORM_EPS)

    def _query(self, x: str, name: str) -> str:
        """The query projection with the attention's 1 / sqrt(64) folded in: a power of two, so nothing is rounded."""
        return self._linear(x, f"{name}.q_proj", factor=HEAD**-0.5)

    def _linear(  # noqa: PLR0913
        self, x: str, name: str, inputs: int = 0, outputs: int = 0, factor: float = 1.0, *, bias: bool = True
    ) -> str:
        """MatMul with the transposed weight, then Add; inputs and outputs default to the width."""
        inputs, outputs, scale = inputs or self.width, outputs or self.width, np.float32(factor)
        weight = self.weights.get(f"{name}.weight", (outputs, inputs), 1.0 / math.sqrt(inputs))
        x = self.g.node("MatMul", x, self.g.weight(f"{name}.weight", (weight * scale).T), name=f"{name}.matmul")
        if not bias:
            return x
        stored = self.g.weight(f"{name}.bias", self.weights.get(f"{name}.bias", (outputs,)) * scale)
        return self.g.node("Add", x, stored, name=name)

    def _table(self, name: str, rows: int, std: float = 0.02) -> str:
        return self.g.weight(name, self.weights.get(name, (rows, self.width), std))

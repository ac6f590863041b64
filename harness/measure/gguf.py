"""Block-quantised weights: where blocks come from, how they are rounded, and GGUF files made of them.

Every quantiser takes float32 [n, 256], as 256 weights are the block of the K-quants and a whole number of the smaller
blocks. They round to nearest; Q4_K refines its scales by least squares. Errors stay within 6 % of those of llama.cpp's
own quantiser, which would take five times as long and gigabytes of memory.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter, LlamaFileType, TokenType

from harness.errors import ArtifactError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.measure.weights import Weights

    Floats = NDArray[np.float32]
    Bytes = NDArray[np.uint8]
    Encode = Callable[[Floats], NDArray[Any]]
    """float32 [n, 256] -> [n, ...]."""
    Order = NDArray[np.intp] | None
    """The rows of a matrix in another order."""

BLOCK = 256
"""Weights that every quantiser here takes at a time."""


# --- Where blocks come from ----------------------------------------------------------------------------------------

_CHUNK = 8192
"""Blocks encoded at a time: 8 MB of floats, small beside a model and large beside a call."""


class Source(Protocol):
    """Matrices, by name and shape [rows, cols], encoded in parts or as float rows."""

    def parts(self, name: str, shape: tuple[int, int], encode: Encode, order: Order = None) -> Iterator[NDArray[Any]]:
        """The matrix as encoded blocks, several [n, ...] one after the other, its rows taken in `order`."""
        ...

    def rows(self, name: str, shape: tuple[int, int], start: int, stop: int) -> Floats:
        """Float rows [stop - start, cols]."""
        ...


def source(weights: Weights, pool: int, *encoders: Encode) -> Source:
    """A source of the given weights; a synthetic one has a pool of `pool` blocks and knows only these `encoders`."""
    return _Stored(weights) if weights.source == "pretrained" else _Pool(weights, pool, encoders)


def same(blocks: Floats) -> Floats:
    """The encoder that `rows` of a synthetic source needs: none."""
    return blocks


class _Pool:
    """Synthetic weights: a pool of blocks of 256 normal draws, encoded once for each type.

    A matrix is a run of consecutive blocks, cyclically, from an offset that its name gives. So a model is made by
    copying, yet its float truth is known and its quantisation errors are real. The standard deviation of 0.02 is the
    customary initialisation of a transformer.
    """

    def __init__(self, weights: Weights, count: int, encoders: Sequence[Encode]) -> None:
        self.count = count
        self._encoded: dict[Encode, NDArray[Any]] = {}
        for i, start in enumerate(range(0, count, _CHUNK)):
            blocks = weights.get(f"pool.{i}", (min(_CHUNK, count - start), BLOCK), std=0.02)
            for encode in encoders:
                made = encode(blocks)
                pool = self._encoded.setdefault(encode, np.empty((count, *made.shape[1:]), made.dtype))
                pool[start : start + len(made)] = made

    def parts(self, name: str, shape: tuple[int, int], encode: Encode, order: Order = None) -> Iterator[NDArray[Any]]:
        """Runs of the encoded pool, without a copy unless rows are reordered."""
        rows, width = shape[0], shape[1] // BLOCK
        if order is None:
            yield from self._runs(encode, self._offset(name), rows * width)
        else:
            blocks = self._offset(name) + order[:, None] * width + np.arange(width)
            yield self._encoded[encode][blocks.ravel() % self.count]

    def rows(self, name: str, shape: tuple[int, int], start: int, stop: int) -> Floats:
        """Rows of the float pool: a view, or a copy where they wrap around its end."""
        width = shape[1] // BLOCK
        runs = list(self._runs(same, self._offset(name) + start * width, (stop - start) * width))
        joined: Floats = runs[0] if len(runs) == 1 else np.concatenate(runs)
        return joined.reshape(stop - start, shape[1])

    def _runs(self, encode: Encode, start: int, blocks: int) -> Iterator[NDArray[Any]]:
        pool = self._encoded[encode]
        while blocks:
            start %= self.count
            taken = min(blocks, self.count - start)
            yield pool[start : start + taken]
            start, blocks = start + taken, blocks - taken

    def _offset(self, name: str) -> int:
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % self.count


class _Stored:
    """Pretrained weights: each matrix is fetched, and encoded a chunk at a time."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._last: tuple[str, Floats] | None = None

    def parts(self, name: str, shape: tuple[int, int], encode: Encode, order: Order = None) -> Iterator[NDArray[Any]]:
        """Freshly encoded chunks of the stored matrix."""
        matrix = self._fetch(name, shape)
        if order is not None:
            matrix = matrix[order]
        blocks = matrix.reshape(-1, BLOCK)
        for start in range(0, len(blocks), _CHUNK):
            yield encode(blocks[start : start + _CHUNK])

    def rows(self, name: str, shape: tuple[int, int], start: int, stop: int) -> Floats:
        """Rows of the stored matrix."""
        return self._fetch(name, shape)[start:stop]

    def _fetch(self, name: str, shape: tuple[int, int]) -> Floats:
        # The last one is kept, because its rows, or its levels and then its scales, are asked for in turn.
        if self._last is None or self._last[0] != name:
            self._last = None  # before the next one is in memory
            self._last = name, self._weights.get(name, shape)
        return self._last[1]


# --- Quantisers ----------------------------------------------------------------------------------------------------


def _inverse(scale: Floats) -> Floats:
    """1/scale, and 0 where a block is all zeros."""
    inverse: Floats = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    return inverse


def _half(scale: Floats) -> tuple[Bytes, Floats]:
    """Scales [n] as little-endian fp16 bytes [n, 2], and the values those bytes really stand for."""
    half = scale.astype("<f2")
    return half.view(np.uint8).reshape(-1, 2), half.astype(np.float32)


def _extreme(blocks: Floats) -> Floats:
    """The value of largest magnitude along the last axis, with its sign."""
    high, low = blocks.max(-1), blocks.min(-1)
    value: Floats = np.where(high > -low, high, low)
    return value


def f32(x: Floats) -> Bytes:
    """Float32 as it is: 1024 bytes for 256 weights."""
    return np.ascontiguousarray(x, dtype="<f4").view(np.uint8)


def f16(x: Floats) -> Bytes:
    """Float16: 512 bytes for 256 weights."""
    return np.ascontiguousarray(x, dtype="<f2").view(np.uint8)


def q8_0(x: Floats) -> Bytes:
    """8 blocks of 34 bytes: fp16 d, 32 int8 q; w = d q."""
    blocks = x.reshape(-1, 32)
    largest: Floats = np.abs(_extreme(blocks))
    head, d = _half(largest / np.float32(127))
    # A d that was rounded down would send the largest weight to 128.
    q = np.clip(np.rint(blocks * _inverse(d)[:, None]), -127, 127).astype(np.int8)
    return np.concatenate([head, q.view(np.uint8)], axis=1).reshape(len(x), -1)


def q6_k(x: Floats) -> Bytes:
    """128 low nibbles, 64 bytes of high bit pairs, 16 int8 scales s, fp16 d; w = d s (q - 32), q of 6 bit."""
    blocks = x.reshape(-1, 16, 16)
    scale = _extreme(blocks) / -32  # the extreme itself becomes -32, so all 64 levels are in use
    tail, d = _half(np.abs(scale).max(-1) / 127)
    s = np.clip(np.rint(scale * _inverse(d)[:, None]), -127, 127)
    q = np.rint(blocks * _inverse(s * d[:, None])[..., None])
    # Of each half (128 weights), quarter k has its low nibbles in byte row k % 2 and its high bits at bit 2 k.
    six = (np.clip(q, -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low, high = six & 15, six >> 4
    nibbles = low[:, :, :2] | low[:, :, 2:] << 4
    pairs = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    rows = len(x)
    packed = [nibbles.reshape(rows, 128), pairs.reshape(rows, 64), s.astype(np.int8).view(np.uint8), tail]
    return np.concatenate(packed, axis=1)


def q4_k(x: Floats) -> Bytes:
    """fp16 d and dmin, eight 6-bit scales s and minima m, 128 bytes of nibbles q; w = d s q - dmin m per 32 weights."""
    blocks = x.reshape(-1, 8, 32)
    minimum = np.maximum(-blocks.min(-1), 0)
    scale = (np.maximum(blocks.max(-1), 0) + minimum) / 15
    sum_x = blocks.sum(-1)
    for _ in range(3):  # the fourth round would gain 0.2 % of the error
        q = _levels(blocks, scale, minimum)
        sum_q, sum_qq = q.sum(-1), np.einsum("nij,nij->ni", q, q)
        sum_qx = np.einsum("nij,nij->ni", q, blocks)
        inverse = _inverse(32 * sum_qq - sum_q * sum_q)
        better, offset = (32 * sum_qx - sum_q * sum_x) * inverse, (sum_q * sum_qx - sum_qq * sum_x) * inverse
        usable = (better > 0) & (offset >= 0)
        scale, minimum = np.where(usable, better, scale), np.where(usable, offset, minimum)
    head_d, d = _half(scale.max(-1) / 63)
    head_m, dmin = _half(minimum.max(-1) / 63)
    s = np.clip(np.rint(scale * _inverse(d)[:, None]), 0, 63)
    m = np.clip(np.rint(minimum * _inverse(dmin)[:, None]), 0, 63)
    nibbles = _levels(blocks, s * d[:, None], m * dmin[:, None]).astype(np.uint8).reshape(-1, 4, 2, 32)
    packed = (nibbles[:, :, 0] | nibbles[:, :, 1] << 4).reshape(-1, 128)
    # 16 six-bit numbers in 12 bytes: the last four of each kind keep their high bits in the first eight bytes.
    (s0, s1), (m0, m1) = (np.split(six.astype(np.uint8), 2, axis=1) for six in (s, m))
    scales = [s0 | s1 >> 4 << 6, m0 | m1 >> 4 << 6, s1 & 15 | (m1 & 15) << 4]
    return np.concatenate([head_d, head_m, *scales, packed], axis=1)


def _levels(blocks: Floats, scale: Floats, minimum: Floats) -> Floats:
    """The nearest 0..15 for x = scale q - minimum, as floats."""
    q = blocks + minimum[..., None]
    q *= _inverse(scale)[..., None]
    np.rint(q, out=q)
    np.clip(q, 0, 15, out=q)
    return q


def int4_scales(x: Floats) -> Floats:
    """Scales [n, 8] of ONNX Runtime's MatMulNBits: the extreme of each 32 weights becomes -8, level 0."""
    scales: Floats = _extreme(x.reshape(-1, 8, 32)) / np.float32(-8)
    return scales


def int4_levels(x: Floats) -> Bytes:
    """Levels q of MatMulNBits [n, 128], two a byte, the first in the low nibble; w = scale (q - 8)."""
    scaled = x.reshape(-1, 8, 32) * _inverse(int4_scales(x))[..., None]
    levels = (np.clip(np.rint(scaled), -8, 7) + 8).astype(np.uint8)
    packed: Bytes = levels[..., 0::2] | levels[..., 1::2] << 4
    return packed.reshape(-1, 128)


# --- GGUF files ----------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """A GGUF tensor type: its code, the bytes of 256 weights [B], and float32 [n, 256] -> bytes [n, `size`]."""

    type: GGMLQuantizationType
    size: int
    encode: Encode


class Tensor(NamedTuple):
    """A tensor of a GGUF file: `shape` is rows x columns, `parts` yields its encoded bytes in order."""

    name: str
    shape: tuple[int, ...]
    kind: Kind
    parts: Callable[[], Iterable[NDArray[Any]]]

    @property
    def nbytes(self) -> int:
        """Bytes in the file [B], without padding."""
        return math.prod(self.shape) * self.kind.size // BLOCK


class Vocabulary(NamedTuple):
    """The tokeniser inside a GGUF file: token texts and types by id, BPE merges, and where it came from."""

    tokens: list[str]
    types: list[int]
    merges: list[str]
    bos: int
    eos: int
    note: str


KINDS: Mapping[str, Kind] = {
    "F32": Kind(GGMLQuantizationType.F32, 1024, f32),
    "F16": Kind(GGMLQuantizationType.F16, 512, f16),
    "Q8_0": Kind(GGMLQuantizationType.Q8_0, 272, q8_0),
    "Q6_K": Kind(GGMLQuantizationType.Q6_K, 210, q6_k),
    "Q4_K": Kind(GGMLQuantizationType.Q4_K, 144, q4_k),
}

FILE_TYPES: Mapping[str, int] = {
    "f16": LlamaFileType.MOSTLY_F16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
    "q4_k_m": LlamaFileType.MOSTLY_Q4_K_M,
}
"""llama.cpp's numbers for a whole file's mix of types, as in general.file_type."""


def write(path: Path, architecture: str, metadata: Mapping[str, Any], tensors: Sequence[Tensor]) -> None:
    """Write a GGUF file; ints go as uint32, floats as float32, lists by their items.

    Tensor bytes are taken part by part, so only one part is in memory. Raises ArtifactError when parts do not add up.
    """
    writer = GGUFWriter(path, architecture)
    for key, value in metadata.items():
        writer.add_key_value(key, value, _value_type(value))
    for tensor in tensors:
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.nbytes, tensor.kind.type)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        # The writer's own way to add data wants each tensor whole, in memory.
        (stream,) = writer.fout or []
        for tensor in tensors:
            writer.write_padding(stream, stream.tell())
            written = put(stream, tensor.parts())
            if written != tensor.nbytes:
                raise ArtifactError(
                    f"{path.name}: tensor {tensor.name} of shape {list(tensor.shape)} gave {written} bytes, expected {tensor.nbytes}",
                    "rows must be whole blocks of 256 weights: choose widths that are multiples of 256",
                )
        writer.write_padding(stream, stream.tell())
    finally:
        writer.close()


def put(stream: BinaryIO, parts: Iterable[NDArray[Any]]) -> int:
    """Write the bytes of `parts` one after the other; returns how many."""
    return sum(stream.write(np.ascontiguousarray(part).data) for part in parts)


def _value_type(value: object) -> GGUFValueType:
    if isinstance(value, int):
        return GGUFValueType.UINT32
    return GGUFValueType.get_type(value)


def byte_vocabulary(size: int, bos: int, eos: int) -> Vocabulary:
    """A vocabulary for weights that were never trained: ids 0..255 are bytes, so any text has tokens.

    GPT-2's alphabet spells each byte as one printable character. One merge, because llama.cpp expects some.
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    shifted = iter(range(256, 512))
    tokens = [chr(byte if byte in printable else next(shifted)) for byte in range(256)]
    tokens += [f"<t{i}>" for i in range(256, size)]
    types = [int(TokenType.NORMAL)] * size
    for special, text in ((bos, "<|begin_of_text|>"), (eos, "<|end_of_text|>")):
        tokens[special], types[special] = text, int(TokenType.CONTROL)
    return Vocabulary(tokens, types, ["h e"], bos, eos, "synthetic byte vocabulary")


def stored_vocabulary(folder: Path, size: int) -> Vocabulary | None:
    """The vocabulary of `folder`/tokenizer.json (byte-level BPE), padded to `size` ids; None where there is none.

    BOS and EOS come from generation_config.json or config.json beside it. Raises WeightsError for an unusable file.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        model = content["model"]
        by_id = {int(i): (str(text), int(TokenType.NORMAL)) for text, i in model["vocab"].items()}
        for added in content.get("added_tokens", []):
            kind = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
            by_id[int(added["id"])] = (str(added["content"]), int(kind))
        # Newer files store a merge as a pair, older ones as one text.
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
        kind_of_model = model.get("type", "BPE")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise WeightsError(f"{file}: not a readable tokeniser ({error!r})", "download the file again") from error
    if kind_of_model != "BPE" or not merges or max(by_id) >= size:
        raise WeightsError(
            f"{file}: {kind_of_model} with {len(merges)} merges and ids up to {max(by_id)}, expected a byte-level BPE of at most {size} tokens",
            "take tokenizer.json from the same place as the weights, or move it away for a synthetic vocabulary",
        )
    filler = ((f"[PAD{i}]", int(TokenType.UNUSED)) for i in range(size))
    listed = [by_id.get(i, pad) for i, pad in enumerate(filler)]
    ids = {text: i for i, (text, _) in by_id.items()}
    bos = _special(folder, "bos_token_id", ids.get("<|begin_of_text|>"))
    eos = _special(folder, "eos_token_id", ids.get("<|end_of_text|>"))
    return Vocabulary([t for t, _ in listed], [k for _, k in listed], merges, bos, eos, "vocabulary of tokenizer.json")


def _special(folder: Path, key: str, named: int | None) -> int:
    """The id that the configuration files give for `key`; the first where they list several."""
    for file in (folder / "generation_config.json", folder / "config.json"):
        try:
            found = json.loads(file.read_text(encoding="utf-8")).get(key)
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, int):
            return found
    if named is None:
        raise WeightsError(f"{folder}: nothing says which token is the {key}", "put config.json beside the weights")
    return named


def tokenizer_metadata(vocabulary: Vocabulary) -> Iterator[tuple[str, Any]]:
    """The tokenizer.ggml keys of a Llama 3 vocabulary."""
    yield "tokenizer.ggml.model", "gpt2"
    yield "tokenizer.ggml.pre", "llama-bpe"
    yield "tokenizer.ggml.tokens", vocabulary.tokens
    yield "tokenizer.ggml.token_type", vocabulary.types
    yield "tokenizer.ggml.merges", vocabulary.merges
    yield "tokenizer.ggml.bos_token_id", vocabulary.bos
    yield "tokenizer.ggml.eos_token_id", vocabulary.eos

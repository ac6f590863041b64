"""Llama's three artifacts run in llama.cpp and ONNX Runtime, and err against their float truth by no more than they must.

A model of two narrow layers stands for the full one. That the float truth is Llama at all is shown in `tests/numerics`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from cyllama.llama import llama_cpp
from gguf import GGUFReader
from gguf.quants import dequantize
from numpy.typing import NDArray
from safetensors.numpy import save_file

from harness.errors import ArtifactError, SpecError, WeightsError
from harness.measure import gguf
from harness.measure.graph import Built, count_ops, count_weight_bytes
from harness.measure.weights import Pretrained, Synthetic
from workloads.models import llama

Floats = NDArray[np.float32]

# A short original context makes the stretched rotary frequencies differ within the few positions of a test.
SMALL: dict[str, Any] = {
    "layers": 2,
    "d": 256,
    "heads": 4,
    "kv_heads": 2,
    "ffn": 512,
    "vocab": 514,
    "pool": 1021,
    "rope_context": 64,
    "positions": 64,
}
TOKENS = np.random.default_rng(0).integers(256, 512, 24)


class Sharp(Synthetic):
    """Synthetic weights with which so narrow a model attends to positions; else all attention would be uniform."""

    def get(self, name: str, shape: tuple[int, ...], std: float = 0.0, mean: float = 0.0) -> Floats:
        return super().get(name, shape, std, 4 * mean if "input_layernorm" in name else mean)


class Model(NamedTuple):
    """One built artifact."""

    built: Built
    path: Path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """The small model in every form."""
    llama_cpp.disable_logging()
    made = {}
    for form in llama.WRITES:
        folder = tmp_path_factory.mktemp(form.replace("/", "-"))
        built = llama.build(form, folder, Sharp(), SMALL)
        made[form] = Model(built, folder / built.files["model"])
    return made


@pytest.fixture(scope="module")
def truth() -> Floats:
    """The logits of the small model in float32."""
    return llama.reference(Sharp(), SMALL, TOKENS)


def run_gguf(path: Path, tokens: NDArray[np.int64]) -> Floats:
    """All logits [n, vocab] of llama.cpp."""
    # This release of cyllama forgot the attribute that its own get_logits_ith reads.
    named = type("Model", (llama_cpp.LlamaModel,), {"n_vocab": property(lambda self: self.get_vocab().n_vocab)})
    parameters = llama_cpp.LlamaContextParams()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 64
    parameters.n_threads = parameters.n_threads_batch = 1
    batch = llama_cpp.LlamaBatch(n_tokens=64, embd=0, n_seq_max=1, verbose=False)
    with named(str(path), llama_cpp.LlamaModelParams(), verbose=False) as model, llama_cpp.LlamaContext(model, parameters, verbose=False) as context:
        batch.set_batch(tokens.tolist(), 0, True)
        context.decode(batch)
        return np.array([context.get_logits_ith(i) for i in range(len(tokens))], dtype=np.float32)


class Session:
    """The ONNX model with its cache."""

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # else it remarks that `logits_from` has a default
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]
        self.past = {
            value.name: np.zeros((1, value.shape[1], 0, value.shape[3]), np.float32)
            for value in self.session.get_inputs()
            if value.name.startswith("past_key_values")
        }

    def run(self, tokens: NDArray[np.int64], **more: NDArray[np.int64]) -> Floats:
        """Logits after further tokens [n]."""
        total = len(tokens) + next(iter(self.past.values())).shape[2]
        mask = np.ones((1, total), np.int64)
        values = dict(zip(self.names, self.session.run(None, {"input_ids": tokens[None], "attention_mask": mask, **self.past, **more}), strict=True))
        self.past = {name: values[name.replace("past_key_values", "present")] for name in self.past}
        logits: Floats = values["logits"][0]
        return logits


def run(form: str, model: Model) -> Floats:
    if form.startswith("gguf"):
        return run_gguf(model.path, TOKENS)
    return Session(model.path).run(TOKENS, logits_from=np.array([0]))


def cosines(a: Floats, b: Floats) -> Floats:
    """Cosine similarity at every position."""
    result: Floats = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return result


def relative_error(a: NDArray[Any], truth: NDArray[Any]) -> float:
    """Root mean square of the error over that of the truth."""
    return float(np.sqrt(np.mean((a - truth) ** 2) / np.mean(truth**2)))


# --- The quantisers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "normal", "heavy"), [("Q8_0", 0.0056, 0.008), ("Q6_K", 0.0192, 0.024), ("Q4_K", 0.0745, 0.088)])
def test_quantisers_err_as_little_as_their_bits_allow(kind: str, normal: float, heavy: float) -> None:
    generator = np.random.default_rng(0)
    for bound, weights in ((normal, generator.standard_normal((2000, 256))), (heavy, generator.standard_t(5, (2000, 256)))):
        x = (0.02 * weights).astype(np.float32)
        back = dequantize(gguf.KINDS[kind].encode(x), gguf.KINDS[kind].type)
        assert relative_error(back, x) < bound


@pytest.mark.parametrize("kind", ["Q8_0", "Q6_K", "Q4_K"])
def test_quantisers_survive_degenerate_blocks(kind: str) -> None:
    outlier = np.zeros(256)
    outlier[77] = -3.0
    x = np.array([np.zeros(256), np.full(256, 0.5), np.full(256, -0.5), np.linspace(0.1, 1, 256), -np.linspace(0.1, 1, 256), outlier], np.float32)
    back = dequantize(gguf.KINDS[kind].encode(x), gguf.KINDS[kind].type)
    assert np.abs(back - x).max() < 0.04
    assert not back[0].any()


def test_quantisers_have_the_sizes_of_their_kinds() -> None:
    for kind in gguf.KINDS.values():
        assert kind.encode(np.ones((3, 256), np.float32)).shape == (3, kind.size)


def test_int4_rounds_as_onnx_runtime_does() -> None:
    quantise = pytest.importorskip("onnxruntime.capi._pybind_state").quantize_matmul_4bits
    x = np.random.default_rng(0).standard_normal((64, 512), dtype=np.float32)
    levels, scales = np.zeros((64, 16, 16), np.uint8), np.zeros(64 * 16, np.float32)
    quantise(levels, np.ascontiguousarray(x.T), scales, np.zeros(64 * 8, np.uint8), 32, 64, 512, True)
    assert np.array_equal(gguf.int4_levels(x.reshape(-1, 256)).ravel(), levels.ravel())
    assert np.array_equal(gguf.int4_scales(x.reshape(-1, 256)).ravel(), scales)


def test_q4_k_m_mixes_types_as_llama_cpp_and_errs_at_most_6_percent_more(tmp_path: Path) -> None:
    llama_cpp.disable_logging()
    options = {**SMALL, "layers": 16, "ffn": 256}
    config = llama.Config.of(options)
    for mix in ("f16", "q4_k_m"):
        (tmp_path / mix).mkdir()
        llama.write_gguf(tmp_path / mix, Sharp(), config, mix)
    parameters = llama_cpp.LlamaModelQuantizeParams()
    parameters.ftype, parameters.nthread = int(gguf.FILE_TYPES["q4_k_m"]), 1
    llama_cpp.model_quantize(str(tmp_path / "f16" / "model.gguf"), str(tmp_path / "theirs.gguf"), parameters)
    floats, ours, theirs = (
        {tensor.name: tensor for tensor in GGUFReader(tmp_path / name).tensors} for name in ("f16/model.gguf", "q4_k_m/model.gguf", "theirs.gguf")
    )
    assert {n: t.tensor_type.name for n, t in ours.items()} == {n: t.tensor_type.name for n, t in theirs.items()}
    for name in ("token_embd.weight", "blk.3.attn_q.weight", "blk.0.ffn_down.weight"):
        whole = floats[name].data.astype(np.float32)
        mine, llamas = (relative_error(dequantize(t[name].data, t[name].tensor_type), whole) for t in (ours, theirs))
        assert mine < 1.06 * llamas


# --- The artifacts -------------------------------------------------------------------------------------------------

BOUNDS = {"gguf/q8_0": 0.999, "gguf/q4_k_m": 0.955, "onnx/int4": 0.94}
"""Least cosine at any position, a little below what was seen. In a random model every matrix adds its full error."""


def test_every_precision_agrees_with_the_float_truth_and_more_bits_agree_more(models: dict[str, Model], truth: Floats) -> None:
    errors = {}
    for form, model in models.items():
        logits = run(form, model)
        assert logits.shape == truth.shape == (24, 514)
        assert cosines(logits, truth).min() > BOUNDS[form], form
        errors[form] = relative_error(logits, truth)
    assert 4 * errors["gguf/q8_0"] < errors["gguf/q4_k_m"] < errors["onnx/int4"]


@pytest.mark.parametrize("form", llama.WRITES)
def test_every_artifact_stretches_its_rotary_frequencies(form: str, models: dict[str, Model], truth: Floats) -> None:
    unstretched = llama.reference(Sharp(), {**SMALL, "rope_factor": 1.0}, TOKENS)
    logits = run(form, models[form])
    assert relative_error(logits, unstretched) > 1.2 * relative_error(logits, truth)


def test_onnx_gives_the_same_logits_at_once_and_step_by_step(models: dict[str, Model]) -> None:
    at_once = Session(models["onnx/int4"].path).run(TOKENS, logits_from=np.array([0]))
    session = Session(models["onnx/int4"].path)
    prompt = session.run(TOKENS[:16])
    steps = [session.run(TOKENS[i : i + 1]) for i in range(16, 24)]
    assert prompt.shape == (1, 514)
    assert np.allclose(np.concatenate([prompt, *steps]), at_once[15:], atol=1e-4)


def test_onnx_wants_logits_of_the_last_token_only_unless_told(models: dict[str, Model]) -> None:
    path = models["onnx/int4"].path
    everything = Session(path).run(TOKENS, logits_from=np.array([0]))
    assert np.allclose(Session(path).run(TOKENS), everything[-1:], atol=1e-5)
    assert np.allclose(Session(path).run(TOKENS, logits_from=np.array([20])), everything[20:], atol=1e-5)


def test_pretrained_weights_take_the_same_way_as_synthetic_ones(models: dict[str, Model], truth: Floats, tmp_path: Path) -> None:
    save_file(dict(llama.float_tensors(Sharp(), SMALL)), tmp_path / "model.safetensors")
    stored = Pretrained(tmp_path)
    assert np.array_equal(llama.reference(stored, SMALL, TOKENS), truth)
    for form, model in models.items():
        folder = tmp_path / form
        folder.mkdir(parents=True)
        built = llama.build(form, folder, stored, SMALL)
        assert built.weights == "pretrained"
        if form == "onnx/int4":
            assert (folder / "model.onnx").read_bytes() == model.path.read_bytes()
            assert (folder / "model.onnx.data").read_bytes() == model.path.with_name("model.onnx.data").read_bytes()
        else:
            tensors = zip(GGUFReader(folder / "model.gguf").tensors, GGUFReader(model.path).tensors, strict=True)
            assert all(np.array_equal(mine.data, theirs.data) for mine, theirs in tensors)


@pytest.mark.parametrize("form", llama.WRITES)
def test_builds_are_equal_to_the_byte(form: str, models: dict[str, Model], tmp_path: Path) -> None:
    built = llama.build(form, tmp_path, Sharp(), SMALL)
    for name in built.files.values():
        assert (tmp_path / name).read_bytes() == models[form].path.with_name(name).read_bytes()


def test_onnx_nodes_have_names_and_tensors_start_on_pages(models: dict[str, Model]) -> None:
    path = models["onnx/int4"].path
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        place = {entry.key: entry.value for entry in tensor.external_data}
        assert not place or int(place["offset"]) % 4096 == 0
    names = {node.name for node in model.graph.node}
    assert len(names) == len(model.graph.node)


# --- Its size and work ---------------------------------------------------------------------------------------------


def test_the_full_model_has_the_published_parameters_and_file_sizes() -> None:
    config = llama.Config()
    assert llama.parameters(config) == 1_235_814_400
    # the published files less their header, which holds mostly the vocabulary and is the same in both.
    header = 2_590_944
    assert llama.gguf_bytes(config, "q4_k_m") + header == 802_453_856
    assert llama.gguf_bytes(config, "q8_0") + header == 1_315_842_400
    assert sum(llama.onnx_bytes(config).values()) == 1_297_678_336
    types = list(llama.gguf_types(config, "q4_k_m").values())
    assert (types.count("Q6_K"), types.count("Q4_K")) == (17, 96)


def test_the_full_model_stretches_its_frequencies_as_published() -> None:
    factors = llama.rope_factors(llama.Config())
    assert factors == pytest.approx([1.0] * 15 + [1.6513, 3.2923, 9.6667] + [32.0] * 14, rel=1e-4)


def test_work_without_attention_is_2_op_a_parameter() -> None:
    config = llama.Config()
    decode = llama.operations(config)["decode"]
    attention = 4 * 16 * 2048 * (128 + 65 / 2)
    assert decode - attention == 2 * (llama.parameters(config) - 33 * 2048)


def test_work_and_bytes_are_those_of_the_graph(models: dict[str, Model]) -> None:
    built, path = models["onnx/int4"]
    graph = onnx.load(path, load_external_data=False)
    one = llama.operations(llama.Config.of({**SMALL, "prefill": 20, "decode": 1}))["decode"]
    assert count_ops(graph, {"batch": 1, "sequence": 1, "past": 20, "total": 21, "wanted": 1}) == one
    assert built.weight_bytes["decode"] == count_weight_bytes(graph)


@pytest.mark.parametrize("form", ["gguf/q4_k_m", "gguf/q8_0"])
def test_llama_cpp_counts_the_same_parameters_and_bytes(form: str, models: dict[str, Model]) -> None:
    built, path = models[form]
    with llama_cpp.LlamaModel(str(path), llama_cpp.LlamaModelParams(), verbose=False) as model:
        assert model.n_params == built.parameters + 32  # its count includes the rotary factors
        assert model.size == built.weight_bytes["decode"]


def test_all_embedding_rows_differ() -> None:
    config = llama.Config()
    assert all(config.pool % i for i in range(2, math.isqrt(config.pool) + 1))
    assert config.pool > config.vocab
    table = dict(llama.float_tensors(Sharp(), SMALL))["model.embed_tokens.weight"]
    assert len(np.unique(table, axis=0)) == len(table)


# --- Its vocabulary ------------------------------------------------------------------------------------------------


def test_synthetic_vocabulary_spells_text_in_bytes(models: dict[str, Model]) -> None:
    with llama_cpp.LlamaModel(str(models["gguf/q8_0"].path), llama_cpp.LlamaModelParams(), verbose=False) as model:
        vocabulary = model.get_vocab()
        assert (vocabulary.n_vocab, vocabulary.token_bos(), vocabulary.token_eos()) == (514, 512, 513)
        assert vocabulary.tokenize("Zoo!", False, False) == list(b"Zoo!")


def with_tokenizer(folder: Path, **changes: Any) -> Path:
    """Stored weights with a tokeniser of 256 bytes, one merged token, one added, and two special ones."""
    save_file(dict(llama.float_tensors(Sharp(), SMALL)), folder / "model.safetensors")
    letters = gguf.byte_vocabulary(258, 256, 257).tokens[:256]
    ids = {text: i for i, text in enumerate([*letters, "Zo"])}
    added = [("<|begin_of_text|>", 300, True), ("<|end_of_text|>", 301, True), ("<note>", 302, False)]
    listed = [{"content": text, "id": i, "special": special} for text, i, special in added]
    content = {"model": {"type": "BPE", "vocab": ids, "merges": [["Z", "o"]], **changes}, "added_tokens": listed}
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_tokenizer_beside_the_weights_goes_into_the_file(tmp_path: Path) -> None:
    llama_cpp.disable_logging()
    stored = Pretrained(with_tokenizer(tmp_path))
    built = llama.build("gguf/q8_0", tmp_path, stored, SMALL)
    assert "vocabulary of tokenizer.json" in built.weights_note
    with llama_cpp.LlamaModel(str(tmp_path / "model.gguf"), llama_cpp.LlamaModelParams(), verbose=False) as model:
        vocabulary = model.get_vocab()
        assert (vocabulary.n_vocab, vocabulary.token_bos(), vocabulary.token_eos()) == (514, 300, 301)
        assert vocabulary.tokenize("Zoo", False, False) == [256, ord("o")]
        assert vocabulary.is_control(300)


def test_configured_special_tokens_come_before_named_ones(tmp_path: Path) -> None:
    folder = with_tokenizer(tmp_path)
    (folder / "config.json").write_text('{"bos_token_id": 300, "eos_token_id": [302, 301]}', encoding="utf-8")
    vocabulary = gguf.stored_vocabulary(folder, 514)
    assert vocabulary is not None
    assert (vocabulary.bos, vocabulary.eos) == (300, 302)


@pytest.mark.parametrize("changes", [{"type": "Unigram"}, {"merges": []}, {"vocab": {"x": 9999}}, {"vocab": 3}])
def test_an_unusable_tokenizer_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = with_tokenizer(tmp_path, **changes)
    with pytest.raises(WeightsError, match="tokenizer"):
        gguf.stored_vocabulary(folder, 514)


# --- Requests ------------------------------------------------------------------------------------------------------


def test_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="as onnx"):
        llama.build("onnx/fp32", tmp_path, Sharp(), SMALL)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"depth": 3}, "depth"), ({"d": 300}, "300"), ({"kv_heads": 3}, "kv_heads"), ({"vocab": 100}, "vocab"), ({"layers": 2.5}, "layers")],
)
def test_impossible_options_are_refused(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=words):
        llama.build("gguf/q8_0", tmp_path, Sharp(), {**SMALL, **options})


def test_pretrained_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    save_file(dict(llama.float_tensors(Sharp(), SMALL)), tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="shape"):
        llama.build("gguf/q8_0", tmp_path, Pretrained(tmp_path), {**SMALL, "ffn": 768})

"""The zoo's ONNX graphs have the published size and work, run, and take weights from files or say why not.

That their numbers are right is shown in `tests/numerics`, against independent implementations.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from harness.errors import ArtifactError, SpecError, WeightsError
from harness.measure.graph import Built, Graph, count_ops, count_parameters, count_weight_bytes
from harness.measure.weights import Pretrained, Synthetic, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    Zoo = Callable[[str], tuple["Built", Path]]

MODELS = Path(__file__).resolve().parents[1] / "workloads" / "models"

WORKLOADS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet50": ("resnet50", {}),
    "yolov8n": ("yolov8n", {}),
    "yolox-s": ("yolox", {"size": "s"}),
    "yolox-tiny": ("yolox", {"size": "tiny"}),
    "yolox-nano": ("yolox", {"size": "nano"}),
    "whisper-tiny": ("whisper", {"size": "tiny"}),
}
DEFAULT_ZOO = ("resnet50", "yolov8n", "yolox-s", "whisper-tiny")
VISION = tuple(name for name in WORKLOADS if not name.startswith("whisper"))


def definition(name: str) -> Any:
    """The model file of that name, loaded by path as the harness does."""
    spec = importlib.util.spec_from_file_location(f"graph_{name}", MODELS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(workload: str, out: Path, seed: int = 0) -> Built:
    """Build a workload's graph from synthetic weights into a new folder `out`."""
    name, options = WORKLOADS[workload]
    out.mkdir()
    built = definition(name).build("onnx/fp32", out, Synthetic(seed), options)
    assert isinstance(built, Built)
    return built


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    """The graphs, each built once: workload -> what was built, and where. Removed afterwards: they are 0.3 GB."""
    root = tmp_path_factory.mktemp("zoo")
    made: dict[str, Built] = {}

    def get(workload: str) -> tuple[Built, Path]:
        if workload not in made:
            made[workload] = write(workload, root / workload)
        return made[workload], root / workload

    yield get
    shutil.rmtree(root)


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder for large files, emptied afterwards."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def session(path: Path) -> Any:
    """An ORT session of one thread: the machine may be shared."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def sha256(folder: Path) -> dict[str, str]:
    """File name to sha256."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


# --- Size and work, against what was published ------------------------------------------------------------------------


def norm_channels(model: onnx.ModelProto) -> int:
    """Channels that had a BatchNorm in the published model: those of every Conv but the YOLOX predictions."""
    biased = {node.input[2] for node in model.graph.node if node.op_type == "Conv" and "_preds." not in node.name}
    return sum(math.prod(tensor.dims) for tensor in model.graph.initializer if tensor.name in biased)


def test_resnet50_has_the_published_parameters_less_its_folded_norms(zoo: Zoo) -> None:
    """torchvision's ResNet50_Weights: num_params 25,557,032. Folding trades gamma and beta for one bias a channel."""
    built, folder = zoo("resnet50")
    channels = norm_channels(onnx.load(folder / "model.onnx"))
    assert channels == 26_560
    assert built.parameters == 25_530_472 == 25_557_032 - channels


@pytest.mark.parametrize(
    ("workload", "stored", "published"),
    # Megvii YOLOX README: parameters in millions, BatchNorm not folded.
    [("yolox-s", 8_956_703, "9.0"), ("yolox-tiny", 5_047_191, "5.06"), ("yolox-nano", 904_463, "0.91")],
)
def test_yolox_has_the_published_parameters(zoo: Zoo, workload: str, stored: int, published: str) -> None:
    built, folder = zoo(workload)
    unfolded = built.parameters + norm_channels(onnx.load(folder / "model.onnx"))
    assert built.parameters == stored
    assert f"{unfolded / 1e6:.{len(published) - 2}f}" == published


def test_yolov8n_has_the_published_parameters(zoo: Zoo) -> None:
    """Ultralytics prints "YOLOv8n summary (fused): 168 layers, 3151904 parameters, 0 gradients, 8.7 GFLOPs"."""
    built, _ = zoo("yolov8n")
    assert built.parameters == 3_151_904
    assert f"{built.ops['infer'] / 1e9:.1f}" == "8.7"


def test_whisper_tiny_has_the_published_parameters(zoo: Zoo) -> None:
    """OpenAI's table says 39 M. Counted tensor by tensor it is 37,760,640 in transformers, whose encoder stores its positions.

    OpenAI's own code computes them: 1500 x 384 less. KerasHub lists 37,184,256 for tiny.en, which has another row of 384
    less in the vocabulary.
    """
    built, folder = zoo("whisper-tiny")
    encoder, decoder = (count_parameters(onnx.load(folder / f"{half}.onnx")) for half in ("encoder", "decoder"))
    assert (encoder, decoder) == (8_208_384 + 1_181_184, 28_371_072)
    assert built.parameters == encoder + decoder == 37_760_640
    assert built.parameters - 1500 * 384 - 384 == 37_184_256


def test_whisper_base_has_the_published_parameters() -> None:
    """OpenAI's LibriSpeech notebook prints 71,825,920 parameters for base, again without the encoder's positions."""
    whisper = definition("whisper")
    halves = [whisper._Whisper("base", Synthetic(), *whisper.SIZES["base"]) for _ in range(2)]
    models = (halves[0].encoder().model, halves[1].decoder(whisper.VOCABULARY).model)
    assert sum(map(count_parameters, models)) - 1500 * 512 == 71_825_920


def test_resnet50_does_the_published_work(zoo: Zoo) -> None:
    """torchvision's ResNet50_Weights: 4.09 GFLOPS, which are multiply-accumulates."""
    assert f"{zoo('resnet50')[0].ops['infer'] / 2e9:.2f}" == "4.09"


@pytest.mark.parametrize(
    ("workload", "published"),
    # Megvii YOLOX README: GFLOPs at 640 (s) and 416.
    [("yolox-s", "26.8"), ("yolox-tiny", "6.45"), ("yolox-nano", "1.08")],
)
def test_yolox_does_the_published_work_once_its_folded_norms_are_added(zoo: Zoo, workload: str, published: str) -> None:
    """Their profiler counts two multiply-accumulates for every element that a BatchNorm makes; folded, it costs none."""
    built, folder = zoo(workload)
    model = onnx.load(folder / "model.onnx")
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    shapes = {value.name: [d.dim_value or 1 for d in value.type.tensor_type.shape.dim] for value in inferred}
    convs = [node for node in model.graph.node if node.op_type == "Conv" and "_preds." not in node.name]
    norms = sum(math.prod(shapes[node.output[0]]) for node in convs)
    total = (built.ops["infer"] + 2 * 2 * norms) / 1e9
    assert f"{total:.{len(published.partition('.')[2])}f}" == published


def test_whisper_does_the_work_that_its_dimensions_ask_for(zoo: Zoo) -> None:
    """Nobody published a figure, so it is derived once more, from the architecture alone."""
    d, layers, length, vocabulary = 384, 4, 1500, 51_865
    convolutions = 3000 * d * 80 * 3 + length * d * d * 3
    layer = length * 12 * d * d + 2 * length * length * d  # 4 projections, 2 of 4 d; scores and mix
    cross = layers * length * 2 * d * d
    step = layers * ((4 + 2 + 8) * d * d + 2 * (1 + length) * d) + d * vocabulary
    built, folder = zoo("whisper-tiny")
    assert built.ops == {"encode": 2 * (convolutions + layers * layer + cross), "decode": 2 * step}
    longer = count_ops(onnx.load(folder / "decoder.onnx"), {"past": 63})
    assert longer - built.ops["decode"] == 63 * 2 * 2 * d * layers


def test_a_decoder_step_reads_the_tied_table_once_and_no_table_of_positions(zoo: Zoo) -> None:
    built, _ = zoo("whisper-tiny")
    assert built.weight_bytes == {"encode": 4 * 9_389_568, "decode": 4 * (28_371_072 - 448 * 384)}


# --- Form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_graph_is_valid_portable_onnx(zoo: Zoo, workload: str) -> None:
    built, folder = zoo(workload)
    for name in built.files.values():
        model = onnx.load(folder / name)
        onnx.checker.check_model(model, full_check=True)
        assert model.ir_version == 10
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
        nodes = model.graph.node
        assert len({node.name for node in nodes} - {""}) == len(nodes)
        assert "BatchNormalization" not in {node.op_type for node in nodes}


@pytest.mark.parametrize("workload", DEFAULT_ZOO)
def test_equal_inputs_build_equal_bytes(zoo: Zoo, scratch: Path, workload: str) -> None:
    built, folder = zoo(workload)
    assert write(workload, scratch / "again") == built
    assert sha256(scratch / "again") == sha256(folder)


def test_another_seed_builds_other_bytes(zoo: Zoo, tmp_path: Path) -> None:
    write("yolox-nano", tmp_path / "other", seed=1)
    assert sha256(tmp_path / "other") != sha256(zoo("yolox-nano")[1])


def test_whisper_spells_gelu_the_way_qnn_fuses_it(zoo: Zoo) -> None:
    model = onnx.load(zoo("whisper-tiny")[1] / "encoder.onnx")
    makers = {node.output[0]: node for node in model.graph.node}
    erfs = [node for node in model.graph.node if node.op_type == "Erf"]
    assert [makers[node.input[0]].op_type for node in erfs] == ["Div"] * 6


# --- Running ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workload", VISION)
def test_a_vision_graph_gives_an_image_the_same_answer_in_a_batch(zoo: Zoo, workload: str) -> None:
    run = session(zoo(workload)[1] / "model.onnx")
    (feed,) = run.get_inputs()
    images = np.random.default_rng(0).random((2, *feed.shape[1:]), dtype=np.float32)
    both = run.run(None, {feed.name: images})[0]
    one = run.run(None, {feed.name: images[:1]})[0]
    assert list(both.shape) == [2, *run.get_outputs()[0].shape[1:]]
    assert np.isfinite(both).all()
    np.testing.assert_allclose(both[:1], one, atol=1e-4 * float(np.abs(one).max()))


@pytest.mark.parametrize(
    ("workload", "inputs", "outputs"),
    [
        ("resnet50", ("input", ["batch", 3, 224, 224]), ("logits", ["batch", 1000])),
        ("yolov8n", ("images", ["batch", 3, 640, 640]), ("output0", ["batch", 84, 8400])),
        ("yolox-s", ("images", ["batch", 3, 640, 640]), ("output", ["batch", 8400, 85])),
        ("yolox-nano", ("images", ["batch", 3, 416, 416]), ("output", ["batch", 3549, 85])),
    ],
)
def test_a_vision_graph_has_the_documented_signature(zoo: Zoo, workload: str, inputs: Any, outputs: Any) -> None:
    run = session(zoo(workload)[1] / "model.onnx")
    assert [(value.name, value.shape) for value in run.get_inputs()] == [inputs]
    assert [(value.name, value.shape) for value in run.get_outputs()] == [outputs]


def test_whisper_decoder_steps_grow_the_cache_and_keep_what_is_in_it(zoo: Zoo) -> None:
    _, folder = zoo("whisper-tiny")
    encoder, decoder = session(folder / "encoder.onnx"), session(folder / "decoder.onnx")
    features = np.random.default_rng(0).standard_normal((1, 80, 3000), dtype=np.float32)
    names = [value.name for value in encoder.get_outputs()]
    cross = dict(zip(names, encoder.run(None, {"input_features": features}), strict=True))
    assert {name: tensor.shape for name, tensor in cross.items()} == {
        **{f"cross_k_{i}": (1, 6, 64, 1500) for i in range(4)},
        **{f"cross_v_{i}": (1, 6, 1500, 64) for i in range(4)},
    }
    cache = {f"past_self_{t}_{i}": np.zeros((1, 6, 0, 64), np.float32) for t in "kv" for i in range(4)}
    answers = [value.name for value in decoder.get_outputs()]
    assert answers[0] == "logits"
    for step in range(4):
        token = {"input_ids": np.array([[50_258 + step]]), "position_ids": np.array([[step]])}
        made = dict(zip(answers, decoder.run(None, {**token, **cross, **cache}), strict=True))
        assert made.pop("logits").shape == (1, 1, 51_865)
        for name, past in cache.items():
            grown = made[name.replace("past", "present")]
            assert grown.shape == (1, 6, step + 1, 64)
            np.testing.assert_array_equal(grown[:, :, :step], past)
        cache = {name.replace("present", "past"): tensor for name, tensor in made.items()}


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet50", "yolov8n", "yolox", "whisper"])
def test_a_model_file_refuses_forms_and_options_it_does_not_know(tmp_path: Path, name: str) -> None:
    build = definition(name).build
    with pytest.raises(ArtifactError, match="onnx/int8"):
        build("onnx/int8", tmp_path, Synthetic(), {})
    with pytest.raises(SpecError, match="colour"):
        build("onnx/fp32", tmp_path, Synthetic(), {"colour": "red"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "options"), [("yolox", {"size": "enormous"}), ("yolox", {"image": 100}), ("whisper", {"size": "large"})])
def test_a_size_that_does_not_exist_is_refused(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=str(next(iter(options.values())))) as caught:
        definition(name).build("onnx/fp32", tmp_path, Synthetic(), options)
    assert caught.value.fix


def test_yolov8n_refuses_pretrained_weights_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="AGPL") as caught:
        definition("yolov8n").build("onnx/fp32", tmp_path, stored(tmp_path, x=np.ones(1)), {})
    assert "your own ONNX" in caught.value.fix


def test_a_graph_refuses_a_value_made_twice_or_not_yet() -> None:
    g = Graph("test")
    x = g.input("x", [1])
    with pytest.raises(ValueError, match="two values are called x"):
        g.node("Relu", x, name="x")
    with pytest.raises(ValueError, match="nothing made yet"):
        g.node("Add", x, "y", name="z")
    g.const("two", 2.0)
    with pytest.raises(ValueError, match="two values"):
        g.const("two", 3.0)


# --- Counting ---------------------------------------------------------------------------------------------------------


def test_transposed_convolution_and_gemm_are_counted() -> None:
    g = Graph("test")
    x = g.input("x", ["batch", 2, 4, 4])
    up = g.node("ConvTranspose", x, g.weight("w", np.ones((2, 3, 2, 2), np.float32)), name="up", strides=[2, 2])
    flat = g.node("Flatten", up, name="flat")
    y = g.node("Gemm", flat, g.weight("v", np.ones((3 * 8 * 8, 5), np.float32)), name="y")
    g.output(y, ["batch", 5])
    assert count_ops(g.model, {"batch": 2}) == 2 * 2 * (4 * 4 * 2 * 3 * 2 * 2 + 3 * 8 * 8 * 5)


def test_block_quantised_products_and_grouped_attention_are_counted() -> None:
    g = Graph("test", {"": 18, "com.microsoft": 1})
    x = g.input("x", ["b", "s", 64])
    cache = [g.input(f"past.{part}", ["b", 2, "past", 16]) for part in ("key", "value")]
    lengths = g.input("seqlens_k", ["b"], np.int32)
    total = g.input("total_length", [], np.int32)
    levels = g.weight("levels", np.zeros((64, 2, 16), np.uint8))
    scales = g.weight("scales", np.ones((64, 2), np.float32))
    sizes = {"N": 64, "K": 64, "bits": 4, "block_size": 32, "domain": "com.microsoft"}
    made = ("q.normed", "", "", "q.sum")
    gamma = g.weight("gamma", np.ones(64, np.float32))
    q = g.nodes("SkipSimplifiedLayerNormalization", x, x, gamma, name="q", outputs=made, domain="com.microsoft")[3]
    kv = g.node("MatMul", q, g.weight("kv.weight", np.ones((64, 32), np.float32)), name="kv")
    heads = {"num_heads": 4, "kv_num_heads": 2, "domain": "com.microsoft"}
    inputs = (q, kv, kv, *cache, lengths, total)
    outputs = ("mixed", "present.key", "present.value")
    mixed = g.nodes("GroupQueryAttention", *inputs, name="attention", outputs=outputs, **heads)[0]
    g.output(g.node("MatMulNBits", mixed, levels, scales, name="y", **sizes), ["b", "s", 64])
    for value in outputs[1:]:
        g.output(value, ["b", 2, "total", 16])
    dims = {"b": 3, "s": 5, "past": 7, "total": 12}
    assert count_ops(g.model, dims) == 2 * 3 * 5 * (64 * 32 + 64 * 64 + 2 * 12 * 64)
    assert count_parameters(g.model) == 64 * 64 + 64 * 32 + 64
    assert count_weight_bytes(g.model) == 64 * 64 // 2 + 4 * (64 * 2 + 64 * 32 + 64)


def test_scales_and_zero_points_are_no_parameters() -> None:
    tensors = [
        helper.make_tensor("w", TensorProto.INT8, [2, 3], [1] * 6),
        helper.make_tensor("w_scale", TensorProto.FLOAT, [2], [1.0, 1.0]),
        helper.make_tensor("w_zero", TensorProto.INT8, [2], [0, 0]),
    ]
    node = helper.make_node("DequantizeLinear", [t.name for t in tensors], ["y"], axis=0)
    model = helper.make_model(helper.make_graph([node], "test", [], [], tensors))
    assert count_parameters(model) == 6


def test_work_of_unknown_shape_is_an_error_that_names_the_value(zoo: Zoo) -> None:
    with pytest.raises(ArtifactError, match="conv1"):
        count_ops(onnx.load(zoo("resnet50")[1] / "model.onnx"), {})


# --- Weights ----------------------------------------------------------------------------------------------------------


def stored(folder: Path, file: str = "model.safetensors", /, **tensors: NDArray[Any]) -> Pretrained:
    """A pretrained source over one new file; `__` in a keyword stands for a dot."""
    save_file({name.replace("__", "."): tensor for name, tensor in tensors.items()}, folder / file)
    return Pretrained(folder)


def test_synthetic_tensors_do_not_depend_on_the_order_of_asking() -> None:
    forwards, backwards = Synthetic(), Synthetic()
    a, b = (forwards.get(name, (4, 5), 0.5, 2.0) for name in "ab")
    d, c = (backwards.get(name, (4, 5), 0.5, 2.0) for name in "ba")
    np.testing.assert_array_equal(a, c)
    np.testing.assert_array_equal(b, d)
    assert not np.array_equal(a, b)


def test_synthetic_tensors_have_the_asked_distribution() -> None:
    drawn = Synthetic().get("a", (1000, 100), 0.5, 2.0)
    assert drawn.dtype == np.float32
    assert drawn.mean() == pytest.approx(2.0, abs=0.01)
    assert drawn.std() == pytest.approx(0.5, rel=0.01)
    assert set(Synthetic().get("a", (3,), mean=1.0)) == {1.0}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_stored_floats_are_read_as_float32(tmp_path: Path, dtype: type[np.floating[Any]]) -> None:
    values = np.array([[1.0, -2.5], [0.15625, 3e4]])  # exact in half precision
    read = stored(tmp_path, w=values.astype(dtype)).get("w", (2, 2))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values.astype(np.float32))


def test_stored_bfloat16_is_read_as_float32(tmp_path: Path) -> None:
    """Written byte by byte, with a tensor before it, because NumPy has no such type."""
    data = np.array([1.0], np.float32).tobytes() + bytes.fromhex("803f 20c0 203e ea46 8000 807f")
    header = {
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        "w": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [4, 16]},
    }
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    read = Pretrained(tmp_path).get("w", (2, 3))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, [[1.0, -2.5, 0.15625], [29952.0, 2.0**-126, np.inf]])


@pytest.mark.parametrize("prefix", ["model.", "", "module.", "module.model."])
def test_the_usual_prefixes_are_understood(tmp_path: Path, prefix: str) -> None:
    weights = stored(tmp_path, **{f"{prefix}encoder.w": np.ones(2, np.float32)})
    assert weights.get("model.encoder.w", (2,)).sum() == 2


def test_a_tied_table_is_found_under_its_other_name(tmp_path: Path) -> None:
    weights = stored(tmp_path, proj_out__weight=np.ones((2, 3), np.float32))
    assert weights.get("model.decoder.embed_tokens.weight", (2, 3)).sum() == 6


def test_shards_are_read_as_one_and_noted(tmp_path: Path) -> None:
    names = [f"model-{i}-of-2.safetensors" for i in (1, 2)]
    for i, name in enumerate(names):
        save_file({f"w{i}": np.full(2, i, np.float32)}, tmp_path / name)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w0": names[0], "w1": names[1]}}), encoding="utf-8")
    save_file({"w0": np.zeros(9, np.float32)}, tmp_path / "not-in-the-index.safetensors")
    weights = Pretrained(tmp_path)
    assert weights.get("w1", (2,)).sum() == 2
    digests = [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()[:12] for name in names]
    assert weights.note == ", ".join(f"{name} sha256 {d}" for name, d in zip(names, digests, strict=True))


def refused(ask: Callable[[], Any], *words: str) -> None:
    """`ask` raises a WeightsError that holds all `words` and a fix."""
    with pytest.raises(WeightsError) as caught:
        ask()
    assert [word for word in words if word not in caught.value.what] == []
    assert caught.value.fix


def test_a_missing_tensor_is_named_with_its_file_and_shape(tmp_path: Path) -> None:
    weights = stored(tmp_path, conv1__weight=np.ones((64, 3, 7, 7), np.float32))
    build = definition("resnet50").build
    refused(lambda: build("onnx/fp32", tmp_path, weights, {}), str(tmp_path), "bn1.weight", "[64]")


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    weights = stored(tmp_path, conv1__weight=np.ones((32, 3, 7, 7), np.float32))
    build = definition("resnet50").build
    words = ("model.safetensors", "conv1.weight", "[32, 3, 7, 7]", "[64, 3, 7, 7]")
    refused(lambda: build("onnx/fp32", tmp_path, weights, {}), *words)


def test_a_quantised_tensor_is_refused(tmp_path: Path) -> None:
    weights = stored(tmp_path, w=np.ones(2, np.int8))
    refused(lambda: weights.get("w", (2,)), "I8", "F16")


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    save_file({"w": np.ones(2, np.float32)}, tmp_path / "a.safetensors")
    refused(lambda: stored(tmp_path, "b.safetensors", w=np.ones(2)), "a.safetensors", "b.safetensors")


@pytest.mark.parametrize("content", [b"", b"garbage" * 9, b"\x80\x02}q\x00."])
def test_a_file_that_is_no_safetensors_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    refused(lambda: Pretrained(tmp_path / "model.safetensors"), "model.safetensors")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    stored(tmp_path, w=np.ones(1000, np.float32))
    file = tmp_path / "model.safetensors"
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:-100])
    refused(lambda: Pretrained(tmp_path / "cut.safetensors"), "cut.safetensors")


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    refused(lambda: Pretrained(tmp_path), str(tmp_path))
    refused(lambda: Pretrained(tmp_path / "absent"), "absent")
    (tmp_path / "model.safetensors.index.json").write_text("[]", encoding="utf-8")
    refused(lambda: Pretrained(tmp_path), "index")


# --- BatchNorm folding ------------------------------------------------------------------------------------------------


def norm_tensors(shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
    """A convolution and statistics of a trained network's kind: no zero, no one."""
    rng = np.random.default_rng(0)
    channels = shape[0]
    return {
        "conv.weight": rng.normal(0, 0.1, shape).astype(np.float32),
        "bn.weight": rng.uniform(0.5, 2.0, channels).astype(np.float32),
        "bn.bias": rng.normal(0, 1.0, channels).astype(np.float32),
        "bn.running_mean": rng.normal(0, 1.0, channels).astype(np.float32),
        "bn.running_var": rng.uniform(0.1, 4.0, channels).astype(np.float32),
    }


@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_a_folded_norm_agrees_with_one_that_is_run(tmp_path: Path, eps: float) -> None:
    """Against ORT's own Conv and BatchNormalization, on a slice the size of a ResNet stem."""
    shape = (64, 3, 7, 7)
    tensors = norm_tensors(shape)
    save_file(dict(tensors), tmp_path / "model.safetensors")
    weight, bias = folded(Pretrained(tmp_path), "conv", "bn", shape, std=0.0, eps=eps)
    g = Graph("test")
    x = g.input("x", [1, 3, 32, 32])
    plain = g.conv(x, "plain", tensors["conv.weight"], stride=2)
    norms = [g.weight(name, tensors[name]) for name in list(tensors)[1:]]
    g.output(g.node("BatchNormalization", plain, *norms, name="run", epsilon=eps), [1, 64, 16, 16])
    g.output(g.conv(x, "folded", weight, bias, stride=2), [1, 64, 16, 16])
    g.save(tmp_path / "model.onnx")
    image = np.random.default_rng(1).standard_normal((1, 3, 32, 32), dtype=np.float32)
    run, fold = session(tmp_path / "model.onnx").run(None, {"x": image})
    assert np.abs(run - fold).max() < 1e-5 * run.std()


def test_synthetic_weights_are_the_folded_ones() -> None:
    for eps in (1e-5, 1e-3):
        weight, bias = folded(Synthetic(), "conv", "bn", (8, 3, 3, 3), std=0.1, eps=eps)
        np.testing.assert_array_equal(weight, Synthetic().get("conv.weight", (8, 3, 3, 3), 0.1))
        assert not bias.any()

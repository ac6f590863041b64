"""The child process that makes one artifact: `python -m harness.measure.build JOB.json`.

A process of its own, so that the memory of a large model is given back, Ctrl-C stops it cleanly and two can run side by side. A job is
one `Job`; its answer is `answer.json` beside the files it wrote. Kinds:
  graph      the workload's definition writes its files from weights
  convert    a toolchain half turns another artifact's files into its own
  import     a user's own model file takes the place of the graph, after its inputs and outputs were checked
  reference  fp32 outputs on the real inputs, which the fidelity of other precisions is measured against
"""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import signal
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec

from harness.errors import ArtifactError, SocbenchError


class Job(msgspec.Struct, kw_only=True):
    """What to make. `sources` are the files of the artifact it is made from, by role."""

    kind: Literal["graph", "convert", "import", "reference"]
    out: str
    form: str = ""
    definition: str = ""
    weights: str = ""
    options: dict[str, Any] = {}
    sources: dict[str, str] = {}
    half: str = ""
    runtime: str = ""
    task: list[tuple[str, str]] = []
    task_options: dict[str, Any] = {}
    samples: list[str] = []
    quantise: dict[str, Any] = {}


class Answer(msgspec.Struct, kw_only=True):
    """What was made, before the files are hashed. See harness.record.Artifact."""

    files: dict[str, str]
    parameters: int = 0
    ops: dict[str, float] = {}
    weight_bytes: dict[str, int] = {}
    weights: str = ""
    weights_note: str = ""
    toolchain: str = ""


def load_module(path: str, name: str) -> ModuleType:
    """The module in the file `path`, under `name`."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ArtifactError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def open_task(job: Job) -> Any:
    """The job's task on its source models, through its runtime half."""
    halves = [load_module(path, f"socbench_{role}") for role, path in job.task]
    runtime = load_module(job.runtime, "socbench_runtime")
    models = {role: runtime.open(path, 1, {"batch": 1}) for role, path in job.sources.items()}
    return halves[-1].Task(models, job.samples, job.task_options, 1)


def graph(job: Job) -> Answer:
    """Write the workload's files from synthetic or pretrained weights."""
    from harness.measure.weights import Pretrained, Synthetic  # numpy and safetensors: only where needed

    definition = load_module(job.definition, "socbench_definition")
    weights = Pretrained(Path(job.weights)) if job.weights else Synthetic()
    built = definition.build(job.form, Path(job.out), weights, job.options)
    return Answer(
        files=built.files,
        parameters=built.parameters,
        ops=built.ops,
        weight_bytes=built.weight_bytes,
        weights=built.weights,
        weights_note=built.weights_note,
        toolchain=f"onnx {version('onnx')}, gguf {version('gguf')}, numpy {version('numpy')}",
    )


def convert(job: Job) -> Answer:
    """Convert with a toolchain half; calibration feeds come from the task on the real inputs."""
    toolchain = load_module(job.half, "socbench_toolchain")

    def feeds() -> Iterator[tuple[str, dict[str, Any]]]:
        yield from open_task(job).calibration()

    files = toolchain.convert(job.sources, job.out, feeds, job.quantise)
    return Answer(files=files, toolchain=toolchain.describe())


def reference(job: Job) -> Answer:
    """Outputs of the fp32 model (or of the definition's own fp32 `reference`) on the samples, as reference.npz."""
    from harness.measure.compare import compare

    path = Path(job.out) / "reference.npz"
    definition = load_module(job.definition, "socbench_definition")
    if not hasattr(definition, "reference"):
        compare(open_task(job).outputs(), None, str(path))
        return Answer(files={"reference": path.name})
    import numpy as np

    from harness.measure.weights import Pretrained, Synthetic

    weights = Pretrained(Path(job.weights)) if job.weights else Synthetic()
    count = int(job.task_options["compare"])
    logits = ((name, "logits", definition.reference(weights, job.options, np.load(name)[:count]), -1) for name in job.samples)
    compare(logits, None, str(path))
    return Answer(files={"reference": path.name})


def adopt(job: Job) -> Answer:
    """Take a user's model file, if it has the inputs and outputs of our own graph (`sources`)."""
    theirs = Path(job.weights)
    answer = check_gguf(theirs) if theirs.suffix == ".gguf" else check_onnx(theirs, Path(job.sources["model"]))
    ours = Path(job.out) / next(iter(answer.files.values()))
    if theirs.suffix == ".gguf" or not _in_pieces(theirs):
        shutil.copyfile(theirs, ours)
    else:
        import onnx

        onnx.save(onnx.load(theirs), ours)  # one file, which is what an artifact's sha256 vouches for
    return answer


def _in_pieces(path: Path) -> bool:
    """Whether an ONNX file keeps weights in other files beside it, as torch.onnx.export does."""
    import onnx

    return any(one.data_location == onnx.TensorProto.EXTERNAL for one in onnx.load(path, load_external_data=False).graph.initializer)


def check_gguf(path: Path) -> Answer:
    """What a user's GGUF says of itself."""
    import gguf

    try:
        reader = gguf.GGUFReader(path)
    except (ValueError, OSError, IndexError, KeyError) as error:
        raise ArtifactError(f"{path}: not a readable GGUF file: {error}", "download or convert it again") from error
    architecture = reader.get_field("general.architecture")
    if architecture is None or architecture.contents() != "llama":
        raise ArtifactError(
            f"{path}: architecture {architecture.contents() if architecture else 'unknown'!r}, the workload is a 'llama'",
            "give a GGUF of Llama 3.2 1B",
        )
    parameters = sum(int(tensor.n_elements) for tensor in reader.tensors if tensor.name != "rope_freqs.weight")
    weight_bytes = sum(int(tensor.n_bytes) for tensor in reader.tensors)
    name = reader.get_field("general.name")
    return Answer(
        files={"model": "model.gguf"},
        parameters=parameters,
        ops={},
        weight_bytes={"prefill": weight_bytes, "decode": weight_bytes},
        weights="pretrained",
        weights_note=f"{path.name}: {name.contents() if name else 'unnamed'}",
        toolchain="the file's own",
    )


def check_onnx(path: Path, ours: Path) -> Answer:
    """A user's ONNX with the signature that our own graph has; fixed dimensions may stand where ours are symbolic."""
    import onnx

    from harness.measure.graph import count_ops, count_parameters, count_weight_bytes

    try:
        model = onnx.load(path)
        onnx.checker.check_model(str(path))
    except Exception as error:  # protobuf, checker and OS each raise their own
        raise ArtifactError(f"{path}: not a readable ONNX model: {str(error).splitlines()[0]}", "export it again") from error
    own = onnx.load(ours, load_external_data=False)
    for what, found, wanted in (("input", _inputs(model), _inputs(own)), ("output", _values(model.graph.output), _values(own.graph.output))):
        for name, shape in wanted.items():
            if name not in found:
                raise ArtifactError(
                    f"{path}: has no {what} {name!r}; it has {', '.join(map(repr, found))}",
                    f"export it with the {what} {name!r} of shape {shape}",
                )
            fits = len(found[name]) == len(shape) and all(
                isinstance(need, str) or isinstance(have, str) or have == need for have, need in zip(found[name], shape, strict=True)
            )
            if not fits:
                raise ArtifactError(f"{path}: {what} {name!r} has shape {found[name]}", f"export it with shape {shape}")
    dims = {value: 1 for shape in _inputs(model).values() for value in shape if isinstance(value, str)}
    return Answer(
        files={"model": "model.onnx"},
        parameters=count_parameters(model),
        ops={"infer": float(count_ops(model, dims))},
        weight_bytes={"infer": count_weight_bytes(model)},
        weights="pretrained",
        weights_note=f"the user's {path.name}",
        toolchain=f"{model.producer_name} {model.producer_version}".strip() or "unknown",
    )


def _values(values: Any) -> dict[str, list[int | str]]:
    return {
        value.name: [dim.dim_param or (dim.dim_value if dim.HasField("dim_value") else "?") for dim in value.type.tensor_type.shape.dim]
        for value in values
    }


def _inputs(model: Any) -> dict[str, list[int | str]]:
    initial = {one.name for one in model.graph.initializer}
    return {name: shape for name, shape in _values(model.graph.input).items() if name not in initial}


KINDS = {"graph": graph, "convert": convert, "import": adopt, "reference": reference}


def main(path: str) -> int:
    """Carry out the job in the file `path`. Exit code 2 and one JSON line on stdout for an error the user can mend."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: a harness that is killed leaves no build behind
    job = msgspec.json.decode(Path(path).read_bytes(), type=Job)
    try:
        answer = KINDS[job.kind](job)
    except SocbenchError as error:
        sys.stdout.write(msgspec.json.encode({"what": error.what, "fix": error.fix}).decode() + "\n")
        return 2
    (Path(job.out) / "answer.json").write_bytes(msgspec.json.encode(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

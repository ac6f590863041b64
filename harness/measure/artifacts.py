"""Model files, content-addressed: built or converted when they are not in the cache, checked by sha256 when they are."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from harness import cache
from harness.errors import ArtifactError, NotGiven, UsageError
from harness.measure.build import Answer, Job
from harness.measure.inputs import decoded
from harness.record import Artifact
from harness.spec import Convert, Zoo

GGUF_FILE_TYPES = {"gguf/q8_0": 7, "gguf/q4_k_m": 15}  # general.file_type, llama.h LLAMA_FTYPE_*
Say = Callable[[str], None]


@dataclass(frozen=True)
class Product:
    """A model file to have: a workload in a form ("onnx/int8"), written by its definition or made by `convert`."""

    workload: str
    form: str
    convert: Convert | None = None

    def __str__(self) -> str:
        return f"{self.workload} {self.form}"

    @property
    def source(self) -> Product | None:
        """What it is converted from."""
        return Product(self.workload, self.convert.source) if self.convert else None


@dataclass(frozen=True)
class Made:
    """An artifact and its files, by role."""

    artifact: Artifact
    paths: dict[str, Path]
    seconds: float

    @property
    def models(self) -> dict[str, Path]:
        """The files a runtime opens; "<role>.data" is a file that the model of that role reads by itself."""
        return {role: path for role, path in self.paths.items() if not role.endswith(".data")}


class Manifest(msgspec.Struct, frozen=True):
    """artifact.json in an artifact's folder."""

    artifact: Artifact
    files: dict[str, str]
    seconds: float


class Workshop:
    """Makes the products of one command. `weights`: the user's folder of pretrained weights, or None for synthetic ones."""

    def __init__(self, zoo: Zoo, weights: Path | None = None, say: Say = lambda _: None, *, jobs: int = 2) -> None:
        if weights is not None and not weights.is_dir():
            raise UsageError(f"--weights {weights}: no such folder", "name a folder with one folder per workload, e.g. DIR/resnet50/*.safetensors")
        self.zoo, self.weights, self.say = zoo, weights and weights.resolve(), say  # a build runs in another folder
        self._pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="workshop")
        self._futures: dict[Product, Future[Made]] = {}
        self._children: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        for child in list(self._children):
            child.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, products: Iterable[Product]) -> None:
        """Start making `products`, sources first, as many side by side as there are jobs."""
        for product in products:
            for one in (product.source, product):  # a source is queued before what waits for it, so waiting cannot lock up
                if one and one not in self._futures:
                    self._futures[one] = self._pool.submit(self._make, one)

    def get(self, product: Product) -> Made:
        """The finished product. Raises ArtifactError or WeightsError when it could not be made."""
        self.begin([product])
        return self._futures[product].result()

    def samples(self, workload: str) -> list[Path]:
        """The workload's real inputs as arrays (.npy)."""
        path = self.zoo.workload_files[workload]
        return [decoded(self.zoo.input(name, path)) for name in self.zoo.workload(workload).inputs]

    # --- weights of the user -------------------------------------------------------------------------------------------------------

    def folder(self, workload: str) -> Path | None:
        """The folder of the user's weights for `workload`: DIR/<workload>, or None (synthetic)."""
        return folder if self.weights and (folder := self.weights / workload).is_dir() else None

    def given(self, product: Product) -> Path | None:
        """The user's file or folder that `product` is made from; None means synthetic weights."""
        folder = self.folder(product.workload)
        if folder is None:
            return None
        if product.form in GGUF_FILE_TYPES:
            for path in sorted(folder.glob("*.gguf")):
                if _file_type(path) == GGUF_FILE_TYPES[product.form]:
                    return path
        onnx = folder / "model.onnx"
        if product.form == "onnx/fp32" and onnx.is_file():
            return onnx
        if any(folder.glob("*.safetensors")):
            return folder
        spec = self.zoo.workload(product.workload)
        raise NotGiven(
            f"{folder}: nothing there gives {product.form}",
            spec.no_pretrained or "put in *.safetensors, model.onnx or a .gguf of that type (socbench zoo fetch)",
        )

    # --- making --------------------------------------------------------------------------------------------------------------------

    def recipe(self, product: Product) -> dict[str, Any]:
        """Everything that decides what is in the product's files."""
        zoo, spec = self.zoo, self.zoo.workload(product.workload)
        toml = zoo.workload_files[product.workload]
        if product.convert:
            halves = [*zoo.halves("toolchains", product.convert.toolchain, toml), *zoo.halves("tasks", spec.task, toml)]
            return {
                "source": self.key(Product(product.workload, product.convert.source)),
                "code": [cache.sha256(path) for _, path in halves],
                "options": spec.quantise,
                "task": spec.task_options,
                "inputs": self.calibration_sha256(product.workload),
                "versions": _versions("onnx", "onnxruntime", "numpy"),
            }
        given = self.given(product)
        code = [zoo.half("models", spec.model.definition, toml), *(Path(__file__).with_name(name) for name in ("graph.py", "gguf.py", "weights.py"))]
        return {
            "form": product.form,
            "code": [cache.sha256(path) for path in code],
            "options": spec.model.options,
            "weights": [cache.sha256(file) for file in _files(given)] if given else "synthetic",
            "versions": _versions("onnx", "gguf", "numpy"),
        }

    def key(self, product: Product) -> str:
        """The product's name in the cache."""
        return hashlib.sha256(json.dumps(self.recipe(product), sort_keys=True).encode()).hexdigest()

    def calibration_sha256(self, workload: str) -> str:
        """Over the real inputs, which are the calibration set."""
        digest = hashlib.sha256()
        for name in self.zoo.workload(workload).inputs:
            digest.update(bytes.fromhex(cache.sha256(self.zoo.input(name, self.zoo.workload_files[workload]))))
        return digest.hexdigest()

    def _make(self, product: Product) -> Made:
        key = self.key(product)
        final = cache.folder("artifacts") / key[:32]
        with cache.lock(key[:32]):
            if (made := self._cached(final, product)) is not None:
                return made
            job = self._job(product)
            begin = time.monotonic()
            self.say(f"building {product}")
            with cache.filling(final) as work:
                answer = self.run(msgspec.structs.replace(job, out=str(work)), str(product))
                seconds = time.monotonic() - begin
                manifest = self._manifest(product, key, work, answer, seconds)
                (work / "artifact.json").write_bytes(msgspec.json.encode(manifest))
            self.say(f"built {product} in {seconds:.1f} s")
            return Made(manifest.artifact, {role: final / name for role, name in manifest.files.items()}, seconds)

    def _manifest(self, product: Product, key: str, work: Path, answer: Answer, seconds: float) -> Manifest:
        source = self.get(product.source).artifact if product.source else None
        artifact = Artifact(
            key=key,
            format=product.form.partition("/")[0],
            sha256={role: cache.sha256(work / name) for role, name in answer.files.items()},
            bytes={role: (work / name).stat().st_size for role, name in answer.files.items()},
            parameters=source.parameters if source else answer.parameters,
            ops=source.ops if source else answer.ops,
            weight_bytes=answer.weight_bytes,
            weights=source.weights if source else answer.weights,
            weights_note=source.weights_note if source else answer.weights_note,
            toolchain=answer.toolchain,
            calibration_sha256=self.calibration_sha256(product.workload) if product.convert else "",
        )
        return Manifest(artifact, answer.files, seconds)

    def _job(self, product: Product) -> Job:
        zoo, spec = self.zoo, self.zoo.workload(product.workload)
        toml = zoo.workload_files[product.workload]
        task = [(role, str(path)) for role, path in zoo.halves("tasks", spec.task, toml)]
        base = Job(
            kind="graph",
            out="",
            form=product.form,
            definition=str(zoo.half("models", spec.model.definition, toml)),
            options=spec.model.options,
            runtime=str(zoo.half("runtimes", "onnxruntime", toml)),
            task=task,
            task_options=spec.task_options,
            quantise=spec.quantise,
        )
        if product.source and product.convert:
            source = self.get(product.source)
            return msgspec.structs.replace(
                base,
                kind="convert",
                half=str(zoo.half("toolchains", product.convert.toolchain, toml)),
                sources={role: str(path) for role, path in source.models.items()},
                samples=[str(path) for path in self.samples(product.workload)],
            )
        given = self.given(product)
        if given and given.is_file():
            ours: dict[str, str] = {}
            if given.suffix == ".onnx":
                with Workshop(zoo) as plain:
                    ours = {role: str(path) for role, path in plain.get(product).models.items()}
            return msgspec.structs.replace(base, kind="import", weights=str(given), sources=ours)
        return msgspec.structs.replace(base, weights=str(given or ""))

    def verify(self, product: Product) -> tuple[Literal["ok", "missing", "damaged"], str]:
        """Whether the cache has the product, whole; and which files, or where it would be."""
        final = cache.folder("artifacts") / self.key(product)[:32]
        if not (final / "artifact.json").exists():
            return "missing", "built when it is needed"
        manifest, broken = _read(final)
        return ("damaged", f"{final}: {', '.join(broken)}") if broken or not manifest else ("ok", str(final))

    def _cached(self, final: Path, product: Product) -> Made | None:
        """The product from the cache, if every byte of it is as it was written."""
        if not (final / "artifact.json").exists():
            return None
        manifest, broken = _read(final)
        if broken or not manifest:
            self.say(f"{product}: {', '.join(broken)} in the cache is damaged; building again")
            shutil.rmtree(final, ignore_errors=True)
            return None
        return Made(manifest.artifact, {role: final / name for role, name in manifest.files.items()}, manifest.seconds)

    def run(self, job: Job, name: str) -> Answer:
        """Carry out `job` in a child process."""
        if self._stopped:
            raise ArtifactError(f"{name}: stopped before it was built")
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "job.json"
            path.write_bytes(msgspec.json.encode(job))
            child = subprocess.Popen(
                [sys.executable, "-m", "harness.measure.build", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the harness, which then ends the child
                cwd=scratch,
                env=_child_environment(),
            )
            self._children.add(child)
            try:
                out, err = child.communicate()
            finally:
                self._children.discard(child)
        if child.returncode == 2 and out.strip():
            said = json.loads(out.splitlines()[-1])
            raise ArtifactError(f"{name}: {said['what']}", said["fix"])
        if child.returncode != 0:
            lines = err.decode(errors="replace").strip().splitlines() or [f"exit code {child.returncode}"]
            cause = "was killed, most likely for want of memory" if child.returncode < 0 else f"failed: {lines[-1]}"
            raise ArtifactError(
                f"{name}: the build {cause}",
                "free some memory and try again" if child.returncode < 0 else "report this with the trace above",
                "\n".join(lines[-30:]),
            )
        return msgspec.json.decode((Path(job.out) / "answer.json").read_bytes(), type=Answer)

    def reference(self, workload: str, form: str = "onnx/fp32") -> Path:
        """The .npz of fp32 outputs on the real inputs. Raises ArtifactError with the reason when there can be none."""
        spec = self.zoo.workload(workload)
        product = Product(workload, form)
        toml = self.zoo.workload_files[workload]
        own = form in spec.model.writes
        given = self.folder(workload)
        if not own and given and not any(given.glob("*.safetensors")):
            raise ArtifactError("no fp32 weights to compare with: only a converted file was given")
        job = self._job(Product(workload, spec.model.writes[0])) if not own else self._job(product)
        sources = {role: str(path) for role, path in self.get(product).models.items()} if own else {}
        recipe = {
            "source": self.key(product) if own else self.recipe(Product(workload, spec.model.writes[0])),
            "task": [cache.sha256(path) for _, path in self.zoo.halves("tasks", spec.task, toml)],
            "options": spec.task_options,
            "inputs": self.calibration_sha256(workload),
            "compare": cache.sha256(Path(__file__).parent / "compare.py"),
            "versions": _versions("onnxruntime", "numpy"),
        }
        key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]
        final = cache.folder("references") / key
        with cache.lock(key):
            if not _whole(final / "reference.npz"):
                self.say(f"computing fp32 reference outputs of {workload}")
                with cache.filling(final) as work:
                    samples = [str(path) for path in self.samples(workload)]
                    self.run(msgspec.structs.replace(job, kind="reference", out=str(work), sources=sources, samples=samples), f"{workload} reference")
        return final / "reference.npz"


def _read(final: Path) -> tuple[Manifest | None, list[str]]:
    """An artifact's manifest, and the names of its files that are not as they were written."""
    try:
        manifest = msgspec.json.decode((final / "artifact.json").read_bytes(), type=Manifest)
        hashes = manifest.artifact.sha256
        return manifest, [name for role, name in manifest.files.items() if cache.sha256(final / name) != hashes[role]]
    except (msgspec.DecodeError, OSError) as error:
        return None, [str(error)]


def _whole(path: Path) -> bool:
    """Whether an .npz is there and every array in it agrees with its checksum."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error):
        return False


def _versions(*packages: str) -> list[str]:
    return [f"{package} {version(package)}" for package in packages]


def _files(given: Path) -> list[Path]:
    """What decides the numbers of `given`. An ONNX file may keep its weights in any file beside it."""
    if given.suffix == ".onnx":
        return sorted(path for path in given.parent.iterdir() if path.is_file())
    return [given] if given.is_file() else sorted(path for path in given.iterdir() if path.suffix in (".safetensors", ".json"))


def _file_type(path: Path) -> int | None:
    """general.file_type of a GGUF file, or None."""
    import gguf

    try:
        field = gguf.GGUFReader(path).get_field("general.file_type")
    except (ValueError, OSError, IndexError, KeyError) as error:
        raise ArtifactError(f"{path}: not a readable GGUF file: {error}", "download or convert it again") from error
    return int(field.contents()) if field else None


def _child_environment() -> dict[str, str]:
    """Our own environment, with the harness importable from any folder."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}

"""TOML files -> frozen structs, and the folders they are found in.

A zoo is one or more roots laid out like this repository (`targets/`, `workloads/`). Every id is the name of its file; an id may not be
defined twice. Unknown keys are refused, with the file, the key and what to write instead.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import re
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from harness.errors import SpecError, UsageError


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a stage ends: at `min_count` items AND `min_seconds` [s]; with the item that reaches `max_seconds` [s] in any case."""

    min_count: int
    min_seconds: float
    max_seconds: float = 120.0
    warmup_count: int = 5
    warmup_seconds: float = 0.5
    pipeline_count: int = 4


class Offline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The offline scenario: `batch` items a call, or the `reason` why items cannot be batched."""

    batch: int = 1
    min_count: int = 1
    min_seconds: float = 1.0
    reason: str = ""


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The graph: `definition` names workloads/models/<definition>.py, which `writes` these "format/precision" pairs."""

    definition: str
    writes: list[str]
    options: dict[str, Any] = {}
    on_request: list[str] = []
    """Those of `writes` that are measured only when their precision is asked for."""


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of one commit on a hub. A pin that could move (a branch, a short hash) or leave its folder raises SpecError."""

    repo: str
    """owner/name"""
    revision: str
    """the commit, 40 hexadecimal digits"""
    file: str
    """path in the repository, also below the folder it is fetched into"""
    sha256: str
    bytes: int
    licence: str
    gated: bool = False
    """the hub gives it only to accounts that accepted its licence"""

    def __post_init__(self) -> None:
        path = PurePosixPath(self.file)
        inside = path.name and not path.is_absolute() and ".." not in path.parts and "\\" not in self.file
        demands = (
            ("repo", re.fullmatch(r"[\w.-]+/[\w.-]+", self.repo), "owner/name"),
            ("revision", re.fullmatch(r"[0-9a-f]{40}", self.revision), "the full commit hash: a branch or a tag may move"),
            ("file", inside, "a path inside the repository"),
            ("sha256", re.fullmatch(r"[0-9a-f]{64}", self.sha256), "64 hexadecimal digits in lower case"),
            ("bytes", self.bytes > 0, "the exact size of the file"),
        )
        for key, good, fix in demands:
            if not good:
                raise SpecError(f"pin of {self.file or 'a file'} in {self.repo}: {key} = {getattr(self, key)!r}", f"write {fix}")

    def __str__(self) -> str:
        return f"{self.file} of {self.repo}@{self.revision[:8]}"


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Published size of the model, which a test holds the graph against."""

    parameters: float
    macs: float
    source: str


class Workload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One workload of the zoo."""

    title: str
    task: str
    item: str
    model: ModelSpec
    inputs: list[str]
    stop: Stop
    offline: Offline
    options: dict[str, Any] = {}
    published: Published | None = None
    pretrained: list[Pin] = []
    no_pretrained: str = ""
    quantise: dict[str, Any] = {}

    @property
    def task_options(self) -> dict[str, Any]:
        """What the task half is told: the graph's options and its own."""
        return {**self.model.options, **self.options}


class Convert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a runtime gets a precision: `toolchain` (targets/toolchains/<toolchain>.py) turns `source` ("onnx/fp32") into `format`."""

    toolchain: str
    source: str
    format: str


class RuntimeUse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A runtime on a target: the "format/precision" pairs it opens as they are, and the precisions a toolchain makes for it.

    `package`: what must be importable on the board. `install`: the command that puts it there.
    """

    opens: list[str]
    package: str
    install: str
    convert: dict[str, Convert] = {}


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One target: its board half and its runtimes, by id."""

    title: str
    board: str
    runtimes: dict[str, RuntimeUse]


Spec = TypeVar("Spec", bound=msgspec.Struct)


def _known_keys(kind: Any, path: list[str]) -> list[str]:
    """The keys that the struct at `path` below `kind` allows."""
    for step in path:
        if step == "[...]":
            kind = kind.__args__[-1] if hasattr(kind, "__args__") else kind
            continue
        info = {field.name: field.type for field in msgspec.structs.fields(kind)}
        kind = info.get(step, kind)
        arguments = [one for one in getattr(kind, "__args__", ()) if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        if not hasattr(kind, "__struct_fields__") and arguments:
            kind = arguments[-1]
    return list(getattr(kind, "__struct_fields__", ()))


def read_spec(path: Path, kind: type[Spec]) -> Spec:
    """The struct in the TOML file `path`. Raises SpecError with file, key and what to write instead."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}", "check that the file exists and is readable") from error
    except SpecError as error:  # a struct's own demands
        raise SpecError(f"{path}: {error.what}", error.fix) from None
    except msgspec.ValidationError as error:
        message = str(error)
        where = re.search(r"at `(?:key in )?`?\$\.?([^`]*)`", message)
        at = where.group(1) if where else ""
        unknown = re.search(r"unknown field `([^`]+)`", message)
        if not unknown:
            raise SpecError(f"{path}: {f'key {at!r}: ' if at else ''}{message.split(' - at', maxsplit=1)[0]}", "correct this key") from error
        key = f"{at}.{unknown.group(1)}" if at else unknown.group(1)
        known = _known_keys(kind, [part for part in at.replace("[", ".[").split(".") if part])
        close = difflib.get_close_matches(unknown.group(1), known, 1)
        fix = f"write {close[0]!r}" if close else f"remove it; known keys here: {', '.join(known)}"
        raise SpecError(f"{path}: unknown key {key!r}", fix) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not valid TOML: {error}", "mend the syntax at that place") from error


def home() -> Path:
    """The folder that holds this installation's targets/ and workloads/: inside the wheel, or the top of the checkout."""
    here = Path(__file__).resolve().parent
    packed = here / "pack"
    return packed if packed.is_dir() else here.parent


class Zoo:
    """Everything that targets/ and workloads/ of the given roots define."""

    def __init__(self, roots: list[Path] | None = None) -> None:
        self.roots = [home(), *(root.resolve() for root in roots or [])]  # a build runs in another folder
        for root in self.roots:
            if not root.is_dir():
                raise UsageError(f"{root}: no such folder", "name a folder that holds targets/ or workloads/")

    def _files(self, pattern: str) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for root in self.roots:
            for path in sorted(root.glob(pattern)):
                if path.stem in found:
                    raise SpecError(f"{path}: {path.stem!r} is already defined by {found[path.stem]}", "give it another file name")
                found[path.stem] = path
        return found

    @cached_property
    def workload_files(self) -> dict[str, Path]:
        """Workload id -> its TOML file."""
        return self._files("workloads/*.toml")

    @cached_property
    def target_files(self) -> dict[str, Path]:
        """Target id -> its TOML file."""
        return self._files("targets/*.toml")

    def half(self, kind: str, name: str, wanted_by: Path | None = None) -> Path:
        """The source file of a half: kind is boards, runtimes, toolchains, models or tasks, or one of these with "/lib"."""
        top = "targets" if kind.partition("/")[0] in ("boards", "runtimes", "toolchains") else "workloads"
        files = self._files(f"{top}/{kind}/*.py")
        if name not in files:
            by = f"{wanted_by}: " if wanted_by else ""
            raise SpecError(f"{by}there is no {top}/{kind}/{name}.py", f"known: {', '.join(files) or 'none'}")
        return files[name]

    def _one(self, files: dict[str, Path], what: str, name: str, kind: type[Spec]) -> Spec:
        if name not in files:
            close = difflib.get_close_matches(name, files, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"unknown {what} {name!r}", f"{hint}known: {', '.join(files)}  (socbench list {what}s)")
        return read_spec(files[name], kind)

    def workload(self, name: str) -> Workload:
        """The workload `name`. Raises UsageError when there is none, SpecError when its file is wrong."""
        return self._one(self.workload_files, "workload", name, Workload)

    def target(self, name: str) -> Target:
        """The target `name`. Raises UsageError when there is none, SpecError when its file is wrong."""
        return self._one(self.target_files, "target", name, Target)

    def input(self, name: str, wanted_by: Path) -> Path:
        """The sample file `name` of workloads/inputs/: that of the root which `wanted_by` lies in, or of another."""
        for folder in (wanted_by.parent, *(root / "workloads" for root in self.roots)):
            if (path := folder / "inputs" / name).is_file():
                return path
        raise SpecError(f"{wanted_by}: there is no input workloads/inputs/{name}", "name a file of that folder in `inputs`")

    def halves(self, kind: str, name: str, wanted_by: Path | None = None) -> list[tuple[str, Path]]:
        """(role, file) of a half and before it of what it names in USES, from the folder lib/ beside it, in the order of loading.

        The role of a half is its kind in the singular: "task", "board", "runtime", "toolchain".
        """
        path = self.half(kind, name, wanted_by)
        return [*((one, self.half(f"{kind}/lib", one, path)) for one in uses(path)), (kind.removesuffix("s"), path)]

    def workload_sha256(self, name: str) -> str:
        """Over all files that make a workload: its TOML, graph, task and inputs. Another hash is another workload."""
        spec, path = self.workload(name), self.workload_files[name]
        files = [path, self.half("models", spec.model.definition, path), *(file for _, file in self.halves("tasks", spec.task, path))]
        files += [self.input(one, path) for one in spec.inputs]
        digest = hashlib.sha256()
        for file in files:
            digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()


def uses(path: Path) -> tuple[str, ...]:
    """The names in a half's `USES`, read without running it."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "USES" for one in node.targets):
            return tuple(ast.literal_eval(node.value))
    return ()

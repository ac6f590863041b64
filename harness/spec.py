"""TOML files -> frozen structs, and the folders they are found in.

A zoo is one or more roots laid out like this repository (`targets/`, `workloads/`). Every id is the name of its file; an id may not be
defined twice. Unknown keys are refused, with the file, the key and what to write instead.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import re
from enum import Enum
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from harness.errors import SpecError, UsageError
from harness.words import LANGUAGES


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


class Module(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A silicon variant of a target and how it is recognised: by one of these, whichever a board shows.

    `compatible`: strings of the device tree's root, `*` for anything. `soc_id`, `machine`: what /sys/devices/soc0 says there.
    `memory_gib`: how much memory is fitted [GiB], where what a board shows is the same for several sizes; 0: that decides nothing.
    """

    title: str
    """with the catalogue's name of the SoC in it, so that measurements reach its column of the matrix"""
    compatible: list[str] = []
    soc_id: list[str] = []
    machine: list[str] = []
    memory_gib: float = 0.0
    pin: dict[str, Any] = {}
    """what this variant is to be set to beyond the target's `pin`, whose keys it replaces"""
    covers: dict[str, str] = {}
    """what a power sensor of the board measures, by its site: "board", "module", "rail" ...; where the driver cannot know"""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One target: its board half and its runtimes, by id.

    `modules`: the variants a machine must be one of, first match first; none: any machine will do. `pin`: the settings that its board half is asked
    to make.
    """

    title: str
    board: str
    runtimes: dict[str, RuntimeUse]
    modules: dict[str, Module] = {}
    pin: dict[str, Any] = {}


Spec = TypeVar("Spec", bound=msgspec.Struct)


def _steps(at: str) -> list[str]:
    """A place as msgspec names it, step by step: "limits[0].reason" -> limits, [0], reason."""
    return re.findall(r"\[[^]]*\]|[^.\[]+", at)


def _placed(kind: Any, at: str, content: Any) -> str:
    """A place with the name of the table for which msgspec writes `[...]`: "boards[...].target" -> boards.rk-1.target."""
    passed: list[str] = []
    named = ""
    for step in _steps(at):
        passed.append(step)
        if step == "[...]":
            step = next(name for name, one in content.items() if not _fits(one, _kind_at(kind, passed)))  # noqa: PLW2901 - its name is this step
        content = content[int(step[1:-1]) if step[0] == "[" else step]
        named += step if step[0] == "[" else f".{step}"
    return named.lstrip(".")


def _fits(content: Any, kind: Any) -> bool:
    try:
        msgspec.convert(content, kind)
    except (msgspec.ValidationError, SpecError):
        return False
    return True


def _kind_at(kind: Any, steps: list[str]) -> Any:
    """The type that stands at `steps` below the struct `kind`: of a list or a table "[...]" the type of its members."""
    for step in steps:
        if step.startswith("["):
            kind = kind.__args__[-1] if hasattr(kind, "__args__") else kind
            continue
        if not hasattr(kind, "__struct_fields__"):
            kind = next((one for one in getattr(kind, "__args__", ()) if hasattr(one, "__struct_fields__")), kind)
        kind = {field.name: field.type for field in msgspec.structs.fields(kind)}.get(step, kind) if hasattr(kind, "__struct_fields__") else Any
    return kind


def _known_keys(kind: Any) -> list[str]:
    """The keys that a struct, or what holds structs, allows; of a text in every language the languages."""
    structs = [one for one in (kind, *getattr(kind, "__args__", ())) if hasattr(one, "__struct_fields__")]
    return list(structs[0].__struct_fields__) if structs else list(LANGUAGES) if kind == dict[str, str] else []


def _pattern(name: str, kind: Any, *, inline: bool) -> str:
    """How a key of that type is written: `reason = { en = ..., zh = ... }`, or as a table of its own unless it is to stand `inline`."""
    origin = getattr(kind, "__origin__", kind)
    if keys := _known_keys(kind):
        struct = next((one for one in (kind, *getattr(kind, "__args__", ())) if hasattr(one, "__struct_fields__")), None)
        filled = [f"{one} = ..." for one in keys if struct is None or one in _required(struct)]
        if inline:
            return f"{name} = {{ {', '.join(filled)} }}"
        return f"{f'[[{name}]]' if origin is list else f'[{name}]'} and below it {_and(filled)}"
    if origin is dict:
        return f"[{name}] and below it a line KEY = ... for each"
    return f"{name} = {'[...]' if origin is list else '...' if kind in (int, float, bool) else chr(34) + '...' + chr(34)}"


def _required(struct: Any) -> list[str]:
    return [one.name for one in msgspec.structs.fields(struct) if one.required]


def _and(items: list[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


def _told(message: str) -> str:
    """What msgspec says, in the words of TOML: a struct or mapping is a table there."""
    return message.split(" - at", maxsplit=1)[0].replace("Object missing", "missing").replace("`object`", "a table").replace("`array`", "a list")


def _fix(kind: Any, at: str, message: str) -> str:
    """What to write instead of what a ValidationError complains about at the key `at` of the struct `kind`."""
    steps = _steps(at)
    inline = any(one.startswith("[") for one in steps)
    here = _kind_at(kind, steps)
    if missing := re.search(r"missing required field `([^`]+)`", message):
        name = missing.group(1)
        of = _kind_at(kind, [*steps, name])
        return f"add it: {_pattern(name if inline or not at else f'{at}.{name}', of, inline=inline)}"
    if wrong := re.match(r"Invalid enum value '([^']*)'", message):
        allowed = [str(one.value) for one in here] if isinstance(here, type) and issubclass(here, Enum) else []
        close = difflib.get_close_matches(wrong.group(1), allowed, 1, 0.7)
        return f"{f'did you mean {close[0]!r}? ' if close else ''}write one of {', '.join(allowed)}"
    wanted, got = (re.search(rf"{word} `([^`]+)`", message) for word in ("Expected", "got"))
    if not (wanted and got):
        return "correct this key"
    if wanted.group(1) == "object" and not at.endswith("]"):
        return f"write it as a table: {_pattern(steps[-1] if inline else at, here, inline=inline)}"
    if wanted.group(1) == "array" and _known_keys(here):
        return f"write a table for each: {_pattern(steps[-1] if inline else at, here, inline=False)}"
    return f"write {' or '.join(_SHAPES.get(one, one) for one in wanted.group(1).split(' | ') if one != 'null')}"


_SHAPES = {
    "str": 'text in quotes: "..."',
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list: [...]",
    "object": "a table",
}
"""What to write for each type, by the name msgspec has for it."""


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
        place = _placed(kind, at, msgspec.toml.decode(path.read_bytes())) if "[...]" in at else at
        unknown = re.search(r"unknown field `([^`]+)`", message)
        if not unknown:
            raise SpecError(f"{path}: {f'key {place!r}: ' if at else ''}{_told(message)}", _fix(kind, at, message)) from error
        key = f"{place}.{unknown.group(1)}" if at else unknown.group(1)
        known = _known_keys(_kind_at(kind, _steps(at)))
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

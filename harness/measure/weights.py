"""Where a model's numbers come from: a seeded generator, or the user's own safetensors files.

A graph definition asks for each tensor by its canonical (published) name and shape, and need not know which of the two
answers.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open

from harness.errors import WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Weights(Protocol):
    """Answers for tensors by name."""

    source: str
    """'synthetic' or 'pretrained'."""
    note: str
    """What exactly: the seed, or file names with their sha256."""

    def get(self, name: str, shape: tuple[int, ...], std: float = 0.0, mean: float = 0.0) -> NDArray[np.float32]:
        """The tensor `name` of `shape`; `std` and `mean` describe the normal draw a synthetic source makes.

        Raises WeightsError when a pretrained source lacks the tensor or has it in another shape.
        """
        ...


class Synthetic:
    """Seeded normal draws: the same name gives the same numbers, in whatever order tensors are asked for."""

    source = "synthetic"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        # NumPy may change a generator's stream between releases, so the note names the one that drew.
        self.note = f"seed {seed}, numpy {np.__version__} PCG64"

    def get(self, name: str, shape: tuple[int, ...], std: float = 0.0, mean: float = 0.0) -> NDArray[np.float32]:
        """A float32 tensor drawn from N(mean, std^2); std 0 gives the constant `mean`."""
        if std == 0.0:
            return np.full(shape, mean, dtype=np.float32)
        digest = hashlib.sha256(f"{self.seed}\0{name}".encode()).digest()
        generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
        drawn = generator.standard_normal(shape, dtype=np.float32)
        drawn *= np.float32(std)
        drawn += np.float32(mean)
        return drawn


# Savers wrap the published names: transformers adds or drops "model.", DistributedDataParallel adds "module.".
_PREFIXES = ("", "model.", "module.")
# A tied tensor is stored once, under either of its names.
_TIED = {"model.decoder.embed_tokens.weight": "proj_out.weight"}
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
_INDEX = "model.safetensors.index.json"


class _View(Protocol):
    """A tensor that is still on disk."""

    def get_shape(self) -> list[int]: ...

    def get_dtype(self) -> str: ...


class _Reader(Protocol):
    """An open safetensors file: what is used of `safe_open`, whose own stubs carry no types."""

    def keys(self) -> list[str]: ...

    def get_slice(self, name: str) -> _View: ...

    def get_tensor(self, name: str) -> NDArray[Any]: ...


class Pretrained:
    """Tensors out of one safetensors file, or of all shards in a folder."""

    source = "pretrained"

    def __init__(self, path: Path) -> None:
        """Open `path`, a file or a folder; raises WeightsError when nothing readable is there."""
        self.path = Path(path)
        self._open: dict[Path, _Reader] = {}
        self._where: dict[str, Path] = {}
        notes = []
        for file in _files(self.path):
            try:
                opened: _Reader = safe_open(file, framework="numpy")
            except (SafetensorError, OSError) as error:
                raise WeightsError(
                    f"{file}: not a readable safetensors file ({error})",
                    "download or convert the file again; .pth and .bin files have to be converted to safetensors first",
                ) from error
            self._open[file] = opened
            for name in opened.keys():  # noqa: SIM118 - the library's reader is not a mapping
                if name in self._where:
                    raise WeightsError(
                        f"{self.path}: tensor {name} is in {self._where[name].name} and in {file.name}",
                        "name the one file to use, or leave only the shards of one model in the folder",
                    )
                self._where[name] = file
            notes.append(f"{file.name} sha256 {_sha256(file)[:12]}")
        self.note = ", ".join(notes)

    def get(
        self,
        name: str,
        shape: tuple[int, ...],
        std: float = 0.0,  # noqa: ARG002 - the protocol's; a stored tensor needs no description
        mean: float = 0.0,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        """The stored tensor as float32, found under `name` or one of its usual prefixes.

        Raises WeightsError for a missing tensor, another shape, or a type that is not a plain float.
        """
        stored = self._find(name)
        if stored is None:
            raise WeightsError(
                f"{self.path}: no tensor {name} (expected shape {list(shape)}) among {len(self._where)}, "
                f"such as {', '.join(sorted(self._where)[:3]) or 'none at all'}",
                "give weights of exactly this model, under its published tensor names",
            )
        file = self._where[stored]
        view = self._open[file].get_slice(stored)
        found, kind = tuple(view.get_shape()), view.get_dtype()
        if found != shape:
            raise WeightsError(
                f"{file}: tensor {stored} has shape {list(found)}, expected {list(shape)}",
                "give weights of exactly this model and size, or set the workload's options to match them",
            )
        if kind not in _FLOATS:
            raise WeightsError(
                f"{file}: tensor {stored} is stored as {kind}, expected one of {', '.join(sorted(_FLOATS))}",
                "give the unquantised weights; socbench quantises them itself",
            )
        if kind == "BF16":
            return _bfloat16(file, stored).reshape(shape)
        return self._open[file].get_tensor(stored).astype(np.float32)

    def _find(self, name: str) -> str | None:
        for asked in filter(None, (name, _TIED.get(name))):
            bare = asked.removeprefix("model.")
            for candidate in (asked, *(prefix + bare for prefix in _PREFIXES), "module." + asked):
                if candidate in self._where:
                    return candidate
        return None


def folded(  # noqa: PLR0913 - a convolution and a normalisation are that many facts
    weights: Weights,
    conv: str,
    norm: str,
    shape: tuple[int, ...],
    *,
    std: float,
    eps: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The bias-free convolution `conv` with the BatchNorm `norm` after it, as one weight [out, ...] and bias [out].

    w' = w g / sqrt(var + eps), b' = beta - mean g / sqrt(var + eps). The defaults asked of a synthetic source make
    the factor exactly 1 and the bias 0, so the synthetic weight is the folded weight.
    """
    channels = shape[:1]
    weight = weights.get(f"{conv}.weight", shape, std)
    gamma = weights.get(f"{norm}.weight", channels, mean=1.0).astype(np.float64)
    beta = weights.get(f"{norm}.bias", channels).astype(np.float64)
    mean = weights.get(f"{norm}.running_mean", channels).astype(np.float64)
    variance = weights.get(f"{norm}.running_var", channels, mean=1.0 - eps).astype(np.float64)
    factor = gamma / np.sqrt(variance + eps)
    scaled = weight * factor.astype(np.float32).reshape(-1, *[1] * (len(shape) - 1))
    return scaled, (beta - mean * factor).astype(np.float32)


def _files(path: Path) -> list[Path]:
    """The safetensors files that `path` means; an index file, where there is one, says which."""
    if path.is_file():
        return [path]
    index = path / _INDEX
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise WeightsError(f"{index}: not a shard index ({error!r})", "download the file again") from error
        files = [path / str(name) for name in names]
    else:
        files = sorted(path.glob("*.safetensors"))
    if not files:
        raise WeightsError(
            f"{path}: no safetensors file there",
            "name a .safetensors file or a folder that holds one; or leave the option out for synthetic weights",
        )
    return files


def _bfloat16(file: Path, name: str) -> NDArray[np.float32]:
    """A bfloat16 tensor, flat: the upper halves of float32. NumPy has no such type, and older safetensors stop there."""
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        begin, end = json.loads(stream.read(size))[name]["data_offsets"]
        stream.seek(8 + size + begin)
        halves = np.frombuffer(stream.read(end - begin), dtype="<u2")
    return (halves.astype(np.uint32) << 16).view(np.float32)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""Sample inputs as arrays: what a camera, a microphone or a prompt hands to a task, decoded once on the workstation."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import cache
from harness.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable


def _picture(path: Path) -> Any:
    """uint8 [height, width, 3], RGB."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _speech(path: Path) -> Any:
    """int16 [n], 16 kHz mono."""
    import numpy as np

    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (16_000, 1, 2):
            raise SpecError(f"{path}: not 16 kHz mono 16-bit", "convert it: sox in.wav -r 16000 -c 1 -b 16 out.wav")
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def byte_tokens(text: bytes) -> list[int]:
    """One token a byte, in the vocabulary of Llama 3 and GPT-2: the printable bytes come first, then all others (openai/gpt-2 encoder.py)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    ids = {byte: number for number, byte in enumerate([*printable, *(byte for byte in range(256) if byte not in printable)])}
    return [ids[byte] for byte in text]


def _text(path: Path) -> Any:
    """int64 [n], token ids."""
    import numpy as np

    return np.asarray(byte_tokens(path.read_bytes().strip()), np.int64)


DECODERS: dict[str, Callable[[Path], Any]] = {".jpg": _picture, ".png": _picture, ".wav": _speech, ".txt": _text}


def decoded(path: Path) -> Path:
    """The array of the sample file `path`, as .npy in the cache. Raises SpecError for a file of an unknown kind."""
    if path.suffix not in DECODERS:
        raise SpecError(f"{path}: no decoder for {path.suffix!r} files", f"use one of {', '.join(DECODERS)}")
    final = cache.folder("inputs") / cache.sha256(path)[:16]
    file = final / f"{path.stem}.npy"
    if not file.exists():
        import numpy as np

        with cache.lock(f"input-{final.name}"):  # two builds may want the same picture at the same time
            if not file.exists():
                try:
                    array = DECODERS[path.suffix](path)
                except (OSError, EOFError, ValueError, SyntaxError, wave.Error) as error:
                    raise SpecError(f"{path}: not a readable {path.suffix} file: {error}", "replace it, or take it out of `inputs`") from error
                with cache.filling(final) as work:
                    np.save(work / file.name, array)
    return file

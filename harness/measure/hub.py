"""Pretrained files from a model hub, pinned to a commit and checked byte for byte.

A pin names one file of one commit and its sha256: what arrives is that file or nothing. The download grows under a temporary
name beside the target, so a lost connection or a killed process costs only what had not arrived yet, and the final name
never holds half a file.

Needs `huggingface_hub` (extra `hub`) only when something has to be downloaded. It reads HF_ENDPOINT (another hub or a mirror),
HF_TOKEN and HF_HUB_OFFLINE itself. Its `http_get` is used and not `hf_hub_download`, which throws away what a process that
died had brought. `http_get` takes a broken connection up again since release 2; it is not promised to stay, so 3 is excluded.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Buffer

    from harness.spec import Pin

    Say = Callable[[str, int, int], None]

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NETWORK_LIBRARIES = {"httpx2", "httpcore2"}  # what huggingface_hub 2 speaks HTTP with; not named in its own list of errors


def fetch(pins: Sequence[Pin], folder: Path, say: Say) -> list[Path]:
    """The files of `pins` below `folder`, downloaded where they are missing or differ; `say(file, bytes so far, bytes in all)`.

    Several processes may fetch into one folder: the first downloads, the others wait. Raises ArtifactError.
    """
    names = [pin.file for pin in pins]
    for pin in pins:
        if names.count(pin.file) > 1:
            raise ArtifactError(f"two pins are called {pin.file}: one would overwrite the other", "fetch them into two folders")
    return [_fetch(pin, folder, say) for pin in pins]


def _fetch(pin: Pin, folder: Path, say: Say) -> Path:
    final = folder / pin.file
    part = final.with_name(f".{final.name}.{pin.sha256[:12]}.part")
    if not _holds(final, pin):
        _demand_hub(pin)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with _alone(final, part, pin, say):
                if not _holds(final, pin):  # the process that held the lock may have brought it
                    _download(pin, part, say)
                    _check(pin, part)
                    part.replace(final)
        except ArtifactError:
            raise
        except Exception as error:  # also what the HTTP library raises
            explained = _explain(error, pin, final, _size(part))
            if explained is None:
                raise
            raise explained from error
    say(pin.file, pin.bytes, pin.bytes)
    return final


def _demand_hub(pin: Pin) -> None:
    if find_spec("huggingface_hub") is None:
        raise ArtifactError(f"{pin} has to be downloaded, and huggingface_hub is not installed", 'pip install "socbench[hub]"')


@contextmanager
def _alone(final: Path, part: Path, pin: Pin, say: Say) -> Iterator[None]:
    """No other process works on `final`; until then, says how far that process is."""
    from filelock import FileLock, Timeout

    lock = FileLock(final.with_name(f".{final.name}.lock"))
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            say(pin.file, min(_size(part), pin.bytes), pin.bytes)
    try:
        yield
    finally:
        lock.release()


def _download(pin: Pin, part: Path, say: Say) -> None:
    """Continues or begins `part`, after the hub confirmed that it has the pinned file. Not verified yet."""
    from huggingface_hub import constants, get_hf_file_metadata, get_token, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if _size(part) > pin.bytes:
        part.unlink()
    url = hf_hub_url(pin.repo, pin.file, revision=pin.revision)
    served = get_hf_file_metadata(url)
    if served.commit_hash is None:
        raise ArtifactError(
            f"{pin}: what answers at {constants.ENDPOINT} is not a model hub",
            "a proxy or a login page may answer in its place; check the network and HF_ENDPOINT",
        )
    size = served.size or pin.bytes
    large = re.fullmatch(r"[0-9a-f]{64}", served.etag or "")  # the tag of a small file is no sha256
    digest = served.etag if large else pin.sha256
    if (size, digest) != (pin.bytes, pin.sha256):
        raise ArtifactError(
            f"{pin}: the pin says {pin.bytes} bytes with sha256 {pin.sha256}, the hub has {size} bytes with sha256 {digest}",
            "correct the pin in the workload's TOML; nothing was downloaded",
        )
    if (missing := pin.bytes - _size(part)) > (free := shutil.disk_usage(part.parent).free):
        raise OSError(errno.ENOSPC, f"{missing} bytes are to come, {free} bytes are free")

    if "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ:
        disable_progress_bars("huggingface_hub.http_get")  # `say` tells the progress
    with _Part(part, pin, say) as out:
        if out.tell() < pin.bytes:
            # Asked at the hub, not at the storage host it redirects to: its signed addresses expire, and the HTTP client
            # drops the token on the way there. Uncompressed, because a range of compressed bytes continues nothing.
            token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
            headers = {"accept-encoding": "identity"} | ({"authorization": f"Bearer {token}"} if token else {})
            http_get(url, out, resume_size=out.tell(), headers=headers, expected_size=pin.bytes, displayed_filename=pin.file)
        out.flush()
        os.fsync(out.fileno())


class _Part(io.BufferedRandom):
    """The growing file, positioned at its end; every write is told to `say`."""

    def __init__(self, path: Path, pin: Pin, say: Say) -> None:
        path.touch()
        super().__init__(io.FileIO(path, "r+"))
        self._pin, self._say = pin, say
        say(pin.file, self.seek(0, io.SEEK_END), pin.bytes)

    def write(self, data: Buffer) -> int:
        written = super().write(data)
        self._say(self._pin.file, min(self.tell(), self._pin.bytes), self._pin.bytes)
        return written


def _check(pin: Pin, part: Path) -> None:
    """Deletes a download that is not the pinned file."""
    size, digest = _size(part), _sha256(part)
    if (size, digest) != (pin.bytes, pin.sha256):
        part.unlink()
        raise ArtifactError(
            f"{pin}: expected {pin.bytes} bytes with sha256 {pin.sha256}, got {size} bytes with sha256 {digest}; deleted",
            "fetch again; if it differs again, a proxy or the mirror in HF_ENDPOINT changes the file",
        )


def _explain(error: Exception, pin: Pin, final: Path, have: int) -> ArtifactError | None:
    """What a failed download means and what to do; None: not a failure of a download."""
    kept = f"{have} of {pin.bytes} bytes are kept: fetch again and it continues there"
    status = getattr(getattr(error, "response", None), "status_code", None)
    reason = _broken(error, pin, final, have, kept) if status is None else _refused(error, status, pin, kept)
    return ArtifactError(f"{pin}: {reason[0]}", reason[1]) if reason else None


def _refused(error: Exception, status: int, pin: Pin, kept: str) -> tuple[str, str]:
    """The hub answered, but not with the file: what and fix."""
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{pin.repo}"
    login = "`hf auth login` (in old releases `huggingface-cli login`), or set HF_TOKEN"
    if isinstance(error, errors.GatedRepoError) or (pin.gated and status in {401, 403}):
        why = "needs a login" if status == 401 else "is not open to this account"
        return f"{why}; its licence ({pin.licence}) has to be accepted", f"accept it at {page}, then {login}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"there is no commit {pin.revision}", f"correct `revision` of the pin; the commits are at {page}/commits"
    if isinstance(error, errors.EntryNotFoundError):
        return "there is no such file in that commit", f"correct `file` of the pin; the files are at {page}/tree/{pin.revision}"
    if status in {401, 403, 404}:
        fix = f"look at {page}; for a private repository {login}; an expired token is refused for a public one, too"
        return f"the hub does not know the repository or refuses it (HTTP {status})", fix
    return f"the hub answered HTTP {status}", f"try again later; {kept}"


def _broken(error: Exception, pin: Pin, final: Path, have: int, kept: str) -> tuple[str, str] | None:
    """Disk or network failed: what and fix."""
    from huggingface_hub import constants, errors

    code = error.errno if isinstance(error, OSError) else 0
    library = type(error).__module__.partition(".")[0]
    said = str(error) or type(error).__name__
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "has to be downloaded, and HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE"
    if code in _NO_SPACE:
        return f"the disk of {final.parent} is full ({said})", f"make room for {pin.bytes - have} bytes; {kept}"
    if isinstance(error, ConnectionError | TimeoutError) or library in _NETWORK_LIBRARIES:
        by_hand = f"or put the file there by hand: {final}, sha256 {pin.sha256}"
        fix = kept if have else f"check network and proxy, or set HF_ENDPOINT to a mirror; {by_hand}"
        return f"the connection to {constants.ENDPOINT} failed ({said})", fix
    if code is None:  # an OSError without a number: huggingface_hub counted fewer bytes than it was told to expect
        return f"the download broke off ({said})", kept
    return (f"{final} cannot be written ({said})", "make the folder writable, or choose another one") if code else None


def _holds(path: Path, pin: Pin) -> bool:
    return _size(path) == pin.bytes and _sha256(path) == pin.sha256


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

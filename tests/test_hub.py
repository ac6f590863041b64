"""Pinned files arrive whole and verified, or not at all: against a real HTTP server that speaks the hub's protocol.

Every fetch runs in a process of its own, because huggingface_hub reads HF_ENDPOINT when it is imported. That process refuses
any connection that does not go to 127.0.0.1.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from harness.errors import ArtifactError, SpecError
from harness.measure.hub import fetch
from harness.spec import Pin

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
REPO = "someone/a-model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHUNK = 10 * 1024 * 1024  # huggingface_hub writes in pieces of this size: less is lost when a connection breaks
SMALL = random.Random(1).randbytes(100_000)  # noqa: S311
LARGE = random.Random(2).randbytes(2 * CHUNK + 12_345)  # noqa: S311

CHILD = """
import json, sys
from pathlib import Path

def only_here(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] != "127.0.0.1":
        raise SystemExit(f"a connection to {args[1]}")
    if event == "socket.getaddrinfo" and args[0] not in ("127.0.0.1", b"127.0.0.1"):
        raise SystemExit(f"a look-up of {args[0]}")

sys.addaudithook(only_here)
from harness.errors import ArtifactError
from harness.measure.hub import fetch
from harness.spec import Pin

said = []
answer = {"said": said}
try:
    pins = [Pin(**one) for one in json.loads(sys.argv[1])]
    answer["files"] = [str(path) for path in fetch(pins, Path(sys.argv[2]), lambda *progress: said.append(progress))]
except ArtifactError as error:
    answer.update(what=error.what, fix=error.fix)
print(json.dumps(answer))
"""


@dataclass
class Request:
    """What the server was asked."""

    method: str
    path: str
    range: str
    token: str


@dataclass
class Hub:
    """The state of the server, which a test sets: the files it has and the ways in which it fails."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    """the ETag of a file, where it is not the sha256 of its bytes"""
    token: str = ""
    """what a request must carry; empty: the repository is open"""
    accepted: bool = True
    """the token's account has accepted the licence"""
    status: int = 200
    storage: str = ""
    """another server, which the bodies come from"""
    short: bool = False
    """a body ends early and says so in its Content-Length, as a broken proxy does"""
    cut: list[int] = field(default_factory=list)
    """after how many bytes the next bodies are cut off"""
    stall: bool = False
    """a cut body stays open instead"""
    ranges: bool = True
    hub_like: bool = True
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pin(self, file: str = "model.bin", **changes: Any) -> Pin:
        body = self.files[file]
        digest = hashlib.sha256(body).hexdigest()
        return msgspec.structs.replace(Pin(REPO, COMMIT, file, digest, len(body), "MIT", gated=False), **changes)

    def bodies(self) -> list[Request]:
        return [one for one in self.requests if one.method == "GET"]


class Handler(BaseHTTPRequestHandler):
    """HEAD and GET of /<repo>/resolve/<commit>/<file>."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def refuse(self, status: int, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, *, body: bool) -> None:
        hub, token = self.hub, self.headers.get("Authorization", "")
        with hub.lock:
            hub.requests.append(Request(self.command, self.path, self.headers.get("Range", ""), token))
        place = re.fullmatch(rf"/{REPO}/resolve/([^/]+)/(.+)", self.path)
        refusals = (
            (hub.status != 200, hub.status, ""),
            (not place, 401, ""),  # so does the real one, whether the repository is private or does not exist
            (hub.token and hub.token not in token, 401, "GatedRepo"),
            (not hub.accepted, 403, "GatedRepo"),
            (place and place[1] != COMMIT, 404, "RevisionNotFound"),
            (place and place[2] not in hub.files, 404, "EntryNotFound"),
        )
        for applies, status, code in refusals:
            if applies:
                return self.refuse(status, code)
        assert place
        return self.give(place[2], hub.files[place[2]], body=body)

    def give(self, file: str, data: bytes, *, body: bool) -> None:
        hub = self.hub
        tag = hub.tags.get(file) or hashlib.sha256(data).hexdigest()
        self.send_response(302 if hub.storage else 206 if hub.ranges and self.headers.get("Range") else 200)
        if hub.hub_like:
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Linked-Size", str(len(data)))
            self.send_header("X-Linked-Etag", f'"{tag}"')
        if hub.storage:
            self.send_header("Location", hub.storage + self.path)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        begin = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0]) if hub.ranges else 0
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        rest = data[begin : len(data) // 2 if body and hub.short else None]
        self.send_header("ETag", f'"{tag}"')
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if not body:
            return None
        with hub.lock:
            end = hub.cut.pop(0) if hub.cut else len(rest)
        self.wfile.write(rest[:end])
        if end < len(rest):
            while hub.stall:
                time.sleep(0.01)
            self.close_connection = True
        return None


def serve(hub: Hub) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub(files={"model.bin": SMALL})
    server = serve(state)
    yield state
    state.stall = False
    server.shutdown()
    server.server_close()


def start(hub: Hub, folder: Path, *pins: Pin, **environment: str) -> subprocess.Popen[str]:
    """A process that fetches `pins`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_") and not key.lower().endswith("_proxy")}
    own = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    arguments = [json.dumps([msgspec.structs.asdict(pin) for pin in pins]), str(folder / "models")]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        env={**kept, **own, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    answer: dict[str, Any] = json.loads(out)
    return answer


def run(hub: Hub, folder: Path, *pins: Pin, **environment: str) -> dict[str, Any]:
    return finish(start(hub, folder, *pins, **environment))


def left(folder: Path) -> set[str]:
    """What lies in the folder of the models, without the locks."""
    return {path.name for path in (folder / "models").rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_a_pinned_file_arrives_under_its_name_with_progress(hub: Hub, tmp_path: Path) -> None:
    hub.files["onnx/model.onnx"] = LARGE
    answer = run(hub, tmp_path, hub.pin(), hub.pin("onnx/model.onnx"))
    assert answer["files"] == [str(tmp_path / "models" / name) for name in ("model.bin", "onnx/model.onnx")]
    assert [Path(name).read_bytes() for name in answer["files"]] == [SMALL, LARGE]
    large = [done for name, done, total in answer["said"] if name == "onnx/model.onnx" and total == len(LARGE)]
    assert large[0] == 0
    assert CHUNK in large
    assert large[-1] == len(LARGE)
    assert large == sorted(large)
    assert left(tmp_path) == {"model.bin", "model.onnx"}


def test_a_second_fetch_sends_nothing(hub: Hub, tmp_path: Path) -> None:
    run(hub, tmp_path, hub.pin())
    hub.requests.clear()
    answer = run(hub, tmp_path, hub.pin())
    assert answer["said"] == [["model.bin", len(SMALL), len(SMALL)]]
    assert not hub.requests


def test_a_file_that_lies_there_with_other_bytes_is_replaced(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.bin").write_bytes(SMALL[::-1])
    assert "files" in run(hub, tmp_path, hub.pin())
    assert (tmp_path / "models" / "model.bin").read_bytes() == SMALL


def test_other_bytes_than_the_pinned_ones_are_deleted(hub: Hub, tmp_path: Path) -> None:
    pin = hub.pin()
    hub.tags["model.bin"] = pin.sha256  # the hub says what is expected and sends something else
    hub.files["model.bin"] = SMALL[:-1] + b"?"
    answer = run(hub, tmp_path, pin)
    assert pin.sha256 in answer["what"]
    assert hashlib.sha256(hub.files["model.bin"]).hexdigest() in answer["what"]
    assert "model.bin of someone/a-model@01234567" in answer["what"]
    assert answer["fix"]
    assert not left(tmp_path)


def test_a_pin_that_disagrees_with_the_hub_costs_no_download(hub: Hub, tmp_path: Path) -> None:
    answer = run(hub, tmp_path, hub.pin(sha256="f" * 64))
    assert "f" * 64 in answer["what"]
    assert hub.pin().sha256 in answer["what"]
    assert "correct the pin" in answer["fix"]
    assert not hub.bodies()
    assert not left(tmp_path)


def test_a_small_file_whose_tag_is_no_sha256_is_checked_all_the_same(hub: Hub, tmp_path: Path) -> None:
    hub.tags["model.bin"] = "5cc5f00a5b203e90a27a3bd60d1ec393b07971e8"  # git's name of the bytes
    assert "expected" in run(hub, tmp_path, hub.pin(sha256="f" * 64))["what"]
    assert not left(tmp_path)
    assert "files" in run(hub, tmp_path, hub.pin())


def test_a_body_that_ends_early_leaves_nothing_under_the_final_name(hub: Hub, tmp_path: Path) -> None:
    hub.short = True
    answer = run(hub, tmp_path, hub.pin())
    assert "broke off" in answer["what"]
    assert f"{len(SMALL) // 2} of {len(SMALL)} bytes are kept" in answer["fix"]
    assert "model.bin" not in left(tmp_path)
    hub.short = False
    assert "files" in run(hub, tmp_path, hub.pin())
    assert hub.bodies()[-1].range == f"bytes={len(SMALL) // 2}-"
    assert left(tmp_path) == {"model.bin"}


def test_a_broken_connection_is_taken_up_again_where_it_broke(hub: Hub, tmp_path: Path) -> None:
    hub.files["model.bin"] = LARGE
    hub.cut = [CHUNK + 1000]
    assert "files" in run(hub, tmp_path, hub.pin())
    assert [one.range for one in hub.bodies()] == ["", f"bytes={CHUNK}-"]
    assert (tmp_path / "models" / "model.bin").read_bytes() == LARGE


def test_a_killed_download_is_continued_by_the_next_process(hub: Hub, tmp_path: Path) -> None:
    hub.files["model.bin"] = LARGE
    hub.cut, hub.stall = [CHUNK + 1000], True
    process = start(hub, tmp_path, hub.pin())
    parts: list[Path] = []
    end = time.monotonic() + 30
    while not (parts and parts[0].stat().st_size >= CHUNK) and time.monotonic() < end:
        time.sleep(0.02)
        parts = list((tmp_path / "models").glob(".*.part"))
    process.kill()
    process.communicate()
    hub.stall = False
    assert {name.rpartition(".")[2] for name in left(tmp_path)} == {"part"}

    answer = run(hub, tmp_path, hub.pin())
    assert answer["said"][0] == ["model.bin", CHUNK, len(LARGE)]
    assert hub.bodies()[-1].range == f"bytes={CHUNK}-"
    assert (tmp_path / "models" / "model.bin").read_bytes() == LARGE
    assert left(tmp_path) == {"model.bin"}


def test_a_server_that_cannot_continue_begins_again(hub: Hub, tmp_path: Path) -> None:
    hub.files["model.bin"] = LARGE
    hub.cut, hub.ranges = [CHUNK + 1000], False
    assert "files" in run(hub, tmp_path, hub.pin())
    assert (tmp_path / "models" / "model.bin").read_bytes() == LARGE


def test_a_damaged_beginning_is_found_out_and_thrown_away(hub: Hub, tmp_path: Path) -> None:
    pin = hub.pin()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f".model.bin.{pin.sha256[:12]}.part").write_bytes(b"?" * 1000)
    assert "deleted" in run(hub, tmp_path, pin)["what"]
    assert not left(tmp_path)
    assert "files" in run(hub, tmp_path, pin)


def test_a_commit_that_does_not_exist_is_named(hub: Hub, tmp_path: Path) -> None:
    answer = run(hub, tmp_path, hub.pin(revision="f" * 40))
    assert "no commit " + "f" * 40 in answer["what"]
    assert "`revision`" in answer["fix"]


def test_a_file_that_does_not_exist_is_named(hub: Hub, tmp_path: Path) -> None:
    answer = run(hub, tmp_path, msgspec.structs.replace(hub.pin(), file="other.bin"))
    assert "other.bin" in answer["what"]
    assert "no such file" in answer["what"]
    assert "`file`" in answer["fix"]


def test_a_repository_that_does_not_exist_is_named(hub: Hub, tmp_path: Path) -> None:
    answer = run(hub, tmp_path, hub.pin(repo="nobody/nothing"))
    assert "nobody/nothing" in answer["what"]
    assert "does not know the repository" in answer["what"]


@pytest.mark.parametrize(("token", "accepted", "why"), [("hf_secret", True, "needs a login"), ("", False, "not open to this account")])
def test_a_gated_file_says_which_licence_to_accept_and_how_to_log_in(hub: Hub, tmp_path: Path, token: str, why: str, *, accepted: bool) -> None:
    hub.token, hub.accepted = token, accepted
    answer = run(hub, tmp_path, hub.pin(gated=True, licence="Llama 3.2 Community License"))
    assert why in answer["what"]
    assert "Llama 3.2 Community License" in answer["what"]
    assert f"{hub.address}/{REPO}" in answer["fix"]
    assert "HF_TOKEN" in answer["fix"]
    assert "login" in answer["fix"]
    assert not hub.bodies()


def test_the_token_opens_a_gated_file_and_is_not_sent_on_to_the_storage_host(hub: Hub, tmp_path: Path) -> None:
    storage = Hub(files=hub.files)
    server = serve(storage)
    hub.token, hub.storage = "hf_secret", storage.address
    answer = run(hub, tmp_path, hub.pin(gated=True), HF_TOKEN="hf_secret")  # noqa: S106
    server.shutdown()
    server.server_close()
    assert "files" in answer, answer
    assert {one.token for one in hub.requests} == {"Bearer hf_secret"}
    assert {one.token for one in storage.requests} == {""}
    assert (tmp_path / "models" / "model.bin").read_bytes() == SMALL


def test_no_connection_says_where_to_put_the_file_by_hand(hub: Hub, tmp_path: Path) -> None:
    nobody = replace(hub, address="http://127.0.0.1:9")  # the discard port: nothing listens
    answer = run(nobody, tmp_path, hub.pin())
    assert "connection to http://127.0.0.1:9 failed" in answer["what"]
    assert str(tmp_path / "models" / "model.bin") in answer["fix"]
    assert hub.pin().sha256 in answer["fix"]
    assert "HF_ENDPOINT" in answer["fix"]


def test_offline_mode_is_named_as_the_cause(hub: Hub, tmp_path: Path) -> None:
    answer = run(hub, tmp_path, hub.pin(), HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE" in answer["what"]
    assert not hub.requests


def test_a_hub_in_trouble_asks_for_patience(hub: Hub, tmp_path: Path) -> None:
    hub.status = 503
    answer = run(hub, tmp_path, hub.pin())
    assert "HTTP 503" in answer["what"]
    assert "later" in answer["fix"]


def test_a_login_page_in_place_of_the_hub_is_recognised(hub: Hub, tmp_path: Path) -> None:
    hub.hub_like = False
    assert "is not a model hub" in run(hub, tmp_path, hub.pin())["what"]
    assert not left(tmp_path)


def test_a_file_larger_than_the_disk_is_refused_before_the_download(hub: Hub, tmp_path: Path) -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 60

    pin = hub.pin(bytes=1 << 60)
    hub.files["model.bin"] = Huge(SMALL)
    hub.tags["model.bin"] = pin.sha256
    answer = run(hub, tmp_path, pin)
    assert "is full" in answer["what"]
    assert f"make room for {1 << 60} bytes" in answer["fix"]
    assert not hub.bodies()


def test_a_disk_that_fills_up_during_the_download_is_named(hub: Hub, tmp_path: Path) -> None:
    pin = hub.pin()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f".model.bin.{pin.sha256[:12]}.part").symlink_to("/dev/full")
    answer = run(hub, tmp_path, pin)
    assert "is full" in answer["what"]
    assert "make room" in answer["fix"]
    assert not (tmp_path / "models" / "model.bin").exists()


def test_a_folder_that_cannot_be_made_is_named(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file, where the folder should be")
    answer = run(hub, tmp_path, hub.pin())
    assert str(tmp_path / "models") in answer["what"]
    assert "folder" in answer["fix"]


def test_two_processes_download_one_file_once(hub: Hub, tmp_path: Path) -> None:
    hub.files["model.bin"] = LARGE
    hub.cut, hub.stall = [CHUNK + 1000], True
    pair = [start(hub, tmp_path, hub.pin()) for _ in range(2)]
    time.sleep(2.5)  # long enough for the second to start, to wait for the lock and to say so
    hub.stall = False
    answers = [finish(process) for process in pair]
    assert all("files" in answer for answer in answers), answers
    assert [one.method for one in hub.requests] == ["HEAD", "GET", "GET"]
    assert (tmp_path / "models" / "model.bin").read_bytes() == LARGE
    assert left(tmp_path) == {"model.bin"}


def test_without_huggingface_hub_a_missing_file_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.measure.hub.find_spec", lambda _: None)
    pin = Pin(REPO, COMMIT, "model.bin", hashlib.sha256(SMALL).hexdigest(), len(SMALL), "MIT", gated=False)
    with pytest.raises(ArtifactError, match="not installed") as caught:
        fetch([pin], tmp_path, lambda *_: None)
    assert caught.value.fix == 'pip install "socbench[hub]"'
    (tmp_path / "model.bin").write_bytes(SMALL)
    assert fetch([pin], tmp_path, lambda *_: None) == [tmp_path / "model.bin"]


def test_two_pins_of_one_name_are_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="overwrite"):
        fetch([hub.pin(), hub.pin(repo="someone/another")], tmp_path, lambda *_: None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("repo", "no-owner"),
        ("revision", "main"),
        ("revision", COMMIT[:7]),
        ("file", "../outside.bin"),
        ("file", "/outside.bin"),
        ("file", ""),
        ("sha256", "A" * 64),
        ("sha256", "abc"),
        ("bytes", 0),
    ],
)
def test_a_pin_that_could_move_or_leave_its_folder_is_refused(hub: Hub, key: str, value: Any) -> None:
    with pytest.raises(SpecError, match=re.escape(f"{key} = {value!r}")) as caught:
        msgspec.structs.replace(hub.pin(), **{key: value})
    assert caught.value.fix

"""Boards of a labgrid lab: a real coordinator and exporter, places that are acquired, refused, reserved, switched off and on, and released."""

from __future__ import annotations

import contextlib
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import Stable, Transient, UsageError
from harness.measure.labgrid import Address, Lab, parse
from tests import lab as processes
from tests.lab import begin, socbench, until
from tests.ssh_lab.test_campaign import PLAIN, TINY, left_clean, records

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.ssh_lab.board import Board
    from tests.ssh_lab.conftest import Lab as Boards

cache = processes.cache
pytestmark = pytest.mark.usefixtures("cache")
COORDINATOR = "127.0.0.1:20499"
QUICK = (*TINY, "--runtime", "chatty", "--scenario", "offline")


class Switch(http.server.ThreadingHTTPServer):
    """The power switch of the boards: PUT /NAME with 0 or 1, as labgrid's power driver "rest" does it."""

    def __init__(self, boards: dict[str, Board]) -> None:
        super().__init__(("127.0.0.1", 0), _Switched)
        self.boards = boards


class _Switched(http.server.BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        assert isinstance(self.server, Switch)
        on = self.rfile.read(int(self.headers["Content-Length"])) == b"1"
        board = self.server.boards[self.path[1:]]
        if on:
            board.boot()
        else:
            board.cut_power()
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name in the standard library
        """Say nothing."""


@pytest.fixture(scope="module")
def boards(lab: Boards) -> dict[str, Board]:
    return {name: lab.board(name, PLAIN) for name in ("lg-1", "lg-2")}


@pytest.fixture(scope="module")
def switch(boards: dict[str, Board]) -> Iterator[Switch]:
    with Switch(boards) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def grid(boards: dict[str, Board], switch: Switch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with a place for each board, tagged soc=lab and board=NAME; and the place "bare", which has no board."""
    folder = tmp_path_factory.mktemp("labgrid")
    programs = Path(sys.executable).parent
    lines = []
    for name, board in boards.items():
        url = f"http://127.0.0.1:{switch.server_port}/{name}"
        lines += [f"{name}:", "  NetworkService:", f"    address: {board.address}", "    username: root"]
        lines += ["  NetworkPowerPort:", "    model: rest", f'    host: "{url}"', "    index: 0"]
    (folder / "exporter.yaml").write_text("\n".join(lines) + "\n")
    with contextlib.ExitStack() as stack:
        for words in (["labgrid-coordinator", "-l", COORDINATOR], ["labgrid-exporter", "-n", "shelf", "-c", COORDINATOR, "exporter.yaml"]):
            log = stack.enter_context((folder / f"{words[0]}.log").open("wb"))
            process = subprocess.Popen([programs / words[0], *words[1:]], cwd=folder, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            until(answers, "the coordinator to answer")
        for name in boards:
            until(lambda name=name: f"shelf/{name}/" in client("resources").stdout, "the exporter to register")  # type: ignore[misc]
            client("-p", name, "create")
            client("-p", name, "add-match", f"shelf/{name}/*")
            client("-p", name, "set-tags", "soc=lab", f"board={name}")
        client("-p", "bare", "create")
        yield Lab(COORDINATOR)


def client(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "labgrid.remote.client", "-x", COORDINATOR, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def answers() -> bool:
    try:
        Lab(COORDINATOR).places({})
    except Transient:
        return False
    return True


def holders() -> str:
    return client("who").stdout


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    """What is asked of labgrid in the block comes from another user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LG_USERNAME", "mira")
        patch.setenv("LG_HOSTNAME", "desk")
        yield


def test_a_place_is_benched_over_its_ssh_and_released(grid: Lab, boards: dict[str, Board], tmp_path: Path) -> None:
    done = socbench("bench", "lab", "--host", f"labgrid://{grid.address}/lg-1", *QUICK, "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path)
    assert record["board"] == "lg-1"
    assert record["spans"]
    assert "lg-1" not in holders()
    left_clean(boards["lg-1"])


def test_all_places_with_a_tag_are_benched_at_once_and_compared(grid: Lab, boards: dict[str, Board], tmp_path: Path) -> None:
    done = socbench("bench", "--lab", f"labgrid://{grid.address}", "--tag", "soc=lab", *QUICK, "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(one["board"] for one in records(tmp_path)) == ["lg-1", "lg-2"]
    assert "lg-" not in holders()
    for board in boards.values():
        left_clean(board)


def test_a_place_that_somebody_else_holds_is_said_to_be_and_stops_no_other(grid: Lab, tmp_path: Path) -> None:
    with somebody_else(), grid.acquired("lg-1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("LG_USERNAME")
            patch.delenv("LG_HOSTNAME")
            alone = socbench("bench", "lab", "--host", f"labgrid://{grid.address}/lg-1", *QUICK, "--results", tmp_path)
            both = socbench("bench", "--lab", f"labgrid://{grid.address}", "--tag", "soc=lab", *QUICK, "--results", tmp_path)
        assert alone.returncode == 2
        assert "place lg-1 is held by desk/mira" in alone.stderr
        assert both.returncode == 1, both.stderr
        assert "place lg-1 is held by desk/mira" in both.stderr
        assert [one["board"] for one in records(tmp_path)] == ["lg-2"]
        assert "mira" in holders(), "and they still hold it"
    assert "lg-" not in holders()


class Late(Lab):
    """A lab whose answers to what is asked of the coordinator may come too late."""

    late = ""

    def _ask(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        found = super()._ask(work)
        if getattr(work, "__name__", "") == self.late:
            raise Transient("it does not answer", "")
        return found


def test_a_place_that_was_acquired_without_our_hearing_of_it_is_released(grid: Lab) -> None:
    lab = Late(grid.address)
    lab.late = "acquire"
    with pytest.raises(Transient), lab.acquired("lg-1"):
        pytest.fail("it was acquired")
    assert "lg-1" not in holders()


def test_a_failed_run_releases_its_place(grid: Lab, tmp_path: Path) -> None:
    done = socbench("bench", "rk3588", "--host", f"labgrid://{grid.address}/lg-1", *TINY, "--runtime", "onnxruntime", "--results", tmp_path)
    assert done.returncode == 2
    assert "is none of the machines that the target rk3588 knows" in done.stderr
    assert "lg-" not in holders()


def test_ctrl_c_releases_the_place(grid: Lab, boards: dict[str, Board], tmp_path: Path) -> None:
    words = ("bench", "lab", "--host", f"labgrid://{grid.address}/lg-1", *QUICK, "--seconds", "60", "--results", tmp_path)
    with begin(*words) as process:
        until(lambda: len(boards["lg-1"].processes()) > 2, "a worker to run")
        process.send_signal(2)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "lg-" not in holders()
    left_clean(boards["lg-1"])


def test_a_place_that_is_ours_already_is_used_and_stays_ours(grid: Lab) -> None:
    client("-p", "lg-2", "acquire")
    try:
        with grid.acquired("lg-2") as address:
            assert address.startswith("ssh://root@10.77.0.")
        assert "lg-2" in holders()
    finally:
        client("-p", "lg-2", "release")


def test_a_reservation_takes_a_free_place_with_the_tags_and_waits_where_none_is(grid: Lab, boards: dict[str, Board]) -> None:
    said: list[str] = []
    with somebody_else(), grid.acquired("lg-1"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("LG_USERNAME", "ci")
        with grid.board(parse(f"labgrid://{grid.address}?soc=lab"), said.append) as address:
            assert address == f"ssh://root@{boards['lg-2'].address}:22"
            assert said == ["measuring on place lg-2"]
        with pytest.raises(Stable, match="no place with board=lg-1 became free within 2 s"), grid.reserved({"board": "lg-1"}, 2.0, said.append):
            pytest.fail("it was held")
        assert said[-1] == "waiting for a free place with board=lg-1"
    assert "Reservation" not in client("reservations").stdout
    assert "lg-" not in holders()


def test_a_board_is_switched_off_and_on_before_it_is_measured(grid: Lab, boards: dict[str, Board], tmp_path: Path) -> None:
    def boot() -> str:
        return (boards["lg-2"].own / "boot_id").read_text()

    before = boot()
    done = socbench("bench", "lab", "--host", f"labgrid://{grid.address}/lg-2", "--power-cycle", *QUICK, "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "switching place lg-2 off and on" in done.stderr
    assert boot() != before
    assert len(records(tmp_path)) == 1
    left_clean(boards["lg-2"])


def test_what_the_lab_does_not_have_is_said_with_what_it_has(grid: Lab) -> None:
    with pytest.raises(Stable, match="has no place 'nobody'") as caught, grid.acquired("nobody"):
        pytest.fail("it was acquired")
    assert "bare, lg-1, lg-2" in caught.value.fix
    with pytest.raises(Stable, match="has no place with soc=rk3588"), grid.reserved({"soc": "rk3588"}, 1.0, print):
        pytest.fail("it was reserved")
    with pytest.raises(Stable, match="place bare has no NetworkService"), grid.acquired("bare"):
        pytest.fail("it has a board")
    assert "bare" not in holders(), "and it is not kept"
    with pytest.raises(Transient, match=r"coordinator at 127\.0\.0\.1:9 cannot be reached"):
        Lab("127.0.0.1:9").places({})


def test_without_labgrid_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "labgrid").mkdir()
    (tmp_path / "labgrid/__init__.py").write_text("raise ImportError('hidden', name='labgrid')")
    done = socbench("bench", "lab", "--host", "labgrid://x/rk-1", *QUICK, "--results", tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert "labgrid is not installed" in done.stderr
    assert "socbench[labgrid]" in done.stderr


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("labgrid://lab:20409/rk-1", Address("lab:20409", "rk-1", {})),
        ("labgrid://lab/rk-1", Address("lab:20408", "rk-1", {})),
        ("labgrid://[fe80::1]", Address("[fe80::1]:20408", "", {})),
        ("labgrid://lab?soc=rk3588&ram=8g", Address("lab:20408", "", {"soc": "rk3588", "ram": "8g"})),
    ],
)
def test_an_address_of_a_lab_is_read(url: str, wanted: Address) -> None:
    assert parse(url) == wanted


@pytest.mark.parametrize(
    "url", ["labgrid://", "ssh://lab/rk-1", "labgrid://lab:99999/x", "labgrid://lab/rk-1?soc=x", "labgrid://lab?Soc=x", "labgrid://lab?soc="]
)
def test_what_is_no_address_of_a_lab_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(url)
    assert "labgrid://coordinator:20408/rk-1" in caught.value.fix or "soc=rk3588" in caught.value.fix

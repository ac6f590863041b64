"""The boards file and what a name means; several boards at once; what they differ by."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import boards, console
from harness.boards import UNNAMED, Board, Given, Place, alias, place
from harness.checks import judge
from harness.cli import main, parser
from harness.errors import SocbenchError, SpecError, UsageError
from harness.measure.crew import Crew
from harness.outcome import sum_up
from harness.spec import Zoo
from harness.spread import show, spreads
from tests import lab
from tests.lab import PACK, ROOT
from tests.records import failed_record, make_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.record import RunRecord

cache = lab.cache
pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the boards file will be; nothing is there yet."""
    path = tmp_path / "config" / "boards.toml"
    monkeypatch.setenv("SOCBENCH_BOARDS", str(path))
    return path


def said(capfd: pytest.CaptureFixture[str], *words: str | Path, code: int = 0) -> tuple[str, str]:
    """stdout and stderr of `socbench` with `words`."""
    assert main([str(word) for word in words]) == code
    return capfd.readouterr()


# --- the file --------------------------------------------------------------------------------------------------------------------------


def test_a_board_is_added_listed_and_removed(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("boards", "add", "rk-1", "user@10.0.0.5", "--target", "lab", "--zoo", PACK, "--meter", "shelly://10.0.0.7", "--python", "/opt/python3")
    _, err = said(capfd, *words)
    assert str(file) in err
    assert err.endswith(f"next: socbench doctor rk-1 --zoo {PACK}\n")
    assert boards.read() == {"rk-1": Board("user@10.0.0.5", "lab", ["shelly://10.0.0.7"], "/opt/python3")}
    out, _ = said(capfd, "boards", "list", "--json")
    assert json.loads(out) == [
        {"name": "rk-1", "address": "user@10.0.0.5", "target": "lab", "meters": ["shelly://10.0.0.7"], "python": "/opt/python3", "folder": ""}
    ]
    out, _ = said(capfd, "boards", "list")
    assert out.splitlines()[2].split() == ["rk-1", "lab", "user@10.0.0.5", "shelly://10.0.0.7", "/opt/python3"]
    _, err = said(capfd, "boards", "remove", "rk-1")
    assert "user@10.0.0.5" in err
    assert boards.read() == {}
    out, err = said(capfd, "boards", "list")
    assert out == ""
    assert "no boards yet" in err


def test_without_a_file_there_are_no_boards_and_it_lies_in_the_user_s_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOCBENCH_BOARDS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert boards.path() == tmp_path / "socbench" / "boards.toml"
    assert boards.read() == {}
    assert not boards.path().parent.exists()
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert boards.path() == tmp_path / "home" / ".config" / "socbench" / "boards.toml"


OWN = """\
# our bench, third floor

[boards.rk-1]   # the one with the fan
address = "user@10.0.0.5"
target  = "host"        # to be replaced

# on the wall plug
[boards.orin]
target = "host"
address = "orin"
"""


def test_comments_and_order_of_the_file_are_kept(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(OWN)
    boards.add(Zoo(), "rk-2", Board("rk2", "host"))
    assert file.read_text().startswith(OWN.rstrip("\n"))
    assert list(boards.read()) == ["rk-1", "orin", "rk-2"]
    boards.remove("rk-2")
    assert file.read_text().rstrip() == OWN.rstrip()
    boards.remove("orin")
    assert "# the one with the fan" in file.read_text()
    assert list(boards.read()) == ["rk-1"]


@pytest.mark.parametrize(
    "start", ['boards = { rk-1 = { address = "a", target = "host" } }\n', 'boards.rk-1.address = "a"\nboards.rk-1.target = "host"\n']
)
def test_a_file_that_cannot_be_changed_without_harm_is_left_as_it_is(file: Path, start: str) -> None:
    file.parent.mkdir()
    file.write_text(start)
    assert list(boards.read()) == ["rk-1"]
    with pytest.raises(SpecError, match="cannot be changed") as caught:
        boards.add(Zoo(), "rk-2", Board("b", "host", ["shelly://x"]))
    assert "by hand" in caught.value.fix
    assert file.read_text() == start


def test_a_file_that_is_a_link_stays_one_and_keeps_its_mode_and_a_new_one_is_private(file: Path, tmp_path: Path) -> None:
    boards.add(Zoo(), "rk-1", Board("mqtt-box", "host"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = tmp_path / "kept.toml"
    file.rename(kept)
    kept.chmod(0o644)
    file.symlink_to(kept)
    boards.add(Zoo(), "rk-2", Board("rk2", "host"))
    assert file.is_symlink()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o644
    assert list(boards.read()) == ["rk-1", "rk-2"]
    assert sorted(path.name for path in file.parent.iterdir()) == ["boards.toml"], "no half-written file is left"


def test_a_file_that_cannot_be_written_is_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boards.add(Zoo(), "rk-1", Board("rk1", "host"))
    before = file.read_text()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device"):
        boards.add(Zoo(), "rk-2", Board("rk2", "host"))
    assert file.read_text() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["boards.toml"]


def test_boards_added_at_the_same_time_are_all_there(file: Path) -> None:
    code = "import sys; from harness.cli import main; sys.exit(main(sys.argv[1:]))"
    commands = [[sys.executable, "-c", code, "boards", "add", f"b-{number}", "somewhere", "--target", "host"] for number in range(4)]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for command in commands]
    for process in running:
        _, err = process.communicate(timeout=lab.PATIENCE_S)
        assert process.returncode == 0, err
    assert sorted(boards.read()) == [f"b-{number}" for number in range(4)]


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (("add", "host", "rk1", "--target", "host"), "that is a target's name", "host-1"),
        (("add", "lab", "rk1", "--target", "lab"), "that is a target's name", "lab-1"),
        (("add", UNNAMED, "rk1", "--target", "host"), "is what records call a board without a name", "rk-1"),
        (("add", "rk 1", "rk1", "--target", "host"), "letters, digits", "another name"),
        (("add", "../etc", "rk1", "--target", "host"), "letters, digits", "another name"),
        (("add", "rk.1", "rk1", "--target", "host"), "letters, digits", "another name"),
        (("add", "b" * 41, "rk1", "--target", "host"), "up to 40", "another name"),
        (("add", "rk-2", "rk2", "--target", "hots"), "unknown target 'hots'", "did you mean 'host'?"),
        (("add", "rk-2", "", "--target", "host"), "address = ''", "user@host"),
        (("add", "rk-2", "a b", "--target", "host"), "address = 'a b'", "user@host"),
        (("add", "rk-2", "rk2\nProxyCommand x", "--target", "host"), "address = 'rk2\\nProxyCommand x'", "user@host"),
        (("add", "rk-2", "rk2", "--target", "host", "--folder=-rf"), "folder = '-rf'", "a path on the board"),
        (("add", "rk-2", "rk2", "--target", "host", "--meter", "shely://10.0.0.7"), "'shely'", "did you mean shelly://"),
        (("add", "rk-1", "rk9", "--target", "host"), "'rk-1' is there already, at rk1", "socbench boards remove rk-1"),
        (("remove", "rk-3"), "unknown board 'rk-3'", "did you mean 'rk-1'?"),
    ],
)
def test_what_cannot_be_done_to_the_file_is_one_message_and_changes_nothing(
    file: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], what: str, fix: str
) -> None:
    boards.add(Zoo(), "rk-1", Board("rk1", "host"))
    before = file.read_bytes()
    more = ("--zoo", PACK) if words[0] == "add" else ()
    out, err = said(capfd, "boards", *words, *more, code=2)
    message, advice = err.rstrip("\n").split("\n")
    assert out == ""
    assert what in message
    assert advice.startswith("  fix: ")
    assert fix in advice
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("[boards.rk-1]\naddress = user@x", "not valid TOML", "mend the syntax"),
        ('[boards.rk-1]\nadress = "x"\ntarget = "host"', "unknown key 'boards.rk-1.adress'", "write 'address'"),
        ('[board.rk-1]\naddress = "x"\ntarget = "host"', "unknown key 'board'", "write 'boards'"),
        ('[boards.rk-1]\naddress = "x"', "'boards.rk-1': missing required field `target`", "add it"),
        ('[boards.rk-1]\naddress = "x"\ntarget = "host"\nmeters = "shelly://x"', "'boards.rk-1.meters'", "a list"),
        ('[boards.rk-1]\naddress = "-oProxyCommand=x"\ntarget = "host"', "begins with -", "user@host"),
        ('[boards."rk 1"]\naddress = "x"\ntarget = "host"', "boards.rk 1: a name is", "another name"),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_file_key_and_fix(file: Path, text: str, what: str, fix: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    for use in (boards.read, lambda: boards.add(Zoo(), "rk-9", Board("x", "host")), lambda: place(Zoo(), "rk-1")):
        with pytest.raises(SpecError) as caught:
            use()
        assert caught.value.what.startswith(f"{file}: ")
        assert what in caught.value.what
        assert fix in caught.value.fix
    assert file.read_text() == text


# --- what a name means -------------------------------------------------------------------------------------------------------------------


def test_a_target_s_name_is_this_machine_or_the_one_at_host_and_a_board_s_name_what_the_file_says(file: Path) -> None:
    zoo = Zoo([PACK])
    boards.add(zoo, "rk-1", Board("user@10.0.0.5", "lab", ["shelly://10.0.0.7"], "/opt/python3", "/data/socbench"))
    assert place(zoo, "lab") == Place("lab")
    assert place(zoo, "lab", Given("user@rk1", "/usr/bin/python3.8")) == Place("lab", "rk1", "user@rk1", (), "/usr/bin/python3.8")
    assert place(zoo, "rk-1") == Place("lab", "rk-1", "user@10.0.0.5", ("shelly://10.0.0.7",), "/opt/python3", "/data/socbench")
    assert place(zoo, "rk-1", Given(meters=["shelly://10.0.0.9"], python="/usr/bin/python3")).meters == ("shelly://10.0.0.9",)
    assert place(zoo, "rk-1", Given(python="/usr/bin/python3")).python == "/usr/bin/python3"
    assert place(zoo, "rk-1").name == "rk-1"
    assert place(zoo, "lab").name == "lab"
    assert place(zoo, "lab", Given("user@10.0.0.5")).name == "user@10.0.0.5"


@pytest.mark.parametrize(
    ("name", "host", "what", "fix"),
    [
        ("rk1", "", "unknown target or board 'rk1'", "did you mean 'rk-1'?"),
        ("hots", "", "unknown target or board 'hots'", "did you mean 'host'?"),
        ("zzz", "", "unknown target or board 'zzz'", "known: "),
        ("rk-1", "user@x", "'rk-1' is a board and has its address, rk1", "leave out --host, or name the target: host"),
        ("host", "-oProxyCommand=x", "begins with -", "user@host"),
        ("gone", "", "boards.gone.target: there is no target 'rk35888'", "--zoo DIR"),
        ("stuck", "", "boards.stuck: that is a target's name, too", "another name"),
    ],
)
def test_a_name_that_means_nothing_or_too_much_is_refused(file: Path, name: str, host: str, what: str, fix: str) -> None:
    file.parent.mkdir()
    file.write_text(
        "".join(f'[boards.{one}]\naddress = "rk1"\ntarget = "{to}"\n' for one, to in (("rk-1", "host"), ("gone", "rk35888"), ("stuck", "host")))
    )
    with pytest.raises(SocbenchError) as caught:
        place(Zoo([PACK]), name, Given(host))
    assert what in caught.value.what
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rk-1", "rk-1"),
        ("user@rk-1", "rk-1"),
        ("ssh://user@rk-1:2222", "rk-1"),
        ("ssh://rk-1", "rk-1"),
        ("user@10.0.0.5", UNNAMED),
        ("10.0.0.5", UNNAMED),
        ("ssh://user@10.0.0.5:22", UNNAMED),
        ("fe80::1", UNNAMED),
        ("user@fe80::1%eth0", UNNAMED),
        ("ssh://user@[fe80::1]:22", UNNAMED),
        ("167772165", UNNAMED),
        ("user@rk-1.lab.example.com", UNNAMED),
        ("labgrid://coordinator:20408/rk-1", "rk-1"),
        ("labgrid://coordinator:20408?soc=rk3588", UNNAMED),
    ],
)
def test_a_record_calls_a_board_by_a_plain_host_name_and_never_by_user_domain_or_ip_address(address: str, name: str) -> None:
    assert alias(address) == name


@given(
    st.ip_addresses().map(str),
    st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True),
    st.sampled_from(["{1}@{0}", "{0}", "ssh://{1}@{0}", "ssh://{1}@[{0}]:22"]),
)
def test_no_ip_address_and_no_user_gets_into_a_record(ip: str, user: str, form: str) -> None:
    assert alias(form.format(ip, user)) == UNNAMED


# --- several boards at once --------------------------------------------------------------------------------------------------------------


def test_all_jobs_are_carried_out_no_more_at_once_than_was_said() -> None:
    lock, now, most, done = threading.Lock(), [0], [0], []
    two = threading.Barrier(2)

    def job(number: int) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        two.wait(lab.PATIENCE_S)  # there are always two
        with lock:
            now[0] -= 1
            done.append(number)

    crew = Crew(2, print)
    crew.run([(str(number), lambda number=number: job(number)) for number in range(6)])  # type: ignore[misc]
    assert sorted(done) == list(range(6))
    assert most == [2]
    assert not crew.busy


def test_what_one_job_raises_stops_no_other_and_is_raised_in_the_end() -> None:
    done = []

    def bad() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Crew(1, print).run([("bad", bad), ("good", lambda: done.append("good"))])
    assert done == ["good"]


def test_what_the_main_thread_raises_ends_the_jobs_and_is_raised_when_they_are_through() -> None:
    begun, ended = threading.Event(), []
    crew = Crew(1, print)

    def job() -> None:
        begun.set()
        while not crew.stopped:
            threading.Event().wait(0.01)
        ended.append(True)

    def meanwhile() -> None:
        begun.wait(lab.PATIENCE_S)
        raise UsageError("weights that cannot be read")

    before = threading.active_count()
    with pytest.raises(UsageError, match="weights"):
        crew.run([("a", job), ("b", lambda: ended.append(False))], meanwhile)
    assert ended == [True], "and what waited is not begun"
    assert threading.active_count() == before


INTERRUPTED = """
import os, signal, sys, time
from harness.measure.crew import Crew
signal.signal(signal.SIGINT, signal.default_int_handler)

def tell(text):
    os.write(1, (text + os.linesep).encode())  # a line in one piece, whoever else speaks

def job(name):
    try:
        tell("begun " + name)
        while True:
            time.sleep(0.01)
    finally:
        tell("cleaning " + name)
        if name == "a":
            sys.stdin.readline()
        tell("clean " + name)

try:
    Crew(2, lambda text: tell("said: " + text)).run([("a", lambda: job("a")), ("b", lambda: job("b")), ("c", lambda: job("c"))])
except KeyboardInterrupt:
    tell("interrupted")
"""


def test_ctrl_c_reaches_every_board_and_a_second_one_does_not_disturb_the_cleaning_up() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stdin
        said = [process.stdout.readline().strip() for _ in range(2)]
        assert sorted(said) == ["begun a", "begun b"]
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "said: ending what runs on a, b ...\n"
        said = [process.stdout.readline().strip() for _ in range(3)]
        assert sorted(said) == ["clean b", "cleaning a", "cleaning b"]
        process.send_signal(signal.SIGINT)
        again = process.stdout.readline()
        assert re.match(r"said: still ending what runs on a(, b)?; ", again), "b is clean, and may be on its way out"
        process.stdin.write("go\n")
        out, err = process.communicate(timeout=lab.PATIENCE_S)
    assert out.splitlines() == ["clean a", "interrupted"], "and what waited is not begun"
    assert err == ""
    assert process.returncode == 0


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def both(write: Callable[[console.Progress, console.Progress], None]) -> None:
    one, two = console.Progress(2, "rk-1"), console.Progress(3, "orin-long")
    with console.Several([one, two]) as several:
        write(one, two)
        several.line("for all")


def steps(one: console.Progress, two: console.Progress) -> None:
    one.start("tiny fp32")
    two.start("tiny int8")
    one.finish("5 ms")
    two.note("steady")
    two.line("look")


def test_in_a_pipe_every_step_of_every_board_is_a_line_with_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    both(steps)
    lines = capfd.readouterr().err.splitlines()
    assert lines[:2] == ["rk-1: [1/2] tiny fp32 ...", "orin-long: [1/3] tiny int8 ..."]
    assert lines[2].startswith("rk-1: [1/2] tiny fp32: 5 ms  (")
    assert lines[3:] == ["orin-long: look", "for all"]


def test_on_a_terminal_every_board_has_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    both(steps)
    text = screen.getvalue()
    assert "rk-1: [1/2] tiny fp32: 5 ms" in text
    assert "rk-1       \x1b" in text.replace("[1m", "", 1) or "rk-1       " in text, "names are columns"
    assert "orin-long" in text
    assert "[1/3] tiny int8 ..." not in text, "a step is told on the board's own line"


def test_every_command_of_the_guide_is_one_and_its_file_is_read(file: Path) -> None:
    text = (ROOT / "docs/boards.md").read_text()
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    lines = [line.split("  #")[0].strip() for kind, block in blocks if kind == "sh" for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("socbench ")]
    assert len(commands) > 8
    for line in commands:
        assert parser().parse_args(shlex.split(line)[1:]).run
    (example,) = [block for kind, block in blocks if kind == "toml"]
    file.parent.mkdir()
    file.write_text(example)
    for name, board in boards.read().items():
        assert place(Zoo(), name).address == board.address


# --- what boards differ by ---------------------------------------------------------------------------------------------------------------


def measured(board: str, milliseconds: float, **more: object) -> RunRecord:
    """A record of `board` whose every item took so long."""
    record = make_record(n=100, warmup=1, pipeline=1)
    spans = []
    for one in record.spans:
        begins = [int(index * milliseconds * 1e6) for index in range(len(one.begin_ns))]
        spans.append(msgspec.structs.replace(one, begin_ns=begins, end_ns=[int(begin + milliseconds * 1e6) for begin in begins]))
    return msgspec.structs.replace(record, board=board, spans=spans, status="ok", module="RK3588", **more)


def test_the_spread_is_median_and_relative_range_of_every_headline_figure_over_boards(capfd: pytest.CaptureFixture[str]) -> None:
    records = [measured("rk-1", 10.0), measured("rk-2", 11.0), measured("rk-3", 12.0)]
    found = {one.metric: one for one in spreads(records)}
    p50 = found["latency_p50"]
    assert p50.values == pytest.approx({"rk-1": 0.010, "rk-2": 0.011, "rk-3": 0.012})
    assert p50.median == pytest.approx(0.011)
    assert p50.relative_range == pytest.approx(2 / 11)
    assert found["throughput"].median == pytest.approx(1 / 0.011, rel=1e-3)
    assert p50.document()["boards"] == p50.values
    assert p50.document()["workload"] == records[0].workload
    show(list(found.values()), 2)
    err = capfd.readouterr().err
    assert "18.2 %" in err
    assert "rk-1 .. rk-3" in err
    assert "2 invalid records" in err


def test_only_sound_figures_of_the_same_silicon_on_two_boards_make_a_spread() -> None:
    one = measured("rk-1", 10.0)
    assert spreads([one]) == []
    assert spreads([one, measured("rk-1", 12.0)]) == [], "one board measured twice"
    assert spreads([one, measured("", 12.0)]) == [], "this machine is no board of the lab"
    assert spreads([one, msgspec.structs.replace(measured("rk-2", 12.0), status="invalid")]) == []
    assert spreads([one, msgspec.structs.replace(measured("rk-2", 12.0), module="RK3588S")]) == []
    assert spreads([one, msgspec.structs.replace(measured("rk-2", 12.0), precision="int8")]) == []
    assert spreads([one, msgspec.structs.replace(failed_record(), board="rk-2")]) == []
    assert len(spreads([one, measured("rk-2", 12.0)])) == 2


def test_the_newest_record_of_a_board_counts() -> None:
    old, new = measured("rk-1", 10.0, begun_at="2026-11-22T08:00:00Z"), measured("rk-1", 20.0, begun_at="2026-11-22T09:00:00Z")
    found = {one.metric: one for one in spreads([new, old, measured("rk-2", 20.0)])}
    assert found["latency_p50"].relative_range == pytest.approx(0.0, abs=1e-9)


def test_why_records_are_invalid_is_told_once_for_each_reason_below_the_table(capfd: pytest.CaptureFixture[str]) -> None:
    drifting = [judge(make_record(drift=0.1, workload=name)) for name in ("one", "two")]
    sum_up([*drifting, make_record()], several=False)
    told = capfd.readouterr().err
    assert told.count("over the steady stage") == 1
    assert re.search(r"^  drift, 2 of 3: over the steady stage .*\n    fix: stop what else runs", told, re.MULTILINE)
    assert drifting[0].fix.startswith("stop what else runs")

"""Dialogues: what a recording holds and hides, that a replay answers the same, and what it says where it cannot."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SocbenchError, Stable, Transient, UsageError
from harness.measure.artifacts import Workshop
from harness.measure.dialogue import packed, read, unpacked
from harness.measure.hold import held
from harness.measure.link import Local
from harness.measure.plan import Choice, plan
from harness.measure.recording import Recording
from harness.measure.redact import Redaction
from harness.measure.replay import Replay
from harness.measure.runner import Bench
from harness.measure.runner import run as measure
from harness.record import Setting
from harness.spec import Zoo
from tests import lab
from tests.data.dialogues.make import SHIPPED, loaded, talk
from tests.dialogues import Broken, lines
from tests.lab import PACK, ROOT

if TYPE_CHECKING:
    from harness.measure.link import Agent, Link
    from harness.record import RunRecord

cache = lab.cache
pytestmark = pytest.mark.usefixtures("cache")


# --- what was recorded is what is replayed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["talk.jsonl", "talk.jsonl.gz"])
def test_a_replay_says_what_the_machine_said_and_the_machine_is_not_asked(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    redaction = Redaction.here()
    with Recording(Local(), tmp_path / name, redaction) as recording:
        live = talk(recording, tmp_path)
    assert recording.redacted == lines(tmp_path / name)[-1]["redacted"]
    monkeypatch.setattr(subprocess, "Popen", None)
    again = talk(Replay(tmp_path / name), tmp_path)
    assert again["probe"]["board"].pop("emulated") == f"replayed from {name}"
    assert live["probe"]["board"].pop("emulated") == ""
    assert again == redaction.value(live) | {"refused": again["refused"]}
    assert list(again["refused"]) == redaction.value(list(live["refused"]))
    assert again["printed"].count("print in probe") == 1


def test_the_shipped_dialogue_is_a_whole_one_names_nobody_and_can_be_played_anywhere(tmp_path: Path) -> None:
    said = talk(Replay(SHIPPED), tmp_path)
    (spans,) = said["measured"]["spans"]
    assert len(spans["begin_ns"]) == len(spans["end_ns"]) >= 20
    assert all(0 < end - begin < 1e9 for begin, end in zip(spans["begin_ns"], spans["end_ns"], strict=True))
    assert said["rows"][0]["rows"]
    assert all(len(row) == len(said["channels"]) for row in said["rows"][0]["rows"])
    assert said["refused"][0].startswith("RuntimeError: operator Frobnicate is not supported")
    assert SHIPPED.name in said["probe"]["board"]["emulated"]
    text = "\n".join(map(json.dumps, lines(SHIPPED)))
    assert Redaction.here().value(lines(SHIPPED)) == lines(SHIPPED)
    assert not re.search(r"[\"' ]/[a-z]+/", text), "no path of the machine it was made on"
    assert SHIPPED.stat().st_size < 20_000


def built(record: RunRecord, redaction: Redaction) -> dict[str, Any]:
    """The fields of a record but its id and the wall clock, redacted."""
    fields = redaction.value(msgspec.to_builtins(record))
    for name in ("run_id", "begun_at"):
        del fields[name]
    fields["environment"].pop("clock", None)
    return dict(fields)


def session(link: Link, workshop: Workshop, zoo: Zoo, runtime: str, *, pretend: bool = False) -> RunRecord:
    """One session of the tiny workload; `pretend` that it is measured now, to see that a replay lacks nothing."""
    (one,) = plan(zoo, Choice("lab", ("tiny",), runtimes=(runtime,), precisions=("fp32",), scenarios=("single-stream",)))
    with held(zoo, "lab", link) as machine:
        now = dataclasses.replace(machine, board={**machine.board, "emulated": ""}) if pretend else machine
        return measure(Bench(zoo, link, now, workshop, "a-campaign", Setting("synthetic", "default")), one)


@pytest.mark.parametrize("runtime", ["chatty", "raises", "crashes"])
def test_a_replayed_session_is_the_same_record(cache: Path, tmp_path: Path, runtime: str) -> None:
    zoo, redaction = Zoo([PACK]), Redaction.here()
    with Workshop(zoo) as workshop:
        with Recording(Local(), tmp_path / "a.jsonl.gz", redaction) as recording:
            live = session(recording, workshop, zoo, runtime)
        again = session(Replay(tmp_path / "a.jsonl.gz"), workshop, zoo, runtime, pretend=True)
    assert built(again, redaction) == built(live, redaction)
    assert (again.status in ("ok", "invalid")) == (runtime == "chatty")
    assert [one.stage for one in again.spans][-1:] == (["pipeline"] if runtime == "chatty" else ["load"] if runtime == "crashes" else [])
    assert (tmp_path / "a.jsonl.gz").stat().st_size < 100_000


@pytest.mark.parametrize("runtime", ["chatty", "crashes"])
def test_a_record_made_through_a_replay_never_looks_measured(cache: Path, tmp_path: Path, runtime: str) -> None:
    zoo = Zoo([PACK])
    with Workshop(zoo) as workshop:
        with Recording(Local(), tmp_path / "a.jsonl") as recording:
            live = session(recording, workshop, zoo, runtime)
        record = session(Replay(tmp_path / "a.jsonl"), workshop, zoo, runtime)
    assert live.spans
    assert record.environment["board"]["emulated"] == "replayed from a.jsonl"
    assert record.status == ("invalid" if runtime == "chatty" else "failed")
    assert (record.spans, record.blocks, record.telemetry, record.memory) == ([], [], [], {}), "also of a session that failed half way"


def test_a_worker_and_a_sampler_are_replayed_to_two_threads(tmp_path: Path) -> None:
    with Recording(Local(), tmp_path / "a.jsonl") as recording, recording.start(1) as one, recording.start(1) as other:
        told = [[agent.ask("hello", 60.0) for _ in range(200)] for agent in (one, other)]
    found: dict[int, list[dict[str, Any]]] = {}
    together = threading.Barrier(2)

    def ask(number: int, agent: Agent) -> None:
        together.wait(60)
        found[number] = [agent.ask("hello", 60.0) for _ in range(200)]

    replay = Replay(tmp_path / "a.jsonl")
    with replay.start(1) as one, replay.start(1) as other:
        threads = [threading.Thread(target=ask, args=pair) for pair in enumerate((one, other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [found[0], found[1]] == told


# --- errors are raised as they were ------------------------------------------------------------------------------------------------

ODD = "import time\n\n\ndef probe():\n    time.sleep(600)\n"


def test_a_request_that_was_not_answered_in_time_is_so_again_at_once(tmp_path: Path) -> None:
    half = tmp_path / "half.py"
    half.write_text(ODD)

    def late(link: Link) -> SocbenchError:
        with link.start(1) as agent:
            loaded(link, agent, "runtime", half)
            with pytest.raises(Transient) as caught:
                agent.ask("probe", 0.1)
            return caught.value

    with Recording(Local(), tmp_path / "a.jsonl") as recording:
        live = late(recording)
    again = late(Replay(tmp_path / "a.jsonl"))
    assert (again.what, again.fix, again.detail) == (live.what, live.fix, live.detail)


def used(link: Link) -> str:
    """Every way to use a link; the error it ends with."""
    try:
        with link.hold():
            link.state_file()
            link.put([Path(__file__)])
            with link.start(1) as agent:
                agent.ask("hello", 1.0)
            link.will([])
            return ""
    except Transient as error:
        return str(error)


@pytest.mark.parametrize("where", ["hold begins", "hold ends", "put", "state_file", "will", "start", "end", "nowhere"])
def test_an_error_of_the_link_comes_again_where_it_came(tmp_path: Path, where: str) -> None:
    redaction = Redaction.here(Broken.name)
    with Recording(Broken(where), tmp_path / "a.jsonl", redaction) as recording:
        live = used(recording)
    assert used(Replay(tmp_path / "a.jsonl")) == redaction.text(live)
    assert bool(live) == (where != "nowhere")
    text = (tmp_path / "a.jsonl").read_text()
    assert not re.search(r"tester|rk-lab-77|192\.0\.2\.7|example\.org", text)


# --- a request that deviates -------------------------------------------------------------------------------------------------------

ASKED: dict[str, Any] = {
    "role": "board",
    "path": "/home/x/.cache/tmpab12cd34/host.py",
    "sha256": "0" * 64,
    "pid": 7,
    "options": {"size": 32, "names": ["a", "b"]},
}


@pytest.fixture
def one_request(tmp_path: Path) -> Path:
    """A dialogue of one request and its answer."""
    with Recording(Local(), tmp_path / "a.jsonl") as recording, recording.start(1) as agent, pytest.raises(Stable):
        agent.ask("load", 60.0, **ASKED)
    return tmp_path / "a.jsonl"


@pytest.mark.parametrize(
    ("verb", "change", "told"),
    [
        ("probe", {}, "'load' is recorded, came probe("),
        ("load", {"role": "task"}, "load.role: 'board' is recorded"),
        ("load", {"path": "/home/x/.cache/tmpab12cd34/other.py"}, "load.path: "),
        ("load", {"options": {"size": 33, "names": ["a", "b"]}}, "load.options.size: 32 is recorded"),
        ("load", {"options": {"size": 32, "names": ["a", "c"]}}, "load.options.names[1]: 'b' is recorded"),
        ("load", {"options": {"size": 32, "names": ["a"]}}, "load.options.names: 2 are recorded"),
        ("load", {"options": {"size": 32}}, "load.options.names is recorded"),
        ("load", {"batch": 1}, "load: no batch is recorded"),
    ],
)
def test_a_request_that_deviates_is_an_error_with_what_was_expected_what_came_and_the_line(
    one_request: Path, verb: str, change: dict[str, Any], told: str
) -> None:
    with Replay(one_request).start(1) as agent, pytest.raises(Stable) as caught:
        agent.ask(verb, 60.0, **{**ASKED, **change})
    assert told in caught.value.what
    assert f"{one_request}, line 3" in caught.value.what
    assert "expected load(role='board'" in caught.value.what
    assert f"came {verb}(" in caught.value.what
    assert caught.value.fix


@pytest.mark.parametrize(
    "change",
    [{}, {"path": "/root/boards/host.py"}, {"path": "/x/tmpzz99yy88/host.py"}, {"sha256": "1" * 64}, {"pid": 99}],
    ids=lambda change: str(list(change)),
)
def test_paths_hashes_and_process_numbers_may_be_those_of_another_machine(one_request: Path, change: dict[str, Any]) -> None:
    with Replay(one_request).start(1) as agent, pytest.raises(Stable, match="unexpected keyword"):
        agent.ask("load", 60.0, **{**ASKED, **change})


def test_what_nobody_recorded_is_said_and_not_made_up(one_request: Path) -> None:
    replay = Replay(one_request)
    with pytest.raises(Stable, match=r"line 2: expected an agent with 1 threads, came one with 4"), replay.start(4):
        pass
    with replay.start(1) as agent:
        with pytest.raises(Stable, match="nothing was asked"):
            agent.finish(1.0)
        with pytest.raises(Stable, match="expected the request 'load', the event 'sampling' is waited for"):
            agent.wait("sampling", 1.0)
        with pytest.raises(Stable, match="unexpected keyword"):
            agent.ask("load", 1.0, **ASKED)
        with pytest.raises(Stable, match=r"line 5, agent 1: expected the agent's end, came the request 'close'"):
            agent.ask("close", 1.0)
    with pytest.raises(Stable, match=r"ends with line 6; an agent is started that was never recorded"), replay.start(1):
        pass


# --- files that are not whole ------------------------------------------------------------------------------------------------------


def outcome(path: Path, folder: Path) -> str:
    try:
        talk(Replay(path), folder)
    except Stable as error:
        return error.what
    return "whole"


def test_a_dialogue_that_ends_too_early_is_played_to_its_end_and_the_line_is_named(tmp_path: Path) -> None:
    whole = gzip.decompress(SHIPPED.read_bytes()).splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    for count in range(1, len(whole)):
        cut.write_bytes(b"".join(whole[:count]) + whole[count][:10])
        found = outcome(cut, tmp_path)
        if found != "whole":  # only what is not needed is missing
            assert f"the dialogue ends with line {count}, its last line is not whole" in found, count
    assert found == "whole", "the last line only says that it is the last"
    cut.write_bytes(b"".join(whole[:30]))
    assert "the dialogue ends with line 30, it was cut off there; " in outcome(cut, tmp_path)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_compressed_dialogue_that_was_cut_or_damaged_is_played_as_far_as_it_goes(tmp_path: Path, kept: float) -> None:
    data, path = SHIPPED.read_bytes(), tmp_path / "cut.jsonl.gz"
    size = int(len(data) * kept)
    path.write_bytes(data[:size])
    assert re.search(r"the dialogue ends with line \d+, it was cut off there; .* is waited for|came the request", outcome(path, tmp_path))
    path.write_bytes(data[:size] + b"\xff" * 20 + data[size:])
    assert re.search(r"line \d+", outcome(path, tmp_path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: this is no dialogue"),
        ('{"a": 1}\n', "line 1: this is no dialogue"),
        ("# README\n", "line 1: not a line of a dialogue"),
        ('{"socbench_dialogue": 1}\n[1]\n', "line 2: not a line of a dialogue"),
        ('{"socbench_dialogue": 99, "socbench": "9.0"}\n', "a dialogue of version 99, this socbench reads 1"),
    ],
)
def test_what_is_no_dialogue_is_told_with_its_line_and_a_fix(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(Stable) as caught:
        Replay(tmp_path / "a.jsonl")
    assert told in caught.value.what
    assert caught.value.fix
    with pytest.raises(Stable, match="No such file"):
        Replay(tmp_path / "nowhere.jsonl")


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.measure.link import Local
from harness.measure.recording import Recording
recording = Recording(Local(), Path(sys.argv[1]))
with recording.start(1) as agent:
    agent.ask("hello", 60.0)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_harness_that_is_killed_leaves_whole_lines(tmp_path: Path, name: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], cwd=ROOT, check=False, timeout=lab.PATIENCE_S)
    assert done.returncode == -signal.SIGKILL
    assert read(tmp_path / name).cut == "it was cut off there"
    with Replay(tmp_path / name).start(1) as agent:
        assert agent.ask("hello", 1.0)["pid"]
        with pytest.raises(Stable, match=r"ends with line 4, it was cut off there; agent 1: came the request 'close'"):
            agent.ask("close", 1.0)


def test_ctrl_c_is_in_the_dialogue_and_what_was_done_after_it_too(tmp_path: Path) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    def interrupted(link: Link) -> None:
        with link.hold():
            with link.start(1) as agent:
                for role, path in lab.host():
                    loaded(link, agent, role, path)
                agent.ask("sample", 60.0, interrupt, hertz=10, pid=0)
            link.will([])

    with Recording(Local(), tmp_path / "a.jsonl") as recording, pytest.raises(KeyboardInterrupt):
        interrupted(recording)
    assert [list(line)[1:] for line in lines(tmp_path / "a.jsonl")[-3:]] == [["agent", "end"], ["hold"], ["closed", "redacted"]]
    with pytest.raises(KeyboardInterrupt):
        interrupted(Replay(tmp_path / "a.jsonl"))
    with Replay(tmp_path / "a.jsonl").start(1) as agent:
        for role, path in lab.host():
            agent.ask("load", 1.0, role=role, path=str(path), sha256="")
        with pytest.raises(Stable, match=r"line \d+: here the recorded run ended: KeyboardInterrupt"):
            agent.ask("sample", 60.0, hertz=10, pid=0)


def test_a_full_disk_ends_the_recording_and_not_the_run() -> None:
    with Recording(Local(), Path("/dev/full")) as recording, recording.start(1) as agent:
        assert agent.ask("hello", 60.0)["pid"]
    assert recording.failed == "/dev/full: No space left on device; the dialogue ends there"


def test_a_file_that_cannot_be_made_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file") as caught:
        Recording(Local(), tmp_path / "nowhere" / "a.jsonl")
    assert caught.value.fix


# --- long lists --------------------------------------------------------------------------------------------------------------------

TIMES = st.lists(st.integers(-(10**18), 10**18), min_size=0, max_size=20)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
KEYS = st.sampled_from(["begin_ns", "end_ns", "~steps", "~after", "~columns", "~~", "rows"]) | st.text(max_size=4)
JSON = st.recursive(
    PLAIN | TIMES | st.lists(st.tuples(PLAIN, PLAIN).map(list), max_size=12), lambda one: st.lists(one, max_size=4) | st.dictionaries(KEYS, one)
)


@given(JSON | st.fixed_dictionaries({"end_ns": TIMES, "begin_ns": TIMES}))
def test_packing_changes_nothing_whatever_the_value(value: Any) -> None:
    again = unpacked(json.loads(json.dumps(packed(value))))
    assert json.dumps(again) == json.dumps(value), "types and the order of keys too"


def test_spans_take_a_few_bytes_each(tmp_path: Path) -> None:
    begin = [10**15 + 1_003_000 * at + (at * 7919) % 4096 for at in range(10_000)]
    end = [one + 1_000_000 + (at * 104_729) % 2048 for at, one in enumerate(begin)]
    spans = {"begin_ns": begin, "end_ns": end}
    with Recording(Local(), tmp_path / "a.jsonl.gz") as recording:
        recording._writer.add(agent=1, result=spans)
    assert (tmp_path / "a.jsonl.gz").stat().st_size < 6 * len(begin)
    assert read(tmp_path / "a.jsonl.gz").lines[0][1]["result"] == spans


# --- the document ------------------------------------------------------------------------------------------------------------------


def test_the_example_of_the_document_about_bug_reports_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Recording(Local(), Path("dialogue.jsonl.gz")) as recording, held(Zoo(), "host", recording):
        pass
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "bug-reports.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(example.replace('"rk3588"', '"host"'), names)  # noqa: S102 - the document's own lines
    names["test_the_board_of_the_report_is_recognised"]()

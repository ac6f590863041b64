"""Whole campaigns with real processes, on the pack `tests/packs/tiny`: every way to end, to be interrupted and to go on."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import secrets
import shlex
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import harness
from harness.cli import main
from harness.measure.artifacts import Product, Workshop
from harness.measure.hold import held
from harness.measure.link import Local
from harness.measure.plan import Choice, plan
from harness.measure.runner import Bench
from harness.measure.runner import run as measure
from harness.record import Setting
from harness.spec import Zoo
from tests import lab
from tests.lab import PACK, alive, begin, socbench, until, workers

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from harness.measure.link import Agent, Event
    from harness.record import RunRecord

cache = lab.cache
pytestmark = pytest.mark.usefixtures("cache")
MEASURED = ("ok", "invalid")  # whether a check finds fault with a figure of this machine is not what is tested here
TINY = ("--zoo", PACK, "--workload", "tiny")


# --- one campaign in which everything happens --------------------------------------------------------------------------------------


class Campaign:
    """What a campaign left: its process, its records by runtime and precision, what still ran after it."""

    def __init__(self, process: subprocess.CompletedProcess[str], results: Path, left: list[int]) -> None:
        self.process, self.results, self.left = process, results, left
        self.records = harness.load(results)

    def of(self, runtime: str, precision: str = "fp32", scenario: str = "single-stream") -> RunRecord:
        (found,) = [one for one in self.records if (one.runtime, one.precision, one.scenario) == (runtime, precision, scenario)]
        return found


def campaign(results: Path, *words: str | Path, **environment: str) -> Campaign:
    mark = secrets.token_hex(8)
    process = socbench("bench", "lab", *TINY, "--results", results, *words, env={**environment, "TINY_MARK": mark})
    return Campaign(process, results, workers(mark))


@pytest.fixture(scope="module")
def everything(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Every runtime of the lab, alone: most of them fail."""
    return campaign(tmp_path_factory.mktemp("everything"), "--scenario", "single-stream", "--json")


@pytest.fixture(scope="module")
def good(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """The runtime that works, in all its forms."""
    return campaign(tmp_path_factory.mktemp("good"), "--runtime", "onnxruntime", "--threads", "1", SOCBENCH_SECONDS="0.03")


@pytest.mark.parametrize(
    ("cell", "status", "reason", "fix"),
    [
        (("raises", "fp32"), "failed", "RuntimeError: operator Frobnicate is not supported at node 17", "detail"),
        (("crashes", "fp32"), "failed", "the worker ended by itself: SIGABRT", "output"),
        (("starves", "fp32"), "failed", "the worker was killed (SIGKILL)", "free memory"),
        (("babbles", "fp32"), "failed", "a half answered what cannot be read", "detail"),
        (("absent", "fp32"), "skipped", "a_runtime_nobody_has is not installed", "pip install a-runtime-nobody-has"),
    ],
)
def test_what_was_not_measured_is_a_record_with_its_reason_and_its_fix(
    everything: Campaign, cell: tuple[str, str], status: str, reason: str, fix: str
) -> None:
    record = everything.of(*cell)
    assert record.status == status
    assert record.reason.startswith(reason)
    assert "\n" not in record.reason
    assert fix in record.fix


@pytest.mark.parametrize("cell", [("onnxruntime", "fp32"), ("onnxruntime", "int8"), ("chatty", "fp32"), ("overflows", "fp16")])
def test_what_works_is_measured_whatever_it_prints_or_answers(everything: Campaign, cell: tuple[str, str]) -> None:
    assert everything.of(*cell).status in MEASURED


def test_one_failure_is_exit_code_1_and_the_rest_is_measured_all_the_same(everything: Campaign, good: Campaign) -> None:
    assert everything.process.returncode == 1
    assert len(everything.records) == 9
    assert good.process.returncode == 0
    assert len(good.records) == 4


def test_json_is_one_document_on_stdout_and_nothing_else(everything: Campaign, good: Campaign) -> None:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    found = json.loads(everything.process.stdout, parse_constant=refuse)
    assert found["results"] == str(everything.results)
    (board,) = found["boards"]
    assert (board["board"], board["target"], board["error"]) == ("", "lab", None)
    assert [one["run_id"] for one in board["records"]] == [record.run_id for record in everything.records]
    for one in board["records"]:
        numbers = {metric["metric"] for metric in one["metrics"] if metric["value"] is not None}
        assert ("latency_p50" in numbers) == (one["status"] in MEASURED)
        assert all(metric["value"] is not None or metric["reason"] for metric in one["metrics"]), "a number or a reason"
    assert good.process.stdout == ""
    assert "latency_p50" in good.process.stderr


def test_what_people_read_names_every_session_its_outcome_and_what_to_do(everything: Campaign) -> None:
    err = everything.process.stderr
    assert "[9/9] tiny fp32 absent: skipped: a_runtime_nobody_has is not installed; fix: python -m pip install a-runtime-nobody-has" in err
    assert "SIGABRT" in err
    assert "synthetic weights" in err
    assert str(everything.results) in err
    assert "Traceback" not in err, "a trace is in the record's detail"


def test_a_failed_session_keeps_what_was_seen_before_it_failed_and_the_last_words(everything: Campaign) -> None:
    record = everything.of("crashes")
    assert "assertion `fence->signalled` failed" in record.detail
    assert record.runtime_version == "1.0"
    assert record.offload == {"npu": {"nodes": 3.0}}
    assert [spans.stage for spans in record.spans] == ["load"]
    assert "before" in record.environment
    assert record.artifact
    trace = everything.of("raises").detail
    assert 'raises.py", line' in trace
    assert "(this is a test)" in trace
    assert "_summed" in everything.of("babbles").detail


def test_nothing_runs_after_a_campaign(everything: Campaign, good: Campaign) -> None:
    assert everything.left == []
    assert good.left == []


def test_the_raw_spans_of_every_stage_are_there(good: Campaign) -> None:
    for record in good.records:
        stages = {spans.stage: spans for spans in record.spans}
        more = {"warmup", "pipeline"} if record.scenario == "single-stream" else set()
        assert set(stages) == {"load", "first", "steady"} | more
        steady = stages["steady"]
        least = record.settings["count"].value
        assert isinstance(least, int)
        assert len(steady.begin_ns) == len(steady.end_ns) >= least >= 1
        assert steady.end_ns[-1] - steady.begin_ns[0] >= 0.02e9
        assert stages["load"].end_ns[0] <= stages["first"].begin_ns[0] <= stages["first"].end_ns[-1] <= steady.begin_ns[0]
        assert {blocks.stage for blocks in record.blocks} == set(stages) - {"load"}
        (telemetry,) = record.telemetry
        assert telemetry.instrument == "board:host"
        assert telemetry.channels
        assert {len(row) for row in telemetry.rows} <= {len(telemetry.channels)}  # a session this short may end before the first sample
        assert len(telemetry.rows) == len(telemetry.t_ns)
        assert record.memory
        assert all(size >= 0 for size in record.memory.values())
        assert record.offload["cpu"]["nodes"] > 0
        assert record.environment["io"]["model"]["inputs"]["input"][1] == "float32"
        assert {"before", "after", "board", "runtime", "pin"} <= set(record.environment)
    assert [spans.phase for spans in good.of("onnxruntime").spans if spans.stage == "pipeline"] == ["preprocess", "infer", "postprocess"]


def test_a_setting_says_who_made_it(good: Campaign, everything: Campaign) -> None:
    settings = good.of("onnxruntime").settings
    assert settings["threads"] == Setting(1, "command line")
    assert settings["seconds"] == Setting(0.03, "environment")
    assert settings["count"] == Setting(12, "file")
    assert settings["weights"] == Setting("synthetic", "default")
    plain = everything.of("onnxruntime").settings
    assert plain["threads"] == Setting(1, "default")
    assert plain["seconds"] == Setting(0.001, "file")


def test_offline_counts_every_item_of_a_batch(good: Campaign) -> None:
    for precision in ("fp32", "int8"):
        single, offline = good.of("onnxruntime", precision), good.of("onnxruntime", precision, "offline")
        steady = [next(spans for spans in one.spans if spans.stage == "steady") for one in (single, offline)]
        assert [spans.items for spans in steady] == [1.0, 2.0]
        assert offline.settings["batch"].value == 2
        assert offline.quality is None, "the model is the same, only the batch is not"


def test_quality_is_measured_against_fp32_or_says_why_not(everything: Campaign) -> None:
    int8 = everything.of("onnxruntime", "int8").quality
    assert int8
    assert [one.sample for one in int8.comparisons] == ["tiny-red.npy", "tiny-noise.npy", "tiny-wide.npy"]
    assert all(0 < one.error < 0.1 * one.yy and one.decisions == 1 for one in int8.comparisons)
    fp32, fp16 = everything.of("onnxruntime").quality, everything.of("overflows", "fp16").quality
    assert fp32
    assert fp16
    assert "the fp32 reference itself" in fp32.reason
    assert "'logits' on tiny-red.npy is not finite" in fp16.reason
    assert fp16.comparisons == []


def test_records_say_what_they_are_of(everything: Campaign) -> None:
    for record in everything.records:
        assert (record.target, record.workload, record.task, record.item) == ("lab", "tiny", "classify", "image")
        assert record.workload_sha256 == Zoo([PACK]).workload_sha256("tiny")
    assert len({record.campaign for record in everything.records}) == 1
    artifact = everything.of("onnxruntime").artifact
    assert artifact
    assert artifact.ops["infer"] > 0
    assert everything.of("onnxruntime").runtime_version


# --- time ------------------------------------------------------------------------------------------------------------------------------


class Impatient(Local):
    """This machine, where nobody waits for longer than a second for a model to open."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[int] = []

    @contextlib.contextmanager
    def start(self, threads: int) -> Iterator[Agent]:
        with super().start(threads) as agent:
            yield _Impatient(agent, self.opened)


class _Impatient:
    def __init__(self, agent: Agent, opened: list[int]) -> None:
        self.agent, self.opened = agent, opened
        self.begin, self.wait, self.finish, self.stderr = agent.begin, agent.wait, agent.finish, agent.stderr

    def ask(self, verb: str, timeout: float, on_event: Event | None = None, **arguments: Any) -> dict[str, Any]:
        if verb == "open":
            timeout = 0.3
            self.opened.append(self.agent.ask("hello", 60.0)["pid"])
        return self.agent.ask(verb, timeout, on_event, **arguments)


def test_a_runtime_that_hangs_is_tried_twice_and_then_a_failure_with_its_reason(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    monkeypatch.setenv("TINY_HOLD", str(hold))
    zoo = Zoo([PACK])
    (session,) = plan(zoo, Choice("stuck", ("tiny",), runtimes=("hangs",), scenarios=("single-stream",)))
    link = Impatient()
    with Workshop(zoo) as workshop, held(zoo, "stuck", link) as machine:
        record = measure(Bench(zoo, link, machine, workshop, "a-campaign", Setting("synthetic", "default")), session)
    assert record.status == "failed"
    assert record.reason.startswith("no answer within")
    assert record.fix
    assert len(set(link.opened)) == 2
    assert not any(alive(pid) for pid in link.opened)
    assert record.artifact
    assert record.settings["weights"] == Setting("synthetic", "default")


# --- interrupted ---------------------------------------------------------------------------------------------------------------------


class Stuck:
    """A campaign of two sessions, `chatty` and then `hangs`, which waits in the second as long as `hold` is there."""

    def __init__(self, folder: Path, pack: Path = PACK) -> None:
        self.folder, self.results, self.pack = folder, folder / "results", pack
        self.hold, self.mark = folder / "hold", secrets.token_hex(8)
        self.environment = {"TINY_HOLD": str(self.hold), "TINY_MARK": self.mark}
        self.hold.touch()

    def begin(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start, and come back when the second session hangs."""
        self.hold.with_suffix(".reached").unlink(missing_ok=True)
        choice = ["--workload", "tiny", "--scenario", "single-stream"] if "--resume" not in words else []
        process = begin("bench", "stuck", "--zoo", self.pack, *choice, "--results", self.results, *words, env={**self.environment, **environment})
        until(lambda: self.hold.with_suffix(".reached").exists() or process.poll() is not None, "the second session hangs")
        assert process.poll() is None, process.communicate()
        return process

    def go_on(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """--resume, to the end."""
        self.hold.unlink(missing_ok=True)
        all_of_it = {**self.environment, **environment}
        return socbench("bench", "stuck", "--zoo", self.pack, "--results", self.results, "--resume", *words, env=all_of_it)

    def records(self) -> list[RunRecord]:
        return harness.load(self.results)


def test_a_campaign_killed_by_force_goes_on_with_what_is_missing_and_only_with_that(tmp_path: Path) -> None:
    shutil.copytree(PACK, tmp_path / "pack", ignore=shutil.ignore_patterns("__pycache__"))
    stuck = Stuck(tmp_path, tmp_path / "pack")
    with stuck.begin("--threads", "1", SOCBENCH_SECONDS="0.01") as process:
        second = socbench("bench", "lab", *TINY, "--results", stuck.results)
        assert second.returncode == 2
        assert f"process {process.pid}" in second.stderr
        assert second.stdout == ""
        process.kill()
        process.communicate()
    until(lambda: not workers(stuck.mark), "no agent survives its harness")
    (first,) = stuck.records()
    assert first.runtime == "chatty"

    done = stuck.go_on("--json", SOCBENCH_SECONDS="nonsense", SOCBENCH_THREADS="2")
    assert done.returncode == 0, done.stderr
    assert "1 session to measure, 1 already measured" in done.stderr
    kept, added = stuck.records()
    assert kept == first
    assert (added.runtime, added.campaign) == ("hangs", first.campaign)
    assert added.settings == kept.settings, "with what the campaign was told, by whom it was told"
    assert added.settings["seconds"] == Setting(0.01, "environment")
    assert added.settings["threads"] == Setting(1, "command line")
    assert [one["run_id"] for one in json.loads(done.stdout)["boards"][0]["records"]] == [kept.run_id, added.run_id]

    again = stuck.go_on()
    assert again.returncode == 0
    assert "all 2 sessions of this campaign are measured already" in again.stderr
    assert stuck.records() == [kept, added]

    with (tmp_path / "pack" / "workloads" / "tiny.toml").open("a") as file:
        file.write("# another workload\n")
    changed = stuck.go_on()
    assert changed.returncode == 0
    assert "2 sessions to measure" in changed.stderr
    assert [one.runtime for one in stuck.records()] == ["chatty", "hangs", "chatty", "hangs"]
    assert len({one.workload_sha256 for one in stuck.records()}) == 2


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_says_what_is_saved_and_its_command_goes_on(tmp_path: Path) -> None:
    stuck = Stuck(tmp_path)
    with stuck.begin() as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=lab.PATIENCE_S)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert f"interrupted: 1 of 2 sessions are saved in {stuck.results}; go on with: " in err
    until(lambda: not workers(stuck.mark), "no agent survives")
    (first,) = stuck.records()
    stuck.hold.unlink()
    command = next(line for line in err.splitlines() if "go on with: " in line).partition("go on with: ")[2]
    name, *words = shlex.split(command)
    assert name == "socbench"
    done = socbench(*words, cwd=tmp_path, env=stuck.environment)
    assert done.returncode == 0, done.stderr
    assert stuck.records()[0] == first
    assert [one.runtime for one in stuck.records()] == ["chatty", "hangs"]


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_during_a_build_ends_the_build_and_leaves_no_half_model(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns("__pycache__"))
    toml = pack / "workloads" / "tiny.toml"
    toml.write_text(toml.read_text().replace("channels = 24", "channels = 24, broken = 'waits'"))
    hold, mark = tmp_path / "hold", secrets.token_hex(8)
    hold.touch()
    environment = {"TINY_MARK": mark, "TINY_HOLD": str(hold), "SOCBENCH_CACHE": str(tmp_path / "cache")}
    with begin("bench", "stuck", "--zoo", pack, "--workload", "tiny", "--results", tmp_path / "results", env=environment) as process:
        until(hold.with_suffix(".reached").exists, "the build runs")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=lab.PATIENCE_S)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted: 0 of 4 sessions" in err
    until(lambda: not workers(mark), "the build ends")
    assert list((tmp_path / "cache" / "artifacts").iterdir()) == []


# --- a results folder that cannot be used --------------------------------------------------------------------------------------------


def bench(*words: str | Path) -> int:
    """`socbench bench` in this process; what it raises beside SocbenchError would be a traceback for the user."""
    return main(["bench", *map(str, words)])


def test_a_results_folder_that_cannot_be_written_is_one_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("a regular file")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/socbench"), Path("/dev/null/results")):
        assert bench("lab", *TINY, "--results", folder) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith(f"socbench: {folder}: cannot be written: ")
        assert "--results DIR" in err


def test_a_disk_that_fills_up_loses_nothing_and_the_campaign_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    sync = os.fsync

    def full(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().is_relative_to(results) and list(results.rglob("*.json.gz")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    choice = ("--scenario", "single-stream", "--runtime", "absent", "--runtime", "raises")
    monkeypatch.setattr(os, "fsync", full)
    assert bench("lab", *TINY, *choice, "--results", results) == 2
    monkeypatch.undo()
    err = capfd.readouterr().err
    assert "No space left on device" in err
    assert "free some space, then go on with --resume" in err
    first = next(results.rglob("*.json.gz"))
    assert not [path for path in results.rglob("*") if "tmp" in path.name]
    (saved,) = harness.load(results)
    assert bench("lab", "--zoo", PACK, "--results", results, "--resume") == 1
    records = harness.load(results)
    assert [record.status for record in records] == ["failed", "failed", "skipped"], "what failed is tried again"
    assert records[0] == saved
    assert first.exists()


def test_a_cache_that_cannot_be_written_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("a regular file")
    monkeypatch.setenv("SOCBENCH_CACHE", str(tmp_path / "file" / "cache"))
    assert bench("lab", *TINY, "--results", tmp_path / "results", "--runtime", "raises", "--scenario", "single-stream") in (1, 2)
    err = capfd.readouterr().err
    assert "Not a directory" in err
    assert "set SOCBENCH_CACHE" in err


# --- what is refused -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (("labb", *TINY), "unknown target or board 'labb'", "did you mean 'lab'?"),
        (("lab", "--zoo", PACK, "--workload", "tinny"), "unknown workload 'tinny'", "did you mean 'tiny'?"),
        (("lab", *TINY, "--precision", "int88"), "unknown precision 'int88'", "did you mean 'int8'?"),
        (("lab", *TINY, "--runtime", "onnxrt"), "unknown runtime 'onnxrt'", "did you mean 'onnxruntime'?"),
        (("lab", *TINY, "--runtime", "zzz"), "unknown runtime 'zzz'", "known: onnxruntime, "),
        (("lab", *TINY, "--runtime", "chatty", "--precision", "int8"), "nothing to measure", "tiny chatty fp32 single-stream"),
        (("lab", *TINY, "--threads", "two"), "--threads 'two': not a whole number", "--threads 2"),
        (("lab", *TINY, "--threads", "0"), "--threads '0': must be from 1 to", "--threads 2"),
        (("lab", *TINY, "--threads", "1000000"), "must be from 1 to", "--threads 2"),
        (("lab", *TINY, "--threads", ""), "--threads ''", "--threads 2"),
        (("lab", *TINY, "--seconds", "soon"), "--seconds 'soon': not a number", "--seconds 10"),
        (("lab", *TINY, "--seconds", "0"), "must be more than 0", "--seconds 10"),
        (("lab", *TINY, "--seconds", "-1"), "must be more than 0", "--seconds 10"),
        (("lab", *TINY, "--seconds", "nan"), "must be more than 0", "--seconds 10"),
        (("lab", *TINY, "--seconds", "inf"), "at most 86400", "--seconds 10"),
        (("lab", *TINY, "--weights", "/nowhere/at/all"), "--weights /nowhere/at/all: no such folder", "DIR/resnet50"),
        (("lab", *TINY, "--weights", ""), "--weights ''", "--weights weights/"),
        (("lab", "--zoo", "/nowhere/at/all"), "/nowhere/at/all: no such folder", "targets/ or workloads/"),
        (("lab", "--zoo", PACK, "--zoo", PACK), "already defined", "another file name"),
        (("lab", *TINY, "--resume"), "--resume goes on with the choice of the campaign it continues", "leave out"),
        (("lab", "--zoo", PACK, "--resume"), "no campaign on 'lab' to go on with", "socbench bench lab"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_one_message_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], words: tuple[str | Path, ...], what: str, fix: str
) -> None:
    assert bench(*words, "--results", tmp_path / "results") == 2
    out, err = capfd.readouterr()
    assert out == ""
    message, advice = err.rstrip("\n").split("\n")
    assert message.startswith("socbench: ")
    assert what in message
    assert advice.startswith("  fix: ")
    assert fix in advice
    assert not (tmp_path / "results").exists()


def test_a_bad_setting_of_the_environment_is_told_from_one_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOCBENCH_THREADS", "many")
    assert bench("lab", *TINY, "--results", tmp_path / "results") == 2
    assert "socbench: $SOCBENCH_THREADS 'many': not a whole number\n  fix: for example SOCBENCH_THREADS=2\n" in capfd.readouterr().err


def test_a_wrong_option_is_one_message_without_a_traceback(tmp_path: Path) -> None:
    found = socbench("bench", "lab", "--scenario", "online", "--results", tmp_path / "results")
    assert found.returncode == 2
    assert "invalid choice: 'online'" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_broken_workload_file_is_one_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pack = tmp_path / "pack"
    shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns("__pycache__"))
    toml = pack / "workloads" / "tiny.toml"
    toml.write_text(toml.read_text().replace("min_count = 12", "min_cuont = 12"))
    assert bench("lab", "--zoo", pack, "--workload", "tiny", "--results", tmp_path / "results") == 2
    assert f"socbench: {toml}: unknown key 'stop.min_cuont'\n  fix: write 'min_count'\n" in capfd.readouterr().err


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pack = tmp_path / "pack"
    shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns("__pycache__"))
    broken = pack / "workloads" / "inputs" / "tiny-red.png"
    broken.write_bytes(b"garbage")
    choice = ("--workload", "tiny", "--scenario", "single-stream", "--runtime", "chatty")
    assert bench("lab", "--zoo", pack, *choice, "--results", tmp_path / "results") == 1
    assert f"{broken}: not a readable .png file" in capfd.readouterr().err


# --- a model of one's own ------------------------------------------------------------------------------------------------------------

HIDDEN = 200
PARAMETERS = 3 * 32 * 32 * HIDDEN + HIDDEN * 10
ONE = ("--runtime", "onnxruntime", "--precision", "fp32", "--scenario", "single-stream")


def exported(path: Path, shape: tuple[str | int, ...] = ("n", 3, 32, 32), name: str = "input", classes: int = 10, seed: int = 0) -> onnx.ModelProto:
    """A model as a user may export it: a flattened picture through two matrices."""
    rng = np.random.default_rng(seed)
    sizes = {"w": (int(np.prod([int(one) for one in shape[1:]])), HIDDEN), "v": (HIDDEN, classes)}
    weights = [numpy_helper.from_array(rng.normal(size=size).astype(np.float32), one) for one, size in sizes.items()]
    nodes = [
        helper.make_node("Flatten", [name], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "v"], ["logits"]),
    ]
    ends = [helper.make_tensor_value_info(one, onnx.TensorProto.FLOAT, size) for one, size in ((name, shape), ("logits", [shape[0], classes]))]
    graph = helper.make_graph(nodes, "mine", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="my exporter")
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return model


def weighed(folder: Path, *words: str) -> RunRecord:
    """The one record of a campaign with --weights FOLDER."""
    results = folder / "results" / secrets.token_hex(4)
    code = bench("lab", *TINY, *(words or ONE), "--weights", folder / "weights", "--results", results)
    (record,) = harness.load(results)
    assert code == (0 if record.status in (*MEASURED, "skipped") else 1)
    return record


def refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """The one message of a campaign that does not begin because a file in FOLDER/weights cannot be used."""
    results = folder / "results" / secrets.token_hex(4)
    assert bench("lab", *TINY, *ONE, "--weights", folder / "weights", "--results", results) == 2
    assert not list(results.glob("runs/*/*.json.gz"))
    said = capfd.readouterr().err
    assert "Traceback" not in said
    return said[said.index("socbench: ") :]


def test_a_model_of_one_s_own_takes_the_place_of_the_synthetic_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = exported(tmp_path / "weights" / "tiny" / "model.onnx")
    record = weighed(tmp_path)
    assert record.status in MEASURED
    artifact = record.artifact
    assert artifact
    assert (artifact.weights, artifact.weights_note, artifact.toolchain) == ("pretrained", "the user's model.onnx", "my exporter")
    assert artifact.sha256["model"] == harness.cache.sha256(tmp_path / "weights" / "tiny" / "model.onnx")
    assert artifact.parameters == PARAMETERS
    assert artifact.ops == {"infer": 2.0 * artifact.parameters}
    assert artifact.weight_bytes == {"infer": 4 * artifact.parameters}
    assert record.settings["weights"] == Setting("pretrained", "command line")
    model.producer_name = ""
    monkeypatch.chdir(tmp_path)
    onnx.save(model, tmp_path / "weights" / "tiny" / "model.onnx")
    assert bench("lab", *TINY, *ONE, "--weights", "weights", "--results", "relative") == 0
    (again,) = harness.load("relative")
    assert again.artifact
    assert again.artifact.key != artifact.key, "another file is another artifact"
    assert again.artifact.toolchain == "unknown"


def test_a_model_whose_weights_lie_in_a_second_file_is_taken_whole(tmp_path: Path) -> None:
    path = tmp_path / "weights" / "tiny" / "model.onnx"
    keys = []
    for seed in (0, 1):
        model = exported(path, seed=seed)
        for old in path.parent.glob("*.data"):
            old.unlink()
        onnx.save(model, path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
        assert path.stat().st_size < 1000
        record = weighed(tmp_path)
        assert record.status in MEASURED, record.reason
        assert record.artifact
        assert record.artifact.bytes["model"] > 4 * PARAMETERS
        keys.append(record.artifact.key)
    assert keys[0] != keys[1], "other weights are another artifact, also when only the second file changed"


@pytest.mark.parametrize(
    ("change", "reason", "fix"),
    [
        ({"shape": ("n", 3, 16, 16)}, "input 'input' has shape ['n', 3, 16, 16]", "['batch', 3, 32, 32]"),
        ({"shape": ("n", 3072)}, "input 'input' has shape ['n', 3072]", "['batch', 3, 32, 32]"),
        ({"name": "image"}, "has no input 'input'; it has 'image'", "['batch', 3, 32, 32]"),
        ({"classes": 7}, "output 'logits' has shape ['n', 7]", "['batch', 10]"),
    ],
)
def test_a_model_with_another_signature_is_refused_and_says_what_is_wanted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], change: dict[str, Any], reason: str, fix: str
) -> None:
    path = tmp_path / "weights" / "tiny" / "model.onnx"
    exported(path, **change)
    said = refused(tmp_path, capfd)
    assert f"{path}: {reason}" in said
    assert fix in said.partition("fix: ")[2]


def test_garbage_in_place_of_a_model_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights" / "tiny" / "model.onnx"
    path.parent.mkdir(parents=True)
    for content in (b"garbage" * 9, b"", gzip.compress(b"another format")):
        path.write_bytes(content)
        said = refused(tmp_path, capfd)
        assert f"{path}: not a readable ONNX model" in said
        assert "fix: " in said


def test_a_folder_without_anything_for_a_workload_says_what_to_put_there(tmp_path: Path) -> None:
    (tmp_path / "weights" / "tiny").mkdir(parents=True)
    record = weighed(tmp_path)
    assert record.status == "skipped"
    assert "nothing there gives onnx/fp32" in record.reason
    assert "model.onnx" in record.fix


def test_int8_is_made_from_the_user_s_model_too(tmp_path: Path) -> None:
    exported(tmp_path / "weights" / "tiny" / "model.onnx")
    record = weighed(tmp_path, "--runtime", "onnxruntime", "--precision", "int8", "--scenario", "single-stream")
    assert record.status in MEASURED
    assert record.artifact
    assert record.artifact.weights == "pretrained"
    assert record.artifact.parameters == PARAMETERS
    assert record.quality
    assert len(record.quality.comparisons) == 3


def test_the_product_of_a_precision_is_the_one_its_runtime_opens(cache: Path) -> None:
    zoo = Zoo([PACK])
    sessions = plan(zoo, Choice("lab", ("tiny",)))
    assert len(sessions) == 18
    products = {(one.runtime, one.precision): one.product for one in sessions}
    assert products["chatty", "fp32"] == products["onnxruntime", "fp32"] == Product("tiny", "onnx/fp32")
    assert products["onnxruntime", "int8"].source == Product("tiny", "onnx/fp32")
    assert {str(one) for one in sessions if one.runtime == "chatty"} == {"tiny fp32 chatty", "tiny fp32 chatty offline"}

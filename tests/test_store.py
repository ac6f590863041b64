"""results/: what is written can be read, what is broken is named, and a failure leaves everything as it was."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import harness
from harness.errors import RecordError, StoreError
from harness.record import SCHEMA, Artifact, Comparison, Quality, Setting
from harness.store import CampaignPlan, Store, newest, read
from tests.lab import ROOT
from tests.records import failed_record, llama_record, make_problem, make_record, offline_record, unsupported_record

if TYPE_CHECKING:
    from harness.record import RunRecord

SMALL: dict[str, Any] = {"n": 4, "warmup": 1, "pipeline": 1}


def packed(folder: Path, content: bytes, name: str = "20260101T000000Z-0000.json.gz") -> Path:
    path = folder / "runs" / "test-fixture" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def document(**changed: Any) -> bytes:
    """A record as JSON, with some of its fields changed."""
    return msgspec.json.encode({**msgspec.to_builtins(make_record(**SMALL)), **changed})


# --- there and back ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_record, llama_record, offline_record, failed_record, unsupported_record])
def test_a_record_comes_back_as_it_was_written(tmp_path: Path, make: Any) -> None:
    record = make(**SMALL, problems=[make_problem()])
    path = Store(tmp_path).add(record)
    assert read(path) == record
    assert path.parent == tmp_path / "runs" / record.target
    assert list(Store(tmp_path).records()) == [(path, record)]


def test_equal_records_are_equal_files(tmp_path: Path) -> None:
    one, other = (Store(tmp_path / name).add(make_record(**SMALL)) for name in "ab")
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()


def test_a_file_is_named_by_when_it_began_and_sorts_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    late = store.add(make_record(**SMALL, begun_at="2026-11-22T08:00:00.250Z", run_id="aaaa"))
    early = store.add(make_record(**SMALL, begun_at="2026-11-21T23:59:59.999Z", run_id="ffff"))
    assert early.name == "20261121T235959.999Z-ffff.json.gz"
    assert store.files() == [early, late]


def test_records_of_one_target_can_be_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(make_record(**SMALL, target="a"))
    other = store.add(make_record(**SMALL, target="b"))
    assert store.files("b") == [other]


texts = st.text(max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63), 2**63 - 1)
leaves = st.none() | st.booleans() | whole | numbers | texts
plain = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    replaced=st.fixed_dictionaries(
        {},
        optional={
            "reason": texts,
            "detail": texts,
            "title": texts,
            "status": st.sampled_from(["ok", "invalid", "unsupported", "failed", "skipped"]),
            "environment": st.dictionaries(texts, plain, max_size=3),
            "memory": st.dictionaries(texts, st.integers(0, 2**62), max_size=3),
            "offload": st.dictionaries(texts, st.dictionaries(texts, numbers, max_size=2), max_size=2),
            "settings": st.dictionaries(texts, st.builds(Setting, leaves, st.sampled_from(["default", "file"])), max_size=3),
            "quality": st.none()
            | st.builds(Quality, texts, st.lists(st.builds(Comparison, texts, texts, numbers, numbers, numbers, numbers), max_size=2), texts),
            "artifact": st.none()
            | st.builds(
                Artifact,
                key=texts,
                format=texts,
                sha256=st.dictionaries(texts, texts, max_size=2),
                bytes=st.dictionaries(texts, st.integers(0, 2**40), max_size=2),
                parameters=st.integers(0, 2**40),
                ops=st.dictionaries(texts, numbers, max_size=2),
                weight_bytes=st.dictionaries(texts, st.integers(0, 2**40), max_size=2),
                weights=texts,
                weights_note=texts,
                toolchain=texts,
            ),
        },
    )
)
def test_whatever_a_record_holds_comes_back(replaced: dict[str, Any]) -> None:
    record = make_record(**SMALL, **replaced)
    with tempfile.TemporaryDirectory() as folder:
        assert read(Store(Path(folder)).add(record)) == record


def test_a_read_that_failed_stays_missing_and_does_not_become_a_number(tmp_path: Path) -> None:
    record = make_record(**SMALL, missed=0.5)
    assert any(value is None for row in record.telemetry[0].rows for value in row)
    assert read(Store(tmp_path).add(record)).telemetry == record.telemetry
    holes = msgspec.structs.replace(record.telemetry[0], rows=[[math.nan for _ in row] for row in record.telemetry[0].rows])
    again = read(Store(tmp_path).add(msgspec.structs.replace(record, telemetry=[holes], run_id="b")))
    assert all(value is None for row in again.telemetry[0].rows for value in row)


# --- what is broken ----------------------------------------------------------------------------------------------------------------

GOOD = gzip.compress(document())
BROKEN = {
    "empty": b"",
    "no gzip": b"garbage" * 9,
    "truncated": GOOD[: len(GOOD) // 2],
    "only a header": GOOD[:10],
    "a flipped bit in the middle": GOOD[: len(GOOD) // 2] + bytes([GOOD[len(GOOD) // 2] ^ 0x10]) + GOOD[len(GOOD) // 2 + 1 :],
    "a wrong checksum": GOOD[:-8] + bytes(8),
    "no block type of deflate": GOOD[:10] + b"\xff" * 40,
    "other JSON": gzip.compress(b'{"hello": [1, 2, 3]}'),
    "a list": gzip.compress(b"[]"),
    "no JSON": gzip.compress(b"{'schema': 1}"),
    "nothing": gzip.compress(b""),
    "no text": gzip.compress(b'{"schema": 1, "run_id": "\xff\xfe"}'),
    "no end of brackets": gzip.compress(b'{"schema": 1, "environment": ' + b"[" * 200_000),
    "an unknown field": gzip.compress(document(colour="red")),
    "a missing field": gzip.compress(msgspec.json.encode({"schema": SCHEMA})),
    "a wrong type": gzip.compress(document(spans=[{"stage": "steady", "phase": 7, "begin_ns": [], "end_ns": []}])),
    "an unknown status": gzip.compress(document(status="splendid")),
    "a schema that is no number": gzip.compress(document(schema="1")),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_file_that_is_no_record_is_named_and_the_error_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = packed(tmp_path, content)
    with pytest.raises(RecordError) as caught:
        read(path)
    assert str(path) in caught.value.what
    assert "delete or restore this file" in caught.value.fix


def test_no_flipped_byte_is_read_as_another_record(tmp_path: Path) -> None:
    same = 0
    for at in range(0, len(GOOD), len(GOOD) // 80):
        path = packed(tmp_path, GOOD[:at] + bytes([GOOD[at] ^ 1 << at % 8]) + GOOD[at + 1 :])
        with contextlib.suppress(RecordError):
            assert msgspec.json.encode(read(path)) == document()
            same += 1
    assert same <= 2, "only a few bytes of gzip's header have no influence and are under no checksum"


def test_a_record_of_a_newer_socbench_says_so(tmp_path: Path) -> None:
    path = packed(tmp_path, gzip.compress(document(schema=SCHEMA + 1, colour="red")))
    with pytest.raises(RecordError, match=f"schema {SCHEMA + 1}.*up to {SCHEMA}") as caught:
        read(path)
    assert str(path) in caught.value.what
    assert "upgrade" in caught.value.fix


def test_a_plain_json_file_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(document())
    assert read(path) == make_record(**SMALL)


# --- harness.load ------------------------------------------------------------------------------------------------------------------


def test_load_takes_a_folder_or_a_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    late, early = make_record(**SMALL, run_id="b"), make_record(**SMALL, run_id="a", begun_at="2026-11-21T08:00:00Z")
    path = store.add(late)
    store.add(early)
    assert harness.load(tmp_path) == [early, late]
    assert harness.load(str(path)) == [late]


def test_load_refuses_a_place_without_records(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match="no records") as caught:
            harness.load(place)
        assert str(place) in caught.value.what
        assert "socbench bench" in caught.value.fix


def test_load_names_the_one_broken_file(tmp_path: Path) -> None:
    Store(tmp_path).add(make_record(**SMALL))
    broken = packed(tmp_path, b"garbage")
    with pytest.raises(RecordError, match=broken.name):
        harness.load(tmp_path)


# --- writing -----------------------------------------------------------------------------------------------------------------------


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.rename", "pathlib.Path.write_bytes"])
def test_a_full_disk_leaves_everything_as_it_was_and_says_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    store = Store(tmp_path)
    store.add(make_record(**SMALL))
    before = everything(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(where, full)
    with pytest.raises(StoreError, match="No space left") as caught:
        store.add(make_record(**SMALL, run_id="another"))
    monkeypatch.undo()
    assert "another" in caught.value.what
    assert "--resume" in caught.value.fix
    assert everything(tmp_path) == before, "no half file, no temporary file"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file" / "results"
    blocked.parent.write_text("a regular file")
    for store in (Store(blocked), Store(tmp_path / "file")):
        with pytest.raises(StoreError, match="cannot be written") as caught, store.writing():
            pytest.fail("the block must not be entered")
        assert "--results" in caught.value.fix
        with pytest.raises(StoreError, match="cannot be written"):
            store.add(make_record(**SMALL))


def test_a_disk_that_is_full_at_the_start_is_named_and_nothing_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(StoreError, match="No space left"), Store(tmp_path).writing():
        pytest.fail("the block must not be entered")


HOLDER = """
import sys
from pathlib import Path
from harness.store import Store
with Store(Path(sys.argv[1])).writing():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_only_one_process_writes_and_the_other_is_told_who_does(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=rf"process {holder.pid}\)") as caught, Store(tmp_path).writing():
            pytest.fail("the block must not be entered")
        assert "wait" in caught.value.fix
        holder.kill()
    with Store(tmp_path).writing(), pytest.raises(StoreError, match=f"process {os.getpid()}"), Store(tmp_path).writing():
        pytest.fail("a dead process holds nothing, a living one does")


# --- campaigns and cells -----------------------------------------------------------------------------------------------------------


def test_the_newest_plan_is_the_one_to_go_on_with(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.last_plan("host") is None
    plans = [CampaignPlan(f"2026112{day}T080000Z-aa", "2026-11-20T08:00:00Z", {"seconds": "3"}, ["a", "b"]) for day in (2, 1)]
    for plan in plans:
        store.add_plan("host", plan)
    assert store.last_plan("host") == plans[0]
    assert store.last_plan("another") is None


def test_a_broken_plan_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_plan("host", CampaignPlan("20261122T080000Z-aa", "2026-11-22T08:00:00Z", {}, []))
    path = next((tmp_path / "runs" / "host").glob("*.plan.json"))
    path.write_text(json.dumps({"campaign": 7}))
    with pytest.raises(RecordError, match=path.name) as caught:
        store.last_plan("host")
    assert "--resume" in caught.value.fix


def test_newest_keeps_one_record_a_cell_and_the_order_of_the_cells() -> None:
    def one(run_id: str, begun_at: str, **replaced: Any) -> RunRecord:
        return make_record(**SMALL, run_id=run_id, begun_at=begun_at, **replaced)

    records = [
        one("new", "2026-11-22T10:00:00Z"),
        one("int8", "2026-11-22T08:30:00Z", precision="int8"),
        one("old", "2026-11-22T08:00:00Z"),
        one("two threads", "2026-11-22T07:00:00Z", threads=2),
        one("batch", "2026-11-22T11:00:00Z", batch=8, scenario="offline"),
    ]
    assert [record.run_id for record in newest(records)] == ["two threads", "new", "int8", "batch"]
    assert newest([]) == []


@pytest.mark.parametrize(
    "replaced",
    [{"target": "b"}, {"workload": "b"}, {"runtime": "b"}, {"precision": "int8"}, {"scenario": "offline"}, {"threads": 2}, {"batch": 2}],
)
def test_every_part_of_the_identity_makes_another_cell(replaced: dict[str, Any]) -> None:
    records = [make_record(**SMALL), make_record(**SMALL, **replaced)]
    assert records[0].identity() != records[1].identity()
    assert len(newest(records)) == 2

"""The table of workloads: what they are called and how much there is to compute."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import spec
from harness.decide import workloads
from harness.errors import RecordError

SHIPPED = spec.home() / "results" / "evidence"
HEAD = ",".join(workloads.COLUMNS)


def table(folder: Path, *rows: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / workloads.NAME).write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
    return folder


def test_the_zoos_workloads_go_by_the_zoos_ids() -> None:
    works = workloads.read([SHIPPED])
    names = ("yolox_s", "whisper_tiny_e2e", "llama_3_2_1b", "resnet50", "yolov8n")
    assert [workloads.canonical(name, works) for name in names] == ["yolox-s", "whisper-tiny", "llama-3.2-1b", "resnet50", "yolov8n"]


def test_a_name_nobody_knows_stays_itself() -> None:
    assert workloads.canonical("no-such-network") == "no-such-network"


def test_every_shipped_number_names_its_source() -> None:
    works = workloads.read([SHIPPED]).values()
    assert len(works) > 100
    assert [one.id for one in works if (one.gmac or one.params) and not one.source] == []
    assert [one.id for one in works if not one.gmac and not one.params and not one.note] == []


def test_no_name_stands_for_two_workloads() -> None:
    names = [name for one in workloads.read([SHIPPED]).values() for name in one.published_as]
    assert len(names) == len(set(names))


def test_the_shipped_multiply_adds_agree_with_the_zoos_own() -> None:
    works = workloads.read([SHIPPED])
    for name in ("resnet50", "yolov8n", "yolox-s"):
        stated = spec.Zoo().workload(name).published
        assert stated
        assert works[name].gmac == pytest.approx(stated.macs / 1e9)


def test_a_users_row_replaces_the_shipped_one(tmp_path: Path) -> None:
    mine = table(tmp_path / "mine", "resnet50,resnet50,classifier,classify,4.2,,1x3x224x224,counted here,,")
    assert workloads.read([SHIPPED, mine])["resnet50"].gmac == 4.2


def test_a_folder_without_the_table_adds_nothing(tmp_path: Path) -> None:
    assert workloads.read([tmp_path]) == {}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("x,x,yolo,detect,fast,,,a page,,", "gmac = 'fast'"),
        ("x,x,yolo,detect,-1,,,a page,,", "gmac = '-1'"),
        ("x,x,yolo,detect,nan,,,a page,,", "gmac = 'nan'"),
        ("x,x,cnn,detect,1,,,a page,,", "family = 'cnn'"),
        ("x,x,yolo,detect,1,,,,,", "source is empty"),
        (",x,yolo,detect,1,,,a page,,", "workload is empty"),
    ],
)
def test_a_row_that_cannot_be_one_is_refused_with_its_line(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(RecordError, match=r"workloads\.csv:2") as caught:
        workloads.read([table(tmp_path / "bad", row)])
    assert said in caught.value.what
    assert caught.value.fix

"""Which silicon a machine is: by its device tree and /sys/devices/soc0, not by the name somebody gave it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.decide.measured import soc_of
from harness.errors import UsageError
from harness.measure.recognise import recognise
from harness.spec import Zoo
from tests import board_families
from tests.board_families import BOARDS, HALF
from tests.board_trees import LAPTOP, host
from tests.facts import SHIPPED
from tests.records import make_record

if TYPE_CHECKING:
    from collections.abc import Callable

plant = board_families.plant
ZOO = Zoo()
WANTED = ("rk3588", "rk3576", "jetson", "qcs6490", "imx", "ascend")


def shown(*compatible: str, gib: float = 0.0, **soc0: str) -> dict[str, Any]:
    """What a board's half says of it; `gib`: the memory that its kernel has, which is less than what is fitted."""
    memory = {"memory_bytes": round(gib * 2**30)} if gib else {}
    return {**memory, "compatible": list(compatible), "model": "A board", "soc0": soc0, "machine": " ".join(compatible), "module": "A board"}


@pytest.mark.parametrize(
    ("target", "board", "title"),
    [
        ("rk3588", shown("radxa,rock-5b", "rockchip,rk3588"), "RK3588"),
        ("rk3588", shown("turing,rk1", "rockchip,rk3588"), "RK3588"),
        ("rk3588", shown("firefly,itx-3588j", "firefly,core-3588j", "rockchip,rk3588"), "RK3588J"),
        ("rk3588", shown("xunlong,orangepi-5", "rockchip,rk3588s"), "RK3588S (an RK3588 with fewer pins)"),
        ("rk3576", shown("radxa,rock-4d-spi", "rockchip,rk3576"), "RK3576"),
        ("jetson", shown("nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"), "Jetson Orin NX 16GB"),
        ("jetson", shown("nvidia,p3509-0000+p3767-0001", "nvidia,tegra234"), "Jetson Orin NX 8GB"),
        ("jetson", shown("nvidia,p3768-0000+p3767-0005-super", "nvidia,p3767-0005", "nvidia,tegra234"), "Jetson Orin Nano 8GB"),
        (
            "jetson",
            shown("nvidia,p3768-0000+p3767-0003", "nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0003", "nvidia,p3767-0005", "nvidia,tegra234"),
            "Jetson Orin Nano 8GB",
        ),
        ("jetson", shown("nvidia,p3768-0000+p3767-0004", "nvidia,p3767-0004", "nvidia,tegra234"), "Jetson Orin Nano 4GB"),
        ("jetson", shown("nvidia,p3737-0000+p3701-0004", "nvidia,p3701-0004", "nvidia,tegra234"), "Jetson AGX Orin 32GB"),
        ("jetson", shown("nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"), "Jetson AGX Orin 64GB"),
        (
            "jetson",
            shown("nvidia,p3737-0000+p3701-0000", "nvidia,p3701-0000", "nvidia,tegra234", gib=29.9),
            "Jetson AGX Orin developer kit with 32 GB (the chip of the Jetson AGX Orin 64GB)",
        ),
        (
            "jetson",
            shown("nvidia,p3737-0000+p3701-0000", "nvidia,p3701-0000", "nvidia,tegra234", gib=61.3),
            "Jetson AGX Orin 64GB (under the device tree of p3701-0000)",
        ),
        ("jetson", shown("nvidia,p3737-0000+p3701-0008", "nvidia,p3701-0008", "nvidia,tegra234"), "Jetson AGX Orin Industrial 64GB"),
        ("jetson", shown("nvidia,p3737-0000+p3701-0000-as-p3767-0000", "nvidia,tegra234"), "Jetson Orin NX 16GB"),
        ("jetson", shown("nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"), "Jetson AGX Thor T5000"),
        ("jetson", shown("nvidia,p4071-0000+p3834-0000", "nvidia,p3834-0000", "nvidia,tegra264"), "Jetson Thor T4000"),
        ("jetson", shown("nvidia,p2822-0000+p2888-0008", "nvidia,tegra194", gib=30.9), "Jetson AGX Xavier Industrial 32GB"),
        ("jetson", shown("nvidia,p2822-0000+p2888-0006", "nvidia,tegra194", gib=7.6), "Jetson AGX Xavier 8GB"),
        ("jetson", shown("nvidia,p2822-0000+p2888-0001", "nvidia,tegra194", gib=15.3), "Jetson AGX Xavier 16GB"),
        ("jetson", shown("nvidia,p2822-0000+p2888-0001", "nvidia,tegra194", gib=31.2), "Jetson AGX Xavier 32GB"),
        ("jetson", shown("nvidia,p2972-0000", "nvidia,tegra194", gib=31.2), "Jetson AGX Xavier 32GB"),
        ("jetson", shown("nvidia,p2822-0000+p2888-0005", "nvidia,tegra194", gib=62.0), "Jetson AGX Xavier 64GB"),
        ("jetson", shown("nvidia,p3509-0000+p3668-0000", "nvidia,p3668-0000", "nvidia,tegra194", gib=6.7), "Jetson Xavier NX 8GB"),
        ("jetson", shown("nvidia,p3509-0000+p3668-0001", "nvidia,p3668-0001", "nvidia,tegra194", gib=14.6), "Jetson Xavier NX 16GB"),
        ("qcs6490", shown("qcom,qcs6490-rb3gen2", "qcom,qcm6490"), "QCS6490"),
        ("qcs6490", shown("radxa,dragon-q6a", "qcom,qcm6490", machine="QCS6490", soc_id="498"), "QCS6490"),
        ("qcs6490", shown("qcom,qcm6490-addons-idp", "qcom,sc7280", soc_id="497"), "QCM6490 (a QCS6490 with a modem)"),
        ("imx", shown("fsl,imx8mp-evk", "fsl,imx8mp"), "i.MX 8M Plus"),
        ("imx", shown("someone,board", soc_id="i.MX93"), "i.MX 93"),
        ("imx", shown("fsl,imx95-19x19-evk", "fsl,imx95"), "i.MX 95"),
        ("ascend", shown(soc_id="Ascend310B4"), "Ascend 310B (Atlas 200I DK A2 8T)"),
        ("ascend", shown(soc_id="Ascend310B1"), "Ascend 310B (Atlas 200I A2 20T)"),
    ],
)
def test_a_module_is_known_by_what_the_machine_shows(target: str, board: dict[str, Any], title: str) -> None:
    module = recognise(ZOO, target, board)
    assert module
    assert module.title == title


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_of_the_fixtures_is_recognised_from_its_files_by_its_own_target_only(board: str, plant: Callable[..., str]) -> None:
    family, tree = BOARDS[board]
    seen = HALF[family].probe(plant(tree))
    fits = []
    for target in WANTED:
        try:
            assert recognise(ZOO, target, seen)
            fits.append(target)
        except UsageError as error:
            assert error.fix  # noqa: PT017 - which of the targets raises is what is tested
    assert len(fits) == 1
    assert ZOO.target(fits[0]).board == family


def test_a_machine_of_another_target_is_named_with_the_target_that_fits() -> None:
    with pytest.raises(UsageError) as caught:
        recognise(ZOO, "rk3588", {**shown("radxa,rock-4d-spi", "rockchip,rk3576"), "model": "Radxa ROCK 4D"})
    seen = "device tree radxa,rock-4d-spi, rockchip,rk3576; model Radxa ROCK 4D"
    assert caught.value.what == f"this machine is RK3576 (target rk3576), not rk3588: {seen}"
    assert "--target rk3576" in caught.value.fix


@pytest.mark.parametrize(("address", "fix"), [("", "rk3588 --host USER@BOARD; the CPU of this"), ("me@b", "socbench bench host --host me@b;")])
def test_a_machine_of_no_target_is_told_how_to_measure_it_where_it_is(address: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        recognise(ZOO, "rk3588", shown("acme,thing"), address)
    assert fix in caught.value.fix


def test_an_unknown_machine_says_what_it_showed_and_which_file_to_extend() -> None:
    with pytest.raises(UsageError) as caught:
        recognise(ZOO, "jetson", shown("nvidia,p3767-0099", "nvidia,tegra234", soc_id="35"))
    assert "nvidia,p3767-0099, nvidia,tegra234" in caught.value.what
    assert "soc_id 35" in caught.value.what
    assert "jetson.toml" in caught.value.fix
    assert "socbench bench host" in caught.value.fix


@pytest.mark.parametrize("gib", [0.0, 11.0, 20.0])
def test_a_machine_whose_memory_does_not_say_which_of_several_it_is_is_taken_for_none(gib: float) -> None:
    with pytest.raises(UsageError) as caught:
        recognise(ZOO, "jetson", shown("nvidia,p3737-0000+p3701-0000", "nvidia,tegra234", gib=gib))
    assert "none of the machines that the target jetson knows: device tree nvidia,p3737-0000+p3701-0000" in caught.value.what
    assert caught.value.what.endswith(f"; memory {gib:.1f} GiB" if gib else "; model A board")
    assert "known with 32 or 64 GiB: undo what cuts its memory" in caught.value.fix


def test_a_pc_is_no_board(plant: Callable[..., str]) -> None:
    with pytest.raises(UsageError) as caught:
        recognise(ZOO, "imx", host.probe(plant(LAPTOP)))
    assert "it has neither a device tree nor /sys/devices/soc0 (LENOVO 20L7CTO1WW)" in caught.value.what


@pytest.mark.parametrize("board", [{}, shown(), shown("rockchip,rk3588")])
def test_a_target_without_modules_takes_any_machine(board: dict[str, Any]) -> None:
    assert recognise(ZOO, "host", board) is None


def test_the_first_module_that_matches_counts_and_another_packs_broken_target_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets/broken.toml").write_text("title = ")
    text = Path(ZOO.target_files["imx"]).read_text().partition("[modules")[0].replace("NXP i.MX", "Twins")
    twins = '[modules.{}]\ntitle = "{}"\ncompatible = ["acme,{}*"]\n'
    (tmp_path / "targets/twins.toml").write_text(text + twins.format("one", "One", "twin") + twins.format("two", "Two", "twin-two") + "[runtimes]\n")
    zoo = Zoo([tmp_path])
    found = recognise(zoo, "twins", shown("acme,twin-two"))
    assert found
    assert found.title == "One"
    with pytest.raises(UsageError, match="this machine is One"):
        recognise(zoo, "rk3588", shown("acme,twin-one"))


def test_measurements_of_every_module_reach_a_column_of_the_catalogue() -> None:
    """Xaviers have a column of their own: nothing is published of them there."""
    found = {}
    for target in WANTED:
        for name, module in ZOO.target(target).modules.items():
            soc = soc_of(make_record(module=module.title, n=4, warmup=1, pipeline=1), SHIPPED)
            assert (soc.role.value == "host") == ("xavier" in name), (target, name)
            found[name] = soc.name
    assert found["rk3588j"] == "RK3588J"
    assert found["rk3588s"] == "RK3588"
    assert found["agx-orin-64gb"] == found["agx-orin-kit-32gb"] == "Jetson AGX Orin 64GB"
    assert found["agx-orin-industrial"] == "Jetson AGX Orin Industrial 64GB"
    assert found["qcm6490"] == "QCS6490"
    assert found["ascend-310b-8t"] == "Ascend 310B (Atlas 200I DK A2 8T)"
    assert found["imx8mp"] == "i.MX 8M Plus"


@pytest.mark.parametrize("target", WANTED)
def test_a_board_runs_what_a_host_runs(target: str) -> None:
    assert ZOO.target(target).runtimes == ZOO.target("host").runtimes

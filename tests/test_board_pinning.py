"""Clocks as [pin] asks: set, read back, put back to the byte; and what is said where that cannot be done."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.spec import Zoo
from tests import board_families
from tests.board_families import BOARDS, DEVFREQ, DRAGON_Q6A, FAMILIES, HALF, IMX8MP, ROCK_4D, ROCK_5B, contents, cpus, engine, write
from tests.board_trees import CPUS, Tree, without

if TYPE_CHECKING:
    from collections.abc import Callable

plant = board_families.plant
rockchip = HALF["rockchip"]
TARGETS = {"rockchip": "rk3588", "jetson": "jetson", "qualcomm": "qcs6490", "nxp": "imx", "ascend": "ascend"}


def asked(family: str) -> dict[str, Any]:
    return Zoo().target(TARGETS[family]).pin


def said(pinned: dict[str, Any]) -> str:
    return "\n".join(f"{one['what']} -> {one['fix']}" for one in pinned["problems"])


def forbid(monkeypatch: pytest.MonkeyPatch, code: int, *only: str) -> None:
    """Have the kernel refuse to write, as it refuses a user; `only` to files whose path ends so."""
    really = os.open

    def refusing(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_WRONLY and str(path).endswith(only or ("",)):
            raise OSError(code, os.strerror(code), str(path))
        return really(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refusing)


# ---------------------------------------------------------------------------------------------------- what is set


def test_an_rk3588_runs_at_the_top_of_every_clock_that_its_target_names(plant: Callable[..., str]) -> None:
    root = plant(ROCK_5B)
    pinned = rockchip.pin(asked("rockchip"), root)
    assert pinned["problems"] == []
    assert pinned["requested"] == {
        **{f"policy{number}": {"governor": "performance"} for number in (0, 4, 6)},
        "gpu": {"clock_hz": 1_000_000_000},
        "npu": {"clock_hz": 1_000_000_000},
        "dram": {"clock_hz": 2_112_000_000},
    }
    assert {site: one["governor"] for site, one in pinned["achieved"].items() if site[0] == "p"} == dict.fromkeys(
        ("policy0", "policy4", "policy6"), "performance"
    )
    assert pinned["achieved"]["dram"] == {"governor": "userspace", "clock_hz": 2_112_000_000, "max_hz": 2_112_000_000, "min_hz": 528_000_000}
    state = rockchip.state(root)
    assert state["devfreq_hz"] == {"npu": 1_000_000_000, "gpu": 1_000_000_000, "dram": 2_112_000_000}
    assert state["devfreq_governors"]["npu"] == "userspace"
    assert state["dram_hz"] == 2_112_000_000


def test_a_kernel_without_the_governor_userspace_uses_performance(plant: Callable[..., str]) -> None:
    root = plant(ROCK_4D)
    pinned = rockchip.pin({"npu": {"clock": "max"}}, root)
    assert Path(root, DEVFREQ, "27700000.npu/governor").read_text() == "performance"
    assert pinned["achieved"]["npu"]["clock_hz"] == 950_000_000
    assert pinned["problems"] == []


def test_a_clock_between_the_ends_is_made_by_the_limits_where_nobody_may_set_it(plant: Callable[..., str]) -> None:
    root = plant(ROCK_4D)
    rockchip.pin({"npu": {"clock": 900_000_000}}, root)
    folder = Path(root, DEVFREQ, "27700000.npu")
    assert [(folder / name).read_text() for name in ("governor", "min_freq", "max_freq")] == ["simple_ondemand\n", "900000000", "900000000"]


def test_each_policy_can_have_a_clock_of_its_own(plant: Callable[..., str]) -> None:
    root = plant(ROCK_5B)
    pinned = rockchip.pin({"cpu": {"clock": {"policy0": 1_416_000_000, "policy6": "max", "policy9": "min"}}}, root)
    limits = {number: (one["min_hz"], one["max_hz"]) for number, one in pinned["achieved"].items()}
    assert limits == {
        "policy0": (1_416_000_000, 1_416_000_000),
        "policy4": (408_000_000, 2_256_000_000),
        "policy6": (2_304_000_000, 2_304_000_000),
    }
    assert "no cpufreq policy policy9" in said(pinned)


def test_the_governor_userspace_is_told_its_clock(plant: Callable[..., str]) -> None:
    root = plant(IMX8MP)
    pinned = HALF["nxp"].pin({"cpu": {"governor": "userspace", "clock": 1_500_000_000}}, root)
    assert pinned["problems"] == []
    assert pinned["achieved"]["policy0"]["clock_hz"] == 1_500_000_000
    assert pinned["achieved"]["policy0"]["min_hz"] == 1_200_000_000


def test_a_node_that_has_no_kind_is_named(plant: Callable[..., str]) -> None:
    pinned = HALF["qualcomm"].pin({"devfreq": {"1d84000.ufshc": {"governor": "performance"}, "gone": {"clock": "max"}}}, plant(DRAGON_Q6A))
    assert pinned["achieved"]["1d84000.ufshc"]["governor"] == "performance"
    assert "no devfreq node gone" in said(pinned)


def test_nothing_is_changed_that_was_not_asked_for(plant: Callable[..., str]) -> None:
    for family, tree in BOARDS.values():
        root = plant(tree)
        before = contents(root)
        pinned = HALF[family].pin({}, root)
        assert (pinned["requested"], pinned["achieved"], pinned["problems"]) == ({}, {}, [])
        assert "nothing is asked for" in pinned["note"]
        assert contents(root) == before
    root = plant(ROCK_5B)
    before = contents(root)
    rockchip.pin({"npu": {"governor": "powersave"}}, root)
    changed = {name for name, content in contents(root).items() if content != before[name]}
    assert changed == {f"{DEVFREQ}/fdab0000.npu/governor"}


# ---------------------------------------------------------------------------------------------------- what cannot be set


def test_without_root_the_run_goes_on_unpinned_and_one_problem_says_so(plant: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant(ROCK_5B)
    before = contents(root)
    for code in (errno.EACCES, errno.EPERM, errno.EROFS):
        with monkeypatch.context() as patched:
            forbid(patched, code)
            pinned = rockchip.pin(asked("rockchip"), root)
        (problem,) = pinned["problems"]
        assert "unpinned" in problem["what"]
        assert all(site in problem["what"] for site in ("policy0", "policy4", "policy6", "npu", "gpu", "dram"))
        assert "root@BOARD" in problem["fix"]
        assert "sudo tee /sys/devices/system/cpu/cpufreq/policy0/scaling_governor" in problem["fix"]
        assert pinned["achieved"]["policy0"]["governor"] == "ondemand"
    assert contents(root) == before


def test_what_is_already_so_needs_no_root(plant: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant(ROCK_4D)
    forbid(monkeypatch, errno.EACCES)
    assert rockchip.pin({"cpu": {"governor": "performance"}}, root)["problems"] == []


def test_a_governor_that_the_kernel_does_not_offer_is_named_with_those_it_does(plant: Callable[..., str]) -> None:
    root = plant(ROCK_5B)
    pinned = rockchip.pin({"npu": {"governor": "turbo"}}, root)
    assert "its governor is rknpu_ondemand, not turbo" in said(pinned)
    assert "it offers rknpu_ondemand, dmc_ondemand" in said(pinned)
    assert Path(root, DEVFREQ, "fdab0000.npu/governor").read_text() == "rknpu_ondemand\n"


def test_a_clock_that_is_cut_down_is_a_problem_with_both_clocks(plant: Callable[..., str]) -> None:
    hot = {f"{DEVFREQ}/fdab0000.npu/max_freq": "600000000\n", f"{DEVFREQ}/fdab0000.npu/cur_freq": "600000000\n"}
    root = plant(without(ROCK_5B, "fdab0000.npu/cur_freq", "fdab0000.npu/max_freq"), **hot)
    pinned = rockchip.pin({"npu": {"clock": "max"}}, root)
    assert "its clock is 600 MHz, asked for were 1000 MHz: its limit is 600 MHz (heat, or the power mode)" in said(pinned)
    assert pinned["requested"]["npu"]["clock_hz"] == 1_000_000_000
    assert pinned["achieved"]["npu"]["clock_hz"] == 600_000_000


def test_a_knob_that_refuses_is_a_problem_with_the_kernels_reason(plant: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant(ROCK_5B)
    forbid(monkeypatch, errno.EINVAL, "fdab0000.npu/userspace/set_freq")
    pinned = rockchip.pin({"npu": {"clock": "max"}, "dram": {"clock": "max"}}, root)
    assert "set_freq refused 1000000000: Invalid argument" in said(pinned)
    assert len(pinned["problems"]) == 1


def test_what_a_board_does_not_have_is_a_problem(plant: Callable[..., str]) -> None:
    pinned = HALF["ascend"].pin({"cpu": {"governor": "performance"}, "dram": {"clock": "max"}}, plant({}))
    assert "no cpufreq policy" in said(pinned)
    assert "no devfreq node of the DRAM" in said(pinned)


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"gouvernor": "performance"}, "'gouvernor'"),
        ({"cpu": {"governer": "x"}}, "'governer'"),
        ({"cpu": "performance"}, "must be a table"),
        ({"cpu": {"governor": 7}}, "must be a name"),
        ({"npu": {"clock": "fast"}}, '"max", "min" or Hz'),
        ({"npu": {"clock": True}}, '"max", "min" or Hz'),
        ({"npu": {"clock": {"policy0": 5}}}, '"max", "min" or Hz'),
        ({"cpu": {"clock": {"policy0": -5}}}, '"max", "min" or Hz'),
        ({"devfreq": {"dmc": {"speed": 1}}}, "devfreq.dmc has no key 'speed'"),
        ({"power_mode": "MAXN"}, "'power_mode'"),
    ],
)
def test_a_pin_that_is_not_understood_is_refused_before_anything_is_set(wanted: dict[str, Any], word: str, plant: Callable[..., str]) -> None:
    root = plant(ROCK_5B)
    before = contents(root)
    for act in (rockchip.pin, lambda wanted, root: rockchip.snapshot(root, wanted)):
        with pytest.raises(ValueError, match=r"\[pin\]") as caught:
            act({"dram": {"clock": "max"}, **wanted}, root)
        assert word in str(caught.value)
    assert contents(root) == before


# ---------------------------------------------------------------------------------------------------- what is put back


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("told", [True, False], ids=["told what is wanted", "not told"])
def test_a_board_is_given_back_to_the_byte_also_by_a_process_that_only_has_the_file(board: str, told: bool, plant: Callable[..., str]) -> None:
    family, tree = BOARDS[board]
    half, root = HALF[family], plant(tree)
    before = contents(root)
    wanted = {**asked(family), "cpu": {"governor": "userspace", "clock": "max"}, "gpu": {"clock": "min"}}
    kept = json.dumps(half.snapshot(root, wanted) if told else half.snapshot(root))
    half.pin(wanted, root)
    assert (contents(root) == before) is (board == "atlas")
    done = board_families.load(family).restore(json.loads(kept), root)
    assert done["failed"] == []
    assert contents(root) == before
    assert half.restore(json.loads(kept), root) == {"restored": [], "failed": []}


def test_what_was_not_pinned_is_left_to_whoever_changes_it_meanwhile(plant: Callable[..., str]) -> None:
    root = plant(ROCK_5B)
    wanted = {"npu": {"clock": "max"}}
    kept = rockchip.snapshot(root, wanted)
    rockchip.pin(wanted, root)
    cooled = Path(root, CPUS, "cpufreq/policy0/scaling_max_freq")
    cooled.write_text("1200000\n")
    assert rockchip.restore(kept, root)["restored"] == ["fdab0000.npu"]
    assert cooled.read_text() == "1200000\n"


def test_a_reboot_has_put_the_clocks_back_already(plant: Callable[..., str]) -> None:
    root = plant(ROCK_5B)
    kept = rockchip.snapshot(root)
    rockchip.pin(asked("rockchip"), root)
    after = contents(root)
    assert rockchip.restore(kept, root, rebooted=True) == {"restored": [], "failed": []}
    assert contents(root) == after


def test_a_device_that_is_gone_is_no_failure(plant: Callable[..., str]) -> None:
    root = plant(ROCK_5B)
    kept = rockchip.snapshot(root)
    rockchip.pin(asked("rockchip"), root)
    for path in sorted(Path(root, DEVFREQ, "dmc").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    done = rockchip.restore(kept, root)
    assert done["failed"] == []
    assert "fdab0000.npu" in done["restored"]
    assert list(Path(root, DEVFREQ, "dmc").iterdir()) == []


def test_what_cannot_be_put_back_is_told_with_the_command_that_does_it(plant: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant(ROCK_5B)
    kept = rockchip.snapshot(root)
    rockchip.pin(asked("rockchip"), root)
    forbid(monkeypatch, errno.EIO, "dmc/governor")
    done = rockchip.restore(kept, root)
    assert done["failed"] == [
        {"what": f"/{DEVFREQ}/dmc/governor is not dmc_ondemand again", "fix": f"echo dmc_ondemand | sudo tee /{DEVFREQ}/dmc/governor"}
    ]
    assert "fdab0000.npu" in done["restored"]


@pytest.mark.parametrize(("least", "most"), [(1_200_000, 1_800_000), (1_200_000, 1_500_000), (1_500_000, 1_800_000)])
@pytest.mark.parametrize("clock", ["max", "min"])
def test_a_limit_that_is_in_the_way_of_the_other_is_moved_first(
    least: int, most: int, clock: str, plant: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel does, refuse a lowest clock above the highest, and the other way round."""
    folder = f"{CPUS}/cpufreq/policy0"
    root = plant(IMX8MP, **{f"{folder}/scaling_min_freq": f"{least}\n", f"{folder}/scaling_max_freq": f"{most}\n"})
    before = contents(root)
    limits = {name: Path(root, folder, name).read_text() for name in ("scaling_min_freq", "scaling_max_freq")}
    really = os.write

    def strict(handle: int, data: bytes) -> int:
        name = Path(f"/proc/self/fd/{handle}").readlink().name
        low, high = (int(data if name == one else limits[one]) for one in limits)
        if name in limits and low > high:
            really(handle, limits[name].encode())  # opening has emptied the file, which a kernel's does not do
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if name in limits:
            limits[name] = data.decode()
        return really(handle, data)

    monkeypatch.setattr(os, "write", strict)
    nxp, wanted = HALF["nxp"], {"cpu": {"clock": clock}}
    kept = nxp.snapshot(root, wanted)
    assert nxp.pin(wanted, root)["problems"] == []
    assert nxp.restore(kept, root)["failed"] == []
    assert contents(root) == before


def test_a_clock_that_userspace_had_set_is_set_again_after_the_governor_is_back(plant: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does, refuse a speed under any other governor."""
    root = plant(IMX8MP)
    before = contents(root)
    folder = Path(root, DEVFREQ, "3d400000.ddrc")
    really = os.open

    def strict(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_WRONLY and str(path).endswith("set_freq") and (folder / "governor").read_text().strip() != "userspace":
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
        return really(path, flags, *more, **named)

    wanted = {"dram": {"governor": "performance"}}
    kept = HALF["nxp"].snapshot(root, wanted)
    HALF["nxp"].pin(wanted, root)
    (folder / "userspace/set_freq").write_text("2000000000\n")
    monkeypatch.setattr(os, "open", strict)
    assert HALF["nxp"].restore(kept, root) == {"restored": ["3d400000.ddrc"], "failed": []}
    assert contents(root) == before


GOVERNORS = st.sampled_from(["ondemand", "performance", "powersave", "userspace", "schedutil", "odd one"])
CLOCKS = st.lists(st.integers(100, 3000), min_size=1, max_size=6, unique=True).map(sorted)
TABLES = st.fixed_dictionaries({}, optional={"governor": GOVERNORS, "clock": st.sampled_from(["max", "min", 800_000_000])})


@st.composite
def machines(draw: st.DrawFn) -> Tree:
    tree: Tree = {}
    for number in draw(st.sets(st.integers(0, 8), max_size=3)):
        clocks = draw(CLOCKS)
        tree |= cpus(number, str(number), clocks[0] * 1000, clocks[-1] * 1000, draw(GOVERNORS))
    for name in draw(st.sets(st.sampled_from(["a.npu", "b.gpu", "dmc", "x.ddrc", "ufs"]), max_size=4)):
        tree |= engine(name, draw(CLOCKS), " ".join(draw(st.sets(GOVERNORS))), draw(GOVERNORS))
    gone = draw(st.sets(st.sampled_from(sorted(tree) or ["none"]), max_size=3))
    return {name: content for name, content in tree.items() if name not in gone}


@given(machines(), st.dictionaries(st.sampled_from(["cpu", "gpu", "npu", "dram"]), TABLES), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_machine_is_given_back_to_the_byte(tree: Tree, wanted: dict[str, Any], told: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = write(Path(folder), tree)
        before = contents(root)
        kept = rockchip.snapshot(root, wanted) if told else rockchip.snapshot(root)
        with patch("time.sleep"):  # these machines never settle
            pinned = rockchip.pin(wanted, root)
        assert all(one["what"] and one["fix"] for one in pinned["problems"])
        assert rockchip.restore(kept, root)["failed"] == []
        assert contents(root) == before


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_target_asks_for_is_understood_by_its_half(family: str, plant: Callable[..., str]) -> None:
    target = Zoo().target(TARGETS[family])
    for pins in [target.pin, *({**target.pin, **module.pin} for module in target.modules.values())]:
        HALF[family].pin(pins, plant({}))

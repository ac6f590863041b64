"""Power modes and clocks of a Jetson: nvpmodel and jetson_clocks, obeyed, checked and undone; stand-ins print what the real ones print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import board_families
from tests.board_families import HALF, TEGRA, contents
from tests.board_trees import without
from tests.test_board_pinning import said

if TYPE_CHECKING:
    from collections.abc import Callable

plant = board_families.plant

jetson = HALF["jetson"]


def test_jetson_clocks_holds_everything_at_the_top_of_the_power_mode(plant: Callable[..., str]) -> None:
    root = plant(TEGRA)
    loose = jetson.state(root)
    assert loose["power_mode"] == {"id": 2, "name": "15W"}
    assert loose["dram_hz"] == 2_133_000_000
    pinned = jetson.pin({"jetson_clocks": True}, root)
    assert pinned["problems"] == []
    assert pinned["requested"] == {"jetson_clocks": True}
    assert pinned["achieved"]["policy0"]["min_hz"] == 1_984_000_000
    assert pinned["achieved"]["gpu"]["min_hz"] == 918_000_000
    assert pinned["achieved"]["dram"] == {"clock_hz": 3_199_000_000, "max_hz": 3_199_000_000}
    assert pinned["achieved"]["power_mode"] == {"id": 2, "name": "15W"}
    assert jetson.state(root)["dram_hz"] == 3_199_000_000
    assert (loose["devfreq_governors"]["dram"], jetson.state(root)["devfreq_governors"]["dram"]) == ("bpmp", "userspace")


def test_clocks_that_jetson_clocks_does_not_hold_are_named(plant: Callable[..., str]) -> None:
    weak = TEGRA["usr/bin/jetson_clocks"].replace("'')", "'') exit 0;")
    pinned = jetson.pin({"jetson_clocks": True}, plant(TEGRA, **{"usr/bin/jetson_clocks": weak}))
    assert "policy0 may go down to 115.2 MHz" in said(pinned)
    assert "dram runs at 2133 MHz of 3199 MHz" in said(pinned)


@pytest.mark.parametrize("mode", [0, "MAXN"])
def test_a_power_mode_is_set_by_name_or_number_and_restored_even_after_a_reboot(mode: Any, plant: Callable[..., str]) -> None:
    root = plant(TEGRA)
    kept = jetson.snapshot(root, {"power_mode": mode})
    pinned = jetson.pin({"power_mode": mode}, root)
    assert pinned["problems"] == []
    assert pinned["achieved"]["power_mode"] == {"id": 0, "name": "MAXN"}
    assert jetson.restore(kept, root, rebooted=True) == {"restored": ["power mode 15W"], "failed": []}
    assert jetson.state(root)["power_mode"]["name"] == "15W"


def test_a_power_mode_that_cannot_be_asked_is_not_taken_for_restored(plant: Callable[..., str]) -> None:
    root = plant(TEGRA)
    kept = jetson.snapshot(root, {"power_mode": "MAXN"})
    jetson.pin({"power_mode": "MAXN"}, root)
    program = Path(root, "usr/sbin/nvpmodel")
    works = program.read_text()
    program.write_text("#!/bin/sh\necho out of order\nexit 1\n")
    (failed,) = jetson.restore(kept, root)["failed"]
    assert "the power mode is not set: out of order" in failed["what"]
    program.write_text(works)
    assert jetson.restore(kept, root)["restored"][0] == "power mode 15W"


def test_a_power_mode_that_wants_a_reboot_is_refused_and_never_answered_yes(plant: Callable[..., str]) -> None:
    root = plant(TEGRA)
    pinned = jetson.pin({"power_mode": "25W"}, root)
    assert "the power mode stays 15W: a change to 25W needs a reboot" in said(pinned)
    assert "sudo nvpmodel -m 3" in said(pinned)
    assert not Path(root, "rebooting").exists()
    assert pinned["achieved"]["power_mode"]["name"] == "15W"


def test_a_power_mode_that_the_module_lacks_is_answered_with_those_it_has(plant: Callable[..., str]) -> None:
    assert "MAXN (0), 10W (1), 15W (2), 25W (3)" in said(jetson.pin({"power_mode": "MAXN_SUPER"}, plant(TEGRA)))


def test_without_root_a_jetson_runs_on_unpinned_and_keeps_its_mode(plant: Callable[..., str]) -> None:
    root = plant(TEGRA, locked="")
    before = contents(root)
    kept = jetson.snapshot(root)
    assert kept["clocks"] is None
    pinned = jetson.pin({"jetson_clocks": True, "power_mode": "MAXN"}, root)
    assert "unpinned" in said(pinned)
    assert "wants root" in said(pinned)
    assert "the power mode stays 15W" in said(pinned)
    assert jetson.restore(kept, root) == {"restored": [], "failed": []}
    assert contents(root) == before


def test_a_jetson_without_its_programs_says_so(plant: Callable[..., str]) -> None:
    root = plant(without(TEGRA, "usr/"))
    pinned = jetson.pin({"jetson_clocks": True, "power_mode": 0}, root)
    assert "there is no jetson_clocks" in said(pinned)
    assert "there is no nvpmodel" in said(pinned)
    assert "power_mode" not in jetson.state(root)


@pytest.mark.parametrize("wanted", [{"power_mode": True}, {"power_mode": 1.5}, {"jetson_clocks": "on"}, {"jetson_clock": True}])
def test_a_jetsons_keys_are_checked_too(wanted: dict[str, Any], plant: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match=r"\[pin\]"):
        jetson.pin(wanted, plant(TEGRA))


def test_what_nvpmodel_prints_is_read_with_its_warnings() -> None:
    parse = board_families.sys_module("jetpack").parse_mode
    assert parse("NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_30W\n2\n") == {"id": 2, "name": "MODE_30W"}
    assert parse("NVPM VERB: Current mode: NV Power Mode: 25W\n1\nNVPM VERB: PARAM\n") == {"id": 1, "name": "25W"}
    assert parse("NVPM ERROR: Error opening /var/lib/nvpmodel/status: 13\n") is None
    assert parse("") is None

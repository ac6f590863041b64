"""Rules about what was measured: this very part, all of it, and only it."""

from __future__ import annotations

from harness.decide.rules._case import BOTH, ESTIMATE, RANK, Case, rule

UNNAMED = 0.25
"""sd of the logarithm where the part behind a figure is known only by its family"""
HOSTED = ("Hailo-8", "Hailo-8L", "Hailo-10H")
"""accelerators that need a host processor"""
SIBLINGS = (
    "BCM2711 (Raspberry Pi 4)", "DRIVE Orin-X", "ESP32-P4", "Genio 510/700", "Hailo-15H", "Hailo-8L", "Jetson Xavier NX", "QCM6690", "QCS8450",
    "RK3562", "RK3566/RK3568", "RK3588 or RK3576", "SA8295P", "SA8775P", "STM32L4", "STM32MP2", "STM32U3", "STM32U5", "Snapdragon 8 Elite",
    "Snapdragon 8 Elite Gen 5", "Snapdragon 8 Gen 3", "Snapdragon X Elite",
)  # fmt: skip
"""names in published.csv that are deliberately no entry of the catalogue"""


@rule("proxy", sigma=UNNAMED)
def proxy(case: Case) -> bool:
    """A device marked "(Proxy)" on Qualcomm AI Hub is a chip of the same family standing in for the named one."""
    return "(proxy)" in case.figure.board.lower()


@rule("sibling", bars=RANK, sigma=UNNAMED)
def sibling(case: Case) -> bool:
    """A part that is no entry of the catalogue (a phone, an automotive part, an older or smaller chip) says how things scale; it is not ranked."""
    known = case.scene.modules
    return case.notes(r"\bsibling\b") or (bool(known) and case.figure.soc not in known)


@rule("unnamed-board", sigma=UNNAMED)
def unnamed_board(case: Case) -> bool:
    """Without a board nobody can say which memory, clocks and cooling the part had."""
    return not case.figure.board


@rule("unstated-module", sigma=UNNAMED)
def unstated_module(case: Case) -> bool:
    """Several modules are published under one name and the source does not say which it was; "(32 GB)" in a system name is its memory, no module.

    Where one of them is the plain part (RK3588 beside RK3588J), a figure that names no variant is of that one.
    """
    figure = case.figure
    variants = case.scene.modules.get(figure.soc, ())
    named = figure.variant or any(one.lower() in figure.board.lower() for one in variants)  # "" is the plain part and in every board
    return len(variants) > 1 and not named


@rule("other-module", sigma=UNNAMED)
def other_module(case: Case) -> bool:
    """The source names a module or die of this family that is no entry of the catalogue."""
    figure = case.figure
    variants = case.scene.modules.get(figure.soc, ())
    return bool(figure.variant and variants) and not any(one.lower() in figure.variant.lower() for one in variants)


@rule("inferred-part", sigma=UNNAMED)
def inferred_part(case: Case) -> bool:
    """The source does not name the part: it was concluded from a board, from the size of the models, or from a remark."""
    return case.notes(r"SoC inferred|assumed from model sizes|stated identical to|mislabels the SoC|host taken to be|does not say which SoC")


@rule("card-sum", bars=BOTH)
def card_sum(case: Case) -> bool:
    """The figure is the sum over the chips of a card, not what one chip does."""
    return case.notes(r"310\*4|chips on the card") or "chips on" in case.figure.variant


@rule("engine-sum", bars=ESTIMATE)
def engine_sum(case: Case) -> bool:
    """The figure is the sum of both DLA cores, without the GPU beside them."""
    return case.notes(r"both DLA cores together")


@rule("accelerator-only")
def accelerator_only(case: Case) -> bool:
    """The accelerator needs a host that is not in the figure: neither its time nor its power."""
    return case.figure.soc in HOSTED or case.notes(r"accelerator only, host")


@rule("accelerator-power", bars=RANK)
def accelerator_power(case: Case) -> bool:
    """The power is that of the accelerator alone; the product also has a host."""
    return case.of("power", "energy") and case.said("power") == "accelerator"


@rule("mcu-supply-only")
def mcu_supply_only(case: Case) -> bool:
    """MLPerf Tiny measures the supply of the microcontroller; regulators, memory and the rest of the board are left out."""
    return case.of("power", "energy") and case.notes(r"MCU supply")


@rule("wall-power")
def wall_power(case: Case) -> bool:
    """The power is that of the whole system at the wall: more than the module takes, and not to be set beside a rail."""
    return case.of("power", "energy") and (case.notes(r"wall power") or case.said("power") == "peak_wall")


@rule("unstated-power-point", bars=RANK)
def unstated_power_point(case: Case) -> bool:
    """A power without the place it was measured at can be a rail, a board or the wall."""
    return case.of("power", "energy") and (case.said("power") == "unstated_point" or case.notes(r"measurement point not stated"))


@rule("no-inference", bars=BOTH)
def no_inference(case: Case) -> bool:
    """Idle and stress power of a board, and memory copies, are figures of no inference."""
    return case.said("state") in ("idle", "stress") or case.of("memcpy")

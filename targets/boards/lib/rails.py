"""Texas Instruments INA power monitors: rails of a board, found by driver and label, never by number.

INA3221 (kernel.org Documentation/hwmon/ina3221.rst): three channels of bus voltage [mV] and current [mA], and no power file, so P = V x I. Files in4
to in7 and curr4 are shunt voltages and their sum: no rails. The converter has steps of 8 mV at the bus and 40 uV at the shunt (data sheet SBOS576).
INA2xx: the chip multiplies; the step of its power register is 20 (INA219, INA220) or 25 (INA226, INA230, INA231) times that of its current register,
which is 10 or 2.5 uV over the shunt (the tables of the kernel's driver ina2xx).
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from socbench_kernel import hardware_monitors
from socbench_sensors import METER, Panel, new_channel
from socbench_sysfs import File, entries, numbered, parse_number, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

BUS_STEP_V, SHUNT_STEP_V = 8e-3, 40e-6
POWER_STEPS = {"ina219": 20 * 10e-6, "ina220": 20 * 10e-6, "ina226": 25 * 2.5e-6, "ina230": 25 * 2.5e-6, "ina231": 25 * 2.5e-6}
"""Driver -> volts which divided by the shunt [ohm] are the step of power1_input [W]."""


def ohms(path: Path) -> float | None:
    """A shunt resistance, of a file that counts microohms."""
    value = parse_number(read_text(path))
    return value / 1e6 if value and value > 0 else None


def power_step(driver: str, monitor: Path) -> float | None:
    """The smallest step [W] of an INA2xx's power1_input, where chip and shunt are known."""
    shunt = ohms(monitor / "shunt_resistor")
    return POWER_STEPS[driver] / shunt if shunt and driver in POWER_STEPS else None


def _channels(base: Path) -> Iterator[tuple[str, str, Path, Path, Path]]:
    """(label or "", site, voltage, current, shunt) of every INA3221 channel, of hwmon and of the iio driver of JetPack 4."""
    for site, driver, monitor in hardware_monitors(base):
        if driver == "ina3221":
            for at in "123":
                label = read_text(monitor / f"in{at}_label") or ""
                yield label, f"{site}/ch{at}", monitor / f"in{at}_input", monitor / f"curr{at}_input", monitor / f"shunt{at}_resistor"
    for device in entries(base, "sys/bus/i2c/drivers/ina3221x/*/iio:device*"):
        for at in "012":
            label = read_text(device / f"rail_name_{at}") or ""
            yield label, f"{device.parent.name}/ch{int(at) + 1}", device / f"in_voltage{at}_input", device / f"in_current{at}_input", device / "-"


def _watts(voltage: str | None, current: str | None) -> float | None:
    watts: float | None = None
    millivolts, milliamperes = parse_number(voltage), parse_number(current)
    if millivolts is not None and milliamperes is not None:
        watts = millivolts * milliamperes / 1e6
    return watts


def add_rails(panel: Panel, scopes: Mapping[str, str]) -> None:
    """The power of every INA3221 channel. `scopes`: what a label covers; all others are a "rail" of something."""
    found = [one for one in _channels(panel.base) if one[0] != "NC"]
    for site, (label, place, volts, amperes, shunt) in zip(numbered([label or place for label, place, *_ in found]), found):
        if not label and not volts.exists() and not amperes.exists():
            continue  # not wired, and the driver says so by showing no file
        try:
            pair = panel.open(volts), panel.open(amperes)
        except OSError as error:
            off = error.errno == errno.ENODATA
            reason = f"{place} is switched off (by its inN_enable, or in the device tree)" if off else f"{panel.kernel_path(volts)}: {error.strerror}"
            panel.miss("power", site, reason, METER if off else f"see why: cat {panel.kernel_path(volts)} {panel.kernel_path(amperes)}")
            continue
        first = _watts(pair[0].text(), pair[1].text())
        if first is None:
            for file in pair:
                file.close()
            panel.miss("power", site, f"{place} does not hold a reading", f"see what it holds: cat {panel.kernel_path(volts)}")
            continue
        panel.add([new_channel(site, "power", "W", scopes.get(label, "rail"), quantum=_step(pair, ohms(shunt)))], _Pair(pair))


class _Pair:
    """Voltage times current, both read in one row."""

    def __init__(self, pair: tuple[File, File]) -> None:
        self._pair = pair

    def __call__(self) -> Sequence[float | None]:
        return (_watts(self._pair[0].text(), self._pair[1].text()),)


def _step(pair: tuple[File, File], shunt: float | None) -> float | None:
    """The step of V x I [W] at the present working point: V dI + I dV, where the shunt [ohm] is known."""
    millivolts, milliamperes = (parse_number(file.text()) for file in pair)
    if shunt is None or millivolts is None or milliamperes is None:
        return None
    step: float = abs(millivolts) / 1e3 * SHUNT_STEP_V / shunt + abs(milliamperes) / 1e3 * BUS_STEP_V
    return step

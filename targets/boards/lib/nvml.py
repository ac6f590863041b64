"""NVIDIA cards, asked through NVIDIA's management library (NVML API Reference Guide, docs.nvidia.com/deploy/nvml-api)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from socbench_kernel import asleep
from socbench_sensors import METER, Panel, new_channel
from socbench_sysfs import entries

if TYPE_CHECKING:
    from collections.abc import Sequence

QUESTIONS: tuple[tuple[str, str, tuple[Any, ...], float], ...] = (
    # kind, unit, (function, whether the answer is 64 bits wide, arguments before the answer), factor to the unit
    ("power", "W", ("nvmlDeviceGetPowerUsage", False), 1e-3),
    ("energy", "J", ("nvmlDeviceGetTotalEnergyConsumption", True), 1e-3),
    ("temperature", "°C", ("nvmlDeviceGetTemperature", False, 0), 1.0),
    ("frequency", "Hz", ("nvmlDeviceGetClockInfo", False, 1), 1e6),
)


class _Nvml:
    """NVIDIA's management library, as far as it is asked here. OSError, ImportError or AttributeError where it is of no use."""

    def __init__(self, library: str | None) -> None:
        import ctypes  # here: small systems have no ctypes, and need none

        if library is None:
            raise OSError("not asked for")
        self._ctypes = ctypes
        self._library = ctypes.CDLL(library)
        self._open = False
        code = self._library.nvmlInit_v2()
        if code:
            raise OSError(f"nvmlInit_v2 answers {code}")
        self._open = True

    def devices(self) -> list[Any]:
        """The handles, in the order of PCI addresses."""
        found: list[Any] = []
        device = self._ctypes.c_void_p()
        while len(found) < 64 and not self._library.nvmlDeviceGetHandleByIndex_v2(len(found), self._ctypes.byref(device)):
            found.append(device)
            device = self._ctypes.c_void_p()
        return found

    def ask(self, device: Any, name: str, wide: bool, *extra: int) -> float | None:
        """One number; None where the card cannot tell, or is lost, or after `close`."""
        question = getattr(self._library, name, None)
        answer = self._ctypes.c_ulonglong() if wide else self._ctypes.c_uint()
        if not self._open or question is None or question(device, *extra, self._ctypes.byref(answer)):
            return None
        return float(answer.value)

    def close(self) -> None:
        """From now on nothing is asked."""
        if self._open:
            self._open = False
            self._library.nvmlShutdown()


def add_nvidia(panel: Panel, library: str | None) -> None:
    """Power, energy, temperature and clock of NVIDIA cards, as far as they tell them."""
    cards = entries(panel.base, "sys/bus/pci/drivers/nvidia/*:*")
    if cards and all(map(asleep, cards)):
        fix = f"echo on | sudo tee {panel.kernel_path(cards[0])}/power/control"
        panel.miss("power", "nvidia", "the GPU sleeps; reading would wake it", fix)
        return
    try:
        nvml = _Nvml(library)
    except (ImportError, OSError, AttributeError) as error:
        if (panel.base / "proc/driver/nvidia").exists():
            fix = "install libnvidia-ml.so.1 of the same version as the driver; check: nvidia-smi"
            panel.miss("power", "nvidia", f"NVIDIA's management library: {error}", fix)
        return
    panel.at_close(nvml.close)
    for index, device in enumerate(nvml.devices()):
        site = f"nvidia-gpu{index}"
        told = False
        for kind, unit, question, factor in QUESTIONS:

            def reader(asked: tuple[Any, ...] = (device, *question), factor: float = factor) -> Sequence[float | None]:
                value = nvml.ask(*asked)
                return (None if value is None else value * factor,)

            if reader() != (None,):
                panel.add([new_channel(site, kind, unit, "card")], reader)
                told = told or kind in ("power", "energy")
        if not told:
            panel.miss("power", site, "this GPU does not tell its power", METER)

"""Power monitors on the machine's stand-in for an I2C bus: the kernel's own drivers read them, the tests set the registers that they read.

Registers are words of which the chip sends the high byte first. Steps: INA3221 8 mV and 40 uV, in bits 15..3 (data sheet SBOS576); INA226 1.25 mV and
2.5 uV (SBOS547), and a current and a power in steps that the driver ina2xx chooses by the shunt: at its default of 10 mOhm 0.25 mA and 6.25 mW.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.vm.machine import Machine

Registers = list[tuple[int, int, int]]
"""Address of a chip, number of a register, value."""
INA226, INA3221 = 0x40, 0x41
SHUNT_MOHM = 10
"""What both drivers take where no device tree says it."""
POKE = """
import ctypes, fcntl, json, sys

class Data(ctypes.Union):
    _fields_ = [("word", ctypes.c_uint16), ("block", ctypes.c_uint8 * 34)]

class Call(ctypes.Structure):  # i2c_smbus_ioctl_data of <linux/i2c-dev.h>
    _fields_ = [("read", ctypes.c_uint8), ("register", ctypes.c_uint8), ("size", ctypes.c_uint32), ("data", ctypes.POINTER(Data))]

with open(sys.argv[1], "rb+", buffering=0) as bus:
    for address, register, value in json.loads(sys.argv[2]):
        fcntl.ioctl(bus, 0x0706, address)  # I2C_SLAVE_FORCE: a driver has it
        data = Data(word=(value & 0xFF) << 8 | value >> 8)
        fcntl.ioctl(bus, 0x0720, Call(0, register, 3, ctypes.pointer(data)))  # I2C_SMBUS, a word
"""


def ina3221(channel: int, millivolts: int, milliamperes: int) -> Registers:
    """What a channel measures: multiples of 8 mV and of 4 mA. With it the chip says that it is ready (bit 0 of register 15)."""
    shunt = milliamperes * SHUNT_MOHM // 40 << 3
    return [(INA3221, 2 * channel, millivolts // 8 << 3), (INA3221, 2 * channel - 1, shunt), (INA3221, 0x0F, 1)]


def ina226(millivolts: int, milliamperes: int) -> Registers:
    """What it measures: multiples of 5 mV and of 25 mA, whose product is one of 6.25 mW."""
    shunt, current, power = milliamperes * SHUNT_MOHM * 2 // 5, milliamperes * 4, millivolts * milliamperes // 6250
    return [(INA226, 2, millivolts * 4 // 5), (INA226, 1, shunt), (INA226, 4, current), (INA226, 3, power)]


class Chips:
    """An INA3221 and an INA226."""

    def __init__(self, vm: Machine) -> None:
        self.vm = vm
        self.bus = vm.run("cd /sys/bus/i2c/devices; grep -l 'SMBus stub driver' */name").stdout.partition("/")[0]

    def poke(self, *registers: Registers) -> None:
        """Set registers."""
        self.vm.python(POKE, f"/dev/{self.bus}", json.dumps([one for some in registers for one in some]))

    def bind(self, *registers: Registers) -> None:
        """Have the drivers find both, all three channels of the INA3221 switched on."""
        self.poke([(INA3221, 0, 0x7127), (INA3221, 0xFE, 0x5449), (INA3221, 0xFF, 0x3220)])
        made = [f"echo {name} {address:#x} > new_device" for name, address in (("ina226", INA226), ("ina3221", INA3221))]
        self.vm.run(f"cd /sys/bus/i2c/devices/{self.bus} && {' && '.join(made)}")
        self.poke(*registers)  # now, because a driver resets its chip

    def unbind(self, *addresses: int, check: bool = True) -> None:
        """Take chips away, as if they fell off the board."""
        self.vm.run("; ".join(f"echo {address:#x} > {self.removal}" for address in addresses), check=check)

    @property
    def removal(self) -> str:
        """The file that takes away the chip whose address is written to it."""
        return f"/sys/bus/i2c/devices/{self.bus}/delete_device"

    def attribute(self, driver: str, name: str) -> str:
        """The shell's words for a file of a driver's hwmon folder, whose number is another at each boot."""
        return f"$(dirname $(grep -lx {driver} /sys/class/hwmon/*/name))/{name}"

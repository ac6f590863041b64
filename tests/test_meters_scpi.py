"""SCPI instruments: simulated by pyvisa-sim, and on a raw socket through PyVISA-py."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.measure.meters import open_meter
from harness.measure.meters.scpi import _resource
from tests.lab import until
from tests.meter_fakes import Ramp, Scpi, joules, refusal

if TYPE_CHECKING:
    from harness.record import Telemetry

SIM = """\
spec: "1.1"
devices:
  supply:
    eom:
      TCPIP INSTR: {{q: "\\n", r: "\\n"}}
      USB INSTR: {{q: "\\n", r: "\\n"}}
    error: "ERROR"
    dialogues:
      - {{q: "*CLS"}}
{dialogues}
resources:
  TCPIP0::10.0.0.5::INSTR: {{device: supply}}
  USB0::0x1AB1::0x0E11::DP8C000001::INSTR: {{device: supply}}
"""


def simulated(folder: Path, **answers: str) -> str:
    """The backend option of an instrument that answers like that; the name of a query is its key with _ for a blank, in capitals, and a ?."""
    known = {"*IDN": "RIGOL TECHNOLOGIES,DP832,DP8C000001,00.01.14", **answers}
    lines = [f'      - {{q: "{query.replace("__", ":").replace("_", " ")}?", r: "{answer}"}}' for query, answer in known.items()]
    path = folder / "bench.yaml"
    path.write_text(SIM.format(dialogues="\n".join(lines)))
    return f"backend={path}@sim"


def read(url: str, reads: int = 3) -> tuple[Any, Telemetry]:
    """The channel, and what is sampled until there are some rows."""
    with open_meter(url) as meter:
        meter.begin()
        until(lambda: len(meter._session.rows) >= reads, "the meter reads")  # type: ignore[attr-defined]
        return meter.channels[0], meter.end()


@pytest.mark.parametrize("resource", ["10.0.0.5", "TCPIP0::10.0.0.5::INSTR", "USB0::0x1AB1::0x0E11::DP8C000001::INSTR"])
def test_an_instrument_is_found_by_host_or_by_its_resource(tmp_path: Path, resource: str) -> None:
    channel, found = read(f"scpi://{resource}?hertz=50&{simulated(tmp_path, MEAS__POW='12.5')}")
    assert (channel.site, channel.scope) == ("DP832-DP8C000001", "board")
    assert found.instrument == "scpi:DP832-DP8C000001"
    assert {row[0] for row in found.rows} == {12.5}


def test_volts_times_amperes_where_no_power_is_known(tmp_path: Path) -> None:
    _, found = read(f"scpi://10.0.0.5?timeout=20&hertz=50&{simulated(tmp_path, MEAS__VOLT='5.02', MEAS__CURR='0.5')}")
    assert found.rows[0] == [pytest.approx(2.51)]


def test_an_instrument_is_asked_as_often_as_it_can_answer(tmp_path: Path) -> None:
    with open_meter(f"scpi://10.0.0.5?{simulated(tmp_path, MEAS__POW='1')}") as meter:
        assert meter.hertz in (10.0, 2.0)  # by how quick this machine is
    slow = threading.Event()
    with Scpi({"MEAS:POW?": lambda: "1" if slow.wait(0.1) else "2"}) as server, open_meter(f"scpi://{server.host}?timeout=20") as meter:
        assert meter.hertz == 2.0


def test_the_queries_can_be_named(tmp_path: Path) -> None:
    backend = simulated(tmp_path, MEAS__POW="1.0", FETC__POW="2.0")
    assert read(f"scpi://10.0.0.5?hertz=50&power=FETC:POW%3F&{backend}")[1].rows[0] == [2.0]
    (tmp_path / "two").mkdir()
    backend = simulated(tmp_path / "two", **{"MEAS__VOLT?_CH2": "5", "MEAS__CURR?_CH2": "3"})
    path = tmp_path / "two" / "bench.yaml"
    path.write_text(path.read_text().replace('CH2?"', 'CH2"'))
    assert read(f"scpi://10.0.0.5?hertz=50&voltage=MEAS:VOLT? CH2&current=MEAS:CURR? CH2&{backend}")[1].rows[0] == [15.0]


@pytest.mark.parametrize("says", ["9.9E37", "9.91E37", "-9.9E37", "OVLD", ""])
def test_what_stands_for_no_number_is_none(tmp_path: Path, says: str) -> None:
    error = refusal(f"scpi://10.0.0.5?timeout=2&power=MEAS:POW?&{simulated(tmp_path, MEAS__POW=says)}")
    assert "MEAS:POW?" in error.what
    assert "name the queries it knows" in error.fix


def test_an_instrument_that_is_not_there_is_an_error() -> None:
    with Scpi({}) as server:
        host = server.host
    error = refusal(f"scpi://{host}?timeout=2")
    assert "Connection refused" in error.what
    assert "switched on" in error.fix


def test_a_power_and_a_voltage_at_once_are_refused(tmp_path: Path) -> None:
    error = refusal(f"scpi://10.0.0.5?power=A?&voltage=B?&{simulated(tmp_path, MEAS__POW='1')}")
    assert "power is one query, or voltage and current" in error.what


def test_a_visa_that_is_not_installed_is_an_error() -> None:
    error = refusal("scpi://10.0.0.5?backend=@nosuch")
    assert "VISA does not start" in error.what


def test_how_a_host_becomes_a_resource() -> None:
    from harness.measure.meters import Address

    assert _resource(Address.parse("scpi://10.0.0.5")) == "TCPIP0::10.0.0.5::INSTR"
    assert _resource(Address.parse("scpi://10.0.0.5:5025?hertz=1")) == "TCPIP0::10.0.0.5::5025::SOCKET"
    assert _resource(Address.parse("scpi://ASRL/dev/ttyUSB0::INSTR")) == "ASRL/dev/ttyUSB0::INSTR"


# --- a raw socket --------------------------------------------------------------------------------------------------------------------


def test_a_known_power_is_integrated_over_a_socket() -> None:
    ramp = Ramp()
    with Scpi({"MEAS:POW?": lambda: f"{ramp():.6f}"}) as server:
        channel, found = read(f"scpi://{server.host}?hertz=50&timeout=20", 8)
    truth = ramp.joules(found.t_ns[0], found.t_ns[-1])
    seconds = (found.t_ns[-1] - found.t_ns[0]) / 1e9
    assert channel.site == "PSU-1-0042"
    assert abs(joules(found) - truth) <= ramp.slope * found.read_error_ns / 1e9 * seconds + 1e-6 * truth


def test_two_instruments_do_not_disturb_one_another() -> None:
    with Scpi({"MEAS:POW?": lambda: "1.0"}) as one, Scpi({"MEAS:POW?": lambda: "2.0"}) as other:
        with open_meter(f"scpi://{one.host}?hertz=50&timeout=20"):
            meter = open_meter(f"scpi://{other.host}?hertz=50&timeout=20")
        with meter:
            meter.begin()
            until(lambda: meter._session.rows, "the meter reads")  # type: ignore[attr-defined]
            assert meter.end().rows[0] == [2.0]


def test_only_queries_are_sent_and_an_unknown_one_is_cleared() -> None:
    with Scpi({"MEAS:VOLT?": lambda: "5.0", "MEAS:CURR?": lambda: "+1.0E-1"}) as server:
        _, found = read(f"scpi://{server.host}?hertz=50&timeout=2")
        heard = set(server.heard)
    assert found.rows[0] == [pytest.approx(0.5)]
    assert heard == {"*IDN?", "MEAS:POW?", "*CLS", "MEAS:VOLT?", "MEAS:CURR?"}


def test_an_instrument_that_goes_away_gives_rows_without_a_value_and_says_why() -> None:
    with Scpi({"MEAS:POW?": lambda: "1.0"}) as server, open_meter(f"scpi://{server.host}?hertz=50&timeout=2") as meter:
        meter.begin()
        rows = meter._session.rows  # type: ignore[attr-defined]
        until(lambda: rows, "a good read")
        server.deaf = True
        server.cut()
        until(lambda: rows[-1] == [None], "a bad read")
        found = meter.end()
    assert found.rows[0] == [1.0]
    (absent,) = found.absent
    assert "no answer to MEAS:POW?" in absent.reason


def test_an_instrument_that_answers_nothing_is_an_error() -> None:
    with Scpi({}) as server:
        del server.answers["*IDN?"]
        assert "no answer to *IDN?" in refusal(f"scpi://{server.host}?timeout=0.3").what

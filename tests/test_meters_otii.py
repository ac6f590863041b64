"""The Otii app's TCP server: a recording a session, its energy by interval, and what happens when the app goes away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.measure.meters import open_meter
from harness.measure.meters._polled import clock
from tests.lab import until
from tests.meter_fakes import Otii, Ramp, Reply, joules, refusal, web

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.measure.meters import Meter
    from harness.record import Telemetry

OPTIONS = "?hertz=50&timeout=20"


def recorded(meter: Meter, seconds: float = 0.3) -> Telemetry:
    """A recording of that length at least."""
    meter.begin()
    until_ns = clock() + seconds * 1e9
    until(lambda: clock() > until_ns, "the recording grows")
    return meter.end()


def test_a_known_power_is_integrated_as_well_as_its_stamps_promise() -> None:
    ramp = Ramp(slope=20.0)
    with Otii(ramp) as server, open_meter(f"otii://{server.host}{OPTIONS}") as meter:
        found = recorded(meter)
    truth = ramp.joules(found.t_ns[0], found.t_ns[-1])
    seconds = (found.t_ns[-1] - found.t_ns[0]) / 1e9
    assert len(found.rows) >= 10
    assert abs(joules(found) - truth) <= ramp.slope * found.clock_error_ns / 1e9 * seconds + 1e-9 * truth
    assert (meter.channels[0].site, meter.channels[0].scope, found.instrument) == ("Bench", "board", "otii:Bench")


def test_a_recording_that_begins_late_shows_in_the_clocks_error() -> None:
    ramp = Ramp(slope=20.0)
    with Otii(ramp, late_ns=50_000_000) as server, open_meter(f"otii://{server.host}{OPTIONS}") as meter:
        found = recorded(meter)
    assert found.clock_error_ns >= 50_000_000
    off = [abs(ramp.at(t) - float(row[0] or 0.0)) / ramp.slope * 1e9 for t, row in zip(found.t_ns, found.rows, strict=True)]
    assert max(off) <= found.clock_error_ns + 1000


def test_the_channels_are_switched_on_and_the_output_is_left_alone() -> None:
    with Otii(Ramp()) as server, open_meter(f"otii://{server.host}{OPTIONS}") as meter:
        recorded(meter, 0.05)
        heard = server.heard
    assert heard.count("arc_enable_channel") == 2
    assert not [one for one in heard if "set_main" in one or "set_all" in one]


def test_one_opened_meter_records_several_sessions() -> None:
    with Otii(Ramp()) as server, open_meter(f"otii://{server.host}{OPTIONS}") as meter:
        first, second = recorded(meter, 0.1), recorded(meter, 0.1)
    assert first.t_ns[-1] < second.t_ns[0]
    assert first.absent == second.absent == []


def test_a_recording_that_nobody_ended_is_ended_with_the_meter() -> None:
    with Otii(Ramp()) as server:
        with open_meter(f"otii://{server.host}{OPTIONS}") as meter:
            meter.begin()
        assert server.heard[-1] == "project_stop_recording"


def test_an_app_that_goes_away_during_a_run_gives_no_rows_and_says_where_the_recording_may_be() -> None:
    with Otii(Ramp()) as server, open_meter(f"otii://{server.host}?timeout=1") as meter:
        meter.begin()
        server.deaf = True
        server.cut()
        found = meter.end()
    assert found.rows == []
    (absent,) = found.absent
    assert "Otii server" in absent.reason
    assert "socbench attach" in absent.fix


def test_an_app_that_ends_while_it_gives_the_recording_leaves_what_came_before() -> None:
    with Otii(Ramp()) as server, open_meter(f"otii://{server.host}{OPTIONS}") as meter:
        server.after_statistics = 3
        found = recorded(meter)
    assert len(found.rows) == 3
    assert "ended the connection" in found.absent[0].reason
    assert found.clock_error_ns > 0


def test_an_app_that_comes_back_is_used_again() -> None:
    with Otii(Ramp()) as server, open_meter(f"otii://{server.host}{OPTIONS}") as meter:
        meter.begin()
        server.cut()
        assert meter.end().absent
        found = recorded(meter, 0.1)
    assert found.absent == []
    assert found.rows


def test_which_device_must_be_said_where_there_are_several() -> None:
    with Otii(Ramp()) as server:
        server.devices.append({"device_id": "Ace0001", "name": "Other", "type": "Ace"})
        server.devices.append({"device_id": "x", "name": "A phone", "type": "Phone"})
        error = refusal(f"otii://{server.host}")
        assert "which device? The app sees Bench, Other" in error.what
        assert error.fix == "give device=Bench"
        for name in ("Other", "Ace0001"):
            with open_meter(f"otii://{server.host}?device={name}") as meter:
                assert meter.channels[0].site == "Other"


def test_an_app_without_a_device_is_an_error() -> None:
    with Otii(Ramp()) as server:
        server.devices.clear()
        assert "the Otii app sees no device" in refusal(f"otii://{server.host}").what


def test_a_refusal_of_the_app_is_told_in_its_words() -> None:
    with Otii(Ramp()) as server:
        server.errors["otii_get_devices"] = {"errorcode": "Not logged in", "data": {"message": "log in first"}}
        error = refusal(f"otii://{server.host}")
    assert "Otii refused otii_get_devices: Not logged in log in first" in error.what
    assert "licence" in error.fix


def test_a_session_that_the_app_refuses_is_absent_and_the_next_one_is_not() -> None:
    with Otii(Ramp()) as server, open_meter(f"otii://{server.host}{OPTIONS}") as meter:
        server.errors["project_start_recording"] = {"errorcode": "No license"}
        assert "No license" in recorded(meter, 0.02).absent[0].reason
        server.errors.clear()
        assert recorded(meter, 0.1).absent == []


def test_another_server_is_not_taken_for_the_app() -> None:
    with web(lambda _target, _headers: Reply({})) as server:
        assert "no answer in time" in refusal(f"otii://{server.host}?timeout=0.3").what
    with Otii(Ramp()) as other:
        other.greeting = {"type": "garbage"}
        assert "no answer in time" in refusal(f"otii://{other.host}?timeout=0.3").what


def test_an_answer_that_came_too_late_is_not_taken_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with Otii(Ramp()) as server, open_meter(f"otii://{server.host}?hertz=50&timeout=0.5") as meter:
        plain: Callable[[str, dict[str, Any]], dict[str, Any] | None] = server.answer

        def slow(command: str, data: dict[str, Any]) -> dict[str, Any] | None:
            if command == "project_start_recording":
                time.sleep(1.0)
            return plain(command, data)

        monkeypatch.setattr(server, "answer", slow)
        meter.begin()
        assert "no answer in time" in meter.end().absent[0].reason
        monkeypatch.setattr(server, "answer", plain)
        assert recorded(meter, 0.1).absent == []


def test_an_app_that_nobody_started_is_an_error_with_what_to_start() -> None:
    with Otii(Ramp()) as server:
        host = server.host
    error = refusal(f"otii://{host}")
    assert "the connection was refused" in error.what
    assert "start the Otii app and its TCP server" in error.fix

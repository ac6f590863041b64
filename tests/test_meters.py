"""The port: URLs, the common options, and what every meter that is asked does when its meter fails."""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import UsageError
from harness.measure.meters import check, need, open_meter, schemes
from harness.measure.meters._polled import clock
from tests.lab import until
from tests.meter_fakes import Ramp, Reply, Web, joules, refusal, sampled, shelly_gen1, shelly_gen2, web

if TYPE_CHECKING:
    from harness.measure.meters import Meter


def plug(server: Web, options: str = "hertz=10&timeout=20") -> Meter:
    return open_meter(f"shelly://{server.host}?{options}")


# --- URLs ----------------------------------------------------------------------------------------------------------------------------


def test_every_kind_of_meter_is_found_by_its_scheme_and_its_example_is_well_formed() -> None:
    assert set(schemes()) == {"shelly", "http+json", "https+json", "scpi", "otii", "joulescope", "mqtt", "csv", "jls"}
    for name, scheme in schemes().items():
        assert check(scheme.example)[1].scheme == name


def test_a_word_without_a_scheme_is_told_how_a_meter_is_named() -> None:
    error = refusal("10.0.0.7")
    assert error.what == "10.0.0.7: not a meter's address"
    assert "shelly://10.0.0.7" in error.fix
    assert all(name in error.fix for name in schemes())


def test_a_scheme_that_is_misspelt_is_answered_with_the_nearest_one() -> None:
    error = refusal("shely://10.0.0.7")
    assert "no meter is of the scheme 'shely'" in error.what
    assert "did you mean shelly://" in error.fix


def test_a_scheme_like_no_other_is_answered_with_all_of_them() -> None:
    assert "schemes: csv, http+json" in refusal("carrier-pigeon://10.0.0.7").fix


def test_an_option_that_is_misspelt_is_answered_with_the_nearest_one() -> None:
    error = refusal("shelly://10.0.0.7?scop=wall")
    assert "no option 'scop'" in error.what
    assert "did you mean scope=...?" in error.fix
    assert "hertz" in error.fix


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("shelly://", "no host"),
        ("shelly://?hertz=1", "no host"),
        ("shelly://:80", "no host"),
        ("shelly://10.0.0.7:http", "'http' is not a port"),
        ("shelly://10.0.0.7:99999", "'99999' is not a port"),
        ("shelly://10.0.0.7?hertz=fast", "hertz=fast is not a number from 0.01 to 10"),
        ("shelly://10.0.0.7?hertz=0", "hertz=0 is not a number"),
        ("shelly://10.0.0.7?timeout=nan", "timeout=nan is not a number"),
        ("shelly://10.0.0.7?channel=1&channel=2", "channel is given 2 times"),
        ("mqtt://10.0.0.9", "nothing is not one topic"),
        ("mqtt://10.0.0.9/tele/#", "tele/# is not one topic"),
        ("http+json://10.0.0.8/x", "which value is the power?"),
        ("http+json://10.0.0.8/x?value=a&current=b", "power is one value, or voltage and current"),
        ("http+json://10.0.0.8/x?value=a&unit=MW", "unit=MW is no unit of W"),
        ("http+json://10.0.0.8/x?voltage=a&current=b&unit=W", "unit=W is no unit of V times A"),
        ("http+json://10.0.0.8/x?value=a&token=NO_SUCH_TOKEN", "the environment variable NO_SUCH_TOKEN is not set"),
    ],
)
def test_a_wrong_url_is_refused_before_anything_is_asked(url: str, what: str) -> None:
    error = refusal(url)
    assert what in error.what
    assert error.fix


def test_a_scope_is_one_of_four() -> None:
    with web(shelly_gen1(lambda: 5.0)) as server:
        error = refusal(f"shelly://{server.host}?scope=die")
        assert "scope=die is none of wall, board, module, rail" in error.what
        with plug(server, "scope=board") as meter:
            assert meter.channels[0].scope == "board"


def test_scope_name_and_rate_can_be_given() -> None:
    with web(shelly_gen1(lambda: 5.0)) as server, plug(server, "scope=board&name=bench-plug&hertz=2") as meter:
        (channel,) = meter.channels
        assert (channel.site, channel.kind, channel.unit, channel.scope) == ("bench-plug", "power", "W", "board")
        assert meter.hertz == 2.0


def test_a_missing_package_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(UsageError, match="the package pyvisa is missing") as caught:
        need("pyvisa", "scpi")
    assert caught.value.fix == "pip install 'socbench[scpi]'"


# --- what is sampled -----------------------------------------------------------------------------------------------------------------


def test_a_known_power_is_integrated_as_well_as_its_stamps_promise() -> None:
    ramp = Ramp()
    with web(shelly_gen2(ramp)) as server, plug(server) as meter:
        found = sampled(meter, server, 8)
    truth = ramp.joules(found.t_ns[0], found.t_ns[-1])
    seconds = (found.t_ns[-1] - found.t_ns[0]) / 1e9
    assert found.read_error_ns > 0
    assert abs(joules(found) - truth) <= ramp.slope * found.read_error_ns / 1e9 * seconds + 1e-9 * truth


def test_every_stamp_is_within_the_stated_error_of_when_its_value_was_true() -> None:
    ramp = Ramp(slope=100.0)
    with web(shelly_gen1(ramp)) as server, plug(server) as meter:
        found = sampled(meter, server, 5)
    off = [abs(ramp.at(t) - float(row[0])) / ramp.slope * 1e9 for t, row in zip(found.t_ns, found.rows, strict=True)]
    assert max(off) <= found.read_error_ns + 1000


def test_stamps_are_of_our_clock_and_lie_between_begin_and_end() -> None:
    with web(shelly_gen1(lambda: 5.0)) as server, plug(server) as meter:
        before = clock()
        found = sampled(meter, server)
        assert before < found.t_ns[0]
        assert found.t_ns[-1] < clock()
    assert found.t_ns == sorted(found.t_ns)
    assert (found.clock_offset_ns, found.clock_error_ns) == (0, 0)
    assert found.instrument == "shelly:SHPLG-S-830001"


def test_one_opened_meter_serves_several_sessions_and_mixes_none_of_them() -> None:
    watts = [1.0]
    with web(shelly_gen1(lambda: watts[0])) as server, plug(server) as meter:
        first = sampled(meter, server)
        watts[0] = 2.0
        second = sampled(meter, server)
    assert {row[0] for row in first.rows} == {1.0}
    assert {row[0] for row in second.rows} == {2.0}
    assert first.t_ns[-1] < second.t_ns[0]


def test_what_nobody_asked_for_is_dropped_when_a_new_session_begins() -> None:
    watts = [1.0]
    with web(shelly_gen1(lambda: watts[0])) as server, plug(server) as meter:
        meter.begin()
        until(lambda: len(server.asked) > 4, "the meter reads")
        meter.begin()
        watts[0] = 2.0
        found = sampled(meter, server)
    assert {row[0] for row in found.rows} == {2.0}


def test_an_end_without_a_begin_is_empty() -> None:
    with web(shelly_gen1(lambda: 5.0)) as server, plug(server) as meter:
        found = meter.end()
        assert (found.t_ns, found.rows, found.absent) == ([], [], [])


def test_no_thread_is_left_behind() -> None:
    with web(shelly_gen1(lambda: 5.0)) as server:
        meter = plug(server)
        meter.begin()
        assert any(one.name.startswith("meter ") for one in threading.enumerate())
        meter.close()
        assert not any(one.name.startswith("meter ") for one in threading.enumerate())


# --- what fails ----------------------------------------------------------------------------------------------------------------------

FAILURES = {
    "500": (Reply({"error": "busy"}, 500), "HTTP 500"),
    "garbage": (Reply(b"\xff\xfe<html>"), "the answer is not JSON"),
    "hangs up": (Reply(hang_up=True), "does not speak HTTP"),
    "silent": (Reply(silent=True), "no answer in time"),
    "trickles": (Reply(trickle=True), "no answer in time"),
    "redirects": (Reply({}, 302, {"Location": "http://elsewhere/login"}), "it sends on to http://elsewhere/login (HTTP 302), which is not followed"),
    "wants a password": (Reply({}, 401, {"WWW-Authenticate": 'Basic realm="x"'}), "it wants a password (HTTP 401)"),
}


def patience(name: str) -> float:
    """Short only where nothing comes before it ends: the machine may be busy."""
    return 0.5 if name in ("silent", "trickles") else 20.0


@pytest.mark.parametrize("name", FAILURES)
def test_a_meter_that_fails_at_the_start_is_an_error_with_its_cause_and_a_fix(name: str) -> None:
    reply, what = FAILURES[name]
    with web(lambda _target, _headers: reply) as server:
        error = refusal(f"shelly://{server.host}?timeout={patience(name)}")
    assert what in error.what


@pytest.mark.parametrize("name", FAILURES)
def test_a_meter_that_fails_during_a_run_gives_rows_without_a_value_and_says_why(name: str) -> None:
    reply, what = FAILURES[name]
    good = shelly_gen1(lambda: 5.0)
    broken = threading.Event()

    with (
        web(lambda target, headers: reply if broken.is_set() else good(target, headers)) as server,
        plug(server, f"hertz=10&timeout={patience(name)}") as meter,
    ):
        meter.begin()
        until(lambda: len(server.asked) >= 5, "good reads")
        broken.set()
        seen = len(server.asked)
        until(lambda: len(server.asked) >= seen + 2, "bad reads")
        found = meter.end()
    assert [5.0] in found.rows
    assert found.rows[-1] == [None]
    (absent,) = found.absent
    assert what in absent.reason
    assert absent.fix
    assert (absent.kind, absent.site) == ("power", meter.channels[0].site)


def test_a_meter_that_comes_back_is_not_absent_and_its_gap_shows() -> None:
    good, broken = shelly_gen1(lambda: 5.0), threading.Event()

    with web(lambda target, headers: Reply({}, 500) if broken.is_set() else good(target, headers)) as server, plug(server) as meter:
        meter.begin()
        broken.set()
        seen = len(server.asked)
        until(lambda: len(server.asked) >= seen + 2, "bad reads")
        broken.clear()
        seen = len(server.asked)
        until(lambda: len(server.asked) >= seen + 2, "good reads")
        found = meter.end()
    assert found.absent == []
    assert [None] in found.rows
    assert found.rows[-1] == [5.0]


def test_a_meter_nobody_answers_for_is_an_error_that_says_where() -> None:
    with web(shelly_gen1(lambda: 5.0)) as server:
        host = server.host
    error = refusal(f"shelly://{host}")
    assert f"{host}: the connection was refused" in error.what
    assert "switched on" in error.fix


def test_a_host_that_no_one_knows_is_an_error() -> None:
    assert "the host's name is not known" in refusal("shelly://no-such-host.invalid").what


def test_a_password_is_neither_in_an_error_nor_in_a_record() -> None:
    with web(lambda _target, _headers: Reply({}, 401, {"WWW-Authenticate": 'Basic realm="x"'})) as server:
        error = refusal(f"shelly://admin:s3cret@{server.host}")
    assert "the user or the password is wrong" in error.what
    assert "s3cret" not in str(error)

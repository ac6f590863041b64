"""Meters that are asked over HTTP: Shelly-type plugs of both generations, and anything that answers with JSON."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import UsageError
from harness.measure.meters import open_meter
from tests.meter_fakes import Reply, refusal, sampled, shelly_gen1, shelly_gen2, web

if TYPE_CHECKING:
    from tests.meter_fakes import Answer


def one_row(answer: Answer, url: str) -> Any:
    """Site, power and targets asked of a meter that is opened at url.format(host) and left to read."""
    with web(answer) as server, open_meter(url.format(server.host)) as meter:
        found = sampled(meter, server, 1)
        return meter.channels[0].site, found.rows[0][0], server.asked


# --- Shelly --------------------------------------------------------------------------------------------------------------------------


def test_a_plug_of_generation_1_is_read_from_its_status() -> None:
    site, watts, asked = one_row(shelly_gen1(lambda: 5.32), "shelly://{}")
    assert (site, watts) == ("SHPLG-S-830001", 5.32)
    assert set(asked) == {"/shelly", "/status"}


@pytest.mark.parametrize("component", ["switch:0", "pm1:0", "em1:0"])
def test_a_device_of_generation_2_is_read_from_the_component_that_measures(component: str) -> None:
    site, watts, asked = one_row(shelly_gen2(lambda: 8.9, component), "shelly://{}")
    assert (site, watts) == ("shellyplusplugs-c049ef8a2f50", 8.9)
    name = {"switch:0": "Switch", "pm1:0": "PM1", "em1:0": "EM1"}[component]
    assert asked[-1] == f"/rpc/{name}.GetStatus?id=0"


def test_a_plug_is_at_the_wall_and_read_once_a_second() -> None:
    with web(shelly_gen2(lambda: 8.9)) as server, open_meter(f"shelly://{server.host}") as meter:
        assert (meter.channels[0].scope, meter.hertz) == ("wall", 1.0)
        assert meter.channels[0].quantum == 0.1


def test_another_channel_of_a_device_can_be_named() -> None:
    assert one_row(shelly_gen2(lambda: 3.0, "switch:1"), "shelly://{}?channel=1")[1] == 3.0


def test_a_channel_that_is_not_there_is_answered_with_those_that_are() -> None:
    with web(shelly_gen2(lambda: 3.0, "switch:1")) as server:
        assert "no channel 0; it measures switch:1" in refusal(f"shelly://{server.host}").what
    with web(shelly_gen1(lambda: 3.0)) as server:
        assert "it has no meter 2" in refusal(f"shelly://{server.host}?channel=2").what


def test_a_device_without_a_meter_is_refused() -> None:
    def answer(target: str, _headers: dict[str, str]) -> Reply:
        return Reply({"id": "shelly1minig3-1", "gen": 3} if target == "/shelly" else {"switch:0": {"id": 0, "output": True}})

    with web(answer) as server:
        assert "does not measure power" in refusal(f"shelly://{server.host}").what


def test_a_reading_that_the_plug_itself_calls_invalid_is_none() -> None:
    answer = shelly_gen1(lambda: 0.0, is_valid=False)
    with web(answer) as server:
        assert "it gives no power" in refusal(f"shelly://{server.host}").what


def test_another_web_server_is_not_taken_for_a_plug() -> None:
    with web(lambda _target, _headers: Reply({"hello": "world"})) as server:
        assert "what answers is not a Shelly" in refusal(f"shelly://{server.host}").what


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_a_password_is_proven_by_digest_and_never_sent(algorithm: str) -> None:
    """RFC 7616; Shelly generation 2 asks for SHA-256 and knows only the user admin."""
    inner, seen = shelly_gen2(lambda: 8.9), list[str]()

    def h(text: str) -> str:
        return hashlib.new(algorithm.replace("-", ""), text.encode()).hexdigest()

    def answer(target: str, headers: dict[str, str]) -> Reply:
        if target == "/shelly":
            return inner(target, headers)
        given = headers.get("authorization", "")
        seen.append(given)
        parts = dict(re.findall(r'(\w+)="?([^",]*)"?', given))
        a1, a2 = h(f"admin:shellyplus:{'s3:cret'}"), h(f"GET:{target}")
        right = h(f"{a1}:60dc59c6:{parts.get('nc')}:{parts.get('cnonce')}:auth:{a2}")
        if parts.get("response") != right or parts.get("uri") != target:
            challenge = f'Digest qop="auth", realm="shellyplus", nonce="60dc59c6", algorithm={algorithm}'
            return Reply({"code": 401}, 401, {"WWW-Authenticate": challenge})
        return inner(target, headers)

    assert one_row(answer, "shelly://:s3%3Acret@{}")[1] == 8.9
    assert not any("s3:cret" in one for one in seen)
    with web(answer) as server:
        assert "the user or the password is wrong (HTTP 401)" in refusal(f"shelly://admin:wrong@{server.host}").what


def test_a_plug_of_generation_1_takes_a_basic_password() -> None:
    inner = shelly_gen1(lambda: 5.0)

    def answer(target: str, headers: dict[str, str]) -> Reply:
        if target != "/shelly" and headers.get("authorization") != "Basic bWU6czNjcmV0":
            return Reply({}, 401, {"WWW-Authenticate": 'Basic realm="shellyplug"'})
        return inner(target, headers)

    assert one_row(answer, "shelly://me:s3cret@{}")[1] == 5.0


# --- JSON ----------------------------------------------------------------------------------------------------------------------------

TASMOTA = {"StatusSNS": {"Time": "2026-11-22T08:00:00", "ENERGY": {"Total": 3.7, "Power": 5, "Factor": 0.61, "Voltage": 233, "Current": 0.021}}}


def gauge(body: Any, options: str) -> Any:
    return one_row(lambda _target, _headers: Reply(body), "http+json://{}" + options)[1]


@pytest.mark.parametrize(
    ("body", "options", "watts"),
    [
        (TASMOTA, "/cm?cmnd=Status%208&value=StatusSNS.ENERGY.Power", 5.0),
        (TASMOTA, "/cm?voltage=StatusSNS.ENERGY.Voltage&current=StatusSNS.ENERGY.Current", 233 * 0.021),
        ({"state": "12.5", "attributes": {"unit_of_measurement": "W"}}, "/api/states/sensor.plug_power?value=state", 12.5),
        ({"channels": [{"p": 1}, {"p": 1500}]}, "/?value=channels.1.p&unit=mW", 1.5),
        ({"a.b": {"c/d": 2}}, "/?value=/a.b/c~1d&unit=kW", 2000.0),
        ({"v": 5000, "i": 300}, "/?voltage=v&current=i&unit=mV*mA", 1.5),
        ({"v": 5, "i": 300}, "/?voltage=v&current=i&unit=mA*V", 1.5),
        ({"p": -2.5}, "/?value=p", -2.5),
    ],
)
def test_any_value_of_a_document_can_be_the_power(body: Any, options: str, watts: float) -> None:
    assert gauge(body, options) == pytest.approx(watts, rel=1e-12)


def test_what_is_not_our_option_is_part_of_the_question() -> None:
    _, _, asked = one_row(lambda _target, _headers: Reply(TASMOTA), "http+json://{}/cm?cmnd=Status%208&value=StatusSNS.ENERGY.Power&hertz=5")
    assert set(asked) == {"/cm?cmnd=Status%208"}


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    with web(lambda _target, _headers: Reply(TASMOTA)) as server:
        error = refusal(f"http+json://{server.host}/?value=StatusSNS.ENERGY.Powr")
    assert "no 'Powr' in StatusSNS.ENERGY, which has: Total, Power, Factor, Voltage, Current" in error.what


@pytest.mark.parametrize("value", ["unavailable", None, True, {"x": 1}, "nan", 1e400])
def test_a_value_that_is_no_number_is_refused_at_the_start(value: Any) -> None:
    body = b'{"state": 1e400}' if value == 1e400 else {"state": value}
    with web(lambda _target, _headers: Reply(body)) as server:
        assert "is not a number" in refusal(f"http+json://{server.host}/?value=state").what


def test_a_value_that_stops_being_a_number_is_none() -> None:
    answers = iter([{"state": "5"}, {"state": "unavailable"}, {"state": "7"}])
    with (
        web(lambda _target, _headers: Reply(next(answers, {"state": "7"}))) as server,
        open_meter(f"http+json://{server.host}/?value=state&hertz=20") as meter,
    ):
        found = sampled(meter, server, 3)
    assert found.rows[:2] == [[None], [7.0]]
    assert found.absent == []


def test_a_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HA_TOKEN", "long-lived")

    def answer(_target: str, headers: dict[str, str]) -> Reply:
        return Reply({"state": "3.5"} if headers.get("authorization") == "Bearer long-lived" else {}, 200 if "authorization" in headers else 401)

    assert one_row(answer, "http+json://{}/api/states/sensor.plug_power?value=state&token=HA_TOKEN")[1] == 3.5


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    with web(lambda _target, _headers: Reply({"p": 1})) as server, pytest.raises(UsageError) as caught:
        open_meter(f"https+json://{server.host}/?value=p&timeout=5")
    assert "the connection failed" in caught.value.what  # plain HTTP where TLS was expected

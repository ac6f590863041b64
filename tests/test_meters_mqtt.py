"""A topic of an MQTT broker: messages are samples, silence is a reason."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from harness.measure.meters import open_meter
from harness.measure.meters._polled import clock
from tests.lab import until
from tests.meter_fakes import HOST, Broker, Ramp, Talker, joules, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.measure.meters import Meter


@contextlib.contextmanager
def publishing(broker: Broker, payload: Callable[[], bytes]) -> Iterator[None]:
    """`payload()` is published over and over, from when somebody listens."""
    stop = threading.Event()

    def publish() -> None:
        broker.subscribed.wait(30)
        while not stop.wait(0.02):
            broker.publish(payload())

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        broker.subscribed.set()
        thread.join()


def tasmota(watts: float) -> bytes:
    return json.dumps({"Time": "2026-11-22T08:00:00", "ENERGY": {"Power": watts, "Voltage": 230, "Current": watts / 230}}).encode()


def received(meter: Any, count: int = 4) -> Any:
    meter.begin()
    until(lambda: len(meter.session[1]) >= count, "messages arrive")
    return meter.end()


def url(broker: Broker, options: str = "?value=ENERGY.Power&hertz=1&timeout=20") -> str:
    return f"mqtt://{broker.host}/{broker.topic}{options}"


def test_a_known_power_is_integrated_from_its_messages() -> None:
    ramp = Ramp(slope=1.0)
    with Broker() as broker, publishing(broker, lambda: tasmota(ramp())), open_meter(url(broker)) as meter:
        found = received(meter, 10)
    late = [(t - ramp.zero_ns) / 1e9 - (float(row[0] or 0.0) - ramp.watts) for t, row in zip(found.t_ns, found.rows, strict=True)]
    seconds = (found.t_ns[-1] - found.t_ns[0]) / 1e9
    assert min(late) >= -1e-6  # a stamp is when the message came, never before it was sent
    assert abs(joules(found) - ramp.joules(found.t_ns[0], found.t_ns[-1])) <= ramp.slope * max(late) * seconds + 1e-6
    assert found.read_error_ns > 0
    assert (meter.channels[0].site, meter.channels[0].scope) == ("tele/plug/SENSOR", "wall")


@pytest.mark.parametrize(
    ("payload", "options", "watts"),
    [
        (b"12.5", "?hertz=1&timeout=20", 12.5),
        (b" 12500 ", "?unit=mW&hertz=1&timeout=20", 12.5),
        (tasmota(23.0), "?voltage=ENERGY.Voltage&current=ENERGY.Current&hertz=1&timeout=20", 23.0),
        (b'{"switch:0": {"apower": 8.9}}', "?value=/switch:0/apower&hertz=1&timeout=20", 8.9),
    ],
)
def test_a_message_is_a_number_or_a_document_with_one(payload: bytes, options: str, watts: float) -> None:
    with Broker() as broker, publishing(broker, lambda: payload), open_meter(url(broker, options)) as meter:
        assert received(meter, 1).rows[0] == [pytest.approx(watts)]


def test_a_retained_message_is_old_and_counts_for_nothing() -> None:
    with Broker(old=tasmota(99.0)) as broker:
        assert "no message on tele/plug/SENSOR for 0.3 s" in refusal(url(broker, "?value=ENERGY.Power&timeout=0.3")).what
        with publishing(broker, lambda: tasmota(5.0)), open_meter(url(broker)) as meter:
            assert {row[0] for row in received(meter).rows} == {5.0}


def test_a_message_that_makes_no_sense_is_none() -> None:
    messages = iter([tasmota(5.0), b"\xff\xfe", b"{}", tasmota(6.0)])
    with Broker() as broker, publishing(broker, lambda: next(messages, tasmota(7.0))), open_meter(url(broker)) as meter:
        found = received(meter, 6)
    values = [row[0] for row in found.rows]
    assert values[-1] == 7.0
    assert None in values
    assert found.absent == []


def test_a_name_that_is_not_in_the_message_is_answered_with_those_that_are() -> None:
    with Broker() as broker, publishing(broker, lambda: tasmota(5.0)):
        error = refusal(url(broker, "?value=ENERGY.Powr&timeout=20"))
        assert "no 'Powr' in ENERGY, which has: Power, Voltage, Current" in error.what
        assert "the message is no number" in refusal(url(broker, "?timeout=20")).what


def test_a_device_that_falls_silent_is_absent() -> None:
    with Broker() as broker:
        with publishing(broker, lambda: tasmota(5.0)):
            meter: Any = open_meter(url(broker, "?value=ENERGY.Power&hertz=20&timeout=20"))
        with meter:
            meter.begin()
            four_periods = clock() + 0.2e9
            until(lambda: clock() > four_periods, "the time passes")
            found = meter.end()
    assert "no message on tele/plug/SENSOR for" in found.absent[0].reason


def test_a_broker_that_goes_away_gives_a_row_without_a_value_and_says_so_and_is_found_again() -> None:
    with Broker() as broker, publishing(broker, lambda: tasmota(5.0)), open_meter(url(broker)) as opened:
        meter: Any = opened
        meter.begin()
        until(lambda: meter.session[1], "a message")
        broker.deaf = True
        broker.cut()
        until(lambda: [None] in meter.session[1], "the end of the connection is noted")
        found = meter.end()
        assert "the broker ended the connection" in found.absent[0].reason
        broker.open.clear()
        broker.deaf = False
        again = received(meter, 2)
    assert again.absent == []
    assert {row[0] for row in again.rows if row[0] is not None} == {5.0}


def test_one_opened_meter_serves_several_sessions() -> None:
    watts = [1.0]
    with Broker() as broker, publishing(broker, lambda: tasmota(watts[0])), open_meter(url(broker)) as meter:
        first = received(meter)
        assert meter.end().rows == []
        watts[0] = 2.0
        second = received(meter, 8)
    assert {row[0] for row in first.rows} == {1.0}
    assert second.rows[-1] == [2.0]
    assert first.t_ns[-1] < second.t_ns[0]


def test_a_user_the_broker_does_not_know_is_refused() -> None:
    with Broker(user="bench") as broker:
        assert "the broker refused" in refusal(url(broker)).what
        with publishing(broker, lambda: tasmota(5.0)), open_meter(url(broker).replace("//", "//bench:s3cret@")) as meter:
            assert received(meter, 1).rows[0] == [5.0]


def test_a_topic_that_may_not_be_read_is_refused() -> None:
    with Broker() as broker:
        broker.refuse_topic = True
        error = refusal(url(broker))
    assert "the broker gives nobody the topic tele/plug/SENSOR" in error.what


def test_a_broker_that_is_not_there_is_an_error() -> None:
    with Broker() as broker:
        address = url(broker)
    assert "the connection was refused" in refusal(address).what


def test_a_server_that_is_no_broker_is_an_error() -> None:
    class Mute(Talker):
        def serve(self, connection: Any) -> None:
            while connection.recv(1000):
                pass

    with Mute() as server:
        error = refusal(f"mqtt://{HOST}:{server.server_address[1]}/tele/plug?timeout=0.3")
    assert "does not answer as one" in error.what


def test_a_closed_meter_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with Broker() as broker, publishing(broker, lambda: tasmota(5.0)):
        meter: Meter = open_meter(url(broker))
        meter.close()
    assert {one for one in threading.enumerate() if "paho" in one.name} <= before

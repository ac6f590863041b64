"""Redaction: what never leaves a machine, and what stays so that a dialogue can be read and played."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import Stable
from harness.measure.recording import Recording
from harness.measure.redact import Redaction
from harness.measure.replay import Replay
from tests.dialogues import Broken, Scripted, lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.measure.link import Agent, Link

KNOWN: dict[str, Any] = {"users": ("annalena", "max", "o'brien"), "hosts": ("desk-9000", "orin"), "secrets": ("correct horse",)}
SECRETS = {
    "a user": ["annalena", "Annalena", "/home/bobby", "/Users/bobby", "bobby@desk-9000", "~bobby/"],
    "a host": ["desk-9000", "DESK-9000", "kitchen.local", "rk.lab.example.org", "ssh: connect to host rkbox9 port 22", "http://rkbox9:80/"],
    "an IPv4 address": ["10.0.0.7", "192.168.178.22", "[10.0.0.7]:22", "http://10.0.0.7/rpc"],
    "an IPv6 address": ["fe80::1ff:fe23:4567:890a%eth0", "2001:db8::7", "[2001:db8::7]:22", "from:2001:db8::7"],
    "a MAC address": ["de:ad:be:ef:00:01", "DE-AD-BE-EF-00-01", "shellyplug-s-C0FFEE"],
    "a serial number": ["serial: A0B1C2D3", "androidboot.serialno=a0b1c2d3", "Serial Number : A0B1C2D3", "0f0e0d0c-1111-2222-3333-444455556666"],
    "an address of mail": ["anna.b@example.org", "anna+b@mail.example.co.uk"],
    "a secret": [
        *("token=s3cr3tvalue", "--password s3cr3tvalue", "API_KEY='s3cr3tvalue'", "Authorization: Bearer s3cr3tvalue", "correct horse"),
        *("AWS_SECRET_ACCESS_KEY=s3cr3tvalue", '{"password": "s3cr3tvalue"}', "OTII_KEY=s3cr3tvalue", "hf_s3cr3tvalue" + "a" * 20),
        *(
            "http://adm:s3cr3tvalue@10.0.0.7/",
            "mqtt://adm:s3cr3t/value@meters/x",
            "http://10.0.0.7/rpc?x=s3cr3tvalue",
            "http://10.0.0.7/s3cr3tvalue12345/",
        ),
    ],
    "a key": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 annalena@desk", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAAC3\n-----END OPENSSH PRIVATE KEY-----"],
}
GONE = re.compile(
    r"(?i)annalena|bobby|desk-9000|rkbox9|kitchen|example|10\.0\.0\.7|192\.168|fe80|2001:db8|ad.be.ef|c0ffee|a0b1c2d3|0f0e0d0c|anna|s3cr3t"
    r"|correct horse|adm:|meters|AAAAC3|o'brien"
)


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SECRETS.items() for text in texts], ids=str)
def test_what_must_not_leave_is_replaced(kind: str, text: str) -> None:
    redaction = Redaction(**KNOWN)
    found = redaction.text(f"File '{text}', line 3")
    assert not GONE.search(found), kind
    assert found.startswith("File '")
    assert redaction.counts
    assert redaction.text(found) == found, "what is redacted stays as it is"


@pytest.mark.parametrize(
    "text",
    [
        *("NVIDIA Jetson AGX Orin", "rockchip,rk3588", "npu@fdab0000", "i2c@feb20000/rail@40", "0000:01:00.0", "/sys/class/hwmon/hwmon3/in1_input"),
        *(
            "librknnrt 1.4.0 (429f97ae6b@2022-11-15T09:09:27)",
            "version 10.3.0.30",
            "5.10.110-rockchip-rk3588",
            "std::vector Interface::call",
            "12:34:56",
        ),
        *(
            "memcpy@GLIBC_2.14",
            "token: 3 ms, tokens: 128",
            "https://github.com/a/b?c=d",
            "(--meter shelly://ADDRESS, and others)",
            "max_seconds",
            "127.0.0.1 localhost ::1",
        ),
        *("a" * 64, "f" * 40, "1.0~rc1", "threading.local()", "root@board is not redacted as root".replace("@board", ""), "drivers/media/platform/x"),
    ],
)
def test_what_says_nothing_of_anybody_stays(text: str) -> None:
    assert Redaction(**KNOWN).text(text) == text


def test_keys_say_what_their_values_are_and_versions_are_no_addresses() -> None:
    value = {
        "serial-number": "zz",
        "boot_id": 123456789,
        "hostname": "kk",
        "user": "vv",
        "token": "tt",
        "tensorrt_version": "10.3.0.30",
        "n": 123456789,
    }
    found = Redaction().value(value)
    kept = {"tensorrt_version": "10.3.0.30", "n": 123456789}
    assert found == kept | {"serial-number": "<serial-1>", "boot_id": "<serial-2>", "hostname": "<host-1>", "user": "<user-1>", "token": "<secret-1>"}


def test_the_same_is_replaced_by_the_same_and_counted() -> None:
    redaction = Redaction(**KNOWN)
    assert redaction.text("annalena at 10.0.0.7, 10.0.0.8 and 10.0.0.7") == "<user-1> at <ip-1>, <ip-2> and <ip-1>"
    assert dict(redaction.counts) == {"user": 1, "ip": 3}
    assert redaction.text("/home/carlotta: owner carlotta") == "/home/<user-2>: owner <user-2>", "a name once learned is known"


def test_this_machine_knows_its_own_names_folders_and_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "annalena")
    monkeypatch.setenv("METER_TOKEN", "s3cr3tvalue")
    monkeypatch.setenv("HOME", "/data/people/annalena")
    monkeypatch.chdir(tmp_path)
    text = f"{tmp_path}/half.py of annalena in /data/people/annalena/x, s3cr3tvalue to bobby@rk-lab-7, see rk-lab-7"
    found = Redaction.here("bobby@rk-lab-7.example.org").text(text)
    assert re.fullmatch(r"<folder-\d>/half.py of <user-\d> in <home-1>/x, <secret-1> to <user-\d>@<host-1>, see <host-1>", found)


SIGNS = st.text(st.characters(exclude_categories=("Cs", "L", "N")), max_size=8)
BEFORE, AFTER = SIGNS | st.sampled_from(["from ", "x: ", "/data/"]), SIGNS | st.sampled_from([" port 22", "/data/model.onnx", ", x"])
PLANTED = st.tuples(BEFORE, st.sampled_from([text for texts in SECRETS.values() for text in texts]), AFTER).map("".join)
ANYWHERE = st.recursive(
    PLANTED | PLANTED.map(lambda text: f"/data/{text}/model.onnx") | st.integers() | st.floats(allow_nan=False) | st.none(),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(PLANTED | st.sampled_from(["path", "rows", "detail"]), one, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(ANYWHERE, ANYWHERE), min_size=1, max_size=3), PLANTED)
def test_a_planted_secret_survives_nowhere_and_the_dialogue_replays_all_the_same(tmp_path: Path, talks: list[tuple[Any, Any]], printed: str) -> None:
    path, redaction = tmp_path / "a.jsonl", Redaction(**KNOWN)

    class Planted(Broken):
        @contextlib.contextmanager
        def start(self, threads: int) -> Iterator[Agent]:
            del threads
            agent = Scripted([answer for _, answer in talks])
            agent.printed = printed
            yield agent

    def said(link: Link) -> list[Any]:
        found: list[Any] = []
        with link.start(1) as agent:
            for request, _ in talks:
                try:
                    found.append(agent.ask("open", 1.0, found.append, files={"model": request}))
                except Stable as error:
                    found.append([error.what, error.fix, error.detail])
            found.append(agent.stderr())
        return found

    with Recording(Planted("nowhere"), path, redaction) as recording:
        live = said(recording)
    assert not GONE.search("\n".join(json.dumps(line, ensure_ascii=False) for line in lines(path)))
    assert said(Replay(path)) == redaction.value(live)


def test_a_long_output_is_redacted_in_a_moment() -> None:
    redaction = Redaction(**KNOWN)
    for piece in ("x", ":", "a:", ".", "a.", "-", "a@", "/", "http://", "~a", "::1 ", "token="):
        redaction.text(piece * (8000 // len(piece)))  # a pattern that goes back and forth would not come to an end

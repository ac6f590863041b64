"""The sample inputs are the files that SOURCES.md describes, and have the form that the workloads count on."""

from __future__ import annotations

import hashlib
import re
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

INPUTS = Path(__file__).resolve().parents[1] / "workloads" / "inputs"
FIELDS = {"shows", "author", "licence", "origin", "origin sha256", "changed", "sha256"}
PHOTOGRAPHS = sorted(INPUTS.glob("*.jpg"))


def sources() -> dict[str, dict[str, str]]:
    """SOURCES.md as file name -> field -> text."""
    found: dict[str, dict[str, str]] = {}
    sections = re.split(r"^## ", (INPUTS / "SOURCES.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    for section in sections:
        name, _, body = section.partition("\n")
        items = re.findall(r"^- ([a-z0-9 ]+): (.+(?:\n  .+)*)", body, flags=re.MULTILINE)
        found[name.strip()] = {key: " ".join(text.split()) for key, text in items}
    return found


def segments(jpeg: bytes) -> dict[int, bytes]:
    """The marker segments ahead of the picture data, by marker."""
    assert jpeg[:2] == b"\xff\xd8"
    at, found = 2, {}
    while jpeg[at + 1] != 0xDA:  # start of scan
        marker, length = struct.unpack(">xBH", jpeg[at : at + 4])
        found[marker] = jpeg[at + 4 : at + 2 + length]
        at += 2 + length
    return found


def test_every_input_is_listed_and_every_entry_has_its_file() -> None:
    files = {path.name for path in INPUTS.iterdir()} - {"SOURCES.md"}
    assert files == set(sources())
    assert len(PHOTOGRAPHS) == 5
    assert "speech.wav" in files


@pytest.mark.parametrize("name", sorted(sources()))
def test_an_entry_says_author_licence_origin_and_change(name: str) -> None:
    entry = sources()[name]
    assert set(entry) >= FIELDS, sorted(FIELDS - set(entry))
    assert all(entry.values())
    assert re.match(r"(public domain|CC0)\b", entry["licence"]), entry["licence"]
    assert re.fullmatch(r"[0-9a-f]{64}|none", entry["origin sha256"])


@pytest.mark.parametrize("name", sorted(sources()))
def test_an_input_has_the_bytes_that_were_described(name: str) -> None:
    assert hashlib.sha256((INPUTS / name).read_bytes()).hexdigest() == sources()[name]["sha256"]


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.name)
def test_a_photograph_is_a_small_baseline_jpeg_with_a_longest_side_of_640(path: Path) -> None:
    data = path.read_bytes()
    baseline = segments(data)[0xC0]
    depth, height, width, components = struct.unpack(">BHHB", baseline[:6])
    assert len(data) <= 90_000
    assert max(width, height) == 640
    assert (depth, components) == (8, 3)
    assert f"{width} x {height}" in sources()[path.name]["origin"] + sources()[path.name]["changed"]


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.name)
def test_a_photograph_carries_no_metadata(path: Path) -> None:
    metadata = set(segments(path.read_bytes())) & {*range(0xE1, 0xF0), 0xFE}  # EXIF, XMP, ICC, IPTC, comments
    assert not metadata


def test_the_speech_is_eleven_seconds_of_16_khz_mono_16_bit_sound() -> None:
    with wave.open(str(INPUTS / "speech.wav")) as clip:
        assert (clip.getframerate(), clip.getnchannels(), clip.getsampwidth()) == (16_000, 1, 2)
        assert clip.getnframes() == 176_000
    assert (INPUTS / "speech.wav").stat().st_size == 44 + 2 * 176_000


def test_the_speech_is_neither_silent_nor_clipped() -> None:
    with wave.open(str(INPUTS / "speech.wav")) as clip:
        sound = np.frombuffer(clip.readframes(clip.getnframes()), "<i2") / 32768
    assert 0.5 < np.abs(sound).max() < 0.99
    assert 0.05 < np.sqrt(np.mean(sound**2)) < 0.5
    assert abs(sound.mean()) < 0.01
    loud = [np.sqrt(np.mean(second**2)) > 0.03 for second in np.split(sound, 11)]
    assert sum(loud) >= 9  # speech goes on to the end: nothing was cut off or padded
    assert "ask not what your country" in sources()["speech.wav"]["says"]

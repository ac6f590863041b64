"""The catalogue of SoCs: which fact answers, what is refused, and how a SoC is found."""

from __future__ import annotations

import csv
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.decide.catalogue import ATTRIBUTES, FACT_COLUMNS, KINDS, NUMBERS, SOC_COLUMNS, Catalogue, Fact, slug, winner
from harness.decide.terms import Role
from harness.errors import SpecError, UsageError
from tests.lab import ROOT

SHIPPED = ROOT / "results" / "evidence"
SHIPPED_CATALOGUE = Catalogue.read([SHIPPED])


def soc_row(**changes: str) -> dict[str, str]:
    row = {
        "name": "Acme 1",
        "vendor": "Acme",
        "family": "A",
        "form": "chip",
        "published_as": "",
        "variant": "",
        "role": "soc",
        "role_reason": "runs Linux",
    }
    return {**row, **changes}


def fact_row(**changes: str) -> dict[str, str]:
    row = dict.fromkeys(FACT_COLUMNS, "")
    start = {
        "fact_id": "u1",
        "soc": "RK3588",
        "attribute": "price",
        "value": "99",
        "unit": "USD",
        "source": "a quote",
        "source_kind": "reseller",
        "use": "main",
    }
    return {**row, **start, **changes}


def folder(path: Path, socs: list[dict[str, str]] | None = None, facts: list[dict[str, str]] | None = None) -> Path:
    path.mkdir(exist_ok=True)
    for name, columns, rows in (("socs.csv", SOC_COLUMNS, socs), ("facts.csv", FACT_COLUMNS, facts)):
        if rows is not None:
            with (path / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(rows)
    return path


def fact(**changes: Any) -> Fact:
    row = {("id" if key == "fact_id" else key): value for key, value in fact_row().items()}
    return Fact(**{**row, **changes})


# ------------------------------------------------------------------------------------------------ what is shipped


def test_the_shipped_catalogue_holds_49_entries_and_every_one_says_why_it_has_its_role() -> None:
    assert len(SHIPPED_CATALOGUE.socs) == 49
    assert all(len(one.role_reason) > 10 for one in SHIPPED_CATALOGUE.socs.values())
    assert all(one.facts["vendor"].value == one.vendor for one in SHIPPED_CATALOGUE.socs.values())
    assert all(one.facts["family"].value == one.family for one in SHIPPED_CATALOGUE.socs.values())


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (Role.ACCELERATOR, {"Hailo-8", "Hailo-10H", "MLU220"}),
        (Role.MCU, {"STM32N6", "STM32H7", "ESP32-S3"}),
        (Role.CARD, {"Ascend 310", "Ascend 310P", "Ascend 910B", "MLU370"}),
    ],
)
def test_accelerators_microcontrollers_and_cards_are_not_socs(role: Role, names: set[str]) -> None:
    assert {one.name for one in SHIPPED_CATALOGUE.socs.values() if one.role is role} == names


@pytest.mark.parametrize(
    ("soc", "attribute", "fact_id"),
    [
        ("Jetson AGX Orin 64GB", "price", "f7c159dd4"),  # the maker's page before a third party
        ("Jetson AGX Orin 64GB", "board_power_ai_load_w", "fa530881b"),  # four others are alt
        ("Jetson AGX Orin 64GB", "longevity_until", "f5cc661e2"),  # first-hand before second-hand, though older
        ("RK3588", "price", "fb32e90f6"),  # a third party before a reseller
        ("Jetson AGX Thor T5000", "tdp_min_w", "ff8c08d3b"),  # a data sheet at second hand before a third party
        ("i.MX 8M Plus", "max_memory_gb", "f4575d43a"),
        ("QCS9075", "temp_max_c", "f445a7488"),
        ("RK3588J", "temp_max_c", "f564f"),
        ("TDA4VM", "price", "fa8cf5da3"),
    ],
)
def test_the_winning_fact_of_the_shipped_catalogue_is_the_one_the_rule_names(soc: str, attribute: str, fact_id: str) -> None:
    assert SHIPPED_CATALOGUE.find(soc).facts[attribute].id.startswith(fact_id)


def test_a_price_in_another_currency_never_wins() -> None:
    imx = SHIPPED_CATALOGUE.find("i.MX 95")
    assert "price" not in imx.facts
    assert {one.unit for one in imx.others["price"]} == {"CNY", "USD"}
    assert winner([fact(unit="EUR"), fact(unit="CNY", source_kind="datasheet")]) is None


def test_every_shipped_fact_is_either_a_winner_or_among_the_others() -> None:
    with (SHIPPED / "facts.csv").open(encoding="utf-8", newline="") as file:
        written = [row["fact_id"] for row in csv.DictReader(file)]
    kept = [one.id for soc in SHIPPED_CATALOGUE.socs.values() for one in soc.facts.values()]
    kept += [one.id for soc in SHIPPED_CATALOGUE.socs.values() for some in soc.others.values() for one in some]
    assert sorted(kept) == sorted(written)
    assert len(set(kept)) == len(kept)


def test_of_sisters_under_one_published_name_at_most_one_has_no_variant() -> None:
    for one in SHIPPED_CATALOGUE.socs.values():
        sisters = SHIPPED_CATALOGUE.by_published(one.published_as)
        assert sum(not sister.variant for sister in sisters) < 2, one.name
    assert {one.name for one in SHIPPED_CATALOGUE.by_published("Jetson Orin NX")} == {"Jetson Orin NX 16GB", "Jetson Orin NX 8GB"}
    assert SHIPPED_CATALOGUE.by_published("") == []


# ------------------------------------------------------------------------------------------------ which fact wins


def test_a_datasheet_goes_before_a_vendor_page_a_third_party_a_reseller_and_a_survey() -> None:
    facts = [fact(id=kind, source_kind=kind, source_date=f"20{20 + rank}") for rank, kind in enumerate(KINDS)]
    for first in range(len(KINDS)):
        won = winner(facts[first:])
        assert won is not None
        assert won.id == KINDS[first]


def test_among_equals_the_first_hand_one_wins_then_the_newest_then_the_first_row() -> None:
    old, new = fact(id="old", source_date="2024"), fact(id="new", source_date="2025-06")
    hearsay = fact(id="hearsay", source_date="2026", note="second-hand: quoted")
    assert winner([hearsay, old, new]) is new
    assert winner([hearsay, old]) is old
    twin = fact(id="twin", source_date="2025-06")
    assert winner([twin, new]) is twin
    assert winner([new, twin]) is new


def test_an_alternative_never_wins_not_even_alone() -> None:
    assert winner([fact(use="alt", source_kind="datasheet")]) is None
    assert winner([]) is None


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(["", "2024", "2025-01", "2026-01-01"]), st.booleans()), min_size=1, max_size=8),
    st.randoms(),
)
def test_the_kind_and_date_of_the_winner_do_not_depend_on_the_order(rows: list[tuple[str, str, bool]], chance: random.Random) -> None:
    facts = [fact(id=str(n), source_kind=kind, source_date=date, note="second-hand" if hand else "") for n, (kind, date, hand) in enumerate(rows)]
    shuffled = list(facts)
    chance.shuffle(shuffled)
    one, other = winner(facts), winner(shuffled)
    assert one is not None
    assert other is not None
    assert (one.source_kind, one.source_date, one.note) == (other.source_kind, other.source_date, other.note)


# ------------------------------------------------------------------------------------------------ folders of users


def test_a_user_may_add_a_soc_and_facts_about_it_and_about_a_shipped_one(tmp_path: Path) -> None:
    mine = folder(
        tmp_path / "mine",
        [soc_row()],
        [
            fact_row(soc="Acme 1", attribute="max_memory_gb", value="4", unit="GB", source_kind="datasheet"),
            fact_row(fact_id="u2", soc="rk3588j", value="95", condition="module; 2026; our quote"),
        ],
    )
    both = Catalogue.read([SHIPPED, mine])
    assert len(both.socs) == 50
    assert both.find("acme-1").number("max_memory_gb") == 4
    assert both.find("RK3588J").number("price") == 95
    assert both.find("RK3588J").facts["price"].soc == "RK3588J"
    assert both.find("RK3588J").text("temp_grade") == "industrial"


def test_a_folder_may_hold_one_of_the_two_files_or_none(tmp_path: Path) -> None:
    assert Catalogue.read([folder(tmp_path / "a", [soc_row()])]).socs["acme-1"].facts == {}
    assert len(Catalogue.read([SHIPPED, folder(tmp_path / "b")]).socs) == 49


def test_a_soc_cannot_be_defined_twice_nor_under_a_name_that_gives_the_same_id(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"socs\.csv: row 2, column name: 'RK3588!' has the id 'rk3588', which 'RK3588' has") as caught:
        Catalogue.read([SHIPPED, folder(tmp_path / "mine", [soc_row(name="RK3588!")])])
    assert "another name" in caught.value.fix


def test_a_fact_id_cannot_be_used_twice_and_the_other_place_is_named(tmp_path: Path) -> None:
    mine = folder(tmp_path / "mine", None, [fact_row(fact_id="fb32e90f6")])
    with pytest.raises(SpecError, match=r"mine/facts\.csv: row 2, column fact_id: 'fb32e90f6' is already the id of .*evidence/facts\.csv: row \d+"):
        Catalogue.read([SHIPPED, mine])


@pytest.mark.parametrize(
    ("change", "column", "fix"),
    [
        ({"soc": "RK3558"}, "soc", "write 'RK3588'"),
        ({"soc": "Zzz"}, "soc", "socs.csv of your own"),
        ({"attribute": "prise"}, "attribute", "write 'price'"),
        ({"source_kind": "data sheet"}, "source_kind", "write 'datasheet'"),
        ({"source_kind": "rumour"}, "source_kind", "datasheet, vendor_page"),
        ({"use": "maybe"}, "use", "main"),
        ({"value": "cheap"}, "value", "number"),
        ({"value": "nan"}, "value", "number"),
        ({"value": "1e999"}, "value", "number"),
        ({"unit": "GBP"}, "unit", "USD, EUR, CNY"),
        ({"source": ""}, "source", "fill in"),
        ({"fact_id": ""}, "fact_id", "fill in"),
        ({"source_date": "last week"}, "source_date", "2026-09"),
        ({"source_date": "2026-13"}, "source_date", "2026-09"),
    ],
)
def test_a_bad_fact_is_refused_with_file_row_column_and_what_to_write(tmp_path: Path, change: dict[str, str], column: str, fix: str) -> None:
    mine = folder(tmp_path / "mine", None, [fact_row(fact_id="good"), fact_row(**change)])
    with pytest.raises(SpecError, match=rf"mine/facts\.csv: row 3, column {column}:") as caught:
        Catalogue.read([SHIPPED, mine])
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"role": "gpu"}, "role"),
        ({"form": "brick"}, "form"),
        ({"name": ""}, "name"),
        ({"name": "芯片"}, "name"),
        ({"role_reason": ""}, "role_reason"),
    ],
)
def test_a_bad_soc_is_refused_with_file_row_and_column(tmp_path: Path, change: dict[str, str], column: str) -> None:
    with pytest.raises(SpecError, match=rf"mine/socs\.csv: row 2, column {column}:") as caught:
        Catalogue.read([folder(tmp_path / "mine", [soc_row(**change)])])
    assert caught.value.fix


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the column 'name' is missing"),
        (b"\xff\xfe", "not UTF-8"),
        (",".join((*SOC_COLUMNS, "colour")).encode(), "the column 'colour' is not known"),
        (",".join((*SOC_COLUMNS, "name")).encode(), "the column 'name' stands twice"),
        (",".join(SOC_COLUMNS).encode() + b"\na,b\n", "row 2: 2 fields instead of 8"),
        (",".join(SOC_COLUMNS).encode() + b'\n"a"b,c\n', "not a CSV file"),
        (b'"' + b"x" * 200_000, "not a CSV file"),
    ],
)
def test_a_file_that_is_no_table_of_socs_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    folder(tmp_path / "mine")
    (tmp_path / "mine" / "socs.csv").write_bytes(content)
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        Catalogue.read([tmp_path / "mine"])
    assert caught.value.fix


def test_a_spreadsheet_s_byte_order_mark_line_ends_and_column_order_do_not_matter(tmp_path: Path) -> None:
    row = soc_row()
    columns = list(reversed(SOC_COLUMNS))
    text = "\ufeff" + ",".join(columns) + "\r\n" + ",".join(row[one] for one in columns) + "\r\n\r\n"
    folder(tmp_path / "mine")
    (tmp_path / "mine" / "socs.csv").write_bytes(text.encode())
    assert Catalogue.read([tmp_path / "mine"]).socs["acme-1"].role is Role.SOC


def test_a_folder_that_is_not_there_is_an_error_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        Catalogue.read([tmp_path / "nowhere"])


def test_every_attribute_in_the_shipped_facts_is_known_and_every_number_has_its_unit() -> None:
    used = {attribute for one in SHIPPED_CATALOGUE.socs.values() for attribute in (*one.facts, *one.others)}
    assert used == set(ATTRIBUTES)
    assert set(NUMBERS) < set(ATTRIBUTES)


# ------------------------------------------------------------------------------------------------ finding one


@pytest.mark.parametrize("name", ["i.MX 8M Plus", "i-mx-8m-plus", "I.MX 8m PLUS", "i mx-8M plus "])
def test_a_soc_is_found_by_id_or_name_in_any_case(name: str) -> None:
    assert SHIPPED_CATALOGUE.find(name).name == "i.MX 8M Plus"


@pytest.mark.parametrize(
    ("name", "meant"), [("Orin Nano", "Jetson Orin Nano 8GB"), ("RK3558", "RK3588"), ("hailo", "Hailo-8"), ("imx8mplus", "i.MX 8M Plus")]
)
def test_a_name_that_is_not_there_is_answered_with_the_closest(name: str, meant: str) -> None:
    with pytest.raises(UsageError, match="no SoC") as caught:
        SHIPPED_CATALOGUE.find(name)
    assert meant in caught.value.fix


@pytest.mark.parametrize("name", ["", "?", "芯片", "qqqqqqqq"])
def test_a_name_like_no_other_is_answered_with_the_command_that_lists_all(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        SHIPPED_CATALOGUE.find(name)
    assert "socbench list socs" in caught.value.fix


@given(st.text(max_size=40))
def test_an_id_is_made_of_letters_digits_and_single_hyphens(name: str) -> None:
    assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", slug(name))
    assert slug(slug(name)) == slug(name)

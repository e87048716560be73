"""Editions: the value of the day's year, the newest that was published, else the nearest, told as carried."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import pairwise

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts.regions import region_key
from energy_assets.factors import places, tables
from energy_assets.factors.editions import BEGINNING, END, Edition, standing, superseded
from energy_assets.factors.places import Member, Resolved, as_table, resolve, with_place
from energy_assets.factors.tables import cloud_zones, published_pue, published_wue, rows_of_data

STOCKHOLM = Member("payer", "aws", "111", "eu-north-1")


def year(of: int, value: str, published: str = "", edition: str = "") -> Edition:
    return Edition(value, date(of, 1, 1), date(of + 1, 1, 1), edition or str(of), published, "publisher")


def on(member: Member, *day: int) -> Resolved:
    (found,) = resolve([member], {}, [], [date(*day)])
    return found


def test_the_value_of_the_day_s_year_to_the_last_day_and_from_the_first() -> None:
    values = {day: on(STOCKHOLM, *day).pue for day in ((2023, 12, 31), (2024, 1, 1), (2024, 12, 31), (2025, 1, 1))}
    assert values == {
        (2023, 12, 31): Decimal("1.12"),
        (2024, 1, 1): Decimal("1.1"),
        (2024, 12, 31): Decimal("1.1"),
        (2025, 1, 1): Decimal("1.09"),
    }


def test_the_last_hour_of_a_year_and_the_first_of_the_next_meet_their_own_years_in_the_engine() -> None:
    """31 December 23:00 UTC is of 2024, 1 January 00:00 UTC of 2025."""
    rows = ibis.memtable(
        pa.table(
            {
                "hour": pa.array(["2024-12-31 23:00:00", "2025-01-01 00:00:00"]).cast(pa.timestamp("us")),
                "day": pa.array([date(2024, 12, 31), date(2025, 1, 1)]),
                **{name: pa.array([getattr(STOCKHOLM, name)] * 2) for name in places.MEMBER},
            }
        )
    )
    days = [date(2024, 12, 31), date(2025, 1, 1)]
    placed = with_place(rows, ibis.memtable(as_table(resolve([STOCKHOLM], {}, [], days))), ("pue", "wue"))
    found = ibis.duckdb.connect().to_pyarrow(placed.order_by("hour")).to_pylist()
    assert [(f"{row['hour']:%d %H}", row["pue"]) for row in found] == [
        ("31 23", Decimal("1.100")),
        ("01 00", Decimal("1.090")),
    ]


def test_a_fiscal_year_ends_in_june() -> None:
    member = Member("s", "azure", None, "northcentralus")
    assert (on(member, 2023, 6, 30).pue, on(member, 2023, 7, 1).pue) == (Decimal("1.35"), Decimal("1.16"))
    assert (on(member, 2022, 6, 30).pue, on(member, 2022, 7, 1).pue) == (Decimal("1.346"), Decimal("1.35"))


def test_days_before_the_first_and_after_the_last_published_year_are_told_as_carried() -> None:
    before, within, after = on(STOCKHOLM, 2021, 12, 31), on(STOCKHOLM, 2025, 6, 1), on(STOCKHOLM, 2026, 1, 1)
    assert (before.pue, within.pue, after.pue) == (Decimal("1.12"), Decimal("1.09"), Decimal("1.09"))
    assert [one.standing[1] and one.standing[1].carried for one in (before, within, after)] == [True, False, True]
    assert before.said_by[1].endswith("(2022, carried: nothing is published for these days)")
    assert after.said_by[1].endswith("(2025, carried: nothing is published for these days)")
    assert within.said_by[1].endswith("(2025)")


def test_a_gap_takes_the_last_that_was_published_before_it() -> None:
    found = standing([year(2023, "1.1"), year(2025, "1.2")])
    assert [(one.edition.value, one.since, one.until, one.carried) for one in found] == [
        ("1.1", BEGINNING, date(2023, 1, 1), True),
        ("1.1", date(2023, 1, 1), date(2024, 1, 1), False),
        ("1.1", date(2024, 1, 1), date(2025, 1, 1), True),
        ("1.2", date(2025, 1, 1), date(2026, 1, 1), False),
        ("1.2", date(2026, 1, 1), END, True),
    ]


def test_the_edition_published_last_applies_and_the_older_one_stays_listed() -> None:
    first, revised = year(2023, "363", "2024-04"), year(2023, "361", "2025-04")
    for editions in ([first, revised], [revised, first]):
        applied = [one.edition for one in standing(editions) if not one.carried]
        assert applied == [revised]
        assert superseded(editions) == (first,)
    assert superseded([first, year(2024, "350", "2025-04")]) == ()


def test_an_edition_that_is_revised_for_some_of_its_days_still_stands_for_the_others() -> None:
    whole = Edition("1.2", date(2024, 1, 1), date(2025, 1, 1), "2024", "2024-06", "p")
    half = Edition("1.3", date(2024, 7, 1), date(2025, 1, 1), "2024 H2", "2025-02", "p")
    found = [one for one in standing([whole, half]) if not one.carried]
    assert [(one.edition.value, one.since) for one in found] == [("1.2", date(2024, 1, 1)), ("1.3", date(2024, 7, 1))]
    assert superseded([whole, half]) == ()


def test_nothing_stated_is_nothing() -> None:
    assert standing([]) == ()
    assert standing([year(2024, "1")], carry=False)[0].until == date(2025, 1, 1)


@pytest.fixture
def split_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A region whose grid zone was split on 1 October 2018, and that is served by nobody known since 2030."""
    zones = (
        Edition("DE-AT-LU", BEGINNING, date(2018, 10, 1), "", "", "before the split"),
        Edition("AT", date(2018, 10, 1), date(2030, 1, 1), "", "", "after it"),
    )
    monkeypatch.setattr(places, "cloud_zones", lambda: {("azure", "austriaeast"): zones})
    places._of_tables.cache_clear()
    yield
    places._of_tables.cache_clear()


@pytest.mark.usefixtures("split_zone")
def test_a_zone_that_was_split_is_another_one_from_that_day_and_never_carried() -> None:
    vienna = Member("s", "azure", None, "Austria East")
    found = [on(vienna, *day) for day in ((2018, 9, 30), (2018, 10, 1), (2029, 12, 31), (2030, 1, 1))]
    assert [one.zone for one in found] == ["DE-AT-LU", "AT", "AT", None]
    assert [one.said_by[0] for one in found][::3] == ["cloud_regions.csv: before the split", ""]
    assert len(resolve([vienna], {}, [], [date(2018, 9, 30), date(2018, 10, 1)])) == 2


@pytest.mark.parametrize("name", ["pue.csv", "water.csv", "cloud_regions.csv"])
def test_rows_are_complete_plain_and_bounded(name: str) -> None:
    rows = rows_of_data(name)
    for row in rows:
        assert None not in row, row
        assert all(value is not None and value == value.strip() for value in row.values()), row
        assert region_key(row["provider"], row["region"]) == (row["provider"], row["region"])
        assert not (row["valid_from"] and row["valid_to"]) or row["valid_from"] < row["valid_to"], row
        if name != "cloud_regions.csv":
            assert all(row[key] for key in ("source", "edition", "valid_from", "valid_to")), row
            assert row["of"] in ("region", "geography", "fleet"), row
            years = [int(row[bound][:4]) for bound in ("valid_from", "valid_to")]
            assert years[0] + 1 == years[1], row
            assert row["valid_from"][5:] == row["valid_to"][5:] == ("07-01" if "FY" in row["edition"] else "01-01")
    keys = [tuple(row[key] for key in ("provider", "region", "valid_from", *(["published"] * ("published" in row))))
            for row in rows]  # fmt: skip
    assert len(set(keys)) == len(keys)


def test_values_are_plausible_and_of_known_regions() -> None:
    assert set(published_pue()) == set(cloud_zones())
    assert set(published_wue()) <= set(cloud_zones())
    assert all(1 <= Decimal(one.value) < 2 for every in published_pue().values() for one in every)
    assert all(0 < Decimal(one.value) < 5 for every in published_wue().values() for one in every)


def test_the_average_of_a_whole_fleet_stands_only_where_its_provider_states_nothing_nearer() -> None:
    for key, editions in published_pue().items():
        of = {one.of for one in editions}
        assert "fleet" not in of or of == {"fleet"}, key
    assert not any(one.of == "fleet" for every in published_wue().values() for one in every)


@pytest.mark.parametrize(
    ("member", "day", "litres"),
    [
        (("aws", "us-east-1"), (2024, 12, 31), "0.12"),
        (("aws", "us-east-1a"), (2025, 1, 1), "0.06"),
        (("aws", "ap-south-1"), (2024, 5, 1), "0.98"),
        (("aws", "eu-west-3"), (2025, 5, 1), "0.04"),
        (("azure", "East US"), (2025, 6, 30), "0.34"),
        (("azure", "East US"), (2024, 6, 30), "0.38"),
        (("gcp", "us-central1"), (2025, 1, 1), None),
        (("aws", "me-central-1"), (2025, 1, 1), None),
    ],
)
def test_water_on_site_as_providers_publish_it(
    member: tuple[str, str], day: tuple[int, int, int], litres: str | None
) -> None:
    assert on(Member("s", member[0], None, member[1]), *day).wue == (litres and Decimal(litres))


def test_stretches_of_a_member_follow_each_other_without_a_gap() -> None:
    for key in published_pue():
        found = resolve([Member("s", key[0], None, key[1])], {}, [])
        assert (found[0].valid_from, found[-1].valid_to) == (BEGINNING, END)
        assert all(one.valid_to == other.valid_from for one, other in pairwise(found))


def test_tables_are_read_once() -> None:
    assert tables.published_pue() is tables.published_pue()

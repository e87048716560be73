"""The market-based method: golden cases, the quality criteria, each serial once, and what must hold of any matching."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_assets.contracts.vocabulary import Verdict
from energy_assets.emissions.exactly import shared
from energy_assets.emissions.hourly_matching import hourly_matched
from energy_assets.emissions.instruments import Instrument, batches, covers, judged
from energy_assets.emissions.market import instrument_rows, market_row
from energy_assets.emissions.matching import Used, matched

MAY, JUNE = date(2024, 5, 1), date(2024, 6, 1)
MWH = Decimal(1000)
BASE = {
    "source": "certs", "rank": 0, "instrument": "certificate", "registry": "HKNR", "serial_from": "1",
    "serial_to": "75", "serial_series": "hknr|", "serial_first": 1, "serial_last": 75, "quantity_kwh": 75 * MWH,
    "generation_start": datetime(2024, 1, 1), "generation_end": datetime(2025, 1, 1), "vintage": 2024,
    "for_year": 2024, "technology": "wind", "market": "DE", "supplier": None, "gco2e_per_kwh": Decimal(0),
    "carbon_free": True, "retired_on": date(2025, 2, 1), "beneficiary": None, "ghg_scope": None, "file": "go.csv",
    "line": 2, "raw_sha256": "ab" * 32,
}  # fmt: skip
NO_SERIALS = dict.fromkeys(("registry", "serial_from", "serial_to", "serial_series", "serial_first", "serial_last"))
RATE = BASE | NO_SERIALS | {"instrument": "residual_mix", "quantity_kwh": None, "gco2e_per_kwh": Decimal(520)}


def cert(first: int = 1, last: int = 75, **more: Any) -> Instrument:
    serials = {"serial_first": first, "serial_last": last, "quantity_kwh": (last - first + 1) * MWH}
    return Instrument(**{**BASE, **serials, **more})


def contract(mwh: int, **more: Any) -> Instrument:
    return Instrument(**{**BASE, **NO_SERIALS, "instrument": "contract", "quantity_kwh": mwh * MWH, **more})


def rate(grams: int, **more: Any) -> Instrument:
    return Instrument(**{**RATE, "gco2e_per_kwh": Decimal(grams), "line": grams, **more})


def supplier(grams: int, **more: Any) -> Instrument:
    return rate(grams, instrument="supplier_rate", supplier="Stadtwerke", **more)


def used(
    mwh: int = 100, grams: int = 400, zone: str | None = "DE", scope: str = "scope2", **more: Any
) -> dict[str, Any]:
    kwh = mwh * MWH
    return {"month": MAY, "zone": zone, "ghg_scope": scope, "facility_kwh": kwh, "location_g": kwh * grams} | more


def rows_of(rows: Sequence[dict[str, Any]], every: Sequence[Instrument]) -> list[dict[str, Any]]:
    """Rows of `emissions_market`, in the order of what was used."""
    mine = [Used(row["month"], row["zone"], row["ghg_scope"], row["facility_kwh"]) for row in rows
            if row["ghg_scope"] != "scope3.1"]  # fmt: skip
    gathered = batches(judged(every, {row["zone"] for row in rows if row["zone"]}, ["Example AI"]))
    found, by_name = matched(mine, gathered), {batch.name: batch for batch in gathered}
    made = []
    for row in rows:
        where = (row["month"], row["zone"], row["ghg_scope"])
        applied = [one for one in found.applied if (one.month, one.zone, one.ghg_scope) == where]
        made.append(market_row(row, applied, by_name, Decimal(0), len({one.month for one in mine})))
    return made


def tonnes(row: dict[str, Any]) -> Decimal | None:
    return None if row.get("market_g") is None else row["market_g"] / 1_000_000


GOLDEN: dict[str, tuple[list[Instrument], dict[str, Any], Any, dict[str, int]]] = {
    "the worked example: 25 MWh x 0.52": (
        [cert(), rate(520)], {}, 13, {"certified_kwh": 75, "residual_kwh": 25, "carbon_free_kwh": 75},
    ),
    "without a residual mix the location factor": ([cert()], {}, 10, {"location_fallback_kwh": 25}),
    "nothing bought": ([rate(520)], {}, 52, {"residual_kwh": 100}),
    "nothing at all is the location-based figure": ([], {}, 40, {"location_fallback_kwh": 100}),
    "more than was used covers it and no more": (
        [cert(1, 250), rate(520)], {}, 0, {"certified_kwh": 100, "residual_kwh": 0},
    ),
    "certificates go before contracts, those before the supplier": (
        [contract(50, gco2e_per_kwh=Decimal(100)), cert(), supplier(300), rate(520)], {},
        Decimal("2.5"), {"certified_kwh": 75, "contract_kwh": 25, "supplier_kwh": 0},
    ),
    "a supplier's rate goes before the residual mix": (
        [cert(), supplier(300), rate(520)], {}, Decimal("7.5"), {"supplier_kwh": 25, "residual_kwh": 0},
    ),
    "a supplier's rate of some electricity": (
        [supplier(300, quantity_kwh=10 * MWH), rate(520)], {}, Decimal("49.8"), {"supplier_kwh": 10},
    ),
    "a certificate's own factor": (
        [cert(gco2e_per_kwh=Decimal(18), carbon_free=None), rate(520)], {}, Decimal("14.35"), {"carbon_free_kwh": 0},
    ),
    "leased machines have rates, and what is allocated to them": (
        [cert(), contract(10, ghg_scope="scope3.8"), rate(520)], {"scope": "scope3.8"},
        Decimal("46.8"), {"certified_kwh": 0, "contract_kwh": 10},
    ),
    "no location factor where it is needed": ([cert()], {"location_g": None}, None, {"certified_kwh": 75}),
    "no location factor where nothing is left": ([cert(1, 100)], {"location_g": None}, 0, {"certified_kwh": 100}),
    "no zone": ([cert(), rate(520)], {"zone": None}, 40, {"location_fallback_kwh": 100}),
    "a national market holds its zones": (
        [cert(market="US"), rate(520, market="US")], {"zone": "US-CAL-CISO"}, 13, {"certified_kwh": 75},
    ),
    "zones that are one market": ([cert(market="DE + FR"), rate(520)], {}, 13, {"certified_kwh": 75}),
    "of rates that of the zone, not of the market": (
        [rate(500), rate(520, market="DE + FR")], {}, 50, {"residual_kwh": 100},
    ),
    "of rates that of the zone, not of its country": (
        [rate(520, market="US"), rate(500, market="US-CAL-CISO")], {"zone": "US-CAL-CISO"}, 50, {"residual_kwh": 100},
    ),
    "of rates that of the shorter period": (
        [rate(520), rate(500, generation_start=datetime(2024, 4, 1), generation_end=datetime(2024, 7, 1))], {}, 50,
        {"residual_kwh": 100},
    ),
    "a rate of the very month": (
        [rate(500, generation_start=datetime(2024, 5, 1), generation_end=datetime(2024, 6, 1))], {}, 50,
        {"residual_kwh": 100},
    ),
    "a rate of a part of an earlier year": (
        [rate(500, for_year=2023, vintage=2023, generation_start=datetime(2023, 4, 1),
              generation_end=datetime(2023, 7, 1))], {}, 40, {"location_fallback_kwh": 100},
    ),
    "an amount of an earlier year covers nothing": (
        [supplier(300, quantity_kwh=10 * MWH, for_year=2023, vintage=2023)], {}, 40, {"supplier_kwh": 0},
    ),
    "a rate of an earlier year": ([rate(500, for_year=2022, vintage=2022)], {}, 50, {"residual_kwh": 100}),
    "the latest year's rate": (
        [rate(500, for_year=2022, vintage=2022), rate(520, for_year=2023, vintage=2023)], {}, 52, {"residual_kwh": 100},
    ),
    "of two of one year the higher": ([rate(500), rate(520)], {}, 52, {"residual_kwh": 100}),
    "a rate of another half of the year": (
        [rate(500, generation_start=datetime(2024, 7, 1))], {}, 40, {"location_fallback_kwh": 100},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_cases(case: str) -> None:
    every, more, expected, mwh = GOLDEN[case]
    (row,) = rows_of([used(**more)], every)
    assert tonnes(row) == expected
    assert {name: row[name] / MWH for name in mwh} == mwh


def test_bought_services_have_no_market_based_figure() -> None:
    own, bought = rows_of([used(), used(scope="scope3.1")], [cert(), rate(520)])
    assert (tonnes(own), bought.get("market_g"), bought.get("certified_kwh")) == (13, None, None)


def test_months_share_the_year_in_proportion_to_what_they_used() -> None:
    rows = rows_of([used(100), used(50, month=JUNE)], [cert(), rate(520)])
    assert [row["certified_kwh"] / MWH for row in rows] == [50, 25]
    assert [tonnes(row) for row in rows] == [26, 13]
    assert {row["months_matched"] for row in rows} == {2}


def test_narrow_markets_are_used_first_so_that_wide_ones_cover_the_rest() -> None:
    zones = ("DK-DK1", "DK-DK2")
    every = [cert(1, 100, market="DK"), cert(201, 300, market="DK-DK1", line=3)]
    rows = rows_of([used(100, zone=zone) for zone in zones], every)
    assert [row["certified_kwh"] / MWH for row in rows] == [100, 100]


VERDICTS: dict[str, tuple[dict[str, Any], Verdict]] = {
    "all is well": ({}, Verdict.COUNTS),
    "for us by another spelling": ({"beneficiary": "EXAMPLE-AI"}, Verdict.COUNTS),
    "no factor": ({"gco2e_per_kwh": None}, Verdict.NO_FACTOR),
    "no serial": ({"serial_series": None}, Verdict.UNTRACKED),
    "not retired": ({"retired_on": None}, Verdict.NOT_RETIRED),
    "retired for somebody else": ({"beneficiary": "Other AI"}, Verdict.OTHER_BENEFICIARY),
    "of the year before": ({"vintage": 2023}, Verdict.OTHER_YEAR),
    "ends in the year after": ({"generation_end": datetime(2025, 3, 1)}, Verdict.OTHER_YEAR),
    "of another zone": ({"market": "FR"}, Verdict.OTHER_MARKET),
    "of a zone that begins alike": ({"market": "D"}, Verdict.OTHER_MARKET),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_what_meets_no_criterion_covers_nothing_and_is_said(case: str) -> None:
    more, verdict = VERDICTS[case]
    every = [cert(**more), rate(520)]
    (row,) = rows_of([used()], every)
    assert tonnes(row) == (13 if verdict == Verdict.COUNTS else 52)
    gathered = batches(judged(every, {"DE"}, ["Example AI"]))
    found = matched([Used(MAY, "DE", "scope2", 100 * MWH)], gathered)
    said = [one["verdict"] for one in instrument_rows(MAY, gathered, found) if one["instrument"] == "certificate"]
    assert said == [verdict]


def test_a_rate_that_a_higher_one_of_the_same_rank_outdoes_is_said() -> None:
    gathered = batches(judged([rate(500), rate(520), rate(400, for_year=2023, vintage=2023)], {"DE"}, []))
    found = matched([Used(MAY, "DE", "scope2", 100 * MWH)], gathered)
    said = {(row["gco2e_per_kwh"], row["verdict"]) for row in instrument_rows(MAY, gathered, found)}
    assert said == {(500, Verdict.OUTDONE), (520, Verdict.COUNTS)}, "an older one is merely not needed"


def test_a_batch_is_named_by_its_first_line() -> None:
    gathered = batches(judged([cert(51, 75, line=3), cert(1, 50), cert(1, 5, raw_sha256="cd" * 32)], {"DE"}, []))
    found = matched([Used(MAY, "DE", "scope2", 100 * MWH)], gathered)
    rows = instrument_rows(MAY, gathered, found)
    assert [(row["batch"], row["example"], row["certificates"], row["counted_kwh"] / MWH) for row in rows] == [
        ("certs abababababab 1", "go.csv line 2", 2, 75),
        ("certs cdcdcdcdcdcd 1", "go.csv line 2", 1, 0),
    ]
    assert [(row["applied_kwh"] / MWH, row["market_g"], row["zone"]) for row in rows] == [
        (75, 0, "DE"), (0, None, None),
    ]  # fmt: skip


TWICE: dict[str, tuple[list[Instrument], int]] = {
    "apart": ([cert(1, 50), cert(51, 75, line=3)], 75),
    "the same line": ([cert(), cert(line=3)], 75),
    "in two files": ([cert(), cert(raw_sha256="cd" * 32)], 75),
    "in two sources": ([cert(), cert(source="more", rank=1)], 75),
    "within another": ([cert(1, 75), cert(10, 20, line=3)], 75),
    "overlapping": ([cert(1, 50), cert(41, 75, line=3)], 75),
    "a longer one that begins earlier": ([cert(10, 20), cert(1, 75, line=3)], 75),
    "three": ([cert(1, 30), cert(21, 50, line=3), cert(41, 75, line=4)], 75),
    "of another series": ([cert(1, 30), cert(1, 45, serial_series="eex|", line=3)], 75),
    "one that is not retired takes nothing away": ([cert(1, 50, retired_on=None), cert(1, 75, line=3)], 75),
    "two equal contracts": ([contract(75), contract(75, line=3)], 75),
    "two equal contracts of their own numbers": (
        [contract(25, serial_from="A"), contract(25, serial_from="B", line=3), contract(25, line=4)],
        75,
    ),
    "two contracts": ([contract(50), contract(25, line=3)], 75),
}


@pytest.mark.parametrize("case", TWICE)
def test_a_serial_counts_once(case: str) -> None:
    every, mwh = TWICE[case]
    good = judged(every, {"DE"}, [])
    assert sum(one.counted_kwh or 0 for one in good) == mwh * MWH
    (row,) = rows_of([used()], [*every, rate(520)])
    assert tonnes(row) == 13
    assert rows_of([used()], [*reversed(every), rate(520)]) == [row], "in whatever order"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 15)), min_size=1, max_size=12))
def test_serials_count_as_often_as_there_are_different_ones(ranges: list[tuple[int, int]]) -> None:
    every = [cert(first, first + more, line=number) for number, (first, more) in enumerate(ranges, 2)]
    different = {serial for first, more in ranges for serial in range(first, first + more + 1)}
    counted = sum(Fraction(one.counted_kwh or 0) for one in judged(every, {"DE"}, []))
    assert counted == len(different) * MWH


KWH = st.decimals(0, 10_000_000, places=12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.sampled_from(["DE", "FR", "DK-DK1", "DK-DK2"]), KWH), max_size=12),
    st.lists(
        st.tuples(st.sampled_from(["DE", "DK", "DK-DK1", "NO"]), KWH, st.sampled_from(["contract", "supplier_rate"])),
        max_size=6,
    ),
)
def test_any_matching_covers_each_kilowatt_hour_once(
    consumed: list[tuple[int, str, Decimal]], bought: list[tuple[str, Decimal, str]]
) -> None:
    kwh: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for month, zone, amount in consumed:
        kwh[date(2024, month, 1), zone] += amount
    every = [
        contract(1, market=market, quantity_kwh=amount, line=number, instrument=kind, supplier=f"{number}")
        for number, (market, amount, kind) in enumerate(bought, 2)
    ]
    gathered = batches(judged(every, {zone for _, zone in kwh}, []))
    found = matched([Used(month, zone, "scope2", amount) for (month, zone), amount in kwh.items()], gathered)
    covered: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    supplied: dict[str, Decimal] = defaultdict(Decimal)
    for one in found.applied:
        assert one.kwh > 0
        covered[one.month, one.zone] += one.kwh
        supplied[one.batch] += one.kwh
    assert all(covered[cell] <= kwh[cell] for cell in covered)
    tiny = Decimal("0.000000001")
    assert all(supplied[batch.name] <= (batch.counted_kwh or 0) + tiny for batch in gathered)
    for zone in {zone for _, zone in kwh}:
        mine = sum((amount for (_, where), amount in kwh.items() if where == zone), Decimal())
        whole = sum((amount for market, amount, _ in bought if covers(market, zone)), Decimal())
        met = sum((amount for (_, where), amount in covered.items() if where == zone), Decimal())
        alone = not any(covers(market, other) for market, _, _ in bought if covers(market, zone)
                        for _, other in kwh if other != zone)  # fmt: skip
        assert not alone or abs(met - min(mine, whole)) <= tiny, "nothing is left uncovered that could be"


@given(KWH, st.lists(KWH, min_size=1, max_size=9))
def test_shares_add_up_to_their_whole(total: Decimal, weights: list[Decimal]) -> None:
    parts = shared(total, weights)
    assert sum(map(Fraction, parts)) == (Fraction(total) if any(weights) else 0)
    assert all(part >= 0 for part in parts)


HOUR = datetime(2024, 5, 9, 10)


def hourly(start: datetime, minutes: int, kwh: int, **more: Any) -> Instrument:
    period = {"generation_start": start, "generation_end": start + timedelta(minutes=minutes)}
    return contract(0, **{**period, "quantity_kwh": Decimal(kwh), "counted_kwh": Decimal(kwh), **more})


@pytest.mark.parametrize(
    ("every", "kwh"),
    [
        ([hourly(HOUR, 60, 30)], 30),
        ([hourly(HOUR, 60, 300)], 100),
        ([hourly(HOUR + timedelta(minutes=15 * n), 15, 10) for n in range(4)], 40),
        ([hourly(HOUR, 60, 300), hourly(HOUR + timedelta(hours=1), 60, 20)], 120),
        ([hourly(HOUR + timedelta(minutes=30), 60, 30)], 0),
        ([hourly(HOUR, 24 * 60, 30)], 0),
        ([hourly(HOUR, 60, 30, carbon_free=None)], 0),
        ([hourly(HOUR, 60, 30, market="FR")], 0),
        ([hourly(HOUR, 60, 30, counted_kwh=Decimal(0))], 0),
        ([hourly(HOUR - timedelta(hours=9), 60, 30)], 0),
    ],
)
def test_hours_are_covered_by_what_was_generated_in_them(every: list[Instrument], kwh: int) -> None:
    hours = [(HOUR + timedelta(hours=n), "DE", "scope2", Decimal(100)) for n in range(3)]
    assert sum(hourly_matched(hours, every).values()) == kwh


def test_zones_of_a_market_share_its_hour() -> None:
    cells = [(HOUR, "DK-DK1", "scope2", Decimal(30)), (HOUR, "DK-DK2", "scope2", Decimal(10))]
    found = hourly_matched(cells, [hourly(HOUR, 60, 20, market="DK"), hourly(HOUR, 60, 30, market="DK-DK1", line=3)])
    assert found == {("DK-DK1", "scope2"): Decimal(30), ("DK-DK2", "scope2"): Decimal(10)}

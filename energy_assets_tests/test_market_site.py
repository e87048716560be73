"""From site.yaml and files to market-based figures: 100 MWh, 75 of them certified; what is wrong or late is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import Outcome, run_days
from energy_assets.site import Site, load_site
from energy_assets.telling import remarks_of
from energy_assets_tests.small_site import write_csv

MAY, JUNE = DayRange(date(2024, 5, 9), date(2024, 5, 9)), DayRange(date(2024, 6, 3), date(2024, 6, 3))
NODES, WATTS, HOURS = 100, 50_000, 20
"""100 MWh on a day."""
SITE = """
organisation: {name: Example AI, currency: EUR}
start: 2024-05-01
storage: {root: ./var}
engine: {kind: duckdb, memory_limit: 1GB, threads: 1}
sources:
  - {name: meters, kind: power_files, path: "meters/*.csv", node: node, max_gap_s: 3600,
     place: {provider: onprem, region: r1, zone: DE, pue: 1}}
  - name: grid
    kind: grid_factors
    factors: [{zone: DE, year: 2024, direct_gco2e_per_kwh: 400, source: made up for this test}]
  - {name: certificates, kind: instrument_files, path: "instruments/*.csv"}
"""
HEADER = ["instrument", "registry", "serial_from", "serial_to", "quantity_mwh", "generation_start", "generation_end",
          "vintage", "for_year", "zone", "technology", "gco2e_per_kwh", "retired_on"]  # fmt: skip
CERTIFICATE = {
    "instrument": "certificate", "registry": "HKNR", "serial_from": "DE-0001", "serial_to": "DE-0075",
    "quantity_mwh": 75, "vintage": 2024, "zone": "DE", "technology": "wind", "gco2e_per_kwh": 0,
    "retired_on": "2025-02-01",
}  # fmt: skip
RESIDUAL = {"instrument": "residual_mix", "vintage": 2024, "zone": "DE", "gco2e_per_kwh": 520}
Line = Mapping[str, Any]


def site_of(folder: Path, days: Iterable[DayRange] = (MAY,), **files: list[Line]) -> Site:
    """A site whose machines use 100 MWh on each of the days, with files of instruments by name."""
    for span in days:
        for day in span:
            start = datetime(day.year, day.month, day.day)
            times = [start + timedelta(hours=n) for n in range(HOURS + 1)]
            lines = ((f"{at:%Y-%m-%dT%H:%M:%SZ}", f"n{n}", WATTS) for at in times for n in range(NODES))
            write_csv(folder / f"meters/{day}.csv", ["time", "node", "power_w"], lines)
    state(folder, **files)
    (folder / "site.yaml").write_text(SITE)
    return load_site(folder / "site.yaml")


def state(folder: Path, **files: list[Line]) -> None:
    """Write files of instruments."""
    for name, lines in files.items():
        write_csv(folder / f"instruments/{name}.csv", HEADER, ([line.get(c, "") for c in HEADER] for line in lines))


def run(site: Site, days: DayRange = MAY) -> Outcome:
    outcome = run_days(site, days, lambda step: None)
    assert outcome.success, outcome.failures
    return outcome


def said(site: Site, outcome: Outcome, days: DayRange = MAY) -> dict[bool, str]:
    """What is said at the end: of holes (True), and merely told (False); not of the energy."""
    about = ("emissions/instruments", "emissions/market", "raw/certificates")
    found = [one for one in remarks_of(site, days, outcome) if one.about in about]
    return {hole: "\n".join(one.says for one in found if one.hole is hole) for hole in (True, False)}


def tonnes(site: Site) -> dict[str, tuple[Decimal, Decimal]]:
    """Location-based and market-based tonnes by month."""
    rows = ask(site, "select month, location_g, market_g from emissions_market order by month")[1]
    return {f"{month:%Y-%m}": (Decimal(location) / 10**6, Decimal(market) / 10**6) for month, location, market in rows}


def test_the_worked_example(tmp_path: Path) -> None:
    site = site_of(tmp_path, go=[CERTIFICATE, RESIDUAL])
    outcome = run(site)
    assert tonnes(site) == {"2024-05": (40, 13)}
    asked = "select facility_kwh, certified_kwh, residual_kwh, carbon_free_kwh, instruments from emissions_market"
    assert ask(site, asked)[1] == [
        (100_000, 75_000, 25_000, 75_000, "certificate HKNR 2024; residual_mix DE 2024"),
    ]
    assert said(site, outcome) == {True: "", False: ""}
    covers = ask(site, "select instrument, verdict, applied_kwh, market_g from instruments order by instrument")[1]
    assert covers == [("certificate", "counts", 75_000, 0), ("residual_mix", "counts", 25_000, 13_000_000)]


WRONG: dict[str, tuple[list[Line], list[Line], int, bool, str]] = {
    "a serial twice in one file": (
        [CERTIFICATE, CERTIFICATE], [], 13, True, "serials_once: once, for example month 2024-05-01",
    ),
    "a serial twice in two files": ([CERTIFICATE], [CERTIFICATE | {"technology": "Wind"}], 13, True, "serials_once"),
    "ranges that overlap": (
        [CERTIFICATE | {"serial_to": "DE-0050", "quantity_mwh": 50}],
        [CERTIFICATE | {"serial_from": "DE-0041", "quantity_mwh": 35}], 13, True, "not_counted_kwh 10000",
    ),
    "another spelling of the registry": (
        [CERTIFICATE], [CERTIFICATE | {"registry": "hknr ", "serial_from": "de 1", "serial_to": "de 75"}],
        13, True, "serials_once",
    ),
    "another zone": ([CERTIFICATE | {"zone": "FR"}], [], 52, True, "market FR"),
    "another year": (
        [CERTIFICATE | {"vintage": 2023}], [], 52, False, "in 1 month nothing is certified: all certificates and",
    ),
    "claimed for another year": (
        [CERTIFICATE | {"vintage": 2023, "for_year": 2024}], [], 52, True,
        "instruments_meet_criteria: once, for example month 2024-05-01, source certificates, instrument certificate",
    ),
    "not retired yet": (
        [CERTIFICATE | {"retired_on": ""}], [], 52, False, "2024: 75.000 MWh of certificates are not retired and cover",
    ),
    "kWh for MWh": (
        [CERTIFICATE | {"quantity_mwh": "0.075"}], [], 0, True, "there are certificates of 1 kWh or 1 GWh each",
    ),
    "more than was used": (
        [CERTIFICATE | {"serial_to": "DE-0150", "quantity_mwh": 150}], [], 0, False,
        "2024: more is certified than was used so far: DE 50.000 MWh cover nothing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_found_and_said_and_the_amount_is_right(tmp_path: Path, case: str) -> None:
    one, other, expected, hole, words = WRONG[case]
    site = site_of(tmp_path, a=[*one, RESIDUAL], **({"b": other} if other else {}))
    found = said(site, run(site))
    assert words in found[hole]
    assert hole or not found[True]
    market = tonnes(site)["2024-05"][1]
    assert market == (expected if case != "kWh for MWh" else Decimal("51.961"))


def test_a_certificate_that_arrives_late_restates_the_months_of_its_year_and_says_so(tmp_path: Path) -> None:
    site = site_of(tmp_path, (MAY, JUNE), rates=[RESIDUAL])
    run(site, MAY)
    run(site, JUNE)
    assert tonnes(site) == {"2024-05": (40, 52), "2024-06": (40, 52)}
    state(tmp_path, late=[CERTIFICATE | {"serial_to": "DE-0150", "quantity_mwh": 150}])
    outcome = run(site, JUNE)
    assert tonnes(site) == {"2024-05": (40, 13), "2024-06": (40, 13)}
    words = "instruments arrived or changed, which restates market-based Scope 2 of 2 months: 2024-05 52.000 t, now "
    assert f"{words}13.000 t; 2024-06 52.000 t, now 13.000 t" in said(site, outcome, JUNE)[False]
    assert "restates" not in said(site, run(site, JUNE), JUNE)[False], "nothing is new"


def test_months_that_were_made_follow_the_electricity_of_the_year(tmp_path: Path) -> None:
    site = site_of(tmp_path, (MAY, JUNE), go=[CERTIFICATE, RESIDUAL])
    run(site, MAY)
    assert tonnes(site) == {"2024-05": (40, 13)}
    outcome = run(site, JUNE)
    assert tonnes(site) == {"2024-05": (40, Decimal("32.5")), "2024-06": (40, Decimal("32.5"))}
    assert "follow its electricity: 2024-05 made again" in said(site, outcome, JUNE)[False]


def test_a_month_run_twice_has_the_same_rows(tmp_path: Path) -> None:
    site = site_of(tmp_path, go=[CERTIFICATE, RESIDUAL])
    run(site)
    before = [ask(site, f"from {table} order by all")[1] for table in ("instruments", "emissions_market")]
    run(site)
    assert [ask(site, f"from {table} order by all")[1] for table in ("instruments", "emissions_market")] == before


def test_a_broken_file_fails_its_months_and_leaves_the_last_good_ones(tmp_path: Path) -> None:
    site = site_of(tmp_path, go=[CERTIFICATE, RESIDUAL])
    run(site)
    state(tmp_path, broken=[CERTIFICATE | {"instrument": "voucher"}])
    outcome = run_days(site, MAY, lambda step: None)
    assert not outcome.success
    assert "instruments/broken.csv: line 2: 'voucher' is no instrument" in outcome.failures["raw/certificates"]
    assert tonnes(site) == {"2024-05": (40, 13)}
    assert "kpi/monthly" in outcome.done

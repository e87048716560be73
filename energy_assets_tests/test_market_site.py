"""From site.yaml and files to market-based figures: 100 MWh, 75 of them certified; what is wrong or late is said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg

from energy_assets.disclosures.tracing import follow
from energy_assets.doctor import examine
from energy_assets.operations.checks import arrival
from energy_assets.periods import DayRange, Period
from energy_assets.query import ask
from energy_assets.running import Outcome, instance, run_days, run_report
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
          "vintage", "for_year", "zone", "technology", "gco2e_per_kwh", "retired_on", "beneficiary"]  # fmt: skip
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

    before = [ask(site, f"from {table} order by all")[1] for table in ("instruments", "emissions_market")]
    run(site)
    again = [ask(site, f"from {table} order by all")[1] for table in ("instruments", "emissions_market")]
    assert again == before, "a month run twice has the same rows"


WRONG: dict[str, tuple[list[Line], list[Line], int | str, list[tuple[str, int]]]] = {
    "AT": ([{}, {}], [], 13, [("counts", 75), ("serial_twice", 75)]),  # a serial twice in one file
    "BE": ([{}], [{"technology": "Wind"}], 13, [("counts", 75), ("serial_twice", 75)]),  # and in two
    "CH": ([{"serial_to": "CH-50", "quantity_mwh": 50}], [{"serial_from": "CH-41", "quantity_mwh": 35}], 13,
           [("counts", 35), ("counts", 50)]),  # ranges that overlap
    "DE": ([{}], [{"registry": "hknr ", "serial_from": "de 001", "serial_to": "de 75"}], 13,
           [("counts", 75), ("serial_twice", 75)]),  # another spelling
    "ES": ([{"zone": "PT"}], [], 52, [("other_market", 75)]),
    "FR": ([{"vintage": 2023, "for_year": 2024}], [], 52, [("other_year", 75)]),
    "GB": ([{"retired_on": ""}], [], 52, [("not_retired", 75)]),
    "IE": ([{"quantity_mwh": "0.075"}], [], "51.961", [("counts", 0)]),  # kWh for MWh
    "IT": ([{"serial_to": "IT-150", "quantity_mwh": 150}], [], 0, [("counts", 150)]),  # more than was used
    "NL": ([{"beneficiary": "Somebody else"}], [], 52, [("other_beneficiary", 75)]),
}  # fmt: skip
"""By zone: lines of two files that differ from a good one, the tonnes they make, and verdict and MWh of each."""
SAID = {
    True: [
        "serials_once: 4 times", "instruments_meet_criteria: 3 times",
        "in 1 month there are certificates of 1 kWh or 1 GWh each",
    ],
    False: [
        "2024: 75.000 MWh of certificates are not retired and cover nothing",
        "2024: more is certified than was used so far: IT 50.000 MWh cover nothing and are not carried",
    ],
}  # fmt: skip


def test_what_is_wrong_is_found_and_said_and_the_amounts_are_right(tmp_path: Path) -> None:
    meters = '  - {name: meters-ZZ, kind: power_files, path: "meters/*.csv", node: node, max_gap_s: 3600,\n' \
             '     place: {provider: onprem, region: rZZ, zone: ZZ, pue: 1}}\n'  # fmt: skip
    own = {zone: CERTIFICATE | {"zone": zone, "serial_from": f"{zone}-1", "serial_to": f"{zone}-75"} for zone in WRONG}
    one = [own[zone] | line for zone, (lines, *_) in WRONG.items() for line in lines]
    other = [own[zone] | line for zone, (_, lines, *_) in WRONG.items() for line in lines]
    site_of(tmp_path, a=[*one, *(RESIDUAL | {"zone": zone} for zone in WRONG)], b=other)
    before, after = SITE.split("  - {name: meters")[0], SITE[SITE.index("  - name: grid") :]
    factor = "direct_gco2e_per_kwh: 400, source: made up for this test}"
    factors = ", ".join(f"{{zone: {zone}, year: 2024, {factor}" for zone in WRONG)
    after = after.replace(f"[{{zone: DE, year: 2024, {factor}]", f"[{factors}]")
    blocks = "".join(meters.replace("meters-ZZ", f"m-{zone.lower()}").replace("ZZ", zone) for zone in WRONG)
    (tmp_path / "site.yaml").write_text(before + blocks + after)
    site = load_site(tmp_path / "site.yaml")
    found = said(site, run(site))
    rows = ask(site, "select zone, market_g from emissions_market")[1]
    assert {zone: grams / 10**6 for zone, grams in rows} == {zone: Decimal(t) for zone, (_, _, t, _) in WRONG.items()}
    asked = "select market, verdict, quantity_kwh from instruments where instrument = 'certificate' order by all"
    verdicts = [(market, verdict, int(kwh / 1000)) for market, verdict, kwh in ask(site, asked)[1]]
    assert verdicts == sorted(
        ("PT" if zone == "ES" else zone, verdict, mwh)
        for zone, (_, _, _, every) in WRONG.items() for verdict, mwh in every
    )  # fmt: skip
    for hole, words in SAID.items():
        assert all(word in found[hole] for word in words), found[hole]


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
    state(tmp_path, later=[CERTIFICATE | {"serial_from": "DE-0151", "serial_to": "DE-0200", "quantity_mwh": 50}])
    outcome = run_report(site, Period.parse("2024-05"), lambda step: None)
    assert [one.says.partition(": ")[2] for one in outcome.restated] == [
        "2024-05 13.000 t, now 0.000 t; 2024-06 13.000 t, now 0.000 t"
    ], "a report collects them, too"


def test_months_that_were_made_follow_the_electricity_of_the_year(tmp_path: Path) -> None:
    site = site_of(tmp_path, (MAY, JUNE), go=[CERTIFICATE, RESIDUAL])
    run(site, MAY)
    assert tonnes(site) == {"2024-05": (40, 13)}
    outcome = run(site, JUNE)
    assert tonnes(site) == {"2024-05": (40, Decimal("32.5")), "2024-06": (40, Decimal("32.5"))}
    kpis = ask(site, "select month, value / 1e6 from kpis_monthly where kpi = 'scope2_market_g' and grain = 'total'")[1]
    assert sorted(kpis) == [(date(2024, 5, 1), 32.5), (date(2024, 6, 1), 32.5)], "indicators follow, too"
    assert "follow its electricity: 2024-05 made again" in said(site, outcome, JUNE)[False]


def test_a_broken_file_fails_its_months_and_leaves_the_last_good_ones(tmp_path: Path) -> None:
    site = site_of(tmp_path, go=[CERTIFICATE, RESIDUAL])
    run(site)
    state(tmp_path, broken=[CERTIFICATE | {"instrument": "voucher"}])
    outcome = run_days(site, MAY, lambda step: None)
    assert not outcome.success
    assert "instruments/broken.csv: line 2: 'voucher' is no instrument" in outcome.failures["raw/certificates"]
    assert tonnes(site) == {"2024-05": (40, 13)}
    assert "kpi/monthly" in outcome.done


def test_the_report_prints_both_methods_and_its_figures_lead_to_the_files(tmp_path: Path) -> None:
    hour = {"generation_start": "2024-05-09T10:00:00Z", "generation_end": "2024-05-09T11:00:00Z"}
    hourly = {"serial_from": "DE-0071", "quantity_mwh": 5, **hour}
    site = site_of(tmp_path, go=[CERTIFICATE | {"serial_to": "DE-0070", "quantity_mwh": 70}, CERTIFICATE | hourly],
                   mix=[RESIDUAL])  # fmt: skip
    run(site)
    outcome = run_report(site, Period.parse("2024-05"), lambda step: None)
    assert outcome.success, outcome.failures
    folder = tmp_path / "var/reports/ml_sustainability/2024-05"
    figures = {one["metric"]: one for one in json.loads((folder / "figures.json").read_text())["figures"]}
    printed = {name: (one["value"], f"{one['display']['text']} {one['display']['unit']}")
               for name, one in figures.items()}  # fmt: skip
    assert printed["scope2_location_g"] == ("40000000", "40.00 t CO₂e")
    assert printed["scope2_market_g"] == ("13000000", "13.00 t CO₂e")
    assert printed["carbon_free_share"] == ("0.75", "75.0 %")
    assert printed["carbon_free_share_hourly"] == ("0.05", "5.0 %")
    text = (folder / "report.xhtml").read_text()
    assert "Residual mix of Germany (DE) 2024" in text
    assert "Scope 2 market-based" not in text, "it is no longer among what is not covered"
    node = follow(site, folder, figures["scope2_market_g"]["id"]).node
    assert node.verdict == "equal"
    files = {value for one in node.walk() if one.kind == "receipt" for _, value in one.facts}
    assert {"instruments/go.csv", "instruments/mix.csv", "meters/2024-05-09.csv"} <= files
    kpis = ask(site, "select kpi, value from kpis_monthly where grain = 'zone' and kpi in ('scope2_market_g', "
                     "'carbon_free_share', 'carbon_free_share_hourly') order by kpi")[1]  # fmt: skip
    assert kpis == [
        ("carbon_free_share", Decimal("0.75")), ("carbon_free_share_hourly", Decimal("0.05")),
        ("scope2_market_g", Decimal(13_000_000)),
    ]  # fmt: skip


def test_a_site_without_instruments_has_what_it_had(tmp_path: Path) -> None:
    site_of(tmp_path)
    text = (tmp_path / "site.yaml").read_text()
    (tmp_path / "site.yaml").write_text(text.partition("  - {name: certificates")[0])
    site = load_site(tmp_path / "site.yaml")
    run(site)
    asked = "select facility_kwh, location_g, market_g, certified_kwh, instruments from emissions_market"
    assert ask(site, asked)[1] == [(100_000, 40_000_000, None, None, None)]
    assert ask(site, "select count(*) from kpis_monthly where kpi like '%market%'")[1] == [(0,)]


def test_a_site_of_instruments_alone_collects_them(tmp_path: Path) -> None:
    site_of(tmp_path, (), go=[CERTIFICATE, RESIDUAL])
    text = SITE.split("  - {name: meters")[0] + SITE[SITE.index("  - {name: certificates") :]
    (tmp_path / "site.yaml").write_text(text)
    site = load_site(tmp_path / "site.yaml")
    assert said(site, run(site)) == {True: "", False: ""}
    assert ask(site, "select month, count(*) from raw_certificates group by month")[1] == [(date(2024, 5, 1), 2)]
    with instance(site) as dagster:
        found = arrival(dagster, site, dg.AssetKey(["raw", "certificates"]))
    assert str(found.metadata["first_missing_day"].value) == "2024-06-01", "months are expected, and not days"


def test_the_doctor_tries_the_month_of_the_energy(tmp_path: Path) -> None:
    site = site_of(tmp_path, go=[CERTIFICATE, RESIDUAL])
    (found,) = [chapter for chapter in examine(site) if chapter.name == "certificates"]
    assert [(one.ok, one.what) for one in found.findings] == [
        (True, "instruments/go.csv: Energy attribute certificates of DE 2024: 1 line, 75.000 MWh; Residual mix of DE "
               "2024: 1 line, 520.000 gCO2e/kWh"),
        (True, "trial of 2024-05-01: 2 rows, as run would publish them"),
    ]  # fmt: skip

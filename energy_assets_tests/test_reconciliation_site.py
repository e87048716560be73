"""From site.yaml and files to a reconciliation: devices beside two meters, and invoices that are no calendar months."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from energy_assets import reconciliation_listing
from energy_assets.cli import main
from energy_assets.disclosures.asset import report_folder
from energy_assets.disclosures.tracing import follow
from energy_assets.periods import DayRange, Month, Period
from energy_assets.query import ask
from energy_assets.running import Outcome, run_days, run_report
from energy_assets.site import Site, load_site
from energy_assets.telling import remarks_of
from energy_assets_tests.small_site import write_csv

DAYS = DayRange(date(2024, 4, 29), date(2024, 5, 3))
GPUS, PDU, IPMI = 300, 500, 520
"""Constant watts, so that anybody can tell the energy of an hour."""
SITE = """
organisation: {name: Example AI, currency: EUR}
start: 2024-04-29
storage: {root: ./var}
engine: {kind: duckdb, memory_limit: 1GB, threads: 1}
sources:
  - {name: gpus, kind: power_files, path: "gpus/*.csv", node: node, device: device, device_kind: gpu, max_gap_s: 3600,
     place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - {name: pdu, kind: power_files, path: "pdu/*.csv", node: node, max_gap_s: 3600,
     place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - {name: ipmi, kind: power_files, path: "ipmi/*.csv", node: node, max_gap_s: 3600,
     place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - name: grid
    kind: grid_factors
    factors: [{zone: DE, year: 2024, direct_gco2e_per_kwh: 400, source: made up for this test}]
  - {name: invoices, kind: invoice_files, path: "invoices/*.csv", provider: onprem, region: r1, boundary: facility}
"""
HEADER = ["invoice_id", "corrects", "meter", "first_day", "last_day", "energy_kwh", "pue", "gco2e", "gco2e_basis"]
Line = Mapping[str, Any]


def times(days: DayRange) -> Iterator[datetime]:
    start = datetime(days.first.year, days.first.month, days.first.day)
    return (start + timedelta(hours=n) for n in range(24 * len(days) + 1))


def site_of(folder: Path, lines: list[Line], days: DayRange = DAYS, text: str = SITE) -> Site:
    """A node whose GPU takes 300 W, and whose meters say 500 and 520 W: 12 kWh a day, 15 with the building."""
    stamps = [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in times(days)]
    write_csv(folder / "gpus/a.csv", ["time", "node", "device", "power_w"], ((t, "n1", "gpu0", GPUS) for t in stamps))
    for name, watts in (("pdu", PDU), ("ipmi", IPMI)):
        rows = ((t, "n1.dc.example", watts) for t in stamps)
        write_csv(folder / f"{name}/a.csv", ["time", "node", "power_w"], rows)
    state(folder, lines)
    (folder / "site.yaml").write_text(text)
    return load_site(folder / "site.yaml")


def state(folder: Path, lines: list[Line], name: str = "a") -> None:
    write_csv(folder / f"invoices/{name}.csv", HEADER, ([line.get(column, "") for column in HEADER] for line in lines))


def run(site: Site, days: DayRange = DAYS) -> Outcome:
    outcome = run_days(site, days, lambda step: None)
    assert outcome.success, outcome.failures
    return outcome


PARTS = ("by_coverage", "by_lag", "by_boundary", "by_energy", "by_pue", "by_intensity", "unexplained")


def rows_of(site: Site, where: str = "true") -> list[dict[str, Any]]:
    names, rows = ask(site, f"select * from reconciliation where {where} order by month, against, source, quantity")
    return [dict(zip(names, row, strict=True)) for row in rows]


INVOICE = {"invoice_id": "2024-17", "meter": "M1", "first_day": "2024-04-30", "last_day": "2024-05-02",
           "energy_kwh": 54, "pue": "1.5"}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = site_of(tmp_path_factory.mktemp("reconciled"), [INVOICE])
    run(made)
    return made


def test_devices_stand_beside_each_meter_of_their_node(site: Site) -> None:
    found = rows_of(site, "against = 'node_meter'")
    assert [(f"{row['month']:%Y-%m}", row["source"], row["service"], row["meter"]) for row in found] == [
        ("2024-04", "ipmi", "n1", "n1.dc.example"), ("2024-04", "pdu", "n1", "n1.dc.example"),
        ("2024-05", "ipmi", "n1", "n1.dc.example"), ("2024-05", "pdu", "n1", "n1.dc.example"),
    ]  # fmt: skip
    may = found[3]
    assert (may["ours"], may["theirs"], may["difference"], may["ratio"]) == (
        Decimal("21.6"), 36, Decimal("-14.4"), Decimal("0.6"),
    )  # fmt: skip
    assert {name: may[name] for name in PARTS if may[name]} == {"by_boundary": Decimal("-14.4")}
    assert (may["compared_hours"], may["theirs_compared"], may["gap_hours"]) == (72, 36, 0)


def test_an_invoice_that_crosses_months_is_held_against_the_same_days(site: Site) -> None:
    april, may = rows_of(site, "against = 'invoice'")
    # Ours 15 kWh a day with the building; theirs 54 kWh of three days, 18 each, with a PUE of 1.5: IT is 12 on both.
    assert (april["ours"], april["theirs"], april["compared_hours"]) == (30, 18, 24)
    assert {name: april[name] for name in PARTS if april[name]} == {"by_coverage": 15, "by_pue": -3}
    assert (may["ours"], may["theirs"], may["compared_hours"]) == (45, 36, 48)
    assert {name: may[name] for name in PARTS if may[name]} == {"by_lag": 15, "by_pue": -6}
    assert (may["ratio"], may["compared_ratio"]) == (Decimal("1.25"), Decimal("0.833333333333333"))
    assert may["why"].startswith("of what both have: mostly PUE; apart from it: what one side does not have yet")


def test_a_month_made_again_has_the_same_rows_and_what_leaves_the_band_is_told_with_its_step(site: Site) -> None:
    before = rows_of(site)
    (said,) = [one for one in remarks_of(site, DAYS, run(site)) if one.about == "kpi/reconciliation"]
    assert said.says.startswith("reconciles: 2 times")
    assert "off -3, unit kWh, off_pct -16.67, why of what both have: mostly PUE" in said.says
    assert rows_of(site) == before


def test_the_command_prints_every_part_and_a_pipe_every_column(site: Site) -> None:
    piped = CliRunner().invoke(main, ["reconcile", "--site", str(site.file), "--month", "2024-05"])
    header, *lines = csv.reader(io.StringIO(piped.output))
    assert (header[:3], len(lines)) == (["month", "against", "source"], 3)
    rows = rows_of(site, "month = '2024-05-01'")
    names, shown = reconciliation_listing.shown(rows)
    assert names == ["against", "of", "quantity", "ours", "theirs", "like by like", "lag", "boundary", "PUE"]
    assert shown[0] == [
        "Electricity invoices", "r1 electricity (invoices: M1)", "facility_kwh [kWh]", "45.000", "36.000", "83.3 %",
        "15.000", "", "-6.000",
    ]  # fmt: skip
    said = list(reconciliation_listing.remarks(rows, site))
    assert [line.count("! more than 10 % off") for line in said] == [1, 0, 0]


def test_a_report_prints_it_and_its_figures_trace_to_the_invoice(site: Site) -> None:
    outcome = run_report(site, Period.parse("2024-05"), lambda step: None)
    assert outcome.success, outcome.failures
    folder = report_folder(site, "ml_sustainability", Period.parse("2024-05"))
    figures = {one["metric"]: one for one in json.loads((folder / "figures.json").read_text())["figures"]
               if one["dimensions"].get("quantity") == "facility_kwh"}  # fmt: skip
    assert (figures["reconciliation_theirs"]["value"], figures["reconciliation_by_pue"]["value"]) == ("36", "-6")
    tree = follow(site, folder, figures["reconciliation_theirs"]["id"]).node
    receipts = {dict(node.facts)["request path"] for node in tree.walk() if node.kind == "receipt"}
    assert (receipts, tree.verdict) == ({"invoices/a.csv"}, "equal")


def test_a_meter_that_only_the_month_before_has_is_missed_in_whichever_range_a_month_is_made(tmp_path: Path) -> None:
    other = {**INVOICE, "invoice_id": "2024-16", "meter": "M2", "first_day": "2024-04-29", "last_day": "2024-04-30"}
    made = site_of(tmp_path, [INVOICE, other])
    run(made)
    (may,) = before = rows_of(made, "against = 'invoice' and month = '2024-05-01'")
    assert (may["compared_hours"], may["by_lag"], may["compared_ratio"]) == (0, 9, None)
    assert "no invoice of meter M2 yet: its last one ended 2024-04-30" in may["why"]
    run(made, DayRange(date(2024, 5, 1), DAYS.last))
    assert rows_of(made, "against = 'invoice' and month = '2024-05-01'") == before


def test_a_site_with_nothing_to_compare_says_so_in_a_line(tmp_path: Path) -> None:
    text = "\n".join(line for line in SITE.splitlines() if "invoices" not in line)
    start = text.index("  - {name: gpus")
    made = site_of(tmp_path, [], DayRange(DAYS.last, DAYS.last), text[:start] + text[text.index("  - {name: ipmi") :])
    run(made, DayRange(DAYS.last, DAYS.last))
    assert reconciliation_listing.rows_of(made, Month(2024, 5)) == []
    again = "energy-assets run …"
    said = reconciliation_listing.nothing(made, Month(2024, 5), again)
    assert said.startswith("Nothing of 2024-05 can be compared: no node has both a meter and devices")
    assert reconciliation_listing.nothing(made, Month(2024, 6), again).startswith("2024-06 has not been run")


def test_invoices_that_cannot_be_read_hold_up_nothing_else(tmp_path: Path) -> None:
    day = DayRange(DAYS.last, DAYS.last)
    made = site_of(tmp_path, [INVOICE, INVOICE], day)
    outcome = run_days(made, day, lambda step: None)
    assert not outcome.success
    assert (
        "invoices/a.csv line 3: invoice 2024-17 of meter M1 stands in invoices/a.csv line 2 as well"
        in (outcome.failures["raw/invoices"])
    )
    assert {"kpi/monthly", "emissions/market"} <= set(outcome.done)


RENTED = """
organisation: {name: Example AI, currency: USD}
start: 2024-05-09
storage: {root: ./var}
engine: {kind: duckdb, memory_limit: 1GB, threads: 1}
sources:
  - {name: gpus, kind: power_files, path: "gpus/*.csv", node: node, device: device, device_kind: gpu, max_gap_s: 3600,
     place: {provider: aws, region: eu-central-1, zone: DE, pue: 1.1}}
  - {name: bills, kind: focus_files, path: "bills/*.csv"}
reconciliation: {tolerance_pct: 40}
"""
BILL = {
    "BilledCost": "2359.68", "BillingAccountId": "1", "BillingCurrency": "USD", "ChargeCategory": "Usage",
    "BillingPeriodStart": "2024-05-01T00:00:00Z", "ChargePeriodStart": "2024-05-09T00:00:00Z",
    "ChargePeriodEnd": "2024-05-10T00:00:00Z", "ConsumedQuantity": "24", "ConsumedUnit": "Hours", "ProviderName": "AWS",
    "RegionId": "eu-central-1", "ResourceId": "i-0123456789abcdef0", "ServiceName": "Amazon Elastic Compute Cloud",
    "SkuMeter": "EUC1-BoxUsage:p5.48xlarge",
}  # fmt: skip


def test_a_rented_machine_with_telemetry_stands_beside_what_its_bill_lets_one_estimate(tmp_path: Path) -> None:
    day = DayRange(date(2024, 5, 9), date(2024, 5, 9))
    rows = (
        (f"{at:%Y-%m-%dT%H:%M:%SZ}", "i-0123456789abcdef0", f"gpu{number}", 500)
        for at in times(day)
        for number in range(8)
    )
    write_csv(tmp_path / "gpus/a.csv", ["time", "node", "device", "power_w"], rows)
    write_csv(tmp_path / "bills/may.csv", list(BILL), [BILL.values()])
    (tmp_path / "site.yaml").write_text(RENTED)
    site = load_site(tmp_path / "site.yaml")
    outcome = run(site, day)
    (one,) = rows_of(site)
    # Eight GPUs of 500 W are 96 kWh a day; docs/method/worked-example.md has 72.96 of GPUs, 5.559 and 17.332 beside.
    assert (one["against"], one["source"], one["service"]) == ("bill_estimate", "bills", "i-0123456789abcdef0")
    assert (one["ours"], one["by_energy"]) == (96, Decimal("23.04"))
    assert one["theirs"] == pytest.approx(Decimal("95.8515972096"), abs=Decimal("1e-6"))
    assert one["by_boundary"] == pytest.approx(Decimal("-22.8915972096"), abs=Decimal("1e-6"))
    # 31.6 % more than theirs of the GPUs: within the band of 40 %.
    assert not [said for said in remarks_of(site, day, outcome) if said.about == "kpi/reconciliation"]

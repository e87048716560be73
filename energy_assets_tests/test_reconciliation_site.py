"""From site.yaml and files to a reconciliation: devices beside two meters, and invoices that are no calendar months."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import Outcome, run_days
from energy_assets.site import Site, load_site
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
    print(april, may)

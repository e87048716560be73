"""Public bug reports about names, labels and modes of metrics, in a real Prometheus: what should have come out.

Inputs lie beside the checkout (`shared/data/field/prometheus.yaml`), one case to a report, told apart by the label
`case`; each is run through Dagster and asked for its rows.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import run_days
from energy_assets.site import Site, load_site

pytestmark = [pytest.mark.realdata, pytest.mark.real_server]

DAY = DayRange(date(2025, 10, 20), date(2025, 10, 20))
FULL_HOURS = "hour between '2025-10-20 01:00' and '2025-10-20 07:00'"
"""Hours of which all samples are there."""
KEPLER = (
    "{metric: kepler_node_package_joules_total, type: counter, unit: J, device_kind: cpu, device_labels: [package]%s}"
)


def site_of(folder: Path, url: str, case: str, *, kind: str = "energy", more: str = "") -> Site:
    place = ", place: {provider: onprem, region: r1, zone: DE, pue: 1.2}" if kind == "energy" else ""
    (folder / "site.yaml").write_text(
        "organisation: {name: Field, currency: EUR}\nstart: 2025-10-20\nstorage: {root: ./var}\nsources:\n"
        f"  - {{name: dc, kind: prometheus_{kind}, url: '{url}', selector: 'case=\"{case}\"'{place}{more}}}\n"
    )
    return load_site(folder / "site.yaml")


def rows(site: Site, query: str) -> list[tuple[Any, ...]]:
    run_days(site, DAY, lambda step: None)
    found: list[tuple[Any, ...]] = ask(site, query)[1]
    return found


def by_hour(kinds: str) -> str:
    return f"select distinct {kinds}, energy_kwh from energy where {FULL_HOURS} order by all"


def test_p1_a_node_is_metered_by_the_name_that_the_exporter_emits(field: str, tmp_path: Path) -> None:
    found = rows(site_of(tmp_path, field, "p1"), by_hour("device_kind"))
    assert found == [("cpu", Decimal("0.2")), ("gpu", Decimal("0.4")), ("rest_of_node", Decimal("0.4"))]


def test_p5_dies_of_a_package_are_cpus_of_their_own(field: str, tmp_path: Path) -> None:
    found = rows(site_of(tmp_path, field, "p5"), by_hour("device_id, device_kind"))
    assert found == [
        ("package-0-die-0", "cpu", Decimal("0.15")),
        ("package-0-die-1", "cpu", Decimal("0.15")),
    ]


def test_p8_ray_serves_vllm_under_its_own_prefix(field: str, tmp_path: Path) -> None:
    site = site_of(tmp_path, field, "p8", kind="inference")
    query = f"select distinct model_id, requests, generated_tokens from activity where {FULL_HOURS}"
    assert rows(site, query) == [("llama-8b", 3_600, 180_000)]


def test_p9_modes_that_nobody_named_are_no_copies(field: str, tmp_path: Path) -> None:
    site = site_of(tmp_path, field, "p9", more=f", metrics: [{KEPLER % ''}]")
    assert rows(site, by_hour("node_id")) == [("node1", None)]


def test_p9_modes_that_are_named_add_up(field: str, tmp_path: Path) -> None:
    site = site_of(tmp_path, field, "p9", more=f", metrics: [{KEPLER % ', adds: [mode]'}]")
    assert rows(site, by_hour("device_id")) == [("0", Decimal("0.1"))]


def test_p9_is_right_with_the_profile_alone(field: str, tmp_path: Path) -> None:
    site = site_of(tmp_path, field, "p9", more=", profiles: [kepler]")
    assert rows(site, by_hour("device_id, device_kind")) == [("package-0", "cpu", Decimal("0.1"))]

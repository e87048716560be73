"""What published tables lack is named: zones, factors, owners, energy, and no more than that."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pytest

from energy_assets.disclosures.missing import BILLED_ALONE, NOT_REPORTED
from energy_assets.holes import empty_sources, holes
from energy_assets.lake import Lake
from energy_assets.periods import DayRange
from energy_assets.remarks import Remark
from energy_assets.report_holes import unknown_figures
from energy_assets.site import Site, load_site
from energy_assets.tables import ACTIVITY, COST, EMISSIONS, ENERGY, GRID_INTENSITY, USAGE_ESTIMATES, Table, raw_table
from energy_assets_tests.rows import DAY, at, table

SITE = """
organisation: {name: Small AI}
start: 2024-05-01
storage: {root: ./var}
sources:
  - {name: meters, kind: power_files, path: "meters/*.csv", node: node, place: {region: r1, zone: DE, pue: 1.25}}
  - {name: serving, kind: prometheus_inference, url: "http://127.0.0.1:9"}
  - {name: grid, kind: intensity_files, path: "grid/*.csv"}
  - {name: bills, kind: focus_files, path: "bills/*.csv"}
"""
RULES = "attribution: {rules: [{match: {node_id: n1}, project: p}]}\n"
GRAMS = {"location_g": Decimal(300), "upstream_g": Decimal(100), "lifecycle_g": Decimal(400), "factor_id": "f"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site.yaml").write_text(SITE + RULES)
    return load_site(tmp_path / "site.yaml")


def publish(site: Site, target: Table, rows: Iterable[Mapping[str, Any]], days: Iterable[date] = (DAY,)) -> None:
    con = ibis.duckdb.connect()
    con.raw_sql("SET TimeZone = 'UTC'")
    commit = Lake(site.disk()).replace(con, target, list(days), table(target.model, rows), "test")
    assert not commit.rejected, commit.rejected


def said(site: Site, *days: date) -> list[Remark]:
    return holes(site, days or (DAY,))


def grid(site: Site, *zones: str) -> None:
    rows = [{"zone": zone, "hour": at(hour)} for zone in zones for hour in range(24)]
    publish(site, raw_table(site.feeding("grid_intensity")[0]), rows)


def test_accelerators_of_unknown_footprint_are_told(site: Site) -> None:
    gpu = {**GRAMS, "device_kind": "gpu", "device_hours": Decimal(2)}
    publish(site, ENERGY, [{"project": "p"}])
    publish(site, EMISSIONS, [{**gpu, "device_id": "a", "embodied_g": Decimal(1)}])
    assert said(site) == []
    publish(site, EMISSIONS, [gpu, {**gpu, "device_id": "a", "embodied_g": Decimal(1)}])
    (one,) = said(site)
    assert not one.hole
    assert one.says.startswith("embodied emissions are not known of 2 accelerator-hours (onprem r1): no table")


def test_what_has_all_is_told_nothing(site: Site) -> None:
    publish(site, EMISSIONS, [GRAMS, {"hour": at(1), "energy_kwh": None, "coverage": Decimal(0)}])
    publish(site, ENERGY, [{"project": "p", "model_id": "m1"}])
    publish(site, ACTIVITY, [{"model_id": "m1"}])
    publish(site, COST, [{"region": "eu-central-1", "zone": "DE"}, {"region": None}])
    assert said(site) == []


def test_a_zone_that_no_source_serves_is_named_with_those_that_are(site: Site) -> None:
    publish(site, EMISSIONS, [{"zone": "GERMANY", "hour": at(hour)} for hour in range(24)])
    grid(site, "FR", "DE")
    (found,) = said(site)
    assert found.hole
    assert found.says == ("24 rows (24.0 kWh) have no grid factor: zone GERMANY; intensity is known for DE, FR")
    assert said(site, DAY + timedelta(days=1)) == [], "other days are not asked about"


def test_the_zones_that_may_be_meant_come_first(site: Site) -> None:
    publish(site, EMISSIONS, [{"zone": "US-CAL"}])
    grid(site, "AT", "BE", "CH", "DE", "DK", "FR", "US-CAL-CISO")
    (found,) = said(site)
    assert found.says.endswith("zone US-CAL; intensity is known for US-CAL-CISO, AT, BE, CH, DE and 2 more")


def test_without_any_intensity_the_remedy_is_a_source(site: Site) -> None:
    publish(site, EMISSIONS, [{}])
    (found,) = said(site)
    assert found.says == "1 row (1.0 kWh) have no grid factor: zone DE; no source has an intensity of these days"
    assert "Add a source of grid intensity" in found.remedy


def test_energy_without_a_zone_names_the_place_and_the_line_to_add(site: Site) -> None:
    publish(site, EMISSIONS, [{"zone": None, "provider": "gcp", "region": "mars1", "energy_kwh": Decimal("0.0004")}])
    (found,) = said(site)
    assert found.says == "1 row (0.0004 kWh) have no grid zone, so no emissions: gcp mars1"
    assert '- {provider: gcp, region: "mars1", zone: …, pue: …}' in found.remedy, "it would be asked for next"


def test_energy_of_a_place_without_a_pue_is_not_blamed_on_its_zone(site: Site) -> None:
    """It said that no direct intensity is known, and asked for a source that was there."""
    lacking = {"zone": "DE", "factor_id": "f", "pue": None, "facility_kwh": None}
    publish(site, EMISSIONS, [lacking, lacking | {"hour": at(1), "region": "a: b", "zone": None}])
    grid(site, "DE")
    zoneless, pueless = said(site)
    assert pueless.says == "1 row (1.0 kWh) have no PUE, so no emissions: onprem r1"
    assert pueless.remedy.endswith('\n- {provider: onprem, region: "r1", pue: …}')
    assert '- {provider: onprem, region: "a: b", zone: …, pue: …}' in zoneless.remedy


def test_a_zone_without_a_direct_intensity_has_no_scope_2(site: Site) -> None:
    part = {"lifecycle_g": Decimal(400), "factor_id": "f"}
    publish(
        site,
        EMISSIONS,
        [part, part | {"hour": at(1), "ghg_scope": "scope3.1"}, {"hour": at(2), "zone": "FR"}],
    )
    grid(site, "DE")
    factorless, bare = said(site)
    assert "zone FR" in factorless.says
    assert bare.says == "1 row (1.0 kWh) have no Scope 2 emissions: no direct intensity is known in DE"
    assert bare.hole


def test_a_zone_without_a_life_cycle_intensity_lacks_its_upstream_part(site: Site) -> None:
    publish(site, EMISSIONS, [{"location_g": Decimal(300), "factor_id": "f"}])
    (found,) = said(site)
    assert not found.hole
    assert found.says == "the upstream part (Scope 3.3) is not known in DE: no life-cycle intensity"


def test_a_life_cycle_intensity_that_is_not_mixed_with_a_direct_one_is_named(site: Site) -> None:
    publish(site, EMISSIONS, [{"location_g": Decimal(300), "factor_id": "f"}])
    grid(site, "DE", "FR")
    (found,) = said(site)
    assert not found.hole
    assert found.says == (
        "the upstream part (Scope 3.3) is not known in DE: no life-cycle intensity beside the direct one that counts, "
        "and those of grid (DE) are not mixed with it"
    )
    assert found.remedy == "Give the life-cycle intensity in the source that has the direct one."


@pytest.mark.parametrize(("basis", "wanted", "alone"), [("direct", "direct", "life-cycle"),
                                                        ("lifecycle", "life-cycle", "direct")])  # fmt: skip
def test_hours_of_a_better_rung_without_the_basis_that_counts_are_told(
    site: Site, tmp_path: Path, basis: str, wanted: str, alone: str
) -> None:
    year = "{zone: DE, year: 2024, direct_gco2e_per_kwh: 363, lifecycle_gco2e_per_kwh: 427, source: x}"
    more = f"  - {{name: factors, kind: grid_factors, factors: [{year}]}}\nfactors: {{scope2_basis: {basis}}}\n"
    (tmp_path / "site.yaml").write_text(SITE + more + RULES)
    site = load_site(tmp_path / "site.yaml")
    lacks = {f"{basis}_gco2e_per_kwh": None}
    hours: list[dict[str, Any]] = [{"hour": at(hour), **(lacks if hour < 3 else {})} for hour in range(24)]
    publish(site, raw_table(site.feeding("grid_intensity")[0]), hours)
    stated: dict[str, Any] = {"resolution": "year", "is_estimated": True}
    publish(site, raw_table(site.sources[-1]), [{**stated, "hour": at(hour)} for hour in range(24)])
    chosen = stated | {"source": "factors", "factor_tier": 4}
    publish(site, GRID_INTENSITY, [{"hour": at(hour), **(chosen if hour < 3 else {})} for hour in range(24)])
    told = [remark for remark in said(site) if "are not used" in remark.says]
    assert [(remark.says, remark.hole) for remark in told] == [
        (
            f"hours with a {alone} intensity alone are not used for Scope 2: 3 hours of DE in grid (factors counts)",
            False,
        )
    ]
    assert told[0].remedy == f"Give the {wanted} intensity of these hours too, if it is known."


def test_on_the_life_cycle_basis_no_upstream_part_is_missed(site: Site, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE + "factors: {scope2_basis: lifecycle}\n")
    publish(site, EMISSIONS, [{"location_g": Decimal(400), "lifecycle_g": Decimal(400), "factor_id": "f"}])
    assert said(load_site(tmp_path / "site.yaml")) == []


def test_requests_of_a_model_without_energy_on_their_day_are_counted(site: Site) -> None:
    after = DAY + timedelta(days=1)
    publish(site, ENERGY, [{"model_id": "m1", "project": "p"}, {"model_id": "m2", "project": "p", "hour": at(1),
                            "energy_kwh": Decimal(0)}])  # fmt: skip
    publish(
        site,
        ACTIVITY,
        [{"model_id": "m1", "requests": 7}, {"model_id": "m2", "requests": 5, "hour": at(1)},
         {"model_id": "m1", "requests": 3, "day": after}, {"model_id": None, "requests": 2, "hour": at(2)},
         {"model_id": "m3", "requests": 0, "hour": at(3)}],
        [DAY, after],
    )  # fmt: skip
    (found,) = said(site, DAY, after)
    assert found.says == (
        "10 requests without energy beside them, so no Wh per request: models m2, m1, (no model named)"
    )


def test_energy_that_no_rule_maps_is_told_and_a_hole_where_none_of_a_source_is(site: Site, tmp_path: Path) -> None:
    rows = [{"project": "p"}, {"hour": at(1), "workload_id": "pod-7"}, {"hour": at(2), "source": "other"},
            {"hour": at(3), "workload_type": "idle", "project": "idle"}]  # fmt: skip
    publish(site, ENERGY, rows)
    part, whole = said(site)
    assert (part.about, part.hole) == ("unified/energy from meters", False)
    assert part.says == "1.0 kWh (50.0 % of its energy) belong to no project: no attribution rule matches pod-7 on n1"
    assert (whole.about, whole.hole) == ("unified/energy from other", True)
    assert "all of its energy" in whole.says
    (tmp_path / "site.yaml").write_text(SITE)
    assert said(load_site(tmp_path / "site.yaml")) == [], "without rules nobody expects a project"


def test_energy_of_inference_without_a_request_is_told(site: Site) -> None:
    energy = {"workload_type": "inference", "project": "p"}
    publish(
        site,
        ENERGY,
        [{**energy, "model_id": "m1"}, {**energy, "model_id": "m2", "hour": at(1)},
         {**energy, "model_id": "m2", "hour": at(2)}, {**energy, "model_id": "m3", "hour": at(3)},
         {**energy, "model_id": "m4", "hour": at(4), "workload_type": "training"},
         {**energy, "model_id": "m5", "hour": at(5), "energy_kwh": Decimal(0)}],
    )  # fmt: skip
    publish(site, ACTIVITY, [{"model_id": "m1", "requests": 7}, {"model_id": "m3", "requests": 0, "hour": at(3)}])
    (found,) = said(site)
    assert (found.about, found.hole) == ("unified/activity", False)
    assert found.says == "3.0 kWh of inference without a request beside them: models m2, m3"


def test_projects_that_no_row_has_are_told(site: Site, tmp_path: Path) -> None:
    rules = [f"{{match: {{node_id: {name}}}, project: {name}}}" for name in ("p", "zz", "ghost")]
    rules.append('{match: {team: "*"}, project: "{label:team}"}')
    (tmp_path / "site.yaml").write_text(f"{SITE}attribution: {{rules: [{', '.join(rules)}]}}\n")
    site = load_site(tmp_path / "site.yaml")
    assert said(site) == [], "of nothing at all other lines tell"
    publish(site, ENERGY, [{"project": "p"}])
    (found,) = said(site)
    assert (found.about, found.hole) == ("unified/energy", False)
    assert found.says == "the rules of ghost, zz match none of these days' rows of energy, activity and cost"
    publish(site, COST, [{"project": "ghost", "zone": "DE"}])
    (found,) = said(site)
    assert found.says.startswith("the rules of zz match")


def test_lines_of_bills_in_a_region_nobody_knows_are_told(site: Site) -> None:
    lines = [{"region": "mars1"}, {"region": "mars1", "hour": at(1)}, {"region": "venus", "zone": "DE"}]
    publish(site, COST, [{**line, "project": "p"} for line in lines])
    (found,) = said(site)
    assert (found.hole, found.says) == (False, "2 lines of bills have no grid zone: aws mars1")


Row = dict[str, Any]
BILLED: Row = {"source": "bills", "provider": "aws", "region": "eu-central-1", "method": "estimated_capacity",
          "quality_tier": 4, "coverage": Decimal(0), "zone": "DE", "node_id": "i-1", "project": "p"}  # fmt: skip
METERED: Row = {"provider": "aws", "region": "eu-central-1", "zone": "DE", "project": "p"}


@pytest.mark.parametrize(
    ("measured", "estimated", "told", "line"),
    [
        (
            {"pue": Decimal("1.10")}, {"pue": Decimal("1.35")},
            "energy of one region counts with two PUEs: aws eu-central-1 (1.1 as measured by meters, 1.35 as "
            "estimated from bills)",
            "pue: 1.1",
        ),
        (
            {"zone": "FR", "pue": Decimal("1.2")}, {"pue": Decimal("1.2")},
            "energy of one region counts with two grid zones: aws eu-central-1 (FR as measured by meters, DE as "
            "estimated from bills)",
            'zone: "FR"',
        ),
    ],
)  # fmt: skip
def test_one_region_with_two_places_is_told(site: Site, measured: Row, estimated: Row, told: str, line: str) -> None:
    grid(site, "DE", "FR")
    publish(site, EMISSIONS, [METERED | GRAMS | measured, BILLED | GRAMS | estimated])
    (found,) = said(site)
    assert (found.hole, found.says) == (True, told)
    assert found.remedy.endswith(f'- {{provider: aws, region: "eu-central-1", {line}}}')


@pytest.mark.parametrize(
    ("measured", "estimated"),
    [
        ({"pue": Decimal("1.35")}, {"pue": Decimal("1.350")}),
        ({"pue": Decimal("1.1"), "region": "eu-west-1"}, {"pue": Decimal("1.35")}),
        ({"pue": Decimal("1.1"), "provider": "onprem"}, {"pue": Decimal("1.35")}),
    ],
)
def test_two_places_with_what_is_their_own_are_not(site: Site, measured: Row, estimated: Row) -> None:
    grid(site, "DE")
    publish(site, EMISSIONS, [METERED | GRAMS | measured, BILLED | GRAMS | estimated])
    assert said(site) == []


def test_use_of_which_nobody_knows_the_energy_is_told_with_its_share_of_the_cost(site: Site) -> None:
    machine: Row = {"service_name": "Amazon Elastic Compute Cloud", "sku_meter": "BoxUsage:m5.xlarge", "project": "p",
               "consumed_quantity": Decimal(1), "consumed_unit": "Hrs", "billed_cost": Decimal(25)}  # fmt: skip
    other = machine | {"service_name": "Amazon Redshift", "sku_meter": "Node:ra3.4xlarge", "billed_cost": Decimal(75)}
    little = machine | {"billing_currency": "USD", "billed_cost": Decimal(1000)}
    publish(
        site, COST, [machine, other, little, little | other | {"billing_currency": "USD", "billed_cost": Decimal(9)}]
    )
    (found,) = said(site)
    assert (found.hole, found.says) == (
        False,
        "75 % of the cost of use in EUR is of kinds of which nobody publishes what they draw, so their energy is "
        "unknown: aws Amazon Redshift",
    )


def test_use_below_zero_is_told_and_a_hole_where_it_is_a_machine(site: Site) -> None:
    below = {"amount": Decimal(-1), "energy_kwh": None, "uncertainty_pct": None}
    storage = below | {"device_kind": "storage", "device_id": "ssd", "amount_unit": "GB_h", "node_id": "vol-1"}
    publish(site, USAGE_ESTIMATES, [{}, storage])
    (found,) = said(site)
    assert (found.hole, found.says.split(",")[0]) == (False, "use of 1 resource is below zero in 1 hour")
    publish(site, USAGE_ESTIMATES, [{}, storage, below | {"hour": at(1)}, below | {"hour": at(2)}])
    (found,) = said(site)
    assert (found.hole, found.says.split(",")[0]) == (True, "use of 2 resources is below zero in 3 hours")
    assert found.says.endswith("corrected: i-1, vol-1")


@pytest.mark.parametrize(("days", "told"), [(31, False), (32, False), (33, True), (91, True)])
def test_a_charge_that_is_longer_than_is_looked_back_is_told(site: Site, days: int, told: bool) -> None:
    machine: Row = {"service_name": "Amazon Elastic Compute Cloud", "sku_meter": "BoxUsage:m5.xlarge", "project": "p",
                    "consumed_quantity": Decimal(1), "consumed_unit": "Hrs"}  # fmt: skip
    start = at(0)
    publish(site, COST, [machine | {"charge_period_start": start, "charge_period_end": start + timedelta(days=days)}])
    assert [one.hole for one in said(site)] == [True] * told


def test_sources_that_published_nothing_are_named(site: Site) -> None:
    days = DayRange(DAY, DAY + timedelta(days=1))
    empty = {"raw/meters": {days.last}, "raw/grid": set(days), "raw/bills": {days.first}, "unified/energy": set(days)}
    meters, intensities = empty_sources(site, empty, list(days))
    assert (meters.about, meters.says) == ("raw/meters", "published no row on 1 day it was asked for")
    assert meters.days == (DayRange(days.last, days.last),)
    assert (intensities.about, intensities.says) == ("raw/grid", "published no row on all days it was asked for")
    (bills,) = empty_sources(site, {"raw/bills": set(days)}, list(days))
    assert bills.hole


def test_intensities_that_nobody_needs_are_no_hole(site: Site, tmp_path: Path) -> None:
    empty = {"raw/grid": {DAY}}
    assert [one.hole for one in empty_sources(site, empty, [DAY])] == [True]
    unmetered = "\n".join(line for line in SITE.splitlines() if "meters" not in line)
    (tmp_path / "site.yaml").write_text(f"{unmetered}\nestimates: {{usage: false}}\n")
    assert [one.hole for one in empty_sources(load_site(tmp_path / "site.yaml"), empty, [DAY])] == [False]


def test_years_of_which_no_factor_is_stated_are_no_hole_by_themselves(tmp_path: Path) -> None:
    factor = '{zone: DE, year: 2023, direct_gco2e_per_kwh: 380, source: "publisher, table"}'
    years = f"  - {{name: years, kind: grid_factors, factors: [{factor}]}}\n"
    (tmp_path / "site.yaml").write_text(SITE + years)
    found = empty_sources(load_site(tmp_path / "site.yaml"), {"raw/years": {DAY}, "raw/grid": {DAY}}, [DAY])
    assert [(one.about, one.hole) for one in found] == [("raw/grid", True), ("raw/years", False)]


def test_headline_figures_that_the_sources_could_give_are_missed(site: Site, tmp_path: Path) -> None:
    def figure(number: int, metric: str, text: str, reason: str = "") -> dict[str, Any]:
        return {"id": f"F-{number}", "metric": metric, "label": metric, "value": None, "display": {"text": text},
                "reason": reason}  # fmt: skip

    figures = [figure(1, "energy_kwh", "not measured"), figure(2, "billed_cost", "none"), figure(3, "idle_share", "1"),
               figure(4, "wh_per_1k_inferences", "not measured"),
               figure(5, "idle_share", "not measured", NOT_REPORTED),
               figure(6, "scope31_g", "not measured", f"aws bills it, and {BILLED_ALONE}"),
               figure(7, "scope33_upstream_g", "no factor", "none is known"),
               figure(8, "scope38_location_g", "no factor"),
               figure(9, "scope38_upstream_g", "not measured")]  # fmt: skip
    (tmp_path / "figures.json").write_text(json.dumps({"figures": figures}))
    (tmp_path / "document.json").write_text(json.dumps({"headline": [figure["id"] for figure in figures]}))

    def missed(site: Site) -> list[str]:
        return [one.about for one in unknown_figures(site, tmp_path) if one.hole]

    made_of_its_sources = ["energy_kwh", "wh_per_1k_inferences", "scope38_location_g", "scope38_upstream_g"]
    assert missed(site) == made_of_its_sources
    assert [(one.about, one.says) for one in unknown_figures(site, tmp_path) if not one.hole] == [
        ("idle_share", f"not measured: {NOT_REPORTED}"),
        ("scope31_g", f"not measured: aws bills it, and {BILLED_ALONE}"),
        ("scope33_upstream_g", "no factor: none is known"),
    ], "what no source could tell is told, and no hole"
    alone = SITE.replace('  - {name: serving, kind: prometheus_inference, url: "http://127.0.0.1:9"}\n', "")
    (tmp_path / "site.yaml").write_text(alone)
    without = [label for label in made_of_its_sources if label != "wh_per_1k_inferences"]
    assert missed(load_site(tmp_path / "site.yaml")) == without, "nobody counts requests here"


@pytest.mark.parametrize(("missing", "hole"), [(0, None), (1, False), (12, True)])
def test_hours_that_take_a_mean_are_told_and_a_hole_where_they_are_many(
    site: Site, missing: int, hole: bool | None
) -> None:
    mean = {"resolution": "year", "factor_tier": 4}
    rows = [{"hour": at(hour), "source": "grid", **(mean if hour < missing else {})} for hour in range(24)]
    publish(site, GRID_INTENSITY, rows)
    found = said(site)
    assert [remark.hole for remark in found] == ([] if hole is None else [hole])
    assert all(f"{missing} of 24 hours of DE" in remark.says for remark in found)


@pytest.mark.parametrize(("other", "hole"), [("36.3", None), ("40", False), ("363", True)])
def test_two_sources_of_one_rung_that_differ_are_told(
    site: Site, tmp_path: Path, other: str, hole: bool | None
) -> None:
    two = "".join(
        f"  - {{name: {name}, kind: grid_factors, factors: [{{zone: DE, year: 2024, "
        f"direct_gco2e_per_kwh: 1, source: x}}]}}\n"
        for name in ("f1", "f2")
    )
    (tmp_path / "site.yaml").write_text(SITE + two + RULES)
    site = load_site(tmp_path / "site.yaml")
    year = {"zone": "DE", "resolution": "year", "lifecycle_gco2e_per_kwh": None, "is_estimated": True}
    for source in site.sources[-2:]:
        grams = Decimal("36.3") if source.name == "f1" else Decimal(other)
        publish(site, raw_table(source), [{**year, "hour": at(h), "direct_gco2e_per_kwh": grams} for h in range(24)])
    chosen = {**year, "factor_tier": 4, "source": "f1", "direct_gco2e_per_kwh": Decimal("36.3")}
    publish(site, GRID_INTENSITY, [{**chosen, "hour": at(hour)} for hour in range(24)])
    found = said(site)
    assert [remark.hole for remark in found] == ([] if hole is None else [hole])
    assert all(f"DE: f1 (36.3 g/kWh direct) counts, f2 says {other} g/kWh" in remark.says for remark in found)


@pytest.mark.parametrize(("kwh", "hole"), [("1", False), ("1.000000001", True)])
def test_a_hundredth_from_bills_without_a_grid_zone_is_told_and_more_is_a_hole(
    site: Site, kwh: str, hole: bool
) -> None:
    """Of 100 kWh together: what is exactly on the limit is no hole."""
    bill = {"provider": "aws", "region": "global", "zone": None, "source": "bills", "method": "estimated_capacity",
            "energy_kwh": Decimal(kwh)}  # fmt: skip
    publish(site, ENERGY, [{"project": "p"}])
    publish(site, EMISSIONS, [{**GRAMS, "energy_kwh": Decimal(100) - Decimal(kwh)}, bill])
    (one,) = (remark for remark in said(site) if "no grid zone" in remark.says)
    assert one.hole is hole
    assert "aws global" in one.says


def test_a_measured_hundredth_without_a_grid_zone_is_a_hole(site: Site) -> None:
    publish(site, ENERGY, [{"project": "p"}])
    publish(site, EMISSIONS, [{**GRAMS, "energy_kwh": Decimal(99)}, {"region": "r9", "zone": None}])
    assert [one.hole for one in said(site) if "no grid zone" in one.says] == [True]

"""Unified energy: each kWh once, whatever meters overlap, and none lost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.conservation import energy_not_conserved
from energy_assets.contracts.meters import ambiguous, overdrawn, scattered, split, uncovered, unmatched
from energy_assets.contracts.nodes import node_names
from energy_assets.contracts.raw import EnergyReadings
from energy_assets.contracts.tables import Energy
from energy_assets.site import NodeRule, Rule
from energy_assets.sources.base import Place
from energy_assets.unified.energy import energy
from energy_assets_tests.rows import DAY, at, rows_of, table

HERE = Place(region="r1", zone="DE")
THERE = Place(region="r2", provider="aws")
UNCERTAINTY = {
    ("metered_node", "node"): Decimal(1),
    ("measured_counter", "gpu"): Decimal(5),
    ("measured_power", ""): Decimal(7),
}
CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
Row = dict[str, Any]


def node(kwh: Any, **more: Any) -> Row:
    return {"energy_kwh": kwh if kwh is None else Decimal(str(kwh)), **more}


def device(kind: str, kwh: Any, name: str = "0", **more: Any) -> Row:
    return node(kwh, device_kind=kind, device_id=f"{kind}{name}", method="measured_counter", **more)


def together(sources: dict[str, list[Row]], places: dict[str, Place] | None = None) -> Any:
    """The one table of readings, as the asset makes it."""
    parts = []
    for rank, (name, rows) in enumerate(sources.items()):
        place = (places or {}).get(name, HERE)
        text = {key: ibis.literal(getattr(place, key), type="string") for key in ("account_id", "region", "zone")}
        placed = {"provider": ibis.literal(place.provider), "source_rank": ibis.literal(rank, type="int32"), **text}
        parts.append(table(EnergyReadings, rows).mutate(source=ibis.literal(name), **placed))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def breaches(
    sources: dict[str, list[Row]], made: Any, places: dict[str, Place] | None = None, nodes: tuple[NodeRule, ...] = ()
) -> list[Row]:
    """What the proof of conservation says of published rows."""
    return rows_of(CON, energy_not_conserved(made, upstream_of(sources, places, nodes)))


def upstream_of(
    sources: dict[str, list[Row]], places: dict[str, Place] | None = None, nodes: tuple[NodeRule, ...] = ()
) -> dict[str, Any]:
    """What proofs compare staged rows with, as the asset hands it over."""
    upstream = {f"raw_{name}": table(EnergyReadings, rows) for name, rows in sources.items()}
    stands = [(f"raw_{name}", (p := (places or {}).get(name, HERE)).provider, p.region) for name in sources]
    upstream["places"] = ibis.memtable(stands, schema={"table": "string", "provider": "string", "region": "string"})
    upstream["node_names"] = node_names(together(sources, places), nodes)
    return upstream


def unified(
    places: dict[str, Place] | None = None,
    rules: list[Rule] | None = None,
    nodes: tuple[NodeRule, ...] = (),
    **sources: list[Row],
) -> list[Row]:
    """Rows of `energy`, in a stable order; every table any test makes is proven to conserve energy."""
    readings = together(sources, places)
    rows = energy(readings, rules or [], UNCERTAINTY, node_names(readings, nodes))
    kept = CON.create_table("made", conform(rows, Energy), temp=True, overwrite=True)
    assert breaches(sources, kept, places, nodes) == []
    made = rows_of(CON, kept)
    return sorted(made, key=lambda r: (r["source"], r["hour"], r["device_id"], r["share_id"]))


def amounts(rows: list[Row]) -> list[tuple[str, str, Decimal | None]]:
    return [(r["source"], r["device_kind"], r["energy_kwh"]) for r in rows]


def test_a_row_carries_place_owner_and_uncertainty() -> None:
    (row,) = unified(
        {"meters": Place(region="r9", zone="FR", account_id="a1")},
        [Rule.model_validate({"match": {"team": "x"}, "project": "p", "model_id": "m", "workload_type": "batch"})],
        meters=[node("1.5", labels={"team": "x"})],
    )
    expected = {
        "source": "meters", "provider": "onprem", "account_id": "a1", "region": "r9", "zone": "FR", "project": "p",
        "model_id": "m", "workload_type": "batch", "energy_kwh": Decimal("1.5"), "uncertainty_pct": Decimal(1),
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_uncertainty_is_of_the_method_and_device_then_of_the_method_else_unknown() -> None:
    rows = unified(
        meters=[
            node(1),
            device("gpu", 1, node_id="n2"),
            device("cpu", 1, node_id="n2"),
            node(1, node_id="n3", method="measured_power"),
        ]
    )
    assert {(r["method"], r["device_kind"]): r["uncertainty_pct"] for r in rows} == {
        ("metered_node", "node"): 1,
        ("measured_counter", "gpu"): 5,
        ("measured_counter", "cpu"): None,
        ("measured_power", "node"): 7,
    }


def test_a_metered_node_becomes_the_rest_of_its_devices() -> None:
    rows = unified(meters=[node(10), device("gpu", 6), device("cpu", 2), device("dram", "0.5")])
    assert amounts(rows) == [
        ("meters", "cpu", 2), ("meters", "dram", Decimal("0.5")), ("meters", "gpu", 6),
        ("meters", "rest_of_node", Decimal("1.5")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([node(5), device("gpu", 6)], [("gpu", 6), ("rest_of_node", 0)]),
        ([node(6), device("gpu", 6)], [("gpu", 6), ("rest_of_node", 0)]),
        ([node(0), device("gpu", 6)], [("gpu", 6), ("rest_of_node", 0)]),
        ([node(None), device("gpu", 6)], [("gpu", 6), ("rest_of_node", None)]),
        ([node(5), device("gpu", None)], [("gpu", None), ("node", 5)]),
        ([device("gpu", 6), device("cpu", 1)], [("cpu", 1), ("gpu", 6)]),
        ([node(5), device("gpu", 1, node_id="n2")], [("gpu", 1), ("node", 5)]),
        ([node(5), device("gpu", 1, hour=at(1))], [("node", 5), ("gpu", 1)]),
        ([node(5), device("storage", 1)], [("node", 5), ("storage", 1)]),
    ],
)
def test_what_is_left_of_a_node_is_never_below_zero_and_never_made_up(
    rows: list[Row], expected: list[tuple[str, Any]]
) -> None:
    assert [(kind, kwh) for _, kind, kwh in amounts(unified(meters=rows))] == expected


def test_a_node_metered_by_one_source_holds_the_devices_of_another_in_the_same_place() -> None:
    assert amounts(unified(counters=[device("gpu", 6)], meters=[node(10)])) == [
        ("counters", "gpu", 6),
        ("meters", "rest_of_node", 4),
    ]
    apart = unified({"meters": THERE}, counters=[device("gpu", 6)], meters=[node(10)])
    assert [kind for _, kind, _ in amounts(apart)] == ["gpu", "node"]


def test_users_of_a_node_share_its_rest_in_proportion_and_exactly() -> None:
    """100 W with 40 W idle and activity 60/40 gives 36 and 24 W active and 40 W idle; 50 W of it in a GPU."""
    shares = [
        node("0.036", share_id="a"), node("0.024", share_id="b"), node("0.040", share_id="idle", idle=True),
        device("gpu", "0.050"),
    ]  # fmt: skip
    rows = unified(meters=shares)
    assert {r["share_id"]: r["energy_kwh"] for r in rows} == {
        "a": Decimal("0.018"), "b": Decimal("0.012"), "idle": Decimal("0.020"), "all": Decimal("0.050"),
    }  # fmt: skip
    assert {r["share_id"]: r["workload_type"] for r in rows}["idle"] == "idle"
    thirds = unified(meters=[node(1, share_id=name) for name in "abc"] + [device("gpu", 2)])
    assert sum(r["energy_kwh"] for r in thirds) == 3


def test_shares_of_a_rest_are_exact_to_nine_places() -> None:
    rows = unified(meters=[node(1, share_id=name) for name in "abc"] + [device("gpu", 2)])
    rests = [r["energy_kwh"] for r in rows if r["device_kind"] == "rest_of_node"]
    assert sorted(rests) == [Decimal("0.333333333"), Decimal("0.333333333"), Decimal("0.333333334")]


def test_a_device_two_sources_tell_of_counts_once_by_tier_then_by_order() -> None:
    first, second = [device("gpu", 1, quality_tier=2)], [device("gpu", 2, quality_tier=2)]
    assert amounts(unified(a=first, b=second)) == [("a", "gpu", 1)]
    better = [device("gpu", 2, quality_tier=1)]
    assert amounts(unified(a=first, b=better)) == [("b", "gpu", 2)]
    other_hour = [device("gpu", 2, hour=at(1))]
    assert amounts(unified(a=first, b=other_hour)) == [("a", "gpu", 1), ("b", "gpu", 2)]
    assert amounts(unified({"b": THERE}, a=first, b=second)) == [("a", "gpu", 1), ("b", "gpu", 2)]


def test_devices_of_two_kinds_are_two_even_where_two_sources_give_them_one_name() -> None:
    """The proof took them for one device, and refused right rows."""
    gpu, cpu = node(6, device_kind="gpu", device_id="0"), node(2, device_kind="cpu", device_id="0")
    assert amounts(unified(a=[gpu], b=[cpu, node(10)])) == [("a", "gpu", 6), ("b", "cpu", 2), ("b", "rest_of_node", 2)]


def test_of_two_sources_one_that_observed_the_hour_is_taken() -> None:
    """An hour the better source missed is not unknown when the other one has it."""
    assert amounts(unified(a=[device("gpu", None)], b=[device("gpu", 2, quality_tier=3)])) == [("b", "gpu", 2)]
    assert amounts(unified(a=[device("gpu", None)], b=[device("gpu", None)])) == [("a", "gpu", None)]


def test_what_was_measured_goes_before_an_estimate_of_any_tier() -> None:
    """Even where the estimate is of another size, and its tier claims to be better."""
    guess = node(3, method="spend_proxy", quality_tier=1)
    meter = node(5, method="metered_node", quality_tier=3)
    rows = unified(a=[guess], b=[meter, device("gpu", 1)])
    assert amounts(rows) == [("b", "gpu", 1), ("b", "rest_of_node", 4)]


def test_all_users_of_a_shared_device_come_from_the_same_source() -> None:
    a = [device("gpu", "0.5", share_id=user, quality_tier=tier) for user, tier in (("x", 2), ("idle", 3))]
    assert amounts(unified(a=a, b=[device("gpu", 2, quality_tier=2)])) == [("a", "gpu", Decimal("0.5"))] * 2


def test_nodes_whose_devices_report_more_than_their_meter_are_named() -> None:
    sources = {"m": [node(5), device("gpu", 6), node(5, node_id="n2"), device("gpu", 5, node_id="n2")]}
    rows = together(sources)
    staged = energy(rows, [], UNCERTAINTY, node_names(rows))
    found = rows_of(CON, overdrawn(staged, upstream_of(sources)))
    assert [(r["node_id"], r["hour"], r["node_kwh"], r["inside_kwh"]) for r in found] == [
        ("n1", datetime(2024, 5, 9), 5, 6)
    ]


def test_the_table_keeps_its_contract() -> None:
    readings = together(
        {
            "a": [node(1, share_id=name) for name in "abc"] + [device("gpu", "0.1")],
            "b": [device("gpu", 9), node(None, node_id="n2"), device("storage", 2, node_id="n3")],
        }
    )
    rows = energy(readings, [], UNCERTAINTY, node_names(readings))
    made = CON.create_table("unified", conform(rows, Energy), temp=True, overwrite=True)
    assert audit(made, Energy).rows == {DAY: 6}


@pytest.mark.parametrize(
    ("rows", "gaps"),
    [
        ([("gpu", "n1", 6), ("rest_of_node", "n1", 4)], set()),
        ([("gpu", "n1", 6)], {("machine", -4)}),
        ([("gpu", "n1", 12), ("rest_of_node", "n1", 8)], {("machine", 10), ("n1/gpu0", 6)}),
        ([("gpu", "n1", 6), ("rest_of_node", "n1", 10)], {("machine", 6)}),
        ([("gpu", "n1", 5), ("rest_of_node", "n1", 5)], {("n1/gpu0", -1)}),
        ([("gpu", "n1", 6), ("rest_of_node", "n2", 4)], {("machine", -4), ("machine", 4)}),
        ([], {("machine", -10), ("n1/gpu0", -6)}),
    ],
)
def test_energy_that_was_doubled_lost_or_moved_is_found_out(
    rows: list[tuple[str, str, int]], gaps: set[tuple[str, int]]
) -> None:
    made = [
        {
            "device_kind": kind,
            "device_id": "gpu0" if kind == "gpu" else name,
            "node_id": name,
            "energy_kwh": Decimal(kwh),
        }
        for kind, name, kwh in rows
    ]
    found = breaches({"m": [node(10), device("gpu", 6)]}, table(Energy, made))
    assert {(r["what"], int(r["gap_kwh"])) for r in found} == gaps


@pytest.mark.parametrize(
    ("provider", "one", "other", "same"),
    [
        ("onprem", "DUB1", "dub1", True),
        ("azure", "West Europe", "westeurope", True),
        ("AWS", "eu-west-1", "eu-west-1a", True),
        ("gcp", "us-central1-b", "us-central1", True),
        ("onprem", "eu-west-1", "eu-west-1a", False),
        ("onprem", "DC 1", "DC1", False),
        ("aws", "us-east-1", "us-east-1-bos-1a", False),
    ],
)
@pytest.mark.parametrize("name", ["0", "-12345678-1234-1234-1234-123456789012"])
def test_one_region_in_two_spellings_that_counts_twice_is_found_out(
    provider: str, one: str, other: str, same: bool, name: str
) -> None:
    """The proof knows by itself which regions are one: a transform that does not would count a GPU twice."""
    sources = {"a": [device("gpu", 6, name)], "b": [device("gpu", 6, name)]}
    places = {"a": Place(provider=provider, region=one), "b": Place(provider=provider.lower(), region=other)}
    readings = together(sources, places)
    apart = energy(readings, [], UNCERTAINTY, node_names(readings))
    kept = CON.create_table("apart", conform(apart, Energy), temp=True, overwrite=True)
    gaps = {int(r["gap_kwh"]) for r in breaches(sources, kept, places)}
    assert gaps == ({6} if same and name == "0" else set()), "a UUID is one GPU in any region"
    twice = energy(readings.mutate(device_uuid=ibis.null("string"), device_id=readings.region), [], UNCERTAINTY,
        node_names(readings)).mutate(device_id=ibis.literal(f"gpu{name}"))  # fmt: skip
    kept = CON.create_table("twice", conform(twice, Energy), temp=True, overwrite=True)
    gaps = {int(r["gap_kwh"]) for r in breaches(sources, kept, places)}
    assert gaps == ({6} if same or name != "0" else set())


def test_one_host_under_two_names_counts_once() -> None:
    """A meter that knows the host by address and devices that know it by name were 16 kWh of a 10 kWh node."""
    meter = node(10, node_id="10.0.0.7:9290", device_id="10.0.0.7:9290")
    gpu = device("gpu", 6, node_id="GPU-A.cluster.local")
    apart = unified(ipmi=[meter], dcgm=[gpu])
    assert sum(r["energy_kwh"] for r in apart) == 16
    line = NodeRule(name="gpu-a", also=("10.0.0.7",))
    rows = unified(nodes=(line,), ipmi=[meter], dcgm=[gpu])
    assert [(r["node_id"], r["device_id"], r["device_kind"], r["energy_kwh"]) for r in rows] == [
        ("gpu-a", "gpu0", "gpu", 6), ("gpu-a", "gpu-a", "rest_of_node", 4),
    ]  # fmt: skip


def test_a_place_with_meters_names_what_its_meters_miss() -> None:
    sources = {"m": [node(10, node_id="10.0.0.7", device_id="10.0.0.7"), device("gpu", 6, node_id="a")]}

    def found(*nodes: NodeRule) -> list[tuple[str, str]]:
        rows = together(sources)
        staged = energy(rows, [], UNCERTAINTY, node_names(rows, nodes))
        breached = unmatched(staged, upstream_of(sources, nodes=nodes))
        return [(r["node_id"], r["finding"]) for r in rows_of(CON, breached)]

    assert found() == [("10.0.0.7", "a meter without devices"), ("a", "devices without a meter")]
    assert found(NodeRule(name="a", metered=False)) == [("10.0.0.7", "a meter without devices")]
    assert found(NodeRule(name="a", also=("10.0.0.7",))) == []


def test_a_place_is_told_of_once_and_meters_alone_double_nothing() -> None:
    """Five hosts are named, the others counted; a storage server with a meter is no fault."""

    def found(*rows: Row) -> list[tuple[Any, ...]]:
        upstream = upstream_of({"m": list(rows)})
        places = rows_of(CON, uncovered(upstream["raw_m"], upstream))
        return [(r["devices_without_meter"], r["meters_without_devices"], r["hosts"], r["meters"]) for r in places]

    meters = [node(10, node_id=name, device_id=name) for name in ("bmc", "store")]
    gpus = [device("gpu", 6, node_id=f"g{number}") for number in range(7)]
    assert found(*meters, *gpus) == [("g0, g1, g2, g3, g4", "bmc, store", 7, 2)]
    assert found(*meters, device("gpu", 6, node_id="bmc")) == []
    assert found(*gpus) == []


def test_gpus_and_cpus_without_a_host_in_common_are_told_where_no_meter_is() -> None:
    def found(*rows: Row) -> list[tuple[str, str]]:
        upstream = upstream_of({"m": list(rows)})
        return [(r["node_id"], r["finding"]) for r in rows_of(CON, split(upstream["raw_m"], upstream))]

    apart = [device("gpu", 6, node_id="gpu-7"), device("cpu", 2, node_id="10.0.0.7")]
    assert found(*apart) == [("10.0.0.7", "cpus alone"), ("gpu-7", "gpus alone")]
    assert found(*apart, node(10, node_id="x")) == []
    assert found(apart[0], device("cpu", 2, node_id="gpu-7")) == []
    assert found(apart[0], device("gpu", 2, node_id="b")) == []


@pytest.mark.parametrize(
    ("there", "kinds"),
    [
        (Place(region="r2", zone="DE"), ["gpu", "node"]),
        (Place(provider="aws", region="r1", zone="DE"), ["gpu", "node"]),
        (Place(region="r1", zone="DE", account_id="other"), ["gpu", "rest_of_node"]),
        (Place(region="r1", zone="FR"), ["gpu", "rest_of_node"]),
    ],
)
def test_a_machine_is_one_of_its_provider_and_region_whoever_pays(there: Place, kinds: list[str]) -> None:
    rows = unified({"meters": there}, counters=[device("gpu", 6)], meters=[node(10)])
    assert [kind for _, kind, _ in amounts(rows)] == kinds
    gpus = unified({"b": there}, a=[device("gpu", 1)], b=[device("gpu", 1)])
    assert len(gpus) == (2 if kinds[1] == "node" else 1)


def test_a_gpu_with_a_uuid_counts_once_under_two_host_names() -> None:
    uuid = "GPU-5fd4f2f9-2a4b-4f57-8b1c-6f1f1d2b3c4d"
    rows = unified(
        a=[device("gpu", 6, node_id="a") | {"device_id": uuid}, device("gpu", 6, node_id="b") | {"device_id": uuid}]
    )
    assert [(r["node_id"], r["energy_kwh"]) for r in rows] == [("a", 6)]
    plain = unified(a=[device("gpu", 6, node_id="a"), device("gpu", 6, node_id="b")])
    assert len(plain) == 2


UUID = "GPU-5fd4f2f9-2a4b-4f57-8b1c-6f1f1d2b3c4d"


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        pytest.param((UUID, None), (UUID.lower(), None), 1, id="by their form"),
        pytest.param(("GPU-p11-0", "gpu-p11-0"), ("GPU-p11-0", "gpu-p11-0"), 1, id="both sources say so"),
        pytest.param(("GPU-p11-0", "gpu-p11-0"), ("gpu-P11-0", None), 1, id="one says so, the other writes it"),
        pytest.param(("GPU-p11-0", None), ("GPU-p11-0", None), 2, id="nobody says so"),
        pytest.param(*[("GPU-00000000-0000-0000-0000-000000000000", None)] * 2, 2, id="zeros"),
        pytest.param((UUID, None), (UUID[:-1] + "e", None), 2, id="two UUIDs"),
    ],
)
@pytest.mark.parametrize("place", [HERE, Place(region="r2", zone="DE"), Place(provider="aws", region="r1", zone="DE")])
def test_a_gpu_of_two_sources_is_one_by_its_uuid(
    one: tuple[str, str | None], other: tuple[str, str | None], count: int, place: Place
) -> None:
    """Whatever they call its host, and in whatever place they say it is."""
    first = device("gpu", 6, node_id="a") | {"device_id": one[0], "device_uuid": one[1]}
    second = device("gpu", 7, node_id="b") | {"device_id": other[0], "device_uuid": other[1]}
    rows = unified({"files": place}, dcgm=[first], files=[second])
    assert [(r["node_id"], r["energy_kwh"]) for r in rows] == [("a", 6), ("b", 7)][:count]


@pytest.mark.parametrize(
    ("hosts", "hours", "regions", "told"),
    [
        pytest.param(("a", "b"), (0, 0), ("r1", "r1"), [("b", "a")], id="two hosts, the second metered"),
        pytest.param(("b", "a"), (0, 0), ("r1", "r1"), [], id="counts on the metered one"),
        pytest.param(("b", "b"), (0, 0), ("r1", "r1"), [], id="one host"),
        pytest.param(("a", "b"), (0, 1), ("r1", "r1"), [], id="moved from one hour to the next"),
        pytest.param(("b", "b"), (0, 0), ("r2", "r1"), [("b", "b")], id="hosts of one name in two regions"),
    ],
)
def test_a_gpu_that_counts_elsewhere_than_in_a_metered_host_that_names_it_is_told(
    hosts: tuple[str, str], hours: tuple[int, int], regions: tuple[str, str], told: list[tuple[str, str]]
) -> None:
    """It is taken off the meter of the host it counts on alone, so the meter of the other one would count it again."""
    first, second = (
        device("gpu", 6, node_id=host, hour=at(hour)) | {"device_id": UUID}
        for host, hour in zip(hosts, hours, strict=True)
    )
    meters = [node(10, node_id="b", device_id="b", hour=at(hour)) for hour in (0, 1)]
    sources = {"dcgm": [first], "files": [second, *meters]}
    places = {"dcgm": Place(region=regions[0], zone="DE"), "files": Place(region=regions[1], zone="DE")}
    rows = together(sources, places)
    staged = energy(rows, [], UNCERTAINTY, node_names(rows, ()))
    found = rows_of(CON, scattered(staged, upstream_of(sources, places)))
    assert [(row["node_id"], row["counted_on"]) for row in found] == told
    assert {row["uuid"] for row in found} <= {UUID.upper()}


def test_a_gpu_that_moves_counts_in_each_hour_where_it_is_and_in_its_nodes_rest() -> None:
    here, there = (
        [node(10, node_id=name, device_id=name, hour=at(hour)) for hour in (0, 1)] for name in ("old", "new")
    )
    gpu = [device("gpu", 6, node_id=name, hour=at(h)) | {"device_id": UUID} for h, name in ((0, "old"), (1, "new"))]
    rows = unified(m=[*here, *there, *gpu])
    assert sum(r["energy_kwh"] for r in rows) == 40
    assert {(r["node_id"], r["hour"].hour) for r in rows if r["device_kind"] == "gpu"} == {("old", 0), ("new", 1)}
    assert {(r["node_id"], r["hour"].hour) for r in rows if r["device_kind"] == "rest_of_node"} == {
        ("old", 0), ("new", 1),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["gpu", "cpu", "dram", "node"])
def test_hosts_and_devices_of_one_name_in_two_regions_are_two(kind: str) -> None:
    """The region is part of what a host is, and so of what stands in it."""
    elsewhere = {"b": Place(region="r2", zone="DE")}
    one = node(3) if kind == "node" else device(kind, 3)
    rows = unified(elsewhere, a=[one], b=[one])
    assert sorted((r["region"], r["energy_kwh"]) for r in rows) == [("r1", 3), ("r2", 3)]
    meters = unified(elsewhere, a=[node(10), device("gpu", 6)], b=[node(10)])
    assert sorted((r["region"], r["device_kind"], r["energy_kwh"]) for r in meters) == [
        ("r1", "gpu", 6), ("r1", "rest_of_node", 4), ("r2", "node", 10),
    ]  # fmt: skip


def test_the_interval_of_a_rest_is_that_of_a_difference() -> None:
    """10 ±1 % − 6 ±5 %: squares of 0.1 and 0.3 kWh, so 4 ±7.906 %."""
    gpu = device("gpu", 6)

    def rest(*rows: Row) -> Decimal | None:
        (pct,) = {r["uncertainty_pct"] for r in unified(meters=list(rows)) if r["device_kind"] == "rest_of_node"}
        found: Decimal | None = pct
        return found

    assert rest(node(10), gpu) == Decimal("7.906")
    halves = [device("gpu", 3, share_id=user) for user in "ab"]
    assert rest(node(10), *halves) == Decimal("7.906"), "users of one device share its error"
    assert rest(node(10), device("gpu", 3), device("gpu", 3, "1")) == Decimal("5.863")
    assert rest(node(6), gpu) is None
    assert rest(node(0), device("gpu", 0)) is None
    assert rest(node(7), gpu) == Decimal("30.806"), "a rest of exactly 1 kWh"
    for kwh, pct in ((0, Decimal("7.906")), (1, None)):
        unknown = node(kwh, share_id="b", method="measured_counter")
        assert rest(node(10 - kwh, share_id="a"), unknown, gpu) == pct, "what draws nothing has no interval to know"
    assert rest(node("6.001"), gpu) == Decimal("999.999")
    assert rest(node(10), gpu, device("cpu", 1)) is None, "nobody knows the interval of this CPU"
    assert rest(node(10), gpu, device("cpu", 0)) == Decimal("7.906")


def test_an_estimate_of_an_instance_disappears_where_telemetry_exists() -> None:
    bill = [
        node(9, node_id="i-1", device_kind="instance", device_id="arn", method="estimated_utilization", hour=at(h))
        for h in (0, 1)
    ]
    rows = unified(bill=bill, dcgm=[device("gpu", 6, node_id="i-1"), device("gpu", None, node_id="i-1", hour=at(1))])
    assert [(r["hour"].hour, r["device_kind"], r["energy_kwh"]) for r in rows] == [
        (1, "instance", 9), (0, "gpu", 6), (1, "gpu", None),
    ]  # fmt: skip
    metered = unified(m=[node(9, device_kind="instance", device_id="vm"), node(7), device("gpu", 6)])
    assert [(r["device_id"], r["device_kind"], r["energy_kwh"]) for r in metered] == [
        ("gpu0", "gpu", 6), ("n1", "rest_of_node", 1), ("vm", "rest_of_node", 2),
    ]  # fmt: skip


KWH = st.one_of(st.none(), st.decimals(0, 50, places=9))
METERS = [("node", "node"), ("gpu", "gpu0"), ("gpu", "gpu1"), ("cpu", "cpu0"), ("dram", "dram0"), ("storage", "disk")]
NODES = [f"n{number}" for number in range(8)]
READINGS = st.dictionaries(
    st.tuples(st.sampled_from(NODES), st.sampled_from(METERS), st.sampled_from(["all", "a", "b", "idle"])),
    KWH,
    min_size=40,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(READINGS)
def test_no_energy_is_lost_or_made(readings: dict[tuple[str, tuple[str, str], str], Decimal | None]) -> None:
    """For every node: its rows add up exactly to its meter, or to its devices where they report more."""
    rows = [
        {
            "node_id": name,
            "device_kind": kind,
            "device_id": id_,
            "share_id": share,
            "energy_kwh": kwh,
            "idle": share == "idle",
        }
        for (name, (kind, id_), share), kwh in readings.items()
    ]
    made = unified(meters=rows)
    assert len(made) == len(rows)
    assert all(r["energy_kwh"] is None or r["energy_kwh"] >= 0 for r in made)
    for name in NODES:
        whole = max(total(rows, name, "node"), total(rows, name, "gpu", "cpu", "dram")) + total(rows, name, "storage")
        assert total(made, name, "node", "rest_of_node", "gpu", "cpu", "dram", "storage") == whole


def total(rows: list[Row], name: str, *kinds: str) -> Decimal:
    mine = (r["energy_kwh"] for r in rows if r["node_id"] == name and r["device_kind"] in kinds)
    return sum((kwh for kwh in mine if kwh is not None), Decimal(0))


def test_rows_without_a_region_are_kept_and_meet_each_other() -> None:
    """Unknown is a value of the key: a plain join would lose the rows or leave the pair apart."""
    readings = together({"a": [node(10), device("gpu", 6)], "b": [device("gpu", 6)]})
    nowhere = readings.mutate(region=ibis.null("string"))
    made = rows_of(CON, energy(nowhere, [], UNCERTAINTY, node_names(nowhere)))
    assert sorted((r["device_kind"], r["energy_kwh"]) for r in made) == [("gpu", 6), ("rest_of_node", 4)]


def test_hosts_that_differ_in_their_domain_alone_are_named_until_the_site_file_settles_it() -> None:
    sources = {"m": [node(1, node_id=f"{name}.example", device_id="m") for name in ("a.dc1", "a.dc2", "b.dc1")]}

    def found(*nodes: NodeRule) -> list[str]:
        rows = together(sources)
        staged = energy(rows, [], UNCERTAINTY, node_names(rows, nodes))
        breached = ambiguous(staged, upstream_of(sources, nodes=nodes))
        return [r["node_id"] for r in rows_of(CON, breached) if r["day"] == DAY and r["region"] == "r1"]

    assert found() == ["a.dc1.example", "a.dc2.example"]
    assert found(NodeRule(name="a", also=("a.dc1.example", "a.dc2.example"))) == []
    assert found(NodeRule(name="a.dc1.example"), NodeRule(name="a.dc2.example")) == []


LEVELS = {"instance": "instance", "node": "node", "gpu": "parts", "cpu": "parts", "dram": "parts", "storage": "beside"}
THINGS = [
    ("instance", "vm"), ("node", "meter"), ("gpu", "gpu0"), ("gpu", "gpu1"), ("cpu", "cpu0"), ("dram", "dram0"),
    ("storage", "disk"),
]  # fmt: skip
SPELT = {"a": "{}", "b": "{}.dc.example:9100", "c": "{}.DC.example."}
"""How each source writes a host; the first source of the site file is `a`."""

TREES = st.dictionaries(
    st.tuples(st.sampled_from(NODES[:4]), st.integers(0, 1), st.sampled_from(THINGS), st.sampled_from(list(SPELT))),
    st.tuples(
        st.dictionaries(st.sampled_from(["all", "x", "idle"]), KWH, min_size=1),
        st.integers(1, 3),
        st.sampled_from(["metered_node", "measured_counter", "estimated_utilization", "spend_proxy"]),
    ),
    min_size=40,
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(TREES)
def test_random_trees_of_contributors_conserve_energy(
    tree: dict[tuple[str, int, tuple[str, str], str], tuple[dict[str, Decimal | None], int, str]],
) -> None:
    """Every machine's hour is its largest account of itself, whoever tells of it and under whatever name.

    Worked out a second time here, in plain Python: each thing from one source (one that observed the hour, then the
    better tier, then the first); an estimate of a container only where nothing inside was measured; then the largest
    of instance, node and parts. `unified` holds the same rows against the proof that runs before every commit.
    """
    sources: dict[str, list[Row]] = {name: [] for name in SPELT}
    for (host, hour, (kind, id_), name), (shares, tier, method) in tree.items():
        sources[name] += [
            node(kwh, node_id=SPELT[name].format(host), device_id=id_, device_kind=kind, share_id=share, hour=at(hour),
                 quality_tier=tier, method=method, idle=share == "idle")
            for share, kwh in shares.items()
        ]  # fmt: skip
    made = unified(**{name: rows for name, rows in sources.items() if rows})
    assert all(r["energy_kwh"] is None or r["energy_kwh"] >= 0 for r in made)
    assert {r["node_id"] for r in made} <= set(NODES)
    for host, hour in {(key[0], key[1]) for key in tree}:
        mine = (r["energy_kwh"] for r in made if r["node_id"] == host and r["hour"] == at(hour))
        assert sum((kwh for kwh in mine if kwh is not None), Decimal(0)) == account(tree, host, hour)


def account(tree: dict[Any, Any], host: str, hour: int) -> Decimal:
    """The energy of a machine's hour, of the chosen sources."""
    chosen: dict[tuple[str, str], tuple[Decimal | None, bool]] = {}
    for thing in THINGS:
        told = []
        for name in SPELT:
            shares, tier, method = tree.get((host, hour, thing, name), ({}, 0, ""))
            known = [kwh for kwh in shares.values() if kwh is not None]
            guess = method in ("estimated_utilization", "spend_proxy")
            if shares:
                told.append((not known, guess, tier, name, sum(known, Decimal(0)) if known else None))
        if told:
            _, guess, _, _, amount = min(told, key=lambda one: one[:4])
            chosen[thing] = (amount, guess)
    sums = {"instance": Decimal(0), "node": Decimal(0), "parts": Decimal(0), "beside": Decimal(0)}
    order = ["parts", "node", "instance"]
    for (kind, _), (kwh, guess) in chosen.items():
        level = LEVELS[kind]
        inside = order[: order.index(level)] if level in ("node", "instance") else []
        measured = any(LEVELS[k] in inside and e is not None and not g for (k, _), (e, g) in chosen.items())
        if kwh is not None and not (guess and measured):
            sums[level] += kwh
    return max(sums["instance"], sums["node"], sums["parts"]) + sums["beside"]

"""Places: zone, PUE and scope of a row by where it says it comes from; each from the most specific that states it."""

from __future__ import annotations

import time
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts import types as t
from energy_assets.contracts.regions import maybe_same, region_key, region_keys
from energy_assets.factors.editions import BEGINNING, END
from energy_assets.factors.places import (
    Member,
    Resolved,
    as_table,
    filled,
    members_of,
    one_spelling,
    resolve,
    resolved_for,
    respelled,
    site_zones,
    with_place,
    zones_in_rows,
    zones_of,
)
from energy_assets.factors.tables import cloud_zones, factor_uncertainty_pct, published_pue, rows_of_data
from energy_assets.site import Site, SiteError, SitePlace, load_site
from energy_assets.sources.base import Place
from energy_assets.tables import Table

CON = ibis.duckdb.connect(threads=1)
DAY = date(2026, 3, 1)
HERE = Place(provider="onprem", region="fra1", zone="DE", pue=Decimal("1.3"))
VIRGINIA = Member("payer", "aws", "111", "us-east-1")
SOURCES = """organisation: {name: Test}
start: 2024-05-01
sources:
  - {name: meters, kind: power_files, path: m/*.csv, node: node, place: {region: r1, zone: DE, pue: 1.2}}
"""


def stated(**values: Any) -> SitePlace:
    return SitePlace.model_validate({"provider": "aws", **values})


def one(member: Member, *places: SitePlace, **blocks: Place) -> Resolved:
    """The stretch of a member that a day lies in."""
    (found,) = resolve([member], blocks, places, [DAY])
    return found


def site(folder: Path, places: str) -> Site:
    path = folder / "site.yaml"
    path.write_text(f"{SOURCES}places:\n{places}")
    return load_site(path)


def rows_at(days: list[date], **columns: Any) -> ibis.Table:
    """One row per day, the same in all columns; `source`, `provider`, `account_id` and `region` unless given."""
    values = {"source": "payer", "provider": "aws", "account_id": "111", "region": "us-east-1"} | columns
    arrays = {name: pa.array([value] * len(days), pa.string()) for name, value in values.items()}
    return ibis.memtable(pa.table({"day": pa.array(days, pa.date32()), **arrays}))


def fetched(rows: ibis.Table, *order: str) -> list[dict[str, Any]]:
    return CON.to_pyarrow(rows.order_by(*(order or ("day",)))).to_pylist()


ACCOUNT_REGION = stated(account_id="111", region="us-east-1", zone="A-R")
REGION = stated(region="us-east-1", zone="R", pue=1.5)
ACCOUNT = stated(account_id="111", zone="A", pue=1.6, ghg_scope="scope3.8")
PROVIDER = stated(zone="P", pue=1.7, ghg_scope="scope2")
LADDER = [PROVIDER, ACCOUNT, REGION, ACCOUNT_REGION]


def test_each_field_comes_from_the_most_specific_that_states_it_whatever_the_order_of_the_file() -> None:
    for places in (LADDER, LADDER[::-1]):
        found = one(VIRGINIA, *places)
        assert (found.zone, found.pue, found.ghg_scope) == ("A-R", Decimal("1.5"), "scope3.8")
        assert found.said_by[:3] == tuple(
            f"site.yaml places[{places.index(place)}]" for place in (ACCOUNT_REGION, REGION, ACCOUNT)
        )


@pytest.mark.parametrize(
    ("member", "zone", "pue", "scope"),
    [
        (Member("s", "aws", "111", "us-east-1"), "A-R", "1.5", "scope3.8"),
        (Member("s", "aws", "222", "us-east-1"), "R", "1.5", "scope2"),
        (Member("s", "aws", None, "us-east-1"), "R", "1.5", "scope2"),
        (Member("s", "aws", "111", "eu-west-1"), "A", "1.6", "scope3.8"),
        (Member("s", "aws", "111", None), "A", "1.6", "scope3.8"),
        (Member("s", "aws", "222", "eu-west-1"), "P", "1.7", "scope2"),
        (Member("s", "aws"), "P", "1.7", "scope2"),
        (Member("s", "gcp", "111", "us-east-1"), None, None, "scope3.1"),
    ],
)
def test_a_block_speaks_only_of_its_own_account_and_region(
    member: Member, zone: str | None, pue: str | None, scope: str
) -> None:
    found = one(member, *LADDER)
    assert (found.zone, found.pue, found.ghg_scope) == (zone, pue and Decimal(pue), scope)


def test_the_table_of_regions_fills_what_the_site_leaves_open() -> None:
    (found,) = resolve([VIRGINIA], {}, [stated(region="us-east-1", pue=1.2)], [date(2024, 12, 31)])
    assert (found.zone, found.pue, found.ghg_scope) == ("US-MIDA-PJM", Decimal("1.2"), "scope3.1")
    zone, pue, scope, wue = found.said_by
    assert zone == "cloud_regions.csv: AWS, regions: Northern Virginia; PJM Interconnection"
    assert (pue, scope) == ("site.yaml places[0]", "a bought service")
    assert (found.wue, wue) == (Decimal("0.12"), "water.csv: AWS, data centers page, 2025 (2024)")
    (bare,) = resolve([VIRGINIA], {}, [], [date(2024, 12, 31)])
    assert bare.said_by[1] == "pue.csv: AWS, data centers page, 2025 (2024)"


def test_the_block_of_a_source_goes_first_for_rows_of_its_own_region_alone() -> None:
    block = Place(provider="aws", region="US-East-1", zone="BLOCK", pue=Decimal("1.01"))
    for region in ("us-east-1", "us-east-1b", None):
        found = one(Member("payer", "aws", "111", region), *LADDER, payer=block)
        assert (found.zone, found.pue, found.ghg_scope) == ("BLOCK", Decimal("1.01"), "scope3.8")
        assert found.said_by[0] == "place of the source payer"
    elsewhere = [
        Member("payer", "aws", "222", "eu-west-1"),
        Member("payer", "gcp", None, "us-east-1"),
        Member("payer", "gcp", None, None),
        Member("another", "aws", None, "us-east-1"),
    ]
    assert [one(member, payer=block).zone for member in elsewhere] == ["IE", None, None, "US-MIDA-PJM"]


def test_machines_on_premises_are_scope_2_and_everything_else_is_bought() -> None:
    assert one(Member("s", "onprem", None, "fra1"), s=HERE).ghg_scope == "scope2"
    assert one(Member("s", "OnPrem", None, "fra1")).ghg_scope == "scope2"
    assert [one(Member("s", name)).ghg_scope for name in ("aws", "coreweave")] == ["scope3.1", "scope3.1"]
    leased = Place(provider="onprem", region="fra1", ghg_scope="scope3.8")
    assert one(Member("s", "onprem", None, "fra1"), s=leased).ghg_scope == "scope3.8"


def test_validity_begins_on_its_first_day_and_ends_before_its_last_bound() -> None:
    moved = [
        stated(region="us-east-1", zone="OLD", valid_to="2026-03-01"),
        stated(region="us-east-1", zone="NEW", valid_from="2026-03-01", valid_to="2026-03-03"),
    ]
    resolved = resolve([VIRGINIA], {}, moved, [date(2026, 2, 28), date(2026, 3, 3)])
    assert [(r.valid_from, r.valid_to, r.zone) for r in resolved] == [
        (date(2026, 2, 28), date(2026, 3, 1), "OLD"),
        (date(2026, 3, 1), date(2026, 3, 3), "NEW"),
        (date(2026, 3, 3), date(2026, 3, 4), "US-MIDA-PJM"),
    ]
    rows = rows_at([date(2026, 2, 28), *(date(2026, 3, day) for day in (1, 2, 3))])
    placed = with_place(rows, ibis.memtable(as_table(resolved)), ["zone"])
    assert [row["zone"] for row in fetched(placed)] == ["OLD", "NEW", "NEW", "US-MIDA-PJM"]


def test_days_with_the_same_values_are_one_stretch() -> None:
    """A bound of a less specific block changes nothing where a more specific one speaks."""
    places = [
        stated(account_id="111", zone="A", pue=1.1, ghg_scope="scope2"),
        stated(zone="P", pue=1.2, ghg_scope="scope3.8", valid_from="2026-01-01"),
    ]
    (found,) = resolve([Member("s", "aws", "111", None)], {}, places)
    assert (found.valid_from, found.valid_to, found.zone) == (BEGINNING, END, "A")
    assert len(resolve([Member("s", "aws", "222", None)], {}, places)) == 2


def test_what_holds_again_after_another_is_a_stretch_of_its_own() -> None:
    """Within the account's block the bounds of the hidden one change nothing."""
    places = [
        stated(zone="P", pue=1.7, ghg_scope="scope2"),
        stated(zone="hidden", valid_from="2026-02-01", valid_to="2026-03-01"),
        stated(account_id="111", zone="A", valid_from="2026-01-01", valid_to="2026-04-01"),
    ]
    resolved = resolve([Member("s", "aws", "111", "us-moon-1")], {}, places)
    assert [(r.valid_from, r.valid_to, r.zone, r.pue) for r in resolved] == [
        (BEGINNING, date(2026, 1, 1), "P", Decimal("1.7")),
        (date(2026, 1, 1), date(2026, 4, 1), "A", Decimal("1.7")),
        (date(2026, 4, 1), END, "P", Decimal("1.7")),
    ]


def test_a_table_of_places_has_the_columns_of_the_lake_even_without_any() -> None:
    table = as_table([])
    assert table.num_rows == 0
    assert {name: ibis.Schema.from_pyarrow(table.schema)[name] for name in ("valid_from", "zone", "pue")} == {
        "valid_from": t.DAY,
        "zone": t.TEXT,
        "pue": t.PUE,
    }


def test_rows_meet_their_place_null_account_and_null_region_included() -> None:
    members = [VIRGINIA, Member("payer", "aws", None, "us-east-1"), Member("payer", "aws", "111", None)]
    places = [stated(account_id="111", pue=1.1), stated(region="us-east-1", pue=1.2)]
    table = ibis.memtable(as_table(resolve(members, {}, places, [DAY])))
    rows = ibis.union(
        rows_at([DAY]).mutate(n=1), rows_at([DAY], account_id=None).mutate(n=2), rows_at([DAY], region=None).mutate(n=3)
    )
    found = fetched(with_place(rows, table), "n")
    assert [row["pue"] for row in found] == [Decimal("1.2"), Decimal("1.2"), Decimal("1.1")]
    assert list(found[0]) == ["day", "source", "provider", "account_id", "region", "n", "pue", "ghg_scope"]


def test_no_row_is_lost_or_doubled_and_a_member_without_a_place_stays_null() -> None:
    doubled = as_table(resolve([VIRGINIA, VIRGINIA], {}, []))
    rows = ibis.union(rows_at([DAY, DAY]), rows_at([DAY], region="mars-1"))
    found = fetched(with_place(rows, ibis.memtable(doubled)), "region")
    assert [row["ghg_scope"] for row in found] == [None, "scope3.1", "scope3.1"]


def test_the_zone_a_row_brings_along_stays() -> None:
    table = ibis.memtable(as_table(resolve([VIRGINIA], {}, [])))
    rows = ibis.union(rows_at([DAY], zone="DE"), rows_at([date(2026, 3, 2)], zone=None))
    found = fetched(with_place(rows, table, ["zone", "pue"]))
    assert [(row["zone"], row["pue"]) for row in found] == [
        ("DE", Decimal("1.15")),
        ("US-MIDA-PJM", Decimal("1.15")),
    ]


def test_members_are_the_distinct_combinations_of_rows_that_name_a_provider() -> None:
    rows = ibis.union(rows_at([DAY, date(2026, 3, 2)]), rows_at([DAY], account_id=None), rows_at([DAY], provider=None))
    con = ibis.duckdb.connect()
    kept = con.create_table("kept", CON.to_pyarrow(rows))
    assert Counter(members_of(kept)) == Counter([VIRGINIA, Member("payer", "aws", None, "us-east-1")])


def test_a_source_block_fills_what_its_rows_leave_open_and_nothing_of_another_provider() -> None:
    block = Place(provider="aws", account_id="999", region="eu-west-1")
    bare = {"provider": None, "account_id": None, "region": None}
    rows = ibis.union(
        rows_at([DAY], **bare),
        rows_at([DAY], **{**bare, "region": "us-east-1"}),
        rows_at([DAY], **{**bare, "provider": "gcp"}),
        rows_at([DAY], source="other"),
    )
    found = fetched(filled(rows, {"payer": block}, {"other": 0, "payer": 1}), "source_rank", "provider", "region")
    assert set(found[0]) == {"day", "source", "provider", "account_id", "region", "source_rank"}
    assert [tuple(row[key] for key in ("source_rank", "provider", "account_id", "region")) for row in found] == [
        (0, "aws", "111", "us-east-1"),
        (1, "aws", "999", "eu-west-1"),
        (1, "aws", "999", "us-east-1"),
        (1, "gcp", None, None),
    ]


@pytest.mark.parametrize(
    ("provider", "written", "region"),
    [
        ("aws", " US-East-1 ", "us-east-1"),
        ("aws", "us-east-1a", "us-east-1"),
        ("aws", "us-gov-west-1b", "us-gov-west-1"),
        ("aws", "us-east-1-bos-1a", "us-east-1-bos-1a"),
        ("gcp", "europe-west10-c", "europe-west10"),
        ("gcp", "us-south1-ai1b", "us-south1-ai1b"),
        ("azure", "East US 2", "eastus2"),
        ("azure", "eastus2", "eastus2"),
        ("onprem", "fra 1a", "fra 1a"),
        ("onprem", "us-east-1a", "us-east-1a"),
    ],
)
def test_a_region_is_compared_in_the_spelling_of_the_table(provider: str, written: str, region: str) -> None:
    assert region_key(provider.upper(), written) == (provider, region)


def test_an_unknown_region_stays_null_and_is_named() -> None:
    members = [VIRGINIA, Member("s", "aws", None, "us-moon-1"), Member("s", "gcp", "p", "us-west2"), Member("s", "aws")]
    resolved = resolve(members, {}, [], [DAY])
    moon = resolved[1]
    assert (moon.zone, moon.pue, moon.said_by[:2]) == (None, None, ("", ""))
    unknown = {(entry.member.provider, entry.member.region) for entry in resolved if entry.zone is None}
    assert unknown == {("aws", None), ("aws", "us-moon-1"), ("gcp", "us-west2")}
    assert zones_of(resolved) == ("US-MIDA-PJM",)
    known = resolve(members, {}, [stated(region="us-moon-1", zone="MOON")])
    assert {entry.zone for entry in known if entry.member.region == "us-moon-1"} == {"MOON"}


def test_a_site_knows_its_zones_from_blocks_places_and_announced_regions(tmp_path: Path) -> None:
    loaded = site(
        tmp_path,
        "  - {provider: azure, region: East US}\n"
        "  - {provider: aws, region: eu-west-1, zone: GB, valid_from: 2026-01-01}\n"
        '  - {provider: gcp, account_id: "7", pue: 1.1}\n',
    )
    assert site_zones(loaded) == ("DE", "GB", "IE", "US-MIDA-PJM")
    table = resolved_for(
        loaded,
        CON.create_table("sighted", CON.to_pyarrow(rows_at([DAY], region="eu-west-1b"))),
        [DAY, date(2025, 12, 31)],
    )
    assert table.column("zone").to_pylist() == ["IE", "GB"]


def test_zones_in_rows_are_those_of_the_block_and_those_that_rows_name(tmp_path: Path) -> None:
    loaded = site(tmp_path, "  - {provider: azure, region: East US, zone: GB}\n")
    own = {"provider": ["aws", "gcp", None], "account_id": [None, "7", None], "region": ["eu-west-3", "mars-1", None]}
    read = []

    def rows(table: Table) -> ibis.Table:
        read.append(table.name)
        return CON.create_table("told", pa.table({name: pa.array(told, pa.string()) for name, told in own.items()}))

    assert zones_in_rows(loaded, rows) == ("DE", "FR")
    assert read == ["raw_meters"]


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (
            "  - {provider: aws}\n",
            "places[0]: says nothing; give it a zone, a pue, a wue or a ghg_scope, or at least a region",
        ),
        ('  - {provider: aws, account_id: "1"}\n', "places[0]: says nothing"),
        ("  - {region: us-east-1, zone: DE}\n", "places[0].provider: is missing"),
        ("  - {provider: aws, zon: DE}\n", "places[0].zon: unknown key; did you mean 'zone'?"),
        ("  - {provider: aws, pue: 0.9}\n", "places[0].pue: Input should be greater than or equal to 1"),
        (
            "  - {provider: aws, pue: 1.1, valid_from: 2026-01-01, valid_to: 2026-01-01}\n",
            "valid_to (2026-01-01) is not after valid_from (2026-01-01)",
        ),
        (
            "  - {provider: azure, region: East US, zone: DE}\n"
            "  - {provider: azure, region: westus, zone: DE}\n"
            "  - {provider: Azure, region: eastus, zone: FR}\n",
            "places[0] and places[2] say different things of the same place on the same days (zone DE and FR)",
        ),
        (
            "  - {provider: aws, pue: 1.1, valid_to: 2026-03-02}\n"
            "  - {provider: aws, pue: 1.2, valid_from: 2026-03-01}\n",
            "places[0] and places[1] say different things of the same place on the same days (pue 1.1 and 1.2)",
        ),
    ],
)
def test_a_wrong_block_is_refused_with_its_name(tmp_path: Path, places: str, said: str) -> None:
    with pytest.raises(SiteError) as caught:
        site(tmp_path, places)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "places",
    [
        "  - {provider: aws, pue: 1.1, valid_to: 2026-03-01}\n  - {provider: aws, pue: 1.2, valid_from: 2026-03-01}\n",
        "  - {provider: aws, pue: 1.1}\n  - {provider: aws, zone: DE}\n",
        "  - {provider: aws, pue: 1.1}\n  - {provider: aws, pue: 1.10}\n",
        '  - {provider: aws, pue: 1.1, account_id: "1"}\n  - {provider: aws, pue: 1.2, account_id: "2"}\n',
        "  - {provider: aws, pue: 1.1}\n  - {provider: aws, pue: 1.2, region: us-east-1}\n",
    ],
)
def test_blocks_that_do_not_contradict_each_other_are_kept(tmp_path: Path, places: str) -> None:
    assert len(site(tmp_path, places).places) == 2


def test_the_table_of_regions_is_whole() -> None:
    rows = rows_of_data("cloud_regions.csv")
    keys = [(row["provider"], row["region"]) for row in rows]
    assert len(set(keys)) == len(keys) == len(cloud_zones())
    assert Counter(provider for provider, _ in keys).keys() == {"aws", "gcp", "azure"}
    for key, row in zip(keys, rows, strict=True):
        assert region_key(*key) == key, row
        assert bool(row["zone"]) == bool(row["source"]), row
        assert row["zone"] == row["zone"].strip().upper(), row
    assert set(published_pue()) == set(cloud_zones())


@pytest.mark.parametrize(
    ("key", "zone", "pue"),
    [
        (("aws", "eu-central-1"), "DE", "1.24"),
        (("aws", "us-west-2"), "US-NW-BPAT", "1.12"),
        (("gcp", "us-central1"), "US-MIDW-MISO", "1.11"),
        (("gcp", "us-west2"), None, "1.09"),
        (("azure", "swedencentral"), "SE-SE3", "1.16"),
        (("azure", "australiaeast"), "AU-NSW", "1.28"),
        (("azure", "westus3"), None, "1.16"),
    ],
)
def test_a_region_of_the_tables(key: tuple[str, str], zone: str | None, pue: str) -> None:
    found = one(Member("s", key[0], None, key[1]))
    assert (found.zone, found.pue) == (zone, Decimal(pue))


def test_a_grid_intensity_has_an_interval_only_where_a_publication_states_one() -> None:
    assert factor_uncertainty_pct() == {(1, "hour"): Decimal(10)}


def test_two_thousand_accounts_in_sixty_regions_are_one_join(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The SQL has the same length for one member and for thousands, and the grams' ingredients are the same."""
    regions = [region for provider, region in sorted(cloud_zones()) if provider == "azure"][:60]
    assert len(regions) == 60
    con = ibis.duckdb.connect(threads=1)
    sql, seconds = {}, {}
    for name, accounts, where in (("one", 1, regions[:1]), ("many", 2000, regions)):
        path = tmp_path / f"{name}.parquet"
        con.raw_sql(
            f"COPY (SELECT 's' || (i % {accounts}) AS source, 'azure' AS provider,"
            f" 'a' || (i % {accounts}) AS account_id,"
            f" list_extract({where}, 1 + i % {len(where)}) AS region, DATE '2026-03-01' AS day,"
            f" (i % 997)::DECIMAL(18, 9) AS energy_kwh FROM range(1000000) t(i)) TO '{path}' (FORMAT parquet)"
        )
        rows = con.read_parquet(path, table_name=f"rows_{name}")
        resolved = resolve(members_of(rows), {}, [], [DAY])
        # All with the same values, so that the sums must not depend on how many members there are.
        fixed = [
            Resolved(r.member, r.valid_from, r.valid_to, "DE", Decimal("1.16"), "scope3.1", r.said_by) for r in resolved
        ]
        assert len(resolved) == {"one": 1, "many": 6000}[name]
        placed = with_place(rows, con.create_table(f"places_{name}", as_table(fixed)))
        sums = placed.group_by("ghg_scope", "pue").aggregate(n=placed.count(), kwh=placed.energy_kwh.sum())
        start = time.perf_counter()
        assert con.to_pyarrow(sums).to_pylist() == [
            {"ghg_scope": "scope3.1", "pue": Decimal("1.160"), "n": 1_000_000, "kwh": KWH}
        ]
        seconds[name] = time.perf_counter() - start
        sql[name] = str(ibis.to_sql(placed, dialect="duckdb"))
    assert len(sql["many"]) == len(sql["one"]) + 2 * len("many") - 2 * len("one")
    assert "CASE" not in sql["many"]
    assert sql["many"].count("JOIN") == 1
    with capsys.disabled():
        print(f"2,000 accounts in 60 regions cost {seconds['many'] / seconds['one']:.2f} x one")


KWH = sum(Decimal(i % 997) for i in range(1_000_000))


@pytest.mark.parametrize(
    ("provider", "stated", "printed"),
    [("onprem", "abcd", "ABCD"), ("aws", "012345678901", "12345678901"), ("aws", "0123-4567-8901", "012345678901")],
)
def test_an_account_is_compared_as_bills_compare_it(provider: str, stated: str, printed: str) -> None:
    place = SitePlace.model_validate({"provider": provider, "account_id": stated, "ghg_scope": "scope3.8"})
    (entry,) = resolve([Member("s", provider, printed, "r1")], {}, [place])
    assert entry.ghg_scope == "scope3.8"


WRITTEN = [
    " EU-West-1a",
    "eu-west-1",
    "us-east-1-bos-1a",
    "West  Europe",
    "us-central1-b",
    "DC 1",
    "\u00a0dub1\t",
    "",
    None,
]


@pytest.mark.parametrize("provider", ["aws", " AWS", "azure", "gcp", "onprem", None])
def test_regions_of_a_column_are_those_of_a_text(provider: str | None) -> None:
    rows = ibis.memtable([(provider, region) for region in WRITTEN], schema={"provider": "string", "region": "string"})
    cloud, key = region_keys(rows.provider, rows.region)
    found = CON.to_pyarrow(rows.select("region", cloud=cloud, key=key)).to_pylist()
    for row in found:
        spelled, plain = region_key(provider or "", row["region"] or "")
        assert (row["cloud"] or "", row["key"] or "") == (spelled, plain)
        assert (row["cloud"] is None, row["key"] is None) == (provider is None, row["region"] is None)


def test_regions_may_be_the_same_if_they_are_for_some_provider() -> None:
    assert all(
        maybe_same(*pair) for pair in [("DUB1", " dub1"), ("West Europe", "westeurope"), ("us-east-1a", "us-east-1")]
    )
    assert not any(maybe_same(*pair) for pair in [("dub1", "dub2"), ("us-east-1-bos-1a", "us-east-1")])


def test_a_provider_has_one_spelling_with_and_without_a_region() -> None:
    seen = [("AWS ", None), ("aws", None), ("Aws", "US-East-1"), ("aws", "eu-west-1"), ("gcp", "X"), (None, "Y")]
    schema = {"provider": "string", "region": "string"}
    rows = ibis.memtable(seen, schema=schema)
    spellings = ibis.memtable(one_spelling(rows, {}, [stated(provider="AWS", region="eu-west-1")]))
    found = CON.to_pyarrow(respelled(rows, spellings)).to_pylist()
    assert Counter((row["provider"], row["region"]) for row in found) == Counter(
        [("AWS", None), ("AWS", None), ("AWS", "us-east-1"), ("AWS", "eu-west-1"), ("gcp", "x"), (None, "Y")]
    )


@pytest.mark.parametrize(
    ("place", "row", "region"),
    [
        ({"provider": "azure", "region": "West Europe"}, "westeurope", "West Europe"),
        ({"provider": "aws", "region": "us-east-1a"}, "US-EAST-1", "us-east-1"),
        ({"provider": "onprem", "region": " DUB1 "}, "dub1", "DUB1"),
        ({"provider": "onprem", "zone": "DE"}, "DUB1", "dub1"),
    ],
)
def test_a_region_is_spelled_as_the_site_does_unless_that_is_a_zone_of_it(
    place: dict[str, str], row: str, region: str
) -> None:
    rows = ibis.memtable([(place["provider"], row)], schema={"provider": "string", "region": "string"})
    spellings = ibis.memtable(one_spelling(rows, {}, [stated(**place)]))
    (found,) = CON.to_pyarrow(respelled(rows, spellings)).to_pylist()
    assert found["region"] == region


@pytest.mark.parametrize("zone", ["''", "' '"])
def test_a_zone_without_letters_is_refused(tmp_path: Path, zone: str) -> None:
    with pytest.raises(SiteError, match=r"places\[0\].zone: String should have at least 1"):
        site(tmp_path, f"  - {{provider: onprem, region: r1, zone: {zone}}}\n")

"""Names of hosts: what is the same, what only looks the same, and what the site file says."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_assets.contracts.node_names import plain_name
from energy_assets.contracts.nodes import node_names
from energy_assets.site import NodeRule
from energy_assets_tests.rows import DAY, rows_of

CON = ibis.duckdb.connect(threads=1)
SCHEMA = {"day": "date", "provider": "string", "region": "string", "node_id": "string"}


def names(*seen: str, rules: tuple[NodeRule, ...] = (), day: date = DAY, region: str | None = "r1") -> dict[str, str]:
    return of_rows([(day, "onprem", region, name) for name in seen], rules)


def of_rows(rows: list[tuple[Any, ...]], rules: tuple[NodeRule, ...] = ()) -> dict[str, str]:
    made = rows_of(CON, node_names(ibis.memtable(rows, schema=ibis.schema(SCHEMA)), rules))
    return {row["raw_node_id"]: row["node_id"] for row in made}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("GPU-A.DC1.example.:9400", "gpu-a.dc1.example"),
        ("10.0.0.7:9290", "10.0.0.7"),
        ("10.0.0.7", "10.0.0.7"),
        ("[::1]:9100", "::1"),
        ("[fe80::1%eth0]", "fe80::1%eth0"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:DB8:0:0:0:0:0:8", "2001:db8::8"),
        ("[2001:0db8::0008]:9100", "2001:db8::8"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("[::FFFF:0a00:0007]:9290", "10.0.0.7"),
        ("FE80:0::1%eth0", "fe80::1%eth0"),
        ("2001:db8:0:0:0:0:0:0:8", "2001:db8:0:0:0:0:0:0:8"),
        ("AA:BB:CC:00:EE:FF", "aa:bb:cc:00:ee:ff"),
        (" node 3 ", "node 3"),
        ("a/b:80", "a/b"),
        ("rack1:", "rack1:"),
    ],
)
def test_a_name_loses_what_says_nothing_about_the_host(name: str, plain: str) -> None:
    assert plain_name(name) == plain
    assert names(name)[name] == plain.removesuffix(".dc1.example")


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("aB0.:[]-%_ /"), max_size=14))
def test_a_plain_name_is_plain_already(name: str) -> None:
    assert plain_name(plain_name(name)) == plain_name(name)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.text(st.sampled_from("aB0.:[]-%_ "), min_size=1, max_size=12), min_size=40, unique=True))
def test_names_of_a_column_are_those_of_a_text(seen: list[str]) -> None:
    """Every name in a place of its own, so that no neighbour matters, and names made of names are themselves."""
    rows = [(DAY, "onprem", f"r{number}", name) for number, name in enumerate(seen)]
    found = of_rows(rows)
    assert all(plain_name(name).startswith(found[name]) for name in seen)
    again = of_rows([(DAY, "onprem", f"r{number}", found[name]) for number, name in enumerate(seen)])
    assert all(again[found[name]] == found[name] for name in seen)


def test_a_domain_is_cut_unless_two_hosts_would_become_one() -> None:
    assert names("a.dc1.example", "a", "A:9100") == {"a.dc1.example": "a", "a": "a", "A:9100": "a"}
    two = names("a.dc1.example", "a.dc2.example", "b.dc1.example")
    assert two == {"a.dc1.example": "a.dc1.example", "a.dc2.example": "a.dc2.example", "b.dc1.example": "b"}
    apart = of_rows([(DAY, "onprem", "r1", "a.dc1.example"), (DAY, "onprem", "r2", "a.dc2.example")])
    assert set(apart.values()) == {"a"}
    unknown = of_rows([(DAY, "aws", None, "a.x.example"), (DAY, "aws", None, "a.y.example")])
    assert unknown == {"a.x.example": "a.x.example", "a.y.example": "a.y.example"}


def test_a_day_alone_names_hosts_as_a_range_does() -> None:
    """Another day's neighbour of the same short name changes nothing today."""
    tomorrow = (DAY + timedelta(days=1), "onprem", "r1", "a.dc2.example")
    both = of_rows([(DAY, "onprem", "r1", "a.dc1.example"), tomorrow])
    assert both["a.dc1.example"] == names("a.dc1.example")["a.dc1.example"] == "a"


def test_the_site_file_comes_before_everything() -> None:
    exact = NodeRule(name="GPU-A", also=("10.0.0.7", "bmc-gpu-a"))
    pattern = NodeRule(match=r"(?P<node>gpu-[a-z]+)-bmc", name="{node}")
    found = names(
        "10.0.0.7:9290", "BMC-gpu-a.mgmt.example", "gpu-b-bmc.mgmt.example", "xgpu-c-bmc", rules=(exact, pattern)
    )
    assert found == {
        "10.0.0.7:9290": "gpu-a", "BMC-gpu-a.mgmt.example": "gpu-a", "gpu-b-bmc.mgmt.example": "gpu-b",
        "xgpu-c-bmc": "xgpu-c-bmc",
    }  # fmt: skip
    only = NodeRule(name="gpu-a", also=("10.0.0.7",), region="r2")
    assert names("10.0.0.7", rules=(only,)) == {"10.0.0.7": "10.0.0.7"}
    assert names("10.0.0.7", rules=(only,), region="r2") == {"10.0.0.7": "gpu-a"}
    address = NodeRule(name="gpu-d", also=("2001:db8:0:0:0:0:0:d",))
    assert names("2001:DB8::D", "[2001:db8::000d]:9290", rules=(address,)) == {
        "2001:DB8::D": "gpu-d", "[2001:db8::000d]:9290": "gpu-d",
    }  # fmt: skip
    capitals = NodeRule(match=r"(?P<node>GPU-.+)-BMC", name="{node}")
    assert names("GPU-B-bmc", rules=(capitals,)) == {"GPU-B-bmc": "gpu-b"}
    told = NodeRule(name="left", also=("a.dc1.example",))
    assert names("a.dc1.example", "a.dc2.example", rules=(told,)) == {"a.dc1.example": "left", "a.dc2.example": "a"}

"""Zones that only bills tell of: a source that does not serve one goes on, one that the site names must be served."""

from __future__ import annotations

from dataclasses import replace

import pytest

from energy_assets.raw.collecting import collect, parse
from energy_assets.sandbox.electricity_maps import ElectricityMapsServer
from energy_assets.sources.base import StepContext
from energy_assets_tests.sources.electricity_maps.test_source import DAY, ONE, of, server

__all__ = ["server"]


@pytest.mark.parametrize(("billed", "good"), [(frozenset({"XX"}), True), (frozenset(), False)])
def test_a_zone_nobody_serves(
    server: ElectricityMapsServer, step: StepContext, billed: frozenset[str], good: bool
) -> None:
    asked = replace(step, zones=("DE", "XX"), billed_zones=billed)
    source = of(server, zones=None)
    collected = collect(source, ONE, asked)
    assert (DAY not in collected.failures) is good
    if good:
        parsed, _ = parse(source, collected.editions, asked)
        assert parsed
        assert {row["zone"] for row in parsed.rows.to_pyarrow().to_pylist()} == {"DE"}


def test_a_wrong_token_is_no_zone_that_is_not_served(
    server: ElectricityMapsServer, step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EM_TOKEN", "stolen")
    asked = replace(step, zones=("DE",), billed_zones=frozenset({"DE"}))
    assert DAY in collect(of(server, zones=None), ONE, asked).failures

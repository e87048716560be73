"""The doctor: every source tried live, without landing anything."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import ibis

from energy_assets.factors.places import site_zones
from energy_assets.secrets import SecretError
from energy_assets.site import Site
from energy_assets.sources.base import Finding, Source, StepContext
from energy_assets.sources.errors import SourceError


def examine(site: Site) -> Iterator[tuple[Source, list[Finding]]]:
    """The findings of each source, in the order of the site file; a source that raises has one bad finding."""
    with tempfile.TemporaryDirectory() as folder:
        con = ibis.duckdb.connect()
        con.raw_sql("SET TimeZone = 'UTC'")
        step = StepContext(
            con=con,
            landing=site.disk().landing(),
            folder=Path(folder),
            site_folder=site.folder,
            zones=site_zones(site),
            now=datetime.now(UTC),
        )
        for source in site.sources:
            yield source, _findings(source, step)


def _findings(source: Source, step: StepContext) -> list[Finding]:
    found: list[Finding] = []
    try:
        for finding in source.check(step):
            found.append(finding)
    except SourceError as error:
        found.append(Finding(False, error.message, error.remedy))
    except SecretError as error:
        found.append(Finding(False, str(error)))
    return found

"""A site's own machine types: what `factors --missing` prints is read, and what would count wrong is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.estimates.own_tables import own_constants
from energy_assets.site import Site, load_site
from energy_assets.sources.errors import MalformedError

HEADER = "provider,instance_type,vcpus,memory_gib,accelerator,accelerators,year,source\n"
ROW = "aws,zz9.48xlarge,192,2048,H100,8,2026,data sheet\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site.yaml").write_text(
        "organisation: {name: Small AI}\nstart: 2024-05-01\nstorage: {root: ./var}\n"
        'sources: [{name: bills, kind: focus_files, path: "bills/*.csv"}]\nfactors: {instances: own.csv}\n'
    )
    return load_site(tmp_path / "site.yaml")


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROW,
        # As it is printed, with what is said of each row.
        "# For the file that `factors: {instances: …}` in site.yaml names.\n" + HEADER + "# 3 lines, 5.00 USD\n" + ROW,
        HEADER + "\n" + ROW + ",,,,,,,\n",
    ],
)
def test_a_row_is_read(site: Site, text: str) -> None:
    (site.folder / "own.csv").write_text(text, encoding="utf-8")
    ((key, found),) = own_constants(site).own_machines.items()
    assert key == ("aws", "zz9.48xlarge")
    assert (found.vcpus, found.memory_gib, found.accelerator, found.accelerators) == (192, 2048, "H100", Decimal(8))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER + ROW.replace(",8,", ",,"), "line 2: accelerator and accelerators must both be there"),
        (HEADER + ROW.replace("H100", ""), "line 2: accelerator and accelerators must both be there"),
        (HEADER + ROW + ROW.replace("192", "4"), "line 3: aws zz9.48xlarge stands in the file twice"),
        (HEADER + "# said\n" + ROW.replace("aws", "amazon"), "line 3: provider is 'amazon'; it must be one of aws,"),
        (HEADER + ROW.replace("2048", "2,048"), "line 2: has 9 cells, and the header has 8"),
        (HEADER + ROW.replace("2048", ""), "line 2: memory_gib is '', which is no number"),
        (HEADER + ROW.replace("192", "0"), "line 2: vcpus is '0'; it must be more than 0"),
        ((HEADER + ROW).replace(",", ";"), "has no column provider, instance_type"),
    ],
)
def test_what_would_count_wrong_is_refused(site: Site, text: str, says: str) -> None:
    (site.folder / "own.csv").write_text(text, encoding="utf-8")
    with pytest.raises(MalformedError) as error:
        own_constants(site)
    assert f"own.csv{',' if says.startswith('line') else ':'} {says}" in str(error.value)

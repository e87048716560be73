"""One word for what a site's factors say: another one where a row, a line of site.yaml or a file of its own is.

What belongs here: which tables an asset is made with, and their hash. It is the asset's code version, so that Dagster
shows days made with other factors as stale and the automation asks for them (`operations/automation.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files

from energy_assets.site import Site

PLACES = ("cloud_regions.csv",)
"""Tables that decide in which grid zone a row stands."""
ENERGY = (*PLACES, "uncertainty.csv")
ESTIMATES = (
    "accelerator_names.csv", "accelerators.csv", "cpu_power.csv", "device_models.csv", "embodied.csv",
    "energy_coefficients.csv", "instances.csv", "managed_disks.csv", "usage_rules.csv",
)  # fmt: skip
"""Tables that energy and embodied emissions are estimated with."""
APPLIED = (*PLACES, *ESTIMATES, "factor_uncertainty.csv", "grid_losses.csv", "grid_water.csv", "pue.csv", "water.csv")
"""Tables of which `factors/applied` is made."""
PREFIX = "factors-"


def factors_version(site: Site, tables: Sequence[str], own_files: bool = True) -> str:
    """The word.

    Args:
        site: Its places, and with `own_files` its estimates and the files that its `factors` name.
        tables: Names of tables of `factors/data`.
        own_files: Whether what is made depends on the site's own tables and estimates, too.
    """
    digest = hashlib.sha256()
    for name in sorted(set(tables)):
        digest.update(name.encode() + table_bytes(name))
    stated = {
        "places": [place.model_dump(mode="json") for place in site.places],
        "sources": {name: place.model_dump(mode="json") for name, place in sorted(site.source_places.items())},
    }
    if own_files:
        stated["factors"] = site.factors.model_dump(mode="json")
        stated["estimates"] = site.estimates.model_dump(mode="json")
        for named in own_files_of(site):
            path = site.folder / named if named else None
            # One that is not there is told where it is read.
            digest.update(path.read_bytes() if path and path.is_file() else b"")
    digest.update(json.dumps(stated, sort_keys=True, ensure_ascii=False).encode())
    return PREFIX + digest.hexdigest()[:16]


def own_files_of(site: Site) -> tuple[str | None, ...]:
    """The files of factors that a site file names, each by its key's order; None where it names none.

    Args:
        site: With `factors`.
    """
    return site.factors.instances, site.factors.accelerators, site.factors.hardware, site.factors.losses


def table_bytes(name: str) -> bytes:
    """A table of constants as it lies in the package.

    Args:
        name: A file of `factors/data`.
    """
    return files("energy_assets.factors").joinpath("data", name).read_bytes()

"""Where things of a report are: its editable parts, in a checkout or an installed package, its folder, its links."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from energy_assets.periods import Period
from energy_assets.site import Site

MARK = Path("templates") / "report.xhtml.j2"
UI_REPORTS = "/reports"
"""Path of the UI below which it leads to the reports, on whichever port it and they are served."""
SHARE = Path("share") / "energy_assets" / "reports"


def reports_folder() -> Path:
    """The folder of templates, charts, frameworks, taxonomy and fonts.

    Order: `ENERGY_ASSETS_REPORTS` (an organisation's own copy), `reports/` of the checkout, then
    `share/energy_assets/reports` of the environment or, after `pip install --target`, beside the package.

    Raises:
        FileNotFoundError: none of these holds the templates.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = [
        package.parent / "reports",
        Path(sysconfig.get_path("data")) / SHARE,
        package.parent / SHARE,
    ]
    if named := os.environ.get("ENERGY_ASSETS_REPORTS"):
        candidates.insert(0, Path(named))
    for folder in candidates:
        if (folder / MARK).is_file():
            return folder
    looked = ", ".join(str(folder) for folder in candidates)
    raise FileNotFoundError(
        f"the report templates were not found (looked in {looked}); reinstall energy-assets, or point "
        "ENERGY_ASSETS_REPORTS at a copy of the folder reports/"
    )


def report_folder(site: Site, profile: str, period: Period) -> Path:
    """Where a report lies; for a bucket the local copy beside the site file.

    Args:
        site: Says where its data lie.
        profile: Name of the profile.
        period: What is reported.
    """
    return reports_root(site) / profile / str(period)


def reports_root(site: Site) -> Path:
    """The folder of all reports of a site; for a bucket that of the local copies.

    Args:
        site: Says where its data lie.
    """
    disk = site.disk()
    return (Path(disk.root) if disk.is_local else site.folder / "var") / "reports"

"""The README's pictures: `python -m energy_assets_tests.browser.screenshots --site var/demo/site.yaml`.

What belongs here: taking them from a finished demo, so that they can be made again. Needs Chromium and pdftoppm.
"""

from __future__ import annotations

import argparse
import base64
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from energy_assets_tests.browser.chromium import headless
from energy_assets_tests.browser.pages import shows
from energy_assets_tests.browser.serving import serving

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images"
GROUPS = ("disclosure", "emissions", "estimates", "factors", "kpi", "raw", "unified")
SETTLE_S = 3
MARGIN_PX = 12
WINDOW_PX = 2100, 2300
"""So wide that nodes show their names alone, so high that the whole graph is in view."""
PAGE, DPI = "2", "90"
NODES = """const boxes = [...document.querySelectorAll('foreignObject')].map(e => e.getBoundingClientRect());
return [Math.min(...boxes.map(b => b.left)), Math.min(...boxes.map(b => b.top)),
        Math.max(...boxes.map(b => b.right)), Math.max(...boxes.map(b => b.bottom))]"""


def main() -> None:
    """Write asset-graph.png and report-page.png."""
    parser = argparse.ArgumentParser(prog="python -m energy_assets_tests.browser.screenshots", description=__doc__)
    parser.add_argument("--site", type=Path, required=True, help="site file of a finished demo")
    parser.add_argument("--to", type=Path, default=PICTURES, help="folder of the pictures")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    report_page(arguments.site, arguments.to / "report-page")
    with serving(arguments.site.resolve()) as ui, tempfile.TemporaryDirectory() as profile:
        ui.wait_until_ready()
        with headless(Path(profile), *WINDOW_PX) as browser:
            asset_graph(browser, ui.url, arguments.to / "asset-graph.png")


def report_page(site: Path, target: Path) -> None:
    """The executive summary of the newest report, as `<target>.png`."""
    reports = sorted((site.parent / "store/reports/ml_sustainability").glob("*/report.pdf"))
    command = ["pdftoppm", "-png", "-singlefile", "-r", DPI, "-f", PAGE, str(reports[-1]), str(target)]
    subprocess.run(command, check=True)


def asset_graph(browser: Any, url: str, target: Path) -> None:
    """The whole graph with its groups open, cut to what is drawn."""
    opened = ",".join(f"global@global:{group}" for group in GROUPS)
    browser.get(f"{url}/asset-groups?expanded={opened}")
    shows(browser, "ml_sustainability", "dublin", "hourly")
    time.sleep(SETTLE_S)
    left, top, right, bottom = browser.execute_script(NODES)
    clip = {"x": left - MARGIN_PX, "y": top - MARGIN_PX, "scale": 1}
    clip |= {"width": right - left + 2 * MARGIN_PX, "height": bottom - top + 2 * MARGIN_PX}
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
    target.write_bytes(base64.b64decode(picture["data"]))


if __name__ == "__main__":
    main()

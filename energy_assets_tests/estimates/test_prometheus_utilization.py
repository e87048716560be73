"""A bill and a Prometheus without power: the load it tells is taken, under the names of Kubernetes and of site.yaml."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from energy_assets.query import ask
from energy_assets.site import load_site
from energy_assets_tests.estimates.test_utilization import CHARGE, INSTANCE, run
from energy_assets_tests.sources.prometheus_utilization.machines import (
    TWO,
    gauge,
    minutes,
    processors,
    served,
)

SITE = """
organisation: {{name: Renters}}
start: 2026-11-18
sources:
  - {{name: bills, kind: focus_files, path: bill.csv}}
  - {{name: load, kind: prometheus_utilization, url: "{url}", provider: aws}}
  - name: gpus
    kind: prometheus_energy
    url: "{url}"
    selector: 'job="dcgm"'
    place: {{provider: aws, account_id: "1", region: eu-west-1, zone: IE, pue: 1.1}}
places:
  - {{provider: aws, region: eu-west-1, zone: IE, pue: 1.1}}
nodes:
  - {{name: {instance}, also: [10.0.0.7]}}
"""


def test_the_load_of_a_billed_machine_from_prometheus_and_its_measured_gpus_count_once(tmp_path: Path) -> None:
    """Eight GPUs at 80 %, of which one is also metered (all hour at 500 W); processors read in half of the hour."""
    with (tmp_path / "bill.csv").open("w") as file:
        file.write("\n".join([",".join(CHARGE), ",".join(f'"{value}"' for value in CHARGE.values())]))
    hour = minutes(0, 60)
    these = [
        *processors(minutes(0, 30), TWO, instance="10.0.0.7:9100", job="node"),
        *(
            gauge("DCGM_FI_DEV_GPU_UTIL", [(m, 80) for m in hour], UUID=f"GPU-{n}", Hostname="10.0.0.7", job="dcgm")
            for n in range(8)
        ),
        gauge("DCGM_FI_DEV_POWER_USAGE", [(m, 500) for m in hour], UUID="GPU-0", Hostname="10.0.0.7", job="dcgm",
              modelName="NVIDIA H100 80GB HBM3"),
    ]  # fmt: skip
    with served(these) as url:
        (tmp_path / "site.yaml").write_text(SITE.format(url=url, instance=INSTANCE))
        site = load_site(tmp_path / "site.yaml")
        run(site)
    _, rows = ask(
        site,
        "select device_kind, round(energy_kwh, 12), utilization, method, quality_tier from usage_estimates "
        "where device_kind <> 'dram' order by device_kind",
    )
    assert rows == [
        # Half of the hour at 0.25, half at the default: 192 x (0.4556 + 0.375 x 1.5017) = 195.5976 W
        ("cpu", Decimal("0.1955976"), Decimal("0.375"), "estimated_utilization", 3),
        ("gpu", Decimal("4.576"), Decimal("0.8"), "estimated_utilization", 3),
    ]
    _, energy = ask(
        site,
        "select method, sum(energy_kwh) from energy where device_kind = 'gpu' and energy_kwh > 0 group by 1 order by 1",
    )
    # seven of the eight are estimated, the eighth is measured: 7/8 x 4.576 and 0.5 kWh
    assert energy == [("estimated_utilization", Decimal("4.004")), ("measured_power", Decimal("0.5"))]

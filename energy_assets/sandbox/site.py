"""The sandbox company's site file: what a person would write for it, with comments that explain the keys.

What belongs here: the text, and the addresses in it. What does not: reading site files (`energy_assets.site`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from energy_assets.sandbox.company import TOKEN, Company
from energy_assets.sandbox.plant import RAPL_WRAP_UJ
from energy_assets.sandbox.schedule import LOCATIONS, ORGANISATION, Location

_HEAD = """\
# {organisation}: a made-up company, served by stand-ins on this machine. Nothing in it is real.
# Start its servers again with: python -m energy_assets.sandbox --folder <the folder of this file>

organisation:
  name: {organisation}
  currency: USD                          # of the report's costs
  consolidation: operational_control     # GHG Protocol: whose emissions are ours
  base_year: 2025
  synthetic: true                        # every report says so

start: {start}                        # first day of the daily partitions
storage: {{root: ./store}}                 # relative to this file; or s3://bucket/prefix
engine: {{kind: duckdb, memory_limit: 2GB}}

sources:
"""

_ENERGY = """\
  - name: {name}
    kind: prometheus_energy
    url: {url}
{rapl}    place: {{provider: {provider}, account_id: "{account}", region: {region}, zone: {zone}, pue: {pue}}}
"""

_RAPL = """\
    rapl_wrap_joules: {wrap}      # the CPUs' max_energy_range_uj: their counters start again at 0
"""

_INFERENCE = """\
  - name: {name}
    kind: prometheus_inference
    url: {url}
    deployment_label: job                # pods come and go; the job is the deployment
"""

_TAIL = """\
  # Hourly carbon intensity of every zone named above.
  - name: grid
    kind: electricity_maps
    url: {grid}
    token: "file:{token}"

  # FOCUS bills of three clouds; all files of the folder are read.
  - name: bills
    kind: focus_files
    path: bills/*.csv.gz

# Who used it: the first rule that matches wins. Keys are labels, tags or columns; what no rule maps is `unknown`
# (here: a pod somebody started by hand in the namespace `default`).
attribution:
  rules:
    - {{match: {{pod: llm-pretrain-*}}, project: llm-pretrain, model_id: llm-7b, workload_type: training}}
    - {{match: {{pod: ft-assistant-8b-*}}, project: llm-finetune, model_id: assistant-8b, workload_type: fine_tuning}}
    - {{match: {{pod: reindex-search-*}}, project: search, model_id: embed-small, workload_type: batch}}
    - {{match: {{namespace: notebooks}}, project: eval, workload_type: development}}
    - {{match: {{pod: assistant-8b-*}}, project: assistants, model_id: assistant-8b, workload_type: inference}}
    - {{match: {{pod: assistant-70b-*}}, project: assistants, model_id: assistant-70b, workload_type: inference}}
    - {{match: {{pod: translate-3b-*}}, project: assistants, model_id: translate-3b, workload_type: inference}}
    - {{match: {{pod: embed-small-*}}, project: search, model_id: embed-small, workload_type: inference}}
    # What the model servers count.
    - {{match: {{deployment: [assistant-*, translate-*]}}, project: assistants, workload_type: inference}}
    - {{match: {{deployment: embed-*}}, project: search, workload_type: inference}}
    # Hosts: what is not a GPU.
    - {{match: {{device_kind: [cpu, dram, node, rest_of_node]}}, project: platform, workload_type: overhead}}
    # Tags of the bills.
    - {{match: {{project: llm-pretrain}}, project: llm-pretrain, workload_type: training}}
    - {{match: {{project: llm-finetune}}, project: llm-finetune, workload_type: fine_tuning}}
    - {{match: {{project: [assistants, search]}}, project: "{{label:project}}", workload_type: inference}}
    - {{match: {{project: eval}}, project: eval, workload_type: development}}

# A host that goes by several names is joined here (`also`); this one has no meter of its own, and that is known.
nodes:
  - {{name: dub1-gpu-02, metered: false}}

# What the company has promised; the report shows how far it has come.
targets:
  - {{kpi: wh_per_1k_inferences, unit: "Wh per 1,000 requests", base_year: 2025, base_value: 520,
     target_year: 2030, target_value: 260}}
  - {{kpi: gco2e_per_1k_inferences, unit: "gCO2e (location-based) per 1,000 requests", base_year: 2025, base_value: 190,
     target_year: 2030, target_value: 60}}
  - {{kpi: idle_share, unit: share, base_year: 2025, base_value: 0.25, target_year: 2028, target_value: 0.10}}
"""


def write_site(company: Company, folder: Path) -> Path:
    """Write bills, token and a commented site file of a running company.

    Args:
        company: Its servers are up: their addresses are written down.
        folder: Made where it does not exist.

    Returns:
        The site file's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    company.write_bills(folder / "bills")
    token = folder / "electricity-maps.token"
    token.write_text(TOKEN + "\n", encoding="utf-8")
    path = folder / "site.yaml"
    path.write_text(site_text(company, token.resolve()), encoding="utf-8")
    return path


def site_text(company: Company, token: Path) -> str:
    """The site file of a running company.

    Args:
        company: Its servers are up: their addresses are written down.
        token: The file with the grid service's token, absolute.
    """
    parts = [_HEAD.format(organisation=ORGANISATION, start=company.days.first)]
    for location in LOCATIONS:
        url = company.prometheus[location.name].url
        parts.append(
            _ENERGY.format(
                name=location.name.removesuffix("-serving"),
                url=url,
                rapl=_RAPL.format(wrap=f"{RAPL_WRAP_UJ / 1e6:f}") if location.rapl else "",
                provider=location.provider,
                account=location.account_id,
                region=location.region,
                zone=location.zone,
                pue=location.pue,
            )
        )
        if location.deployments:
            parts.append(_inference(location, url))
    parts.append(_TAIL.format(grid=company.grid.url, token=token))
    return "".join(parts)


def readdress(site: Path, before: Mapping[str, int], after: Mapping[str, int]) -> dict[int, int]:
    """Write the company's new addresses into its site file, where other programs took the old ones.

    Args:
        site: The site file.
        before: Port of each server as the file names it.
        after: Port of each server as it runs.

    Returns:
        New port by old port, of those that moved.
    """
    moved = {port: after[name] for name, port in before.items() if after.get(name, port) != port}
    if moved:
        address = re.compile(r"(?<=http://127\.0\.0\.1:)\d+")
        text = site.read_text(encoding="utf-8")
        fresh = address.sub(lambda found: str(moved.get(int(found.group()), found.group())), text)
        site.write_text(fresh, encoding="utf-8")
    return moved


def _inference(location: Location, url: str) -> str:
    """The block of a location's model servers; Text Generation Inference does not name its model."""
    unnamed = {one.name: one.model_id for one in location.deployments if one.server == "tgi"}
    models = ", ".join(f"{name}: {model}" for name, model in unnamed.items())
    block = _INFERENCE.format(name=location.name, url=url)
    return block + (
        f"    models: {{{models}}}   # Text Generation Inference does not name its model\n" if models else ""
    )

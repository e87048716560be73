"""How clouds spell their regions: one spelling for each, so that tables, site file and rows can be compared.

What belongs here: spelling. What does not: where a region stands (`factors/data/cloud_regions.csv`).
"""

from __future__ import annotations

import re

_AVAILABILITY_ZONE = {
    "aws": re.compile(r"^([a-z]{2}(?:-[a-z]+)+-\d)[a-z]$"),
    "gcp": re.compile(r"^([a-z]+-[a-z]+\d+)-[a-z]$"),
}
"""`us-east-1a` lies in `us-east-1` and `us-central1-b` in `us-central1`. What only begins like a region (the local
zone `us-east-1-bos-1a` in Boston) is no availability zone of it, and stays what it is."""


def region_key(provider: str, region: str) -> tuple[str, str]:
    """Provider and region in the spelling of the table of cloud regions, for comparing them.

    Case and outer spaces do not count. An availability zone of AWS or Google Cloud stands for its region; Azure
    writes both `East US` and `eastus`.

    Args:
        provider: aws, gcp, azure, onprem …
        region: As a bill, an agent or a person writes it.
    """
    cloud, text = provider.strip().lower(), region.strip().lower()
    if cloud == "azure":
        return cloud, "".join(text.split())
    pattern = _AVAILABILITY_ZONE.get(cloud)
    within = pattern.match(text) if pattern else None
    return cloud, within.group(1) if within else text

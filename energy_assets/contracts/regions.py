"""How clouds spell their regions: one spelling for each, so that tables, site file and rows can be compared.

What belongs here: spelling, for one text and for columns. What does not: where a region stands
(`factors/data/cloud_regions.csv`).
"""

from __future__ import annotations

import re

import ibis
import ibis.expr.types as ir

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


def region_keys(provider: ir.StringValue, region: ir.StringValue) -> tuple[ir.StringValue, ir.StringValue]:
    """`region_key` of columns: expensive on every row, so take the distinct ones.

    Args:
        provider: As `region_key` takes it; unknown stays unknown.
        region: As `region_key` takes it, of the same table or a literal; unknown stays unknown.
    """
    cloud, text = _plain(provider), _plain(region)
    cases = [
        (cloud == "azure", text.re_replace(_BLANK, "")),
        *((cloud == name, text.re_replace(pattern.pattern, r"\1")) for name, pattern in _AVAILABILITY_ZONE.items()),
    ]
    return cloud, ibis.cases(*cases, else_=text)


def maybe_same(one: str, other: str) -> bool:
    """Whether two regions are one for some provider, of which nothing is said.

    Args:
        one: As a person writes it.
        other: Likewise.
    """
    return any(region_key(cloud, one) == region_key(cloud, other) for cloud in ("", "azure", *_AVAILABILITY_ZONE))


_BLANK = r"[\s\v\p{Z}]"
"""What Python takes for a blank, for RE2, whose `\\s` is ASCII without the vertical tab."""


def _plain(text: ir.StringValue) -> ir.StringValue:
    plain: ir.StringValue = text.re_replace(f"^{_BLANK}+|{_BLANK}+$", "").lower()
    return plain

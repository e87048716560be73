"""How hosts are written: the parts of a name that say nothing about which host it is.

What belongs here: patterns, and the plain form of one name. What does not: which names mean the same host in a
place; that needs all of its names and is said in `energy_assets.contracts.nodes`.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address

BLANKS = " \t\n\r\v\f"
BRACKETED_ADDRESS = r"^\[([0-9a-f.]*:[0-9a-f.]*:[0-9a-f:.]*(?:%[^\[\]]+)?)\](?::[0-9]+)?$"
"""An IPv6 address as in URLs; group 1 is the address. Two colons at least, or it is no IPv6 address."""

PORT_AND_DOT = r"^([^:\[\] \t\n\r\v\f]+?)\.*(?::[0-9]+)?\.*$"
"""A host or IPv4 address; group 1 is what stands before a port and the root's trailing dot."""

DOMAIN = r"^([a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)\.((?:[a-z0-9_-]+\.)*[a-z0-9_-]*[a-z_-][a-z0-9_-]*)$"
"""A name with a domain (RFC 1123, underscores allowed): group 1 is the host, group 2 the domain.

The last part of a domain is never a number, so that an IPv4 address is no such name.
"""


def plain_name(name: str) -> str:
    """A host name without port, brackets, trailing dot and capitals: `GPU-A.dc1.:9400` is `gpu-a.dc1`.

    The same as `energy_assets.contracts.nodes` makes of a column. Addresses keep their dots and colons:
    `10.0.0.7:9290` is `10.0.0.7` and `[::1]:9100` is `::1`. An IPv6 address is written as RFC 5952 does, so
    `2001:db8:0:0:0:0:0:8` is `2001:db8::8`; one that holds an IPv4 address (RFC 4291, 2.5.5.2) is that address. Text
    that is no host name only loses capitals and blanks at its ends.

    Args:
        name: As an exporter, a file or a person writes it.
    """
    text = name.strip(BLANKS).lower()
    text = re.sub(BRACKETED_ADDRESS, r"\1", text)
    return _one_address(re.sub(PORT_AND_DOT, r"\1", text)) or name


def _one_address(text: str) -> str:
    if text.count(":") < 2:
        return text
    try:
        address = IPv6Address(text)
    except ValueError:
        return text
    return str(address.ipv4_mapped or address)

"""One Prometheus under two source names is refused; two selectors, tenants or feeds of one are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from energy_assets.site import SiteError, load_site

PLACE = "place: {region: r1, zone: DE}"


def site(folder: Path, *blocks: str) -> Any:
    lines = "".join(f"  - {{name: s{n}, {block}}}\n" for n, block in enumerate(blocks))
    path = folder / "site.yaml"
    path.write_text(f"organisation: {{name: A, currency: EUR}}\nstart: 2025-10-20\nsources:\n{lines}")
    return load_site(path)


def energy(url: str, more: str = "") -> str:
    return f"kind: prometheus_energy, url: '{url}', {PLACE}{more}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://prom:9090", "http://prom:9090"),
        ("http://prom:9090", "http://PROM:9090/"),
        ("http://prom", "http://prom:80"),
        ("https://prom/a/", "https://prom:443/a"),
        ("https://prom.example", "https://prom.example./"),
    ],
)
def test_one_url_in_two_spellings_is_refused_with_the_words(tmp_path: Path, one: str, other: str) -> None:
    with pytest.raises(
        SiteError, match=r"sources\[1\]\.url.*source 's0' reads the same Prometheus.*come twice; remove"
    ):
        site(tmp_path, energy(one), energy(other))


def test_selectors_are_compared_by_their_matchers(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="same selector"):
        site(
            tmp_path,
            energy("http://prom:9090", ', selector: \'cluster="a", job=~"x,y"\''),
            energy("http://prom:9090", ', selector: \'{job=~"x,y",cluster = "a"}\''),
        )


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([energy("http://prom:9090"), energy("http://prom:9091")], id="ports"),
        pytest.param([energy("http://prom"), energy("https://prom")], id="schemes"),
        pytest.param([energy("http://prom/a"), energy("http://prom/A")], id="paths"),
        pytest.param([energy("http://p", f", selector: 'cluster=\"{name}\"'") for name in "ab"], id="selectors"),
        pytest.param([energy("http://p", f", headers: {{X-Scope-OrgID: {name}}}") for name in "ab"], id="tenants"),
        pytest.param([energy("http://p", f", token: env:{name}") for name in "AB"], id="credentials"),
        pytest.param([energy("http://p"), "kind: prometheus_inference, url: 'http://p'"], id="energy and inference"),
    ],
)
def test_what_reads_other_data_is_let_be(tmp_path: Path, blocks: list[str]) -> None:
    assert len(site(tmp_path, *blocks).sources) == 2

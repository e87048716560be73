"""Grid losses: what a share is of, which row is of a zone and a year, and a site's own rows before the table's."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.estimates.own_tables import own_losses
from energy_assets.factors.losses import GridLoss, grid_losses, loss_of
from energy_assets.factors.tables import rows_of_data
from energy_assets.site import Site, load_site
from energy_assets.sources.errors import MalformedError

D = Decimal


def row(zone: str, share: str, of: str = "sent_out", year: int = 2024) -> GridLoss:
    return GridLoss(zone, D(share), of, year, "made up for this test")


@pytest.mark.parametrize(
    ("share", "of", "per_kwh"),
    [
        # 100 kWh sent out, 5 lost: 5/95 of each that arrives. Of 100 that arrive, 5 lost are 5/100.
        ("0.05", "sent_out", "0.052632"),
        ("0.05", "delivered", "0.05"),
        ("0.5", "sent_out", "1"),
        ("0", "sent_out", "0"),
        ("0", "delivered", "0"),
        ("0.051236", "sent_out", "0.054003"),
    ],
)
def test_losses_per_kwh_that_arrives(share: str, of: str, per_kwh: str) -> None:
    assert row("X", share, of).per_kwh == D(per_kwh)


def test_united_states_lose_what_their_interconnection_does_and_britain_what_its_factors_say() -> None:
    for zone, lost, kept in (
        ("US-TEX-ERCO", 19_692_962, 418_434_272 - 31_188_332),
        ("US-MIDA-PJM", 149_290_468, 3_007_039_816 - 93_272_853),
        ("US-CAL-CISO", 36_498_916, 737_874_733 - 18_106_177),
        ("US-HI", 512_572, 9_749_998 - 411_519),
    ):
        found = loss_of(zone, 2026)
        assert found is not None
        assert found.share == (D(lost) / D(kept)).quantize(D("0.000001")), zone
    britain = loss_of("GB", 2026)
    assert britain is not None
    assert britain.per_kwh == (D("0.01853") / D("0.17700")).quantize(D("0.000001"))
    assert loss_of("GB-NIR", 2024) == britain


def test_a_zone_that_nobody_tells_of_is_unknown_and_not_zero() -> None:
    assert loss_of("DE", 2024) is None
    assert loss_of("USX", 2024) is None, "no part of US"


def test_the_narrowest_grid_and_the_latest_year_before_go_first() -> None:
    own = [row("DE", "0.04", year=2020), row("DE", "0.05", year=2023), row("DE", "0.06", year=2025),
           row("DE-LU", "0.03", year=2019)]  # fmt: skip
    shares = {year: loss_of("DE", year, own) for year in (2018, 2020, 2022, 2023, 2024, 2026)}
    assert {year: found.share for year, found in shares.items() if found} == {
        2018: D("0.04"), 2020: D("0.04"), 2022: D("0.04"), 2023: D("0.05"), 2024: D("0.05"), 2026: D("0.06"),
    }  # fmt: skip
    narrow = loss_of("DE-LU", 2024, own)
    assert narrow is not None
    assert narrow.share == D("0.03")


def test_a_site_s_own_row_goes_before_a_narrower_one_of_the_table() -> None:
    found = loss_of("US-TEX-ERCO", 2024, [row("US", "0.1")])
    assert found is not None
    assert found.share == D("0.1")


def test_shares_of_the_table_are_of_a_grid_and_come_from_what_their_notes_say() -> None:
    for line in rows_of_data("grid_losses.csv"):
        assert 0 < D(line["loss_share"]) < D("0.2"), line
        assert line["of"] in ("sent_out", "delivered"), line
        numbers = [int(text.replace(",", "")) for text in re.findall(r"\d[\d,]{4,}", line["note"])]
        if line["of"] == "sent_out":
            lost, disposed, direct = numbers
            assert D(line["loss_share"]) == (D(lost) / D(disposed - direct)).quantize(D("0.000001")), line
    assert len(grid_losses()) == len(rows_of_data("grid_losses.csv"))


HEADER = "zone,loss_share,of,year,source\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site.yaml").write_text(
        "organisation: {name: Small AI}\nstart: 2024-05-01\nstorage: {root: ./var}\n"
        'sources: [{name: bills, kind: focus_files, path: "bills/*.csv"}]\nfactors: {losses: losses.csv}\n'
    )
    return load_site(tmp_path / "site.yaml")


def test_a_site_s_own_file_is_read(site: Site) -> None:
    (site.folder / "losses.csv").write_text(HEADER + "DE,0.045,delivered,2023,our grid operator\n")
    assert own_losses(site) == [GridLoss("DE", D("0.045"), "delivered", 2023, "our grid operator", "losses.csv")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("DE,5.1,sent_out,2023,x\n", "line 2: loss_share is '5.1'; it is a share of 1, such as 0.051 for 5.1 %"),
        ("DE,1,sent_out,2023,x\n", "line 2: loss_share is '1'; it is a share of 1"),
        ("DE,,sent_out,2023,x\n", "line 2: loss_share is '', which is no number"),
        ("DE,-0.1,sent_out,2023,x\n", "line 2: loss_share is '-0.1'; it must be 0 or more"),
        (
            "DE,0.05,generated,2023,x\n",
            "line 2: of is 'generated'; it says what the share is of: sent_out or delivered",
        ),
        (",0.05,sent_out,2023,x\n", "line 2: zone is empty"),
        ("DE,0.05,sent_out,2023,\n", "line 2: source is empty"),
        ("DE,0.05,sent_out,2023,x\nDE,0.06,delivered,2023,x\n", "line 3: DE of 2023 stands in the file twice"),
    ],
)
def test_what_would_count_wrong_is_refused(site: Site, text: str, says: str) -> None:
    (site.folder / "losses.csv").write_text(HEADER + text)
    with pytest.raises(MalformedError) as error:
        own_losses(site)
    assert f"losses.csv, {says}" in str(error.value)


def test_the_largest_share_is_below_one(site: Site) -> None:
    (site.folder / "losses.csv").write_text(HEADER + "DE,0.999,sent_out,2023,x\nFR,0,sent_out,2023,x\n")
    assert [one.per_kwh for one in own_losses(site)] == [D(999), D(0)]

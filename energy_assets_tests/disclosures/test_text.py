"""Names from tags, made safe to look at and to open."""

import pytest

from energy_assets.disclosures.text import breakable, printable, spreadsheet_safe, visible
from energy_assets.kpis.ingredients import Filter, Selection


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("nul\x00", "nulU+0000"),
        ("user\u202egnp.exe", "userU+202Egnp.exe"),
        ("<script>", "<script>"),
        ("Zürich 東京", "Zürich 東京"),
    ],
)
def test_what_cannot_be_seen_is_written_out(raw: str, shown: str) -> None:
    assert visible(raw) == shown


def test_characters_the_font_lacks_are_written_as_code_points() -> None:
    assert printable("Zürich 東 CO₂") == "Zürich U+6771 CO₂"


def test_long_words_can_break_and_short_ones_stay() -> None:
    assert breakable("a short name") == "a short name"
    assert breakable("x" * 30).split("\u200b") == ["x" * 12, "x" * 12, "x" * 6]


@pytest.mark.parametrize("start", ["=cmd()", "+1", "-1", "@sum", "\t=1", " =1"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert spreadsheet_safe(start) == f"'{start}"


def test_plain_cells_stay() -> None:
    assert spreadsheet_safe("a=b") == "a=b"


def test_a_query_quotes_what_comes_from_tags() -> None:
    selection = Selection("emissions", "energy_kwh", (Filter("project", "=", "o'; drop table x --"),))
    assert selection.sql() == "select sum(energy_kwh) from emissions where project = 'o''; drop table x --'"

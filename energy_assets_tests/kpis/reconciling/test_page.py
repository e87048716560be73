"""The numbers of docs/method/reconciliation.md are those the code makes."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from energy_assets.kpis.reconciling.steps import parts

PAGE = (Path(__file__).parents[3] / "docs/method/reconciliation.md").read_text(encoding="utf-8")


def test_the_example_by_hand_is_what_the_code_makes() -> None:
    said = re.search(
        r"Ours: (\S+) kWh of IT × (\S+) × (\S+) g/kWh = (\S+) g\. Theirs: (\S+) kWh × (\S+) × (\S+) g", PAGE
    )
    assert said
    numbers = [Decimal(text.replace(",", "")) for text in said.groups()]
    kwh, pue, intensity, grams, their_kwh, their_pue, their_intensity = numbers
    assert kwh * pue * intensity == grams
    ours = [kwh, kwh * pue, grams]
    theirs = [their_kwh, their_kwh * their_pue, their_kwh * their_pue * their_intensity]
    found = parts(ours, theirs)
    for name, step in zip(("energy", "PUE", "intensity"), found.steps, strict=True):
        assert step is not None
        assert re.search(rf"\| {name} \| ln.* \| {step:,.3f} g \|".replace("-", "−"), PAGE), f"{name} {step:,.3f}"
    assert f"**{ours[-1] - theirs[-1]:,f} g**".replace(".00", "") in PAGE

"""A few faults of the campaign in every test run; `make chaos` strikes with hundreds."""

from __future__ import annotations

from pathlib import Path

from energy_assets_tests.chaos.campaign import Campaign


def test_a_few_faults_are_survived(tmp_path: Path) -> None:
    rounds: list[str] = []
    result = Campaign(tmp_path, 5, rounds.append).run(6, report=False)
    assert not result.wrong, "\n".join([*rounds, *result.wrong])
    assert result.faults.total() >= 6

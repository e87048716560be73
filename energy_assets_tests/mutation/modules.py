"""Which modules are changed, and which tests must notice.

What belongs here: the modules that calculate. What does not: how mutants are made and judged.
"""

from __future__ import annotations

from collections.abc import Mapping

_PROMETHEUS = ("sources/prometheus/test_energy.py", "sources/prometheus/test_readings.py", "sources/prometheus")

MODULES: Mapping[str, tuple[str, ...]] = {
    "contracts/conservation.py": ("contracts/test_conservation_by_hand.py",),
    "contracts/fingerprint.py": ("contracts",),
    "contracts/sums.py": ("unified/test_sums.py",),
    "disclosures/rounding.py": ("disclosures/test_rounding.py",),
    "emissions/appliers.py": ("emissions",),
    "emissions/exactly.py": ("emissions/test_market.py",),
    "emissions/hourly_matching.py": ("emissions/test_market.py",),
    "emissions/instruments.py": ("emissions/test_market.py",),
    "emissions/market.py": ("emissions",),
    "emissions/matching.py": ("emissions/test_market.py",),
    "emissions/pipe.py": ("emissions",),
    "factors/grid_intensity.py": ("factors/test_grid_intensity.py",),
    "factors/places.py": ("factors/test_places.py",),
    "kpis/daily.py": ("kpis/test_daily_by_hand.py",),
    "kpis/facts.py": ("kpis/test_facts_by_hand.py",),
    "kpis/indicators.py": ("kpis/test_indicators_by_hand.py",),
    "kpis/ingredients.py": ("kpis/test_ingredients_by_hand.py",),
    "kpis/rests.py": ("kpis/test_rests_by_hand.py",),
    "periods.py": ("test_periods.py",),
    "sources/exact.py": ("sources/test_intensity.py", "sources/test_overlap.py"),
    "sources/focus/cells.py": ("sources/focus/test_parse.py",),
    "sources/intensity.py": ("sources/test_intensity.py", "sources/electricity_maps", "sources/intensity_files"),
    "sources/overlap.py": ("sources/test_overlap.py", "sources/intensity_files/test_finer_than_an_hour.py"),
    "sources/power.py": ("sources/test_power.py", "sources/power_files"),
    "sources/prometheus/counters.py": ("sources/prometheus/test_counters.py", *_PROMETHEUS),
    "sources/prometheus/gauges.py": ("sources/prometheus/test_gauges.py", *_PROMETHEUS),
    "sources/prometheus/meters.py": ("sources/prometheus/test_meters.py", *_PROMETHEUS),
    "sources/prometheus/sharing.py": ("sources/prometheus/test_sharing.py", *_PROMETHEUS),
    "sources/revisions.py": ("sources/test_revisions.py",),
    "unified/containment.py": ("unified/test_containment_by_hand.py",),
    "unified/cost.py": ("unified/test_cost_and_activity.py", "unified/test_cost_sources.py"),
}
"""By module, below `energy_assets`: its tests, below `energy_assets_tests`."""

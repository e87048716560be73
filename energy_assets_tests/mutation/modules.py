"""Which modules are changed, and which tests must notice.

What belongs here: the modules that calculate. What does not: how mutants are made and judged.
"""

from __future__ import annotations

from collections.abc import Mapping

_OWN = ("sources/prometheus/test_energy.py", "sources/prometheus/test_readings.py")
_PROMETHEUS = (*_OWN, "sources/prometheus")

MODULES: Mapping[str, tuple[str, ...]] = {
    "contracts/conservation.py": ("contracts/test_conservation_by_hand.py",),
    "contracts/fingerprint.py": ("contracts",),
    "contracts/meters.py": ("unified/test_energy.py", "unified/test_sums.py"),
    "contracts/sums.py": ("unified/test_sums.py",),
    "disclosures/rounding.py": ("disclosures/test_rounding.py",),
    "emissions/appliers.py": ("emissions",),
    "emissions/pipe.py": ("emissions",),
    "factors/grid_intensity.py": ("factors/test_grid_intensity.py",),
    "factors/places.py": ("factors/test_places.py",),
    "kpis/daily.py": ("kpis/test_daily_by_hand.py",),
    "kpis/facts.py": ("kpis/test_facts_by_hand.py",),
    "kpis/indicators.py": ("kpis/test_indicators_by_hand.py",),
    "kpis/ingredients.py": ("kpis/test_ingredients_by_hand.py",),
    "kpis/rests.py": ("kpis/test_rests_by_hand.py",),
    "periods.py": ("test_periods.py",),
    "sources/focus/cells.py": ("sources/focus/test_parse.py",),
    "sources/focus/grains.py": ("sources/focus/test_grains.py", "sources/focus/test_overlap.py"),
    "sources/focus/seconds.py": ("sources/focus/test_seconds.py", "sources/focus/test_editions.py"),
    "sources/intensity.py": ("sources/test_intensity.py", "sources/electricity_maps", "sources/intensity_files"),
    "sources/power.py": ("sources/test_power.py", "sources/power_files"),
    "sources/power_files/doubts.py": ("sources/power_files/test_doubts.py", "sources/power_files"),
    "sources/power_files/overlaps.py": ("sources/power_files/test_overlaps.py", "sources/power_files"),
    "sources/power_files/watts.py": ("sources/power_files",),
    "sources/prometheus/copies.py": ("sources/prometheus/test_copies.py", *_OWN),
    "sources/prometheus/counters.py": ("sources/prometheus/test_counters.py", *_PROMETHEUS),
    "sources/prometheus/disagreeing.py": ("sources/prometheus/test_disagreeing.py", *_OWN),
    "sources/prometheus/doubles.py": ("sources/prometheus/test_doubles.py", *_OWN),
    "sources/prometheus/gauges.py": ("sources/prometheus/test_gauges.py", *_PROMETHEUS),
    "sources/prometheus/identity.py": ("sources/prometheus/test_identity.py", *_OWN),
    "sources/prometheus/meters.py": ("sources/prometheus/test_meters.py", *_PROMETHEUS),
    "sources/prometheus/pace.py": ("sources/prometheus/test_pace.py", *_OWN),
    "sources/prometheus/scales.py": ("sources/prometheus/test_scales.py", *_OWN),
    "sources/prometheus/sharing.py": ("sources/prometheus/test_sharing.py", *_PROMETHEUS),
    "sources/prometheus/standstill.py": ("sources/prometheus/test_standstill.py", *_OWN),
    "sources/prometheus/wraps.py": ("sources/prometheus/test_wraps.py", *_OWN),
    "unified/containment.py": ("unified/test_containment_by_hand.py",),
    "unified/cost.py": ("unified/test_cost_and_activity.py", "unified/test_cost_sources.py"),
}
"""By module, below `energy_assets`: its tests, below `energy_assets_tests`."""

"""The small company with indicators of its own, for tests from the outside."""

from __future__ import annotations

from energy_assets_tests.small_site import SITE

KPIS = """
kpis:
  - name: own_training_share
    label: Facility energy of training
    unit: share
    numerator: "facility_kwh[workload_type == 'training']"
    denominator: facility_kwh
  - name: own_carbon_price
    label: Internal carbon price of own electricity
    unit: EUR (location-based)
    numerator: "0.00008 * location_g"
    where: {ghg_scope: scope2}
    by: [project]
  - name: own_cost_per_mwh
    label: Cost beside the energy
    unit: EUR per MWh
    numerator: billed_cost
    denominator: 0.001 * facility_kwh
    by: [project]
targets:
  - {kpi: own_training_share, unit: share, base_year: 2023, base_value: 0.5, target_year: 2030, target_value: 0.25}
"""
OWN_SITE = SITE + KPIS

"""Tests of energy_assets.kpis.reconciling."""

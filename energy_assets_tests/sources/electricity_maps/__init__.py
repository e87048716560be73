"""Tests of energy_assets.sources.electricity_maps."""

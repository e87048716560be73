"""Tests of energy_assets.sources.utilization_files."""

"""Tests of energy_assets.sources.instrument_files."""

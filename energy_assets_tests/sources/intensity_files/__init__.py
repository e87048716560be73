"""Tests of energy_assets.sources.intensity_files."""

"""Tests of energy_assets.sources.invoice_files."""

"""Tests of the disclosures."""

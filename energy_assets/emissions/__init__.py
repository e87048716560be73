"""Emissions: energy times the factors of its own hour and place."""

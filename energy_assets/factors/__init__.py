"""Factors: grid intensity with its fallback ladder, PUE, uncertainty; each constant with source and year."""

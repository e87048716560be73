"""Unified tables: pure Ibis functions from raw rows to energy, cost and activity, beside thin assets."""

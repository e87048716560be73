"""Tests of the source grid_factors."""

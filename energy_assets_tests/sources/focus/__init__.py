"""Tests of the FOCUS bills."""

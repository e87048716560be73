"""Tests of the source power_files."""

"""Tests of the Prometheus sources."""

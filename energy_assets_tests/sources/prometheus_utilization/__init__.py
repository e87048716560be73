"""Utilization from Prometheus: hours by hand, and every way a series can mislead."""

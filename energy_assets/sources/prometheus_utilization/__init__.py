"""Utilization of billed machines that a Prometheus tells: node_exporter, windows_exporter, GPUs, cloud exporters."""

"""Utilization of machines from files: exports of CloudWatch and Azure Monitor, or any CSV."""

"""Energy, cost and carbon of AI workloads as Dagster assets, with disclosures traceable to raw bytes."""

__version__ = "0.1.0"

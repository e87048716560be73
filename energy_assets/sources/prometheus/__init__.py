"""Prometheus and everything that answers its HTTP API (Thanos, Mimir, VictoriaMetrics): energy and inference."""

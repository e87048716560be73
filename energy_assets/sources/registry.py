"""The kinds of sources site.yaml may name. A new kind is one line here and a folder of its own."""

from __future__ import annotations

from importlib import import_module

from energy_assets.sources.base import Source

KINDS: dict[str, str] = {
    "aws_focus_export": "energy_assets.sources.aws.focus_export:AwsFocusExport",
    "electricity_maps": "energy_assets.sources.electricity_maps.source:ElectricityMaps",
    "focus_files": "energy_assets.sources.focus.source:FocusFiles",
    "grid_factors": "energy_assets.sources.grid_factors.source:GridFactors",
    "instrument_files": "energy_assets.sources.instrument_files.source:InstrumentFiles",
    "intensity_files": "energy_assets.sources.intensity_files.source:IntensityFiles",
    "invoice_files": "energy_assets.sources.invoice_files.source:InvoiceFiles",
    "power_files": "energy_assets.sources.power_files.source:PowerFiles",
    "prometheus_energy": "energy_assets.sources.prometheus.energy:PrometheusEnergy",
    "prometheus_inference": "energy_assets.sources.prometheus.inference:PrometheusInference",
    "prometheus_utilization": "energy_assets.sources.prometheus_utilization.source:PrometheusUtilization",
    "utilization_files": "energy_assets.sources.utilization_files.source:UtilizationFiles",
}


def source_class(kind: str) -> type[Source]:
    """The class behind a kind; imports its module on first use.

    Raises:
        KeyError: no such kind.
    """
    module, _, name = KINDS[kind].partition(":")
    loaded: type[Source] = getattr(import_module(module), name)
    return loaded

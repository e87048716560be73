"""Every mapping from a vocabulary covers every member: a new word is noticed wherever it must be known."""

from __future__ import annotations

from typing import get_args

from energy_assets.contracts.vocabulary import DeviceKind, Method, WorkloadType
from energy_assets.disclosures.methods import WORKLOADS
from energy_assets.disclosures.profile import read_profile
from energy_assets.disclosures.sections.energy import COLOURS
from energy_assets.disclosures.sections.quality import METHOD_NAMES
from energy_assets.site import WorkloadType as Assignable
from energy_assets.sources.power_files.source import DeviceKind as OfFiles
from energy_assets.sources.prometheus.meters import DeviceKind as OfMeters


def test_every_device_kind_can_be_metered_by_files_and_all_but_a_rest_by_a_metric() -> None:
    assert list(get_args(OfFiles)) == DeviceKind.values()
    assert [*get_args(OfMeters), "rest_of_node"] == sorted(DeviceKind.values(), key="rest_of_node".__eq__)


def test_a_rule_may_set_every_workload_type_but_those_of_nobody() -> None:
    assert {*get_args(Assignable), "idle", "unknown"} == set(WorkloadType.values())


def test_reports_know_every_workload_type_and_method() -> None:
    taxonomy = read_profile("ml_sustainability").taxonomy
    assert taxonomy is not None
    tagged = taxonomy.members["energy_kwh"]["workload_type"]
    assert set(WORKLOADS) == set(COLOURS) == set(tagged) == set(WorkloadType.values())
    assert {method.value: method.label for method in Method} == METHOD_NAMES

"""Every mapping from a vocabulary covers every member: a new word is noticed wherever it must be known."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from energy_assets.contracts.vocabulary import DeviceKind, Feed, GhgScope, Method, WorkloadType
from energy_assets.disclosures.methods import WORKLOADS
from energy_assets.disclosures.profile import read_profile
from energy_assets.disclosures.sections.energy import COLOURS
from energy_assets.disclosures.sections.quality import METHOD_NAMES
from energy_assets.site import WorkloadType as Assignable
from energy_assets.sources.base import GhgScope as OfPlaces
from energy_assets.sources.power_files.source import DeviceKind as OfFiles
from energy_assets.sources.prometheus.meters import DeviceKind as OfMeters
from energy_assets.sources.registry import KINDS, source_class


def values(field: Any) -> list[str]:
    return list(get_args(field)[1].values)


def test_every_device_kind_can_be_metered_by_files_and_all_but_a_rest_by_a_metric() -> None:
    assert values(OfFiles) == DeviceKind.values()
    assert values(OfMeters) == [kind for kind in DeviceKind.values() if kind != "rest_of_node"]


def test_a_rule_may_set_every_workload_type_but_those_of_nobody() -> None:
    assert values(Assignable) == [kind for kind in WorkloadType.values() if kind not in ("idle", "unknown")]


def test_a_place_may_be_of_every_ghg_scope() -> None:
    assert values(OfPlaces) == GhgScope.values()


def test_every_feed_has_a_kind_of_source() -> None:
    made_of_bills = {Feed.ESTIMATES}
    assert {source_class(kind).feeds for kind in KINDS} == set(Feed) - made_of_bills


def test_a_field_of_a_vocabulary_takes_plain_text_and_names_the_words_it_takes() -> None:
    assert type(TypeAdapter(OfPlaces).validate_python("scope3.1")) is str
    with pytest.raises(ValidationError, match=r"Input should be 'scope2', 'scope3\.1' or 'scope3\.8'"):
        TypeAdapter(OfPlaces).validate_python("scope3")


def test_reports_know_every_workload_type_and_method() -> None:
    taxonomy = read_profile("ml_sustainability").taxonomy
    assert taxonomy is not None
    tagged = taxonomy.members["energy_kwh"]["workload_type"]
    assert set(WORKLOADS) == set(COLOURS) == set(tagged) == set(WorkloadType.values())
    assert {method.value: method.label for method in Method} == METHOD_NAMES

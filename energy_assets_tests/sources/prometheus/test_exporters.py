"""Exporters of the field against a real Prometheus: names, units, profiles, copies and different things, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import Finding, Parsed, StepContext
from energy_assets.sources.notes import words
from energy_assets.sources.prometheus.energy import PrometheusEnergy
from energy_assets.sources.prometheus.exporters import BUILT_IN, ProfileName, profiles
from energy_assets.sources.prometheus.inference import PrometheusInference
from energy_assets.sources.prometheus.meters import built_in
from energy_assets_tests.prometheus_server import prometheus, require_prometheus
from energy_assets_tests.sources.prometheus.exporters_field import DAY, NOW, UNITS, WATTS, everything

pytestmark = pytest.mark.real_server

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The url of a Prometheus that holds all set-ups."""
    require_prometheus()
    with prometheus(everything(), tmp_path_factory.mktemp("field"), block_duration="24h") as url:
        yield url


@pytest.fixture
def now(step: StepContext) -> StepContext:
    """A step at the end of the samples."""
    return StepContext(**{**step.__dict__, "now": NOW})


def energy(url: str, case: str, **more: Any) -> PrometheusEnergy:
    place = {"provider": "onprem", "region": "r", "zone": "DE"}
    selector = f'case="{case}"'
    return PrometheusEnergy(name="dc", kind="prometheus_energy", url=url, place=place, selector=selector, **more)


def inference(url: str, case: str, **more: Any) -> PrometheusInference:
    return PrometheusInference(name="ai", kind="prometheus_inference", url=url, selector=f'case="{case}"', **more)


def parsed(source: PrometheusEnergy | PrometheusInference, step: StepContext) -> Parsed:
    collected = collect(source, DayRange(DAY, DAY), step)
    found, failures = parse(source, collected.editions, step)
    for error in (*collected.failures.values(), *failures.values()):
        raise error
    assert found is not None
    return found


def third_hour(found: Parsed) -> Rows:
    return [row for row in found.rows.to_pyarrow().to_pylist() if row["hour"].hour == 2]


def kwh(found: Parsed) -> dict[tuple[str, str], Decimal | None]:
    """Energy of the third hour by host and device."""
    return {(row["node_id"], row["device_id"]): row["energy_kwh"] for row in third_hour(found)}


def kinds(found: Parsed) -> dict[str, Decimal | None]:
    return {f"{row['device_kind']} {row['device_id']}": row["energy_kwh"] for row in third_hour(found)}


def metric(name: str, type_: str, unit: str, **more: Any) -> dict[str, Any]:
    return {"metric": name, "type": type_, "unit": unit, "device_kind": "node", "node_labels": ["instance"], **more}


def test_every_unit_of_energy_and_power_is_worth_what_its_name_says(field: str, now: StepContext) -> None:
    metrics = [metric(f"meter_{unit}_total", "counter", unit) for unit in UNITS]
    metrics += [metric(f"meter_{unit}", "gauge", unit) for unit in WATTS]
    found = third_hour(parsed(energy(field, "units", metrics=metrics), now))
    assert {row["node_id"]: row["energy_kwh"] for row in found if row["method"] == "measured_counter"} == dict.fromkeys(
        UNITS, Decimal("0.4")
    )
    assert {row["node_id"]: row["energy_kwh"] for row in found if row["method"] == "measured_power"} == dict.fromkeys(
        WATTS, Decimal("0.4")
    )


@pytest.mark.parametrize(("case", "amd"), [("dies", "amd"), ("zones", "epyc")])
def test_dies_add_up_and_those_of_amd_count_once(field: str, now: StepContext, case: str, amd: str) -> None:
    found = parsed(energy(field, case), now)
    by_host: dict[str, list[Decimal]] = {}
    for (node, _), value in sorted(kwh(found).items()):
        by_host.setdefault(node, []).append(value or Decimal(0))
    assert by_host.pop("intel") == [Decimal("0.15"), Decimal("0.12")]
    assert by_host.pop(amd) == [Decimal("0.15")]
    assert set(map(tuple, by_host.values())) == {(Decimal("0.15"), Decimal("0.15"))}
    assert found.notes["hosts_with_equal_dies"] == len(by_host)
    assert set(found.examples["hosts_with_equal_dies"]) == set(by_host)
    assert {device for _, device in kwh(found)} == {"package-0-die-0", "package-0-die-1"}


@pytest.mark.parametrize(("known", "dies"), [(True, 1), (False, 2)])
def test_the_site_file_may_say_that_dies_are_mirrored(field: str, now: StepContext, known: bool, dies: int) -> None:
    found = parsed(energy(field, "dies", mirrored_dies=known), now)
    assert len([node for node, _ in kwh(found) if node == "unknown"]) == dies
    assert len([node for node, _ in kwh(found) if node == "intel"]) == 2
    assert "hosts_with_equal_dies" not in found.notes


def test_parts_of_a_package_and_what_holds_it_are_not_added(field: str, now: StepContext) -> None:
    assert kinds(parsed(energy(field, "parts"), now)) == {
        "cpu package-0": Decimal("0.2"),
        "dram dram-0": Decimal("0.03"),
    }


def test_kepler_of_both_ages_counts_packages_and_memory_once(field: str, now: StepContext) -> None:
    assert kwh(parsed(energy(field, "kepler", profiles=["kepler"]), now)) == {
        ("new", "package"): Decimal("0.2"),
        ("new", "dram"): Decimal("0.03"),
        ("old", "package-0"): Decimal("0.1"),
        ("old", "dram-0"): Decimal("0.03"),
    }


def test_kepler_gives_way_to_rapl_where_both_speak_of_a_host(field: str, now: StepContext) -> None:
    found = kwh(parsed(energy(field, "kepler-beside-rapl", profiles=["kepler"]), now))
    assert found == {
        ("new", "package-0"): Decimal("0.201"),
        ("new", "dram"): Decimal("0.03"),
        ("old", "package-0"): Decimal("0.201"),
        ("old", "dram-0"): Decimal("0.03"),
    }


@pytest.mark.parametrize(
    ("case", "named", "expected"),
    [
        ("smi", [], {"gpu GPU-df6e7a7c-7314-46f8-abc4-b88b36dcf3aa": "0.3"}),
        ("smi-gauges", [], {"gpu GPU-df6e7a7c-7314-46f8-abc4-b88b36dcf3aa": "0.31"}),
        ("smi-and-dcgm", [], {"gpu GPU-df6e7a7c-7314-46f8-abc4-b88b36dcf3aa": "0.3"}),
        ("amd", [], {"gpu 692": "0.6"}),
        ("amd-gauges", [], {"gpu 692": "0.61"}),
        ("amd-prefix", [], {"gpu 692": "0.6"}),
        ("amd-prefix-gauges", [], {"gpu 692": "0.61"}),
        ("gaudi", [], {"gpu 01P0-HL2080A0-15": "0.35"}),
        ("triton", ["triton"], {"gpu GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e50": "0.25"}),
        ("all-smi", ["all-smi"], {"gpu GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e50": "0.25"}),
        ("scaphandre", ["scaphandre"], {"cpu socket-0": "0.12", "dram dram-0": "0.025"}),
        ("ceems", ["ceems"], {"cpu package-0": "0.14", "node c1": "0.5"}),
        ("ceems-0.11", ["ceems"], {"node c1": "0.5"}),
    ],
)
def test_an_exporter_is_read_in_its_unit_and_once(
    field: str, now: StepContext, case: str, named: list[str], expected: dict[str, str]
) -> None:
    found = parsed(energy(field, case, profiles=named), now)
    assert kinds(found) == {name: Decimal(value) for name, value in expected.items()}
    assert len(third_hour(found)) == len(expected)


@pytest.mark.parametrize("case", ["triton", "all-smi", "scaphandre", "ceems", "kepler"])
def test_a_profile_that_is_not_named_is_not_read_and_the_run_says_so(field: str, now: StepContext, case: str) -> None:
    found = parsed(energy(field, case), now)
    assert third_hour(found) == []
    assert found.notes == {"no_metric_known": 1}
    assert any(f"profiles: [{case}]" in line for line in found.examples["no_metric_known"])
    findings = list(energy(field, case).check(now))
    assert any(f"profiles: [{case}]" in finding.remedy for finding in findings if not finding.ok)
    assert [finding for finding in energy(field, case, profiles=[case]).check(now) if not finding.ok] == []


def test_copies_of_a_reading_are_one_however_they_differ(field: str, now: StepContext) -> None:
    found = parsed(energy(field, "copies"), now)
    totals: dict[str, Decimal] = {}
    for row in third_hour(found):
        totals[row["node_id"]] = totals.get(row["node_id"], Decimal(0)) + row["energy_kwh"]
    assert {host: round(total, 3) for host, total in totals.items()} == {
        "replicas": Decimal("0.5"),
        "exporters": Decimal("0.5"),
        "mig": Decimal("0.5"),
        "churn": Decimal("0.5"),
        "bmc": Decimal("0.727"),
    }
    assert "devices_whose_series_disagree" not in found.notes
    assert [finding for finding in energy(field, "copies").check(now) if not finding.ok] == []


PSU = metric("psu_energy_joules_total", "counter", "J")
INPUT = metric("idrac_power_supply_input_watts", "gauge", "W")


def test_different_things_have_no_energy_until_their_label_is_named(field: str, now: StepContext) -> None:
    found = parsed(energy(field, "different", metrics=[PSU, INPUT]), now)
    assert {row["energy_kwh"] for row in third_hour(found)} == {None}
    assert {row["coverage"] for row in third_hour(found)} == {0}
    lines = found.examples["devices_whose_series_disagree"]
    assert found.notes["devices_whose_series_disagree"] == len(lines) == 4
    assert [line for line in lines if "psu (PSU1, PSU2)" in line and "adds: [psu]" in line] == [lines[1], lines[3]]
    assert lines[0].startswith("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION of same-name, GPU-same-name: its series differ in")
    assert "instance (10.0.0.1:9400, 10.0.0.2:9400)" in lines[0]
    assert "instance (bmc1, bmc2)" in lines[2]
    told = [finding.what for finding in energy(field, "different", metrics=[PSU, INPUT]).check(now) if not finding.ok]
    assert len(told) == 1
    assert all(line in told[0] for line in lines)


@pytest.mark.parametrize(
    ("more", "energies"),
    [
        ({"adds": ["psu"]}, {"0.996"}),
        ({"repeats": ["psu"]}, {"0.5"}),
        ({"device_labels": ["psu"]}, {"0.5", "0.496"}),
        ({"match": {"psu": "PSU2"}}, {"0.496"}),
        ({"match": {"psu": "~.*2"}}, {"0.496"}),
        ({"match": {"psu": "!PSU2"}}, {"0.5"}),
        ({"match": {"psu": "!~.*2"}}, {"0.5"}),
        ({"match": {"psu": ["PSU1", "PSU2"]}, "adds": ["psu"]}, {"0.996"}),
    ],
)
@pytest.mark.parametrize("base", [PSU, INPUT], ids=["counter", "gauge"])
def test_labels_that_are_named_add_up_repeat_or_choose(
    field: str, now: StepContext, base: dict[str, Any], more: dict[str, Any], energies: set[str]
) -> None:
    found = parsed(energy(field, "different", metrics=[{**base, **more}]), now)
    mine = [row for row in third_hour(found) if row["node_id"] == "idrac"]
    assert {row["energy_kwh"] for row in mine} == {Decimal(one) for one in energies}
    assert len(mine) == len(energies)
    assert all(row["coverage"] == 1 for row in mine)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"adds": ["psu"], "repeats": ["psu"]}, "the label psu is in adds and in repeats"),
        ({"adds": ["instance"]}, "the label instance is in adds and in node_labels"),
        ({"match": {"psu": "~("}}, "is no regular expression"),
        ({"match": {"psu": []}}, "one or more literal values"),
        ({"match": {"psu": ["~a"]}}, "one or more literal values"),
    ],
)
def test_a_line_that_contradicts_itself_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("(", r"\(")):
        energy("http://x", "c", metrics=[{**PSU, **wrong}])


def test_two_lines_for_the_same_series_are_refused() -> None:
    with pytest.raises(ValidationError, match="has two lines"):
        energy("http://x", "c", metrics=[PSU, PSU])
    two = [{**PSU, "match": {"psu": psu}} for psu in ("PSU1", "PSU2")]
    assert len({meter.name for meter in energy("http://x", "c", metrics=two).meters}) == len(built_in(None)) + 2 + len(
        BUILT_IN
    )


def test_a_line_of_the_site_file_takes_the_place_of_what_is_built_in() -> None:
    own = metric("ipmi_dcmi_power_consumption_watts", "gauge", "W", match={"chassis": "1"})
    meters = [one for one in energy("http://x", "c", metrics=[own]).meters if one.metric == own["metric"]]
    assert [meter.matchers for meter in meters] == [('chassis="1"',)]


def test_every_profile_has_meters_with_names_of_their_own() -> None:
    offered = profiles(None)
    assert offered.keys() == set(get_args(ProfileName))
    names = [meter.name for meter in (*built_in(None), *BUILT_IN, *(m for one in offered.values() for m in one))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("ray_vllm:", ("llama", 3_600, 0, 720_000, 180_000)),
        ("ray_vllm_", ("llama", 3_600, 0, 720_000, 180_000)),
        ("sglang", ("llama", 3_600, 0, 720_000, 180_000)),
        ("trtllm", ("llama", 3_600, 0, None, None)),
        ("llamacpp", (None, None, None, 720_000, 180_000)),
        ("tritonserver", ("resnet", 3_600, 0, None, None)),
    ],
)
def test_an_inference_server_is_counted(field: str, now: StepContext, case: str, expected: tuple[Any, ...]) -> None:
    found = parsed(inference(field, case), now)
    columns = ("model_id", "requests", "failed_requests", "prompt_tokens", "generated_tokens")
    assert [tuple(row[name] for name in columns) for row in third_hour(found)] == [expected]
    assert "models_with_equal_requests" not in found.notes
    assert [finding for finding in inference(field, case).check(now) if not finding.ok] == []


def test_steps_of_an_ensemble_are_told(field: str, now: StepContext) -> None:
    found = parsed(inference(field, "ensemble"), now)
    assert found.notes["models_with_equal_requests"] == 2


def remedies(findings: Iterator[Finding] | list[Finding]) -> str:
    return "\n".join(finding.remedy for finding in findings if not finding.ok)


def test_doctor_lists_what_looks_like_energy_with_the_lines_that_read_it(field: str, now: StepContext) -> None:
    source = energy(field, "strange")
    findings = list(source.check(now))
    listed = next(one for one in findings if one.what.startswith("looks like energy or power"))
    assert listed.what == (
        "looks like energy or power, and is not read: acme_npu_power_milliwatts, acme_rack_energy_total,"
        " node_rapl_core_joules_total, smartplug_energy_kwh"
    )
    assert [*listed.remedy.splitlines()[1:3], listed.remedy.splitlines()[4]] == [
        "- {metric: acme_npu_power_milliwatts, type: gauge, unit: mW, device_kind: gpu, node_labels: [instance],"
        " device_labels: [uuid]}",
        "- {metric: acme_rack_energy_total, type: counter, unit: J, device_kind: node, node_labels: [instance]}"
        "   # the unit is a guess: see the exporter's documentation",
        "- {metric: smartplug_energy_kwh, type: counter, unit: kWh, device_kind: node, node_labels: [instance]}",
    ]


def test_the_lines_of_the_doctor_work_as_they_are(field: str, now: StepContext) -> None:
    import yaml

    text = remedies(list(energy(field, "strange").check(now)))
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    source = energy(field, "strange", metrics=yaml.safe_load("\n".join(lines)))
    assert kwh(parsed(source, now)) == {
        ("box", "N-1"): Decimal("0.09"),
        ("box", "N-2"): Decimal("0.095"),
        ("box", "box"): Decimal("0.1"),
    }
    assert [finding for finding in source.check(now) if not finding.ok] == []


def test_doctor_names_the_label_that_tells_different_things_apart(field: str, now: StepContext) -> None:
    text = remedies(list(energy(field, "different").check(now)))
    assert "adds: [psu] if these are parts of a device, repeats: [psu] if they say the same" in text


def test_what_the_site_file_ignores_is_not_listed(field: str, now: StepContext) -> None:
    names = (
        "acme_npu_power_milliwatts",
        "acme_rack_energy_total",
        "node_rapl_core_joules_total",
        "smartplug_energy_kwh",
    )
    assert "looks like" not in str(list(energy(field, "strange", ignore=names).check(now)))
    counters = ("lmdeploy:request_success_total", "lmdeploy:generation_tokens_total")
    assert "looks like" not in str(list(inference(field, "other-server", ignore=counters).check(now)))


def test_doctor_lists_requests_and_tokens_of_servers_and_no_web_requests(field: str, now: StepContext) -> None:
    text = remedies(list(inference(field, "other-server").check(now)))
    assert '- {metric: "lmdeploy:generation_tokens_total", counts: generated_tokens}' in text
    assert '- {metric: "lmdeploy:request_success_total", counts: requests}' in text
    assert "http_requests_total" not in text
    found = parsed(inference(field, "other-server"), now)
    assert found.notes == {"no_metric_known": 1}
    assert list(found.examples["no_metric_known"]) == [
        "lmdeploy:generation_tokens_total",
        "lmdeploy:request_success_total",
    ]


def test_the_doctor_asks_within_the_selector(field: str, now: StepContext) -> None:
    what = [finding.what for finding in energy(field, "nothing-here").check(now)]
    assert 'is there with case="nothing-here"' in what[-1]
    assert len(what) == 2


@pytest.mark.parametrize(
    "name", ["devices_whose_series_disagree", "hosts_with_equal_dies", "models_with_equal_requests", "no_metric_known"]
)
def test_each_note_has_words(name: str) -> None:
    told = words(name)
    assert told.hole
    assert told.remedy
    assert "{n}" in told.says


def test_the_hole_of_a_day_without_metrics_sends_nobody_in_circles(field: str, now: StepContext) -> None:
    """`doctor` printed "The command `doctor` lists metrics" where it listed none; it says this once, by its check."""
    assert "doctor" not in words("no_metric_known").remedy
    last = list(energy(field, "nothing-here").check(now))[-1]
    assert last.notes == ("no_metric_known",), "the trial of a day does not say it again"
    assert "Let Prometheus scrape an exporter" in last.remedy

"""Lookalikes: which names are energy, power, requests or tokens that nobody reads, and the lines guessed for them."""

from __future__ import annotations

import pytest

from energy_assets.sources.prometheus import lookalikes
from energy_assets.sources.prometheus.exporters import asked
from energy_assets.sources.prometheus.serving import BUILT_IN

READ = asked(None, [], [])
COUNTED = {one.metric: one.counts for one in BUILT_IN}


def energy(*names: str) -> list[str]:
    return lookalikes.names_of(lookalikes.energy(names, READ))


def counts(*names: str) -> list[str]:
    return lookalikes.names_of(lookalikes.counts(names, COUNTED))


@pytest.mark.parametrize(
    "name",
    [
        "npu_chip_info_power",
        "idrac_power_control_consumed_watts",
        "redfish_chassis_power_average_consumed_watts",
        "hw_energy_joules_total",
        "xpum_energy_joules_total",
        "ipmi_power_watts",
        "smc_node_ac_power_watts",
        "pdu_outlet_energy_kwh",
        "amd_gpu_power",
        "rPDU2OutletMeteredPower",
        "upsOutputPower",
        "sentry3_outletWatts",
        "powerW",
    ],
)
def test_energy_and_power_are_told_by_their_names(name: str) -> None:
    assert energy(name) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "DCGM_FI_DEV_POWER_USAGE",
        "DCGM_FI_DEV_ENFORCED_POWER_LIMIT",
        "DCGM_FI_DEV_POWER_VIOLATION",
        "ipmi_power_state",
        "ipmi_chassis_power_state",
        "nvidia_smi_enforced_power_limit_watts",
        "node_rapl_package_0_die_0_joules_total",
        "kepler_container_cpu_joules_total",
        "kepler_process_cpu_watts",
        "scaph_process_power_consumption_microwatts",
        "node_power_supply_energy_watthour_full",
        "node_cpu_seconds_total",
        "http_requests_total",
    ],
)
def test_limits_states_parts_and_users_are_not_listed(name: str) -> None:
    assert energy(name) == []


@pytest.mark.parametrize(
    "name",
    [
        "nvidia_smi_power_draw_average_watts",
        "node_rapl_core_joules_total",
        "node_rapl_psys_joules_total",
        "kepler_node_cpu_active_joules_total",
        "accelerator_power_usage_watts",
        "scaph_host_power_microwatts",
    ],
)
def test_repeats_are_listed_where_nothing_is_that_they_repeat(name: str) -> None:
    assert energy(name, "node_rapl_package_joules_total") == []
    assert name not in energy(name, "kepler_node_cpu_joules_total")
    assert energy(name) == [name]


def test_a_profile_is_named_with_its_counter_alone_and_where_nothing_built_in_is_of_its_kind() -> None:
    kepler = ("kepler_node_cpu_joules_total", "kepler_node_gpu_joules_total", "kepler_node_gpu_watts")
    assert energy(*kepler) == [f"{name} (profiles: [kepler])" for name in kepler[:2]]
    assert energy(*kepler, "node_rapl_package_joules_total") == ["kepler_node_gpu_joules_total (profiles: [kepler])"]
    assert energy(*kepler, "node_rapl_package_joules_total", "DCGM_FI_DEV_POWER_USAGE") == []


@pytest.mark.parametrize(
    "name",
    [
        "lmdeploy:request_success_total",
        "lmdeploy:prompt_tokens_total",
        "gen_ai_client_token_usage_sum_total",
        "ts_inference_requests_total",
        "acme_generated_tokens_total",
        "aibrix_generation_tokens_total",
    ],
)
def test_requests_and_tokens_are_told_by_their_names(name: str) -> None:
    expected = [] if "usage" in name else [name]
    assert counts(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "http_requests_total",
        "prometheus_http_requests_total",
        "apiserver_request_total",
        "vllm:num_requests_running",
        "vllm:e2e_request_latency_seconds_count",
        "vllm:prefix_cache_queries_total",
        "vllm:request_success_total",
        "vllm:time_per_output_token_seconds_sum",
    ],
)
def test_other_servers_and_other_figures_are_not_listed(name: str) -> None:
    assert counts(name) == []


def test_what_is_counted_already_is_not_listed_under_another_name() -> None:
    read = ("vllm:prompt_tokens_total", "vllm:request_success_total")
    assert counts(*read, "vllm:request_prompt_tokens_sum", "vllm:generation_tokens") == []
    assert counts(*read, "vllm_prompt_tokens_total", "sglang_prompt_tokens_total") == []
    assert counts("ray_vllm_generation_tokens", "ray_vllm_generation_tokens_total") == []
    assert counts("request_success_total") == []
    nim = ("generation_tokens_total", "prompt_tokens_total", "request_success_total")
    assert counts(*nim) == list(nim)
    assert counts("acme_requests_total") == []
    spelled = ("acme:prompt_tokens_total", "acme_prompt_tokens_total")
    assert lookalikes.counts(spelled, {spelled[0]: "prompt_tokens"}) == [lookalikes.Lookalike(spelled[1])]
    assert counts("acme_requests_total", "acme_output_tokens_total") == [
        "acme_output_tokens_total",
        "acme_requests_total",
    ]


@pytest.mark.parametrize(
    ("metric", "what"),
    [
        ("a_prompt_tokens_total", "prompt_tokens"),
        ("a_input_tokens_total", "prompt_tokens"),
        ("a_output_tokens_total", "generated_tokens"),
        ("a_tokens_predicted_total", "generated_tokens"),
        ("a_requests_total", "requests"),
        ("a_request_failure_total", "failed_requests"),
        ("a_aborted_requests_total", "failed_requests"),
    ],
)
def test_what_a_counter_counts_is_told_by_its_name(metric: str, what: str) -> None:
    assert lookalikes.counts_line(metric) == f"- {{metric: {metric}, counts: {what}}}"


@pytest.mark.parametrize(
    ("metric", "kind", "said", "expected"),
    [
        ("a_watts", "gauge", "", "type: gauge, unit: W"),
        ("a_power_mW", "", "", "type: gauge, unit: mW"),
        ("a_power_microwatts", "", "", "type: gauge, unit: uW"),
        ("a_power_kw", "", "", "type: gauge, unit: kW"),
        ("a_energy_wh", "", "", "type: counter, unit: Wh"),
        ("a_energy_kwh", "", "", "type: counter, unit: kWh"),
        ("a_energy_microjoules", "", "", "type: counter, unit: uJ"),
        ("a_millijoules_total", "", "", "type: counter, unit: mJ"),
        ("a_power", "gauge", "Power draw in milliwatts.", "type: gauge, unit: mW"),
        ("a_energy", "gauge", "Energy in microjoules", "type: counter, unit: uJ"),
        ("a_energy", "", "", "type: counter, unit: J"),
        ("a_power", "", "", "type: gauge, unit: W"),
    ],
)
def test_unit_and_type_are_told_by_name_and_help(metric: str, kind: str, said: str, expected: str) -> None:
    line = lookalikes.energy_line(metric, kind, said, [])
    assert f"{{metric: {metric}, {expected}, device_kind: node," in line
    assert ("is a guess" in line) is (metric in {"a_energy", "a_power"} and not said)


def test_labels_are_told_by_the_series() -> None:
    series = [
        {"__name__": "npu_watts", "Hostname": "a", "instance": "x", "uuid": uuid, "modelName": "N", "rail": rail}
        for uuid in ("1", "2")
        for rail in ("12v", "3v3")
    ]
    assert lookalikes.energy_line("npu_watts", "", "", series) == (
        "- {metric: npu_watts, type: gauge, unit: W, device_kind: gpu, node_labels: [Hostname], device_labels: [uuid],"
        " model_label: modelName}   # add adds: [rail] if these are parts of a device, repeats: [rail] if they say the"
        " same"
    )

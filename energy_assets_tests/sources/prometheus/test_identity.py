"""A GPU is its UUID: under two host names, under an exporter's pod, moved, and where the UUID is none."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.queries import Window
from energy_assets.sources.prometheus.readings import assemble
from energy_assets_tests.sources.prometheus.data_centre import DAY_ONE, HOUR, START, STEP
from energy_assets_tests.sources.prometheus.test_readings import COUNTER, GAUGE, METERS, Day, Samples

HOURS = 6
WHOLE = Window(DAY_ONE, START, START + HOURS * HOUR)
WATTS = 400
KWH = Decimal("0.4")
UUID = "GPU-5fd4f2f9-2a4b-4f57-8b1c-6f1f1d2b3c4d"
ALWAYS = (START - 2 * HOUR, START + HOURS * HOUR)
BEGAN = ALWAYS[0] - 86400


class Hosts(Day):
    """Six hours of GPUs at 400 W, each seen in a stretch of time under a name."""

    def counted(
        self, labels: dict[str, str], seen: tuple[int, int] = ALWAYS, since: int = BEGAN, offset: int = 0
    ) -> None:
        """A counter that began at `since`, scraped 30 s after each minute of `seen`, and `offset` more."""
        samples = [(t + offset, (t + offset - since) * WATTS * 1000) for t in self._times(seen)]
        self.answer("boundary", COUNTER, [(labels, list(_hourly(samples, lambda vs: vs[-1])))])
        self.answer("minimum", COUNTER, [(labels, list(_hourly(samples, min)))])
        self.answer("usage", COUNTER, [(labels, list(_hourly(samples, len)))])
        if since != BEGAN or offset:
            self.answer("raw", COUNTER, [(labels, samples)])

    def gauged(self, labels: dict[str, str], watts: float, seen: tuple[int, int] = ALWAYS) -> None:
        samples: Samples = [(t, watts) for t in self._times(seen)]
        self.answer("raw", GAUGE, [(labels, samples)])
        self.answer("gauge_hours", GAUGE, [(labels, list(_hourly(samples, len)))])
        self.answer("usage", GAUGE, [(labels, list(_hourly(samples, len)))])

    @staticmethod
    def _times(seen: tuple[int, int]) -> list[int]:
        return [t for t in range(ALWAYS[0] + 30, ALWAYS[1], STEP) if seen[0] <= t < seen[1]]

    def table(self) -> list[dict[str, Any]]:
        meters = sorted(METERS.values(), key=lambda meter: not meter.counter)
        scratch = Scratch(self.step.con)
        name, self.notes, self.examples = assemble(scratch, self.answers, WHOLE, meters, interval_s=STEP)
        rows = self.step.con.table(name).to_pyarrow().to_pylist()
        return sorted(rows, key=lambda row: (row["device_id"], row["hour"], row["node_id"]))

    def told(self) -> list[tuple[str, Decimal | None]]:
        """Host and energy of every hour of the only device."""
        rows = self.table()
        assert [row["hour"].hour for row in rows] == list(range(HOURS))
        return [(row["node_id"], row["energy_kwh"]) for row in rows]


def _hourly(samples: Samples, what: Any) -> Iterable[tuple[int, float]]:
    for end in range(START - HOUR, WHOLE.end + 1, HOUR):
        if values := [value for t, value in samples if end - HOUR < t <= end]:
            yield end, what(values)


def gpu(host: str, uuid: str = UUID, **more: str) -> dict[str, str]:
    return {"Hostname": host, "UUID": uuid, "gpu": "0", "job": "dcgm", **more}


@pytest.fixture
def hosts(step: StepContext) -> Hosts:
    return Hosts(step)


def test_a_gpu_under_a_short_and_a_full_name_is_one(hosts: Hosts) -> None:
    for name in ("node1.hpc.example", "node1"):
        hosts.counted(gpu(name))
    assert hosts.told() == [("node1", KWH)] * HOURS
    assert {row["coverage"] for row in hosts.table()} == {1}
    assert {row["device_uuid"] for row in hosts.table()} == {UUID.lower()}
    assert hosts.notes["gpus_under_several_names"] == 1
    assert hosts.examples["gpus_under_several_names"] == [f"{UUID}: node1, node1.hpc.example"]


def test_an_exporter_that_lags_behind_another_adds_nothing(hosts: Hosts) -> None:
    """The second one shows what was 25 s ago: taken together its samples would look like decreases."""
    hosts.counted(gpu("node1"))
    hosts.counted(gpu("node2"), since=BEGAN + 25)
    assert hosts.told() == [("node1", KWH)] * HOURS
    assert not {name for name in hosts.notes if name.startswith(("counter_", "implausible"))}


def test_two_exporters_of_one_host_that_read_at_different_instants_add_nothing(hosts: Hosts) -> None:
    """The second one, of another job, is scraped 2 s after the first, past the hour, and shows what was 25 s ago."""
    hosts.counted(gpu("node1", job="a"), offset=29)
    hosts.counted(gpu("node1", job="b"), since=BEGAN + 25, offset=31)
    assert sum(kwh or 0 for _, kwh in hosts.told()) == pytest.approx(HOURS * KWH, abs=Decimal("0.002"))
    assert not {name for name in hosts.notes if name.startswith(("counter_", "implausible", "low_"))}


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_second_exporter_is_followed_where_the_first_is_silent(hosts: Hosts, first: str) -> None:
    """The one that is silent lags behind the other, or is ahead of it."""
    silent = (START + HOUR, START + 4 * HOUR)
    for job, late, offset in ((first, 0, 29), ("b" if first == "a" else "a", 25, 31)):
        if job == "a":
            hosts.counted(gpu("node1", job=job), (ALWAYS[0], silent[0]), since=BEGAN + late, offset=offset)
            hosts.counted(gpu("node1", job=job), (silent[1], ALWAYS[1]), since=BEGAN + late, offset=offset)
        else:
            hosts.counted(gpu("node1", job=job), since=BEGAN + late, offset=offset)
    told = hosts.told()
    assert sum(kwh or 0 for _, kwh in told) == pytest.approx(HOURS * KWH, abs=Decimal("0.002"))
    assert None not in [kwh for _, kwh in told]


def test_an_exporters_pod_names_no_host_where_another_name_is_known(hosts: Hosts) -> None:
    hosts.counted(gpu("dcgm-exporter-6ldbb"))
    hosts.counted(gpu("a-host-with-a-long-name"))
    assert hosts.told() == [("a-host-with-a-long-name", KWH)] * HOURS
    hosts.answers.clear()
    hosts.counted(gpu("dcgm-exporter-6ldbb", node="gpu-7"))
    hosts.counted(gpu("dcgm-exporter-x9k2p", node="gpu-7"))
    assert hosts.told() == [("gpu-7", KWH)] * HOURS
    assert "gpus_under_several_names" not in hosts.notes


def test_an_exporter_that_restarts_leaves_no_gap_and_no_dead_host(hosts: Hosts) -> None:
    turn = START + 2 * HOUR + HOUR // 2
    hosts.counted(gpu("dcgm-exporter-6ldbb"), (ALWAYS[0], turn))
    hosts.counted(gpu("dcgm-exporter-x9k2p"), (turn + 120, ALWAYS[1]))
    told = hosts.told()
    assert [kwh for _, kwh in told] == [KWH] * HOURS
    assert [name for name, _ in told[:2]] == ["dcgm-exporter-6ldbb"] * 2
    assert [name for name, _ in told[3:]] == ["dcgm-exporter-x9k2p"] * 3
    assert hosts.table()[2]["coverage"] == Decimal("0.966666")


def test_a_gpu_that_moves_counts_where_it_is(hosts: Hosts) -> None:
    """It is out for an hour and starts again from zero on the other host."""
    hosts.counted(gpu("old"), (ALWAYS[0], START + 2 * HOUR))
    hosts.counted(gpu("new"), (START + 3 * HOUR, ALWAYS[1]), since=START + 3 * HOUR)
    told = hosts.told()
    assert [name for name, _ in told] == ["old"] * 3 + ["new"] * 3
    assert [kwh for _, kwh in told[:2]] == [KWH] * 2
    assert told[2][1] is None
    since = Decimal(WATTS * (3 * HOUR - 30)) / 3_600_000
    assert sum(kwh for _, kwh in told[3:] if kwh) == pytest.approx(since, abs=Decimal("2e-9"))


def test_a_counter_and_a_gauge_of_a_gpu_meet_under_different_names(hosts: Hosts) -> None:
    hosts.counted(gpu("node1"))
    hosts.gauged(gpu("node1.hpc.example"), 999)
    assert hosts.told() == [("node1", KWH)] * HOURS


def test_two_gauges_of_a_gpu_are_one_and_one_fills_in_for_the_other(hosts: Hosts) -> None:
    hosts.gauged(gpu("node1"), 400)
    hosts.gauged(gpu("node2"), 800, (ALWAYS[0], START + 2 * HOUR))
    told = hosts.told()
    assert {name for name, _ in told} == {"node1"}
    assert {kwh for _, kwh in told[:-1]} == {KWH}


@pytest.mark.parametrize(
    "uuid",
    ["", "0", "12", "N/A", "n/a", "[N/A]", "None", "unknown", "[Not Supported]", "[Unknown Error]", "ERR!", "GPU-0",
     "GPU-N/A",
     "00000000-0000-0000-0000-000000000000", "GPU-00000000-0000-0000-0000-000000000000",
     "GPU-ffffffff-ffff-ffff-ffff-ffffffffffff", "GPU-XXXXXXXX"],
)  # fmt: skip
def test_a_placeholder_unites_no_gpus_of_two_hosts_and_none_of_one(hosts: Hosts, uuid: str) -> None:
    for host in ("a", "b"):
        for number in ("0", "1"):
            hosts.counted(gpu(host, uuid) | {"gpu": number})
    rows = hosts.table()
    assert len(rows) == 4 * HOURS
    assert {(row["node_id"], row["device_id"]) for row in rows} == {(h, n) for h in "ab" for n in "01"}
    assert {(row["energy_kwh"], row["device_uuid"]) for row in rows} == {(KWH, None)}


@pytest.mark.parametrize("uuid", [UUID, "GPU-p11-0", "5fd4f2f92a4b4f578b1c6f1f1d2b3c4d", "MIG-" + UUID[4:], "12345678"])
def test_what_is_no_placeholder_is_a_uuid(hosts: Hosts, uuid: str) -> None:
    for host in ("a", "b"):
        hosts.counted(gpu(host, uuid))
    assert hosts.told() == [("a", KWH)] * HOURS


def test_two_gpus_of_equal_load_are_two(hosts: Hosts) -> None:
    for number in ("0", "1"):
        hosts.counted(gpu("a", f"GPU-x-{number}") | {"gpu": number})
    assert len(hosts.table()) == 2 * HOURS
    assert sum(row["energy_kwh"] for row in hosts.table()) == 2 * HOURS * KWH


def test_gpus_without_a_uuid_are_of_their_host(hosts: Hosts) -> None:
    for host in ("a", "b"):
        hosts.counted(gpu(host, ""))
    assert {row["node_id"] for row in hosts.table()} == {"a", "b"}


def test_slices_of_a_gpu_under_two_names_add_up_to_it_once(hosts: Hosts) -> None:
    for host in ("node1", "node1.hpc.example"):
        for number, pod in (("1", "a"), ("2", "b")):
            hosts.counted(gpu(host, GPU_I_ID=number, GPU_I_PROFILE="1g.10gb", pod=pod, namespace="ml"))
    rows = hosts.table()
    assert {(row["share_id"], row["energy_kwh"], row["node_id"]) for row in rows} == {
        ("ml/a", KWH / 2, "node1"), ("ml/b", KWH / 2, "node1"),
    }  # fmt: skip
    assert len(rows) == 2 * HOURS


def test_slices_that_do_not_divide_and_have_no_activity_share_by_size_and_lose_nothing(hosts: Hosts) -> None:
    """Seven sevenths of 0.4 kWh leave a nano-kWh over, and MIG slices of 1, 2 and 4 count as such."""
    for number, profile, pod in (("1", "4g.40gb", "a"), ("2", "2g.20gb", "b"), ("3", "1g.10gb", "c")):
        hosts.counted(gpu("node1", GPU_I_ID=number, GPU_I_PROFILE=profile, pod=pod, namespace="ml"))
    shares = {row["workload_id"]: row["energy_kwh"] for row in hosts.table()[:3]}
    assert sum(shares.values()) == KWH
    assert shares == {"a": Decimal("0.228571428"), "b": Decimal("0.114285714"), "c": Decimal("0.057142858")}

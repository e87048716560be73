"""Readings whose values or rhythm one device cannot have: several devices under one name, other units than watts.

What belongs here: looking at about the first `SAMPLE` readings of each device in a file. What does not: readings of one
instant (`telling`), columns that name boards (`boards`), and what headers and cells say of units (`watts`).
"""

# ruff: noqa: S608 - table names are made here

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from energy_assets.contracts.vocabulary import DeviceKind
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.power import LEAST_W, MOST_W, SENTINEL_W
from energy_assets.sources.power_files import nvidia_smi
from energy_assets.sources.power_files.overlaps import device_said
from energy_assets.sources.power_files.readings import Readings

SAMPLE = 400
"""So many readings of a device show its rhythm and its range; a whole day of each would be sorted once more."""

BURSTS = 10
"""Fewer bursts than this are chance: a logger that was late caught up."""

SAME = 0.9
"""Devices that are read in turn make bursts of one size; so large a share of them must have it."""

EDGE = 4
"""Readings belong to one burst if they are nearer than one in so many of the time between bursts."""

WITHIN_US = 1_000_000
"""Devices of one machine are read within a second; slower steps are a logger that works now and then."""

APART = 0.05
"""By how much neighbours in a burst differ where they are of different devices; one device changes less in so short a
time, but for the beginnings and ends of its load."""

STEPS = 100
"""Fewer steps than this may rise by chance, one after the other."""


@dataclass(frozen=True)
class Looked:
    """What the first readings of a device in one file show.

    Attributes:
        node_id: The node.
        device_id: The device.
        kind: What it is.
        origin: The file.
        median_w: Median power.
        steps: How many readings follow another one.
        rises: At how many of them power rises.
        falls: At how many it falls.
        bursts: How many groups of readings there are with longer pauses between.
        same: How many of these have the size that most have.
        size: That size.
        inner: How many readings follow another one within a burst.
        unequal: How many of these differ from it.
        apart: How many differ by more than `APART` of the higher one.
        inner_us: The median time between readings within a burst, in microseconds; None where there is none.
    """

    node_id: str
    device_id: str
    kind: str
    origin: str
    median_w: float
    steps: int
    rises: int
    falls: int
    bursts: int
    same: int
    size: int
    inner: int
    unequal: int
    apart: int
    inner_us: float | None

    @property
    def name(self) -> str:
        """What messages call it."""
        return device_said(self.node_id, self.device_id)

    @property
    def in_bursts(self) -> bool:
        """Whether it is read several times, shortly after each other, again and again, with different results."""
        rhythm = self.size > 1 and self.bursts >= BURSTS and self.same >= SAME * self.bursts
        return rhythm and (self.inner_us or 0) < WITHIN_US and 2 * self.unequal > self.inner

    @property
    def of_several(self) -> bool:
        """Whether bursts are of different devices without a doubt."""
        return self.in_bursts and 2 * self.apart > self.inner

    @property
    def only_rises(self) -> bool:
        """Whether it goes up like a counter."""
        return self.steps >= STEPS and 2 * self.rises >= self.steps and 100 * self.falls <= self.steps


def looked_at(con: Any, readings: str, kinds: str, where: str) -> list[Looked]:
    """The first readings of each device in each file.

    Args:
        con: An Ibis connection to DuckDB.
        readings: A table of `create_readings`.
        kinds: A table of `create_kinds`.
        where: SQL for the times that are looked at.
    """
    rows = con.raw_sql(f"""
        WITH good AS (
            SELECT node_id, device_id, origin, epoch_us(time) AS t, power_w FROM {readings}
            WHERE power_w > 0 AND power_w <= {SENTINEL_W} AND {where}
        ),
        spans AS (
            SELECT node_id, device_id, origin, min(t) AS first,
                min(t) + ((max(t) - min(t)) * least(1, {SAMPLE} / count(*)))::BIGINT AS last
            FROM good GROUP BY node_id, device_id, origin
        ),
        sampled AS (
            SELECT node_id, device_id, origin, t, max(power_w) AS p
            FROM good JOIN spans USING (node_id, device_id, origin) WHERE t <= last
            GROUP BY node_id, device_id, origin, t
        ),
        stepped AS (
            SELECT *, t - lag(t) OVER w AS d, p - lag(p) OVER w AS up, greatest(p, lag(p) OVER w) AS most
            FROM sampled WINDOW w AS (PARTITION BY node_id, device_id, origin ORDER BY t)
        ),
        means AS (SELECT node_id, device_id, origin, avg(d) AS mean FROM stepped GROUP BY ALL),
        pauses AS (
            SELECT node_id, device_id, origin, median(d) / {EDGE} AS edge
            FROM stepped JOIN means USING (node_id, device_id, origin) WHERE d > mean GROUP BY ALL
        ),
        grouped AS (
            SELECT *, coalesce(d <= edge, FALSE) AS inner_step,
                count(*) FILTER (d IS NULL OR d > edge) OVER (
                    PARTITION BY node_id, device_id, origin ORDER BY t
                ) AS burst
            FROM stepped LEFT JOIN pauses USING (node_id, device_id, origin)
        ),
        sizes AS (
            SELECT node_id, device_id, origin, burst, count(*) AS size FROM grouped WHERE edge IS NOT NULL GROUP BY ALL
        ),
        usual AS (
            SELECT node_id, device_id, origin, mode(size) AS size, count(*) AS bursts FROM sizes GROUP BY ALL
        ),
        alike AS (
            SELECT node_id, device_id, origin, any_value(u.size) AS size, any_value(u.bursts) AS bursts,
                count(*) FILTER (s.size = u.size) AS same
            FROM sizes AS s JOIN usual AS u USING (node_id, device_id, origin) GROUP BY ALL
        ),
        shown AS (
            SELECT node_id, device_id, origin, median(p) AS median_w, count(d) AS steps,
                count(*) FILTER (up > 0) AS rises, count(*) FILTER (up < 0) AS falls,
                count(*) FILTER (inner_step) AS inner_steps,
                count(*) FILTER (inner_step AND up <> 0) AS unequal,
                count(*) FILTER (inner_step AND abs(up) > {APART} * most) AS apart,
                median(d) FILTER (inner_step) AS inner_us
            FROM grouped GROUP BY ALL
        )
        SELECT node_id, device_id, device_kind, origin, median_w, steps, rises, falls, coalesce(bursts, 0),
            coalesce(same, 0), coalesce(size, 0), inner_steps, unequal, apart, inner_us
        FROM shown JOIN {kinds} USING (node_id, device_id) LEFT JOIN alike USING (node_id, device_id, origin)
        ORDER BY node_id, device_id, origin""").fetchall()
    return [Looked(*row) for row in rows]


def require_one_device(found: Sequence[Looked], files: Mapping[str, Readings]) -> list[str]:
    """Readings that come in bursts are of one device.

    Args:
        found: See `looked_at`.
        files: By origin.

    Returns:
        What to say of those that may be of several.

    Raises:
        MalformedError: they are of several; as one device they would make about their mean.
    """
    for one in found:
        if one.of_several:
            how = (
                f"write the log anew with `{nvidia_smi.COMMAND}`"
                if _is_log(files[one.origin])
                else (
                    "write a column into the file that names them, and name it as `device` of this source in site.yaml"
                )
            )
            raise MalformedError(
                f"{files[one.origin].file.name}: the readings of {one.name} come in bursts of {one.size} within "
                f"{_milliseconds(one)} ms, and those of a burst differ: they are of {one.size} devices under one name, "
                "which as one would make about their mean",
                f"If they are of several devices, {how}. If they are of one, leave one reading of each burst in the "
                "file.",
            )
    return [
        f"{files[one.origin].file.name}: {one.name}, bursts of {one.size} within {_milliseconds(one)} ms"
        for one in found
        if one.in_bursts
    ]


def no_watts(found: Sequence[Looked], files: Mapping[str, Readings]) -> dict[str, list[str]]:
    """Devices whose numbers can hardly be watts, by the name of the note, as lines for people.

    Where site.yaml states `power_unit`, or the format states units itself, only counters are doubted.

    Args:
        found: See `looked_at`.
        files: By origin.
    """
    said: dict[str, list[str]] = {}
    for one in found:
        file = files[one.origin]
        line = f"{file.file.name}: {one.name}, median {one.median_w:.3g} W"
        stated = file.wanted.power_unit is not None or _is_log(file)
        if one.only_rises:
            said.setdefault("powers_like_counters", []).append(f"{line}, {one.rises} of {one.steps} steps rise")
        elif not stated and one.kind in (DeviceKind.GPU, DeviceKind.NODE) and one.median_w < LEAST_W:
            said.setdefault("powers_like_kilowatts", []).append(line)
        elif not stated and one.kind in (DeviceKind.GPU, DeviceKind.CPU) and one.median_w > MOST_W:
            said.setdefault("powers_like_milliwatts", []).append(line)
    return said


def _is_log(readings: Readings) -> bool:
    return readings.wanted.format == "nvidia_smi"


def _milliseconds(one: Looked) -> str:
    return f"{(one.inner_us or 0) * (one.size - 1) / 1000:.3g}"

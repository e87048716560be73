"""Devices beside their node's meter, and telemetry beside what a bill lets one estimate: hour by hour, summed by month.

What belongs here: which hours and parts of a machine both sides have, and which step each difference is. What does not:
which contributor counts (`energy_assets.unified`), and rows of the table (`row`).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.joining import same
from energy_assets.contracts.vocabulary import ESTIMATED, MEASURED, Against, DeviceKind, Step
from energy_assets.counting import counted
from energy_assets.kpis.reconciling.row import Comparison, Subject

PARTS = (DeviceKind.GPU.value, DeviceKind.CPU.value, DeviceKind.DRAM.value)
WHOLES = (DeviceKind.NODE.value, DeviceKind.INSTANCE.value, DeviceKind.REST_OF_NODE.value)
WHOLE = "whole"
MACHINE = ["month", "provider", "region", "node_id"]
THEIRS = [*MACHINE, "source", "raw_node_id"]
"""What tells theirs: a source, under the name it gives the machine."""
KWH = "decimal(38, 9)"
HOURS = "decimal(38, 9)"
_STEPS = (Step.COVERAGE, Step.LAG, Step.BOUNDARY, Step.ENERGY, Step.UNEXPLAINED)


def beside_meters(readings: ir.Table, energy: ir.Table) -> ir.Table:
    """What devices sum up to beside each meter of their node, by hour.

    Args:
        readings: Of all contributors, under one name per host (`unified.assets.named_readings`).
        energy: Rows of the contract `Energy` of the same days.

    Returns:
        `THEIRS`, hour and part; ours_kwh and theirs_kwh (NULL: nothing is known), partial (one of them was observed in
        part), unknown (false), gap_hours, account_id and raw_sha256 of the meter.
    """
    meters = _by_month(readings.filter(readings.device_kind == DeviceKind.NODE.value, readings.method.isin(MEASURED)))
    theirs = meters.group_by([*THEIRS, "hour"]).aggregate(
        kwh=meters.energy_kwh.sum().cast(KWH),
        partial=(meters.energy_kwh.isnull() | (meters.coverage < 1)).any(),
        account_id=meters.account_id.min(),
        raw_sha256=meters.raw_sha256.min(),
    )
    rows = _by_month(energy.filter(energy.device_kind.isin(PARTS), energy.method.isin(MEASURED)))
    ours = _devices(rows.mutate(part=ibis.literal(WHOLE)))
    return _paired(ours, theirs.mutate(part=ibis.literal(WHOLE), device_hours=_no_hours(), usage_hours=_no_hours()))


def beside_estimates(readings: ir.Table, energy: ir.Table) -> ir.Table:
    """What telemetry tells of machines beside what their bill lets one estimate, by hour and part.

    Args:
        readings: Estimates among them, as `beside_meters` takes them.
        energy: Likewise.

    Returns:
        The columns of `beside_meters`; a part is a kind of device, or the whole machine where something meters that.
    """
    told = energy.filter(energy.device_kind.isin([*PARTS, *WHOLES]), energy.method.isin(MEASURED))
    told = _by_month(told)
    whole = told.group_by([*MACHINE, "hour"]).aggregate(whole=told.device_kind.isin(WHOLES).any())
    ours = _devices(_with_part(told, whole))
    guesses = readings.filter(readings.device_kind.isin(PARTS), readings.method.isin(ESTIMATED))
    guesses = _with_part(_by_month(guesses), whole)
    theirs = guesses.group_by([*THEIRS, "hour", "part"]).aggregate(
        kwh=guesses.energy_kwh.sum().cast(KWH),
        partial=guesses.energy_kwh.isnull().any(),
        account_id=guesses.account_id.min(),
        raw_sha256=guesses.raw_sha256.min(),
        device_hours=guesses.device_hours.sum().cast(HOURS),
        usage_hours=guesses.usage_hours.max().cast(HOURS),
    )
    return _paired(ours, theirs)


def by_month(hours: ir.Table, against: Against) -> ir.Table:
    """Sums by month and by what tells theirs: totals, the parts of their difference, hours.

    Hours of one side alone are lag from the end of the other side's data on, and coverage before. Hours observed in
    part are coverage. Between a meter and its devices, what the devices do not report is boundary (the rest of the
    node), and what they report beyond it is energy. Between telemetry and an estimate, a part that only one of them has
    is boundary.

    Args:
        hours: From `beside_meters` or `beside_estimates`.
        against: Which of the two it is.

    Returns:
        Only what both sides tell of in the month.
    """
    of_hour = ibis.window(group_by=[*THEIRS, "hour"])
    of_month = ibis.window(group_by=THEIRS)
    has_ours, has_theirs = hours.ours_kwh.notnull(), hours.theirs_kwh.notnull()
    seen = hours.mutate(
        we=has_ours.any().over(of_hour),
        they=has_theirs.any().over(of_hour),
        our_end=hours.hour.max(where=has_ours).over(of_month),
        their_end=hours.hour.max(where=has_theirs).over(of_month),
    )
    seen = seen.filter(seen.our_end.notnull() & seen.their_end.notnull())
    zero = ibis.literal(0).cast(KWH)
    off = (seen.ours_kwh.fill_null(zero) - seen.theirs_kwh.fill_null(zero)).cast(KWH)
    is_meter = ibis.literal(against is Against.NODE_METER)
    step = ibis.cases(
        (~seen.they & seen.we, ibis.ifelse(seen.hour > seen.their_end, Step.LAG.value, Step.COVERAGE.value)),
        (~seen.we & seen.they, ibis.ifelse(seen.hour > seen.our_end, Step.LAG.value, Step.COVERAGE.value)),
        (seen.unknown, Step.UNEXPLAINED.value),
        (seen.partial, Step.COVERAGE.value),
        (seen.ours_kwh.isnull() | seen.theirs_kwh.isnull(), Step.BOUNDARY.value),
        (is_meter & (off < 0), Step.BOUNDARY.value),
        else_=Step.ENERGY.value,
    )
    found = seen.mutate(step=step, off=off, both=seen.we & seen.they)
    like = (found.step == Step.ENERGY.value) | (is_meter & (found.step == Step.BOUNDARY.value))
    return found.group_by(THEIRS).aggregate(
        account_id=found.account_id.min(),
        raw_sha256=found.raw_sha256.min(),
        ours=found.ours_kwh.sum().cast(KWH),
        theirs=found.theirs_kwh.sum().cast(KWH),
        **{one.value: found.off.sum(where=found.step == one.value).cast(KWH) for one in _STEPS},
        theirs_compared=found.theirs_kwh.sum(where=like).cast(KWH),
        compared_hours=found.hour.nunique(where=found.both),
        ours_only_hours=found.hour.nunique(where=found.we & ~found.they),
        theirs_only_hours=found.hour.nunique(where=found.they & ~found.we),
        gap_hours=found.gap_hours.sum(where=found.both).cast(HOURS),
        unknown_hours=found.hour.nunique(where=found.unknown),
    ).order_by(THEIRS)  # fmt: skip


def comparisons(hours: ir.Table, against: Against) -> Iterator[tuple[Subject, Comparison]]:
    """Each row of `by_month` as a comparison.

    Args:
        hours: From `beside_meters` or `beside_estimates`.
        against: Which of the two it is.
    """
    for found in by_month(hours, against).to_pyarrow().to_pylist():
        subject = Subject(
            found["month"], against, found["source"], found["provider"], found["account_id"], found["region"],
            found["node_id"], found["raw_node_id"], found["raw_sha256"],
        )  # fmt: skip
        zero = Decimal(0)
        parts = {step: found[step.value] or zero for step in _STEPS}
        yield (
            subject,
            Comparison(
                "energy_kwh",
                found["ours"],
                found["theirs"],
                parts,
                found["theirs_compared"] or zero,
                found["compared_hours"],
                found["ours_only_hours"],
                found["theirs_only_hours"],
                found["gap_hours"] or zero,
                tuple(_missing(found, against)),
            ),
        )


def _missing(found: Any, against: Against) -> Iterator[str]:
    other = "the meter" if against is Against.NODE_METER else "the bill"
    if found["ours_only_hours"]:
        yield f"{counted(found['ours_only_hours'], 'hour')} of ours without {other}"
    if found["theirs_only_hours"]:
        yield f"{counted(found['theirs_only_hours'], 'hour')} of {other} without telemetry"
    if found["gap_hours"]:
        yield f"{found['gap_hours'].normalize():f} device-hours of ours were not observed"
    if found["unknown_hours"]:
        yield f"in {counted(found['unknown_hours'], 'hour')} the energy of the billed type is unknown"


def _by_month(rows: ir.Table) -> ir.Table:
    return rows.mutate(month=ibis.date(rows.day.year(), rows.day.month(), 1))


def _with_part(rows: ir.Table, whole: ir.Table) -> ir.Table:
    """Rows with `part`: the kind of device, or the whole machine in hours in which something meters that."""
    both = rows.left_join(whole, same(rows, whole, [*MACHINE, "hour"]))
    part = ibis.ifelse(whole.whole.fill_null(False), WHOLE, rows.device_kind)
    return both.select(*(rows[name] for name in rows.columns), part=part)


def _devices(rows: ir.Table) -> ir.Table:
    """What was told of each part in each hour: kWh, and how much of its devices was observed."""
    one = rows.group_by([*MACHINE, "hour", "part", "device_id"]).aggregate(
        kwh=rows.energy_kwh.sum().cast(KWH), unknown=rows.energy_kwh.isnull().any(), seen=rows.coverage.max()
    )
    return one.group_by([*MACHINE, "hour", "part"]).aggregate(
        kwh=one.kwh.sum().cast(KWH),
        unseen=one.unknown.any(),
        seen_hours=one.seen.sum().cast(HOURS),
        least_seen=one.seen.min().cast(HOURS),
        devices=one.count(),
    )


def _paired(ours: ir.Table, theirs: ir.Table) -> ir.Table:
    """Ours beside each that tells theirs of the same machine; machines of one side alone are left out."""
    tellers = theirs.select(*THEIRS).distinct()
    mine = ours.inner_join(tellers, same(ours, tellers, MACHINE))
    mine = mine.select(*(tellers[name] for name in THEIRS), *(ours[n] for n in ours.columns if n not in MACHINE))
    key = [*THEIRS, "hour", "part"]
    both = mine.outer_join(theirs, same(mine, theirs, key))
    rows = both.select(
        **{name: ibis.coalesce(mine[name], theirs[name]) for name in key},
        ours_kwh=mine.kwh,
        theirs_kwh=theirs.kwh,
        unseen=mine.unseen.fill_null(False),
        seen_hours=mine.seen_hours,
        least_seen=mine.least_seen,
        devices=mine.devices,
        their_gap=theirs.partial.fill_null(False),
        device_hours=theirs.device_hours,
        usage_hours=theirs.usage_hours,
        account_id=theirs.account_id,
        raw_sha256=theirs.raw_sha256,
    )
    billed = rows.device_hours.notnull() & (rows.part == DeviceKind.GPU.value)
    ran = rows.usage_hours.fill_null(ibis.literal(1).cast(HOURS)).round(6)
    short = ibis.ifelse(billed, rows.seen_hours < rows.device_hours.round(6), rows.least_seen < ran)
    estimated = rows.usage_hours.notnull() | rows.device_hours.notnull()
    unknown = rows.their_gap & estimated
    wanted = ibis.ifelse(billed, rows.device_hours, rows.devices * ran)
    gap = ibis.greatest(wanted - rows.seen_hours, ibis.literal(0).cast(HOURS))
    return rows.select(
        *key,
        "ours_kwh",
        "theirs_kwh",
        "account_id",
        "raw_sha256",
        partial=rows.unseen | short.fill_null(False) | (rows.their_gap & ~estimated),
        unknown=unknown,
        gap_hours=gap.cast(HOURS),
    )


def _no_hours() -> Any:
    return ibis.null(ibis.dtype(HOURS))

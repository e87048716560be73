"""Devices: which ids of GPUs are UUIDs, so that a GPU is one whatever its host is called and whoever tells of it.

What belongs here: from ids as sources write them to `device_uuid`. What does not: which of several contributors counts
(`containment`), and which labels of Prometheus hold UUIDs (`energy_assets.sources.prometheus.identity`).
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.vocabulary import DeviceKind

UUID = r"(^|[^0-9a-z])[0-9a-z]{8}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{12}([^0-9a-z]|$)"
"""The form of a UUID, in small letters, alone or after `GPU-` and the like."""

NO_UUID = r"0{8}-0{4}-0{4}-0{4}-0{12}|f{8}-f{4}-f{4}-f{4}-f{12}"
"""The form of a UUID, and says that there is none (RFC 9562, 5.9 and 5.10)."""


def told_uuids(readings: ir.Table) -> ir.Table:
    """UUIDs that sources name as such, by day: a small table of `day` and `uuid`.

    Args:
        readings: With day and device_uuid.
    """
    told = readings.filter(readings.device_uuid.notnull())
    return told.select("day", uuid=told.device_uuid.lower()).distinct()


def with_uuids(readings: ir.Table, told: ir.Table) -> ir.Table:
    """Readings with `device_uuid` wherever a GPU's id is one.

    It is where it has the form of a UUID, and where a source of the same day says that it is one: a file that names a
    GPU as an exporter does speaks of the same GPU.

    Args:
        readings: With day, device_kind, device_id and device_uuid.
        told: From `told_uuids`, for the same days.
    """
    rows = readings.mutate(small_id=readings.device_id.lower())
    both = rows.left_join(told, [rows.day == told.day, rows.small_id == told.uuid])
    both = both.select(*(rows[name] for name in rows.columns), told.uuid)
    formed = both.small_id.re_search(UUID) & ~both.small_id.re_search(NO_UUID)
    universal = (both.device_kind == DeviceKind.GPU.value) & (formed | both.uuid.notnull())
    uuid = ibis.ifelse(universal, both.small_id, ibis.null("string"))
    return both.mutate(device_uuid=uuid).drop("small_id", "uuid")

"""What the devices of files are: as site.yaml says it, or as their names leave no doubt.

What belongs here: the rules by which a name tells a GPU, a power supply or a whole machine. What does not: reading the
names. Nothing is guessed: a device whose name could be of anything must be said.
"""

# ruff: noqa: S608 - table names are made here, values are quoted

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from energy_assets.contracts.vocabulary import DeviceKind
from energy_assets.sources.errors import MalformedError

_GPU = re.compile(
    r"(GPU|MIG)-[0-9a-f]{4,}.*"  # UUIDs as NVIDIA's driver writes them
    r"|(NVIDIA|Tesla|GeForce|Quadro)\b.*|AMD Instinct\b.*"
    r"|(0000)?[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]",
    re.IGNORECASE,
)
"""Names that are of GPUs: UUIDs, models, PCI addresses as nvidia-smi prints them."""

_FEED = re.compile(
    r"(psu|power ?supply|ps|pdu|outlet|inlet|feed|input|phase|l(?=[123]$))[ _#.-]*\w{0,3}", re.IGNORECASE
)
"""Names of what the power of a whole machine comes in by."""


@dataclass(frozen=True)
class Device:
    """A device as a file names it.

    Attributes:
        node_id: The machine.
        device_id: The device; the machine itself where nothing is named.
        kind: As the file says it; None where it does not.
        model: As the file says it.
    """

    node_id: str
    device_id: str
    kind: str | None
    model: str | None


def kind_of(device: Device, stated: str | None, *, named: bool, gpus: bool) -> str:
    """What a device is.

    Args:
        device: As the file names it.
        stated: `device_kind` of site.yaml, if it is the same for all.
        named: Whether site.yaml names devices.
        gpus: Whether the file is of a format that knows GPUs alone.

    Raises:
        MalformedError: nobody says it, or a word that is no kind.
    """
    if device.kind is not None:
        if device.kind not in DeviceKind.values():
            raise MalformedError(
                f"'{device.kind}' is no kind of device (of {device.device_id} on {device.node_id})",
                f"`device_kind` must give one of {', '.join(DeviceKind.values())}.",
            )
        return device.kind
    if stated is not None:
        return stated
    if gpus or _GPU.fullmatch(device.device_id):
        return DeviceKind.GPU.value
    if not named or _FEED.fullmatch(device.device_id):
        return DeviceKind.NODE.value
    raise MalformedError(
        f"nothing says what the devices are: '{device.device_id}' on {device.node_id} could be of any kind",
        "Add to this source in site.yaml: device_kind: gpu (or cpu, dram; node where they are parts of the machine's "
        "own supply, which add up).",
    )


def create_kinds(con: Any, table: str, readings: str, stated: str | None, *, named: bool, gpus: bool) -> list[Device]:
    """A table of what each device is: `node_id`, `device_id`, `device_kind`, `device_model`.

    Args:
        con: An Ibis connection to DuckDB.
        table: Its name.
        readings: The table of readings.
        stated: `device_kind` of site.yaml.
        named: Whether site.yaml names devices.
        gpus: Whether the files are of a format that knows GPUs alone.

    Raises:
        MalformedError: nobody says what a device is, or the files say two things of one.
    """
    rows = con.raw_sql(f"""
        SELECT node_id, device_id, min(kind), max(kind), min(model) FROM {readings} GROUP BY ALL
        ORDER BY ALL""").fetchall()
    devices, kinds = [], []
    for node_id, device_id, kind, other, model in rows:
        if kind != other:
            raise MalformedError(
                f"{device_id} on {node_id} is of two kinds, {kind} and {other}", "Name the devices apart with `device`."
            )
        device = Device(node_id, device_id, kind, model)
        devices.append(device)
        kinds.append(kind_of(device, stated, named=named, gpus=gpus))
    columns = {
        "node_id": [device.node_id for device in devices],
        "device_id": [device.device_id for device in devices],
        "device_kind": kinds,
        "model": [device.model for device in devices],
    }
    text = pa.schema([(name, pa.string()) for name in columns])
    con.create_table(table, obj=pa.table(columns, schema=text), temp=True)
    return devices

"""Which of many files belong together: deliveries of export tools, of which only the newest whole one counts.

Azure writes each run of an export into a folder of its own, with a manifest.json; AWS Data Exports write a
billing period's files under data/BILLING_PERIOD=…, and its manifest under metadata/BILLING_PERIOD=…. Both write
the manifest after everything else, so a delivery without one is still under way. What belongs here: reading
that from names and manifests. What does not: other files, which stand for themselves (see `overlap`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from energy_assets.sources.errors import MalformedError, PermanentError, TransientError
from energy_assets.sources.files import SourceFile

DATA_SUFFIXES = (".csv", ".csv.gz", ".gz", ".parquet")

_DATES = re.compile(r"\d{8}-\d{8}")
_RUN = re.compile(r"\d{12,14}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PERIOD = re.compile(r"BILLING_PERIOD=\d{4}-\d{2}")
_FILE_LISTS = ("dataFiles", "data_files", "files", "reportKeys", "blobs")
_FILE_NAMES = ("blobName", "s3Path", "path", "key", "name", "fileName")


@dataclass(frozen=True, order=True)
class Delivery:
    """One run of an export for one period.

    Attributes:
        group: What later runs replace: the export and its period.
        run: Sorts by time within the group; empty where the layout keeps one run only.
        folder: Where the files lie, for messages.
        manifest: The name its manifest has, as a glob.
    """

    group: str
    run: str
    folder: str
    manifest: str


def delivery_of(name: str) -> Delivery | None:
    """The delivery a data file is part of, by its path; None for a file that stands for itself."""
    *folders, _ = name.split("/")
    for at, folder in enumerate(folders):
        if _PERIOD.fullmatch(folder) and at and folders[at - 1] == "data":
            group = "/".join(folders[: at + 1])
            metadata = "/".join([*folders[: at - 1], "metadata", *folders[at:]])
            return Delivery(group, "/".join(folders[at + 1 :]), "/".join(folders), f"{metadata}/*Manifest.json")
    if any(_DATES.fullmatch(folder) for folder in folders) and _GUID.fullmatch(folders[-1]):
        group = "/".join(f for f in folders if not _RUN.fullmatch(f) and not _GUID.fullmatch(f))
        run = next((f for f in reversed(folders) if _RUN.fullmatch(f)), "")
        return Delivery(group, run, "/".join(folders), f"{'/'.join(folders)}/manifest.json")
    return None


def listed_files(manifest: bytes, name: str) -> list[str]:
    """The data files a manifest lists, as it spells them: names, keys or urls.

    The names of the keys are not published for AWS; the ones known from its older reports, from Azure and from
    field reports are understood.

    Args:
        manifest: JSON as delivered.
        name: What messages call the manifest.

    Raises:
        MalformedError: no JSON, or no list of files under a known key.
    """
    try:
        document = json.loads(manifest)
    except ValueError as error:
        raise MalformedError(f"{name}: the manifest is no JSON ({error})", "Wait for the next delivery.") from error
    for key in _FILE_LISTS:
        entries = document.get(key) if isinstance(document, dict) else None
        if isinstance(entries, list):
            return [_file_name(entry, name) for entry in entries]
    raise MalformedError(
        f"{name}: the manifest has no list of files under {', '.join(_FILE_LISTS)}",
        "Report the manifest's layout; until it is known, point a focus_files source with `exports: all` at the files.",
    )


def _file_name(entry: Any, name: str) -> str:
    if isinstance(entry, dict):
        entry = next((entry[key] for key in _FILE_NAMES if key in entry), None)
    if not isinstance(entry, str):
        raise MalformedError(f"{name}: the manifest lists a file without a name", "Wait for the next delivery.")
    return entry


@dataclass(frozen=True)
class Candidate:
    """A data file that was found.

    Attributes:
        file: The file itself, carried along.
        where: Its full path or url, which shows the layout.
        modified: When it was written.
    """

    file: SourceFile
    where: str
    modified: datetime


@dataclass(frozen=True)
class Chosen:
    """The files of one delivery that count; a file that stands for itself is a delivery of its own.

    Attributes:
        files: In the order of their names.
        manifest: The manifest, or None for a file that stands for itself.
        run: See `Delivery`.
        incomplete: Newer deliveries that were passed over, and what they lack.
    """

    files: tuple[SourceFile, ...]
    manifest: SourceFile | None = None
    run: str = ""
    incomplete: tuple[str, ...] = ()


def choose(
    candidates: Iterable[Candidate], manifest_of: Callable[[Delivery], tuple[SourceFile, bytes] | None]
) -> list[Chosen]:
    """Of each export and period the newest delivery that is whole; files that stand for themselves, each alone.

    Args:
        candidates: Every data file found.
        manifest_of: Finds and reads the manifest of a delivery, None when there is none.

    Raises:
        TransientError: an export has no whole delivery; names what is missing.
        PermanentError: two whole deliveries, and nothing says which one is newer.
    """
    alone: list[Chosen] = []
    groups: dict[str, dict[Delivery, list[Candidate]]] = {}
    for candidate in candidates:
        delivery = delivery_of(candidate.where)
        if delivery is None:
            alone.append(Chosen((candidate.file,)))
        else:
            groups.setdefault(delivery.group, {}).setdefault(delivery, []).append(candidate)
    return alone + [_newest(deliveries, manifest_of) for _, deliveries in sorted(groups.items())]


def _newest(
    deliveries: dict[Delivery, list[Candidate]],
    manifest_of: Callable[[Delivery], tuple[SourceFile, bytes] | None],
) -> Chosen:
    ages = {delivery: _age(delivery, files) for delivery, files in deliveries.items()}
    incomplete: list[str] = []
    chosen: tuple[str, Chosen] | None = None
    for delivery in sorted(deliveries, key=lambda d: (ages[d], d), reverse=True):
        if chosen and ages[delivery] != chosen[0]:
            break
        files = {c.where.rsplit("/", 1)[-1]: c.file for c in deliveries[delivery]}
        shown = next(iter(files.values())).name.rpartition("/")[0]
        found = manifest_of(delivery)
        if found is None:
            incomplete.append(f"{shown} has no {delivery.manifest.rsplit('/', 1)[-1].lstrip('*')}")
            continue
        listed = [name.rsplit("/", 1)[-1] for name in listed_files(found[1], found[0].name)]
        missing = sorted(set(listed) - set(files))
        if missing:
            incomplete.append(f"{shown} lacks {', '.join(missing[:3])}, which its manifest lists")
        elif chosen:
            raise PermanentError(
                f"{shown}: two whole exports of one period, and nothing in their paths says which is newer",
                "Remove the older one, or narrow `path`.",
            )
        else:
            whole = tuple(files[name] for name in sorted(set(listed)))
            chosen = ages[delivery], Chosen(whole, found[0], delivery.run, tuple(incomplete))
    if chosen is None:
        raise TransientError(
            f"no whole delivery of an export: {'; '.join(incomplete)}",
            "Wait until the export has finished and run the same days again, or copy what is missing; with "
            "`exports: all` the files are taken as they lie.",
        )
    return chosen[1]


def _age(delivery: Delivery, files: Sequence[Candidate]) -> str:
    """Sorts deliveries of one group: by the time in the folder's name, else by when the files were written."""
    if not delivery.run or delivery.run[:8].isdigit():
        return delivery.run
    return max(file.modified for file in files).isoformat()

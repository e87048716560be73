"""Which of many files belong together: deliveries of export tools, of which only the newest whole one counts.

A delivery is what a manifest lists: Azure writes a `manifest.json` beside the parts of each run, AWS Data Exports
one under `metadata/BILLING_PERIOD=…`, AWS's older reports one in the folder of the period, which names the current
assembly, and one in each assembly. All write it after everything else, so a run without one is still under way. What
belongs here: reading manifests, and finding the files they list. A path only tells which files of their vendor lack
their manifest, and how old a run is. What does not: other files, which stand for themselves (see `overlap`).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from energy_assets.periods import ONE_DAY, DayRange, Month
from energy_assets.sources.errors import MalformedError, PermanentError, SourceError, TransientError
from energy_assets.sources.files import SourceFile

DATA_SUFFIXES = (".csv", ".csv.gz", ".gz", ".parquet")
MANIFEST = "manifest.json"
"""How the names of manifests end, in any case."""
NOT_A_BILL = "cost_and_usage_data_status"
"""A folder of AWS's older Parquet reports that says whether they are being written."""

_DATES = re.compile(r"(\d{8})-(\d{8})")
_RUN = re.compile(r"\d{12,14}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PERIOD = re.compile(r"BILLING_PERIOD=(\d{4}-\d{2})")
_UNLESS_OWN = " If no export of AWS or Azure wrote them, `exports: all` in the source's block counts each file as is."
_FILE_LISTS = ("dataFiles", "data_files", "files", "reportKeys", "blobs")
_FILE_NAMES = ("blobName", "s3Path", "path", "key", "name", "fileName")
_SIZES = ("byteCount", "sizeInBytes", "size")


@dataclass(frozen=True, order=True)
class Delivery:
    """One run of an export for one period, as its path shows it.

    Attributes:
        group: What later runs replace: the export and its period.
        run: Sorts by time within the group; empty where the path does not tell.
        folder: Where the files lie.
        vendors: Whose tools write such paths, as providers are called; files of others may lie in them as well.
    """

    group: str
    run: str
    folder: str
    vendors: tuple[str, ...]


def delivery_of(name: str) -> Delivery | None:
    """The delivery a data file of its vendors must be part of, by its path; None for one that may stand for itself."""
    *folders, _ = name.split("/")
    for at, folder in enumerate(folders):
        if _PERIOD.fullmatch(folder) and at and folders[at - 1] in ("data", "metadata"):
            group = "/".join([*folders[: at - 1], "data", folder])
            return Delivery(group, "/".join(folders[at + 1 :]), "/".join(folders), ("aws",))
    if any(_DATES.fullmatch(folder) for folder in folders) and folders and _GUID.fullmatch(folders[-1]):
        return Delivery(_without_runs(folders), _run_of(folders), "/".join(folders), ("aws", "azure"))
    return None


def _without_runs(folders: Iterable[str]) -> str:
    return "/".join(f for f in folders if not _RUN.fullmatch(f) and not _GUID.fullmatch(f))


def _run_of(folders: Sequence[str]) -> str:
    return next((f for f in reversed(folders) if _RUN.fullmatch(f)), "")


def period_of(name: str) -> DayRange | None:
    """The days that a folder of an export states in its name; None where none does.

    Args:
        name: A path or url.
    """
    for folder in reversed(name.split("/")):
        if month := _PERIOD.fullmatch(folder):
            return Month.parse(month[1]).days
        if dates := _DATES.fullmatch(folder):
            try:
                first, last = (date.fromisoformat(text) for text in dates.groups())
                # AWS names the day after the period, Azure its last one.
                return DayRange(first, last - ONE_DAY if last.day == 1 and last > first else last)
            except ValueError:
                continue
    return None


@dataclass(frozen=True)
class Listed:
    """A data file that a manifest lists, as it spells it: a name, a key or a url; with its size where it says so."""

    name: str
    size: int | None = None


def listed_files(manifest: bytes, name: str) -> list[str]:
    """The data files a manifest lists, as it spells them: names, keys or urls.

    Args:
        manifest: JSON as delivered.
        name: What messages call the manifest.

    Raises:
        MalformedError: no JSON, or no list of files under a known key.
    """
    found = _entries(_document(manifest, name), name)
    if found is None:
        raise MalformedError(
            f"{name}: the manifest has no list of files under {', '.join(_FILE_LISTS)}",
            "Wait for the next delivery, or report the layout of this manifest.",
        )
    return [entry.name for entry in found]


def _document(manifest: bytes, name: str) -> Any:
    try:
        return json.loads(manifest.decode("utf-8-sig"))
    except ValueError as error:
        raise MalformedError(f"{name}: the manifest is no JSON ({error})", "Wait for the next delivery.") from error


def _entries(document: Any, name: str) -> list[Listed] | None:
    """What a manifest lists under a known key; None where it is none of ours (of a loader, or of a web page).

    The names of the keys are not published for AWS; the ones known from its older reports, from Azure and from
    field reports are understood.
    """
    for key in _FILE_LISTS:
        entries = document.get(key) if isinstance(document, dict) else None
        if isinstance(entries, list):
            return [_entry(entry, name) for entry in entries]
    return None


def _entry(entry: Any, name: str) -> Listed:
    size = None
    if isinstance(entry, dict):
        size = next((entry[key] for key in _SIZES if isinstance(entry.get(key), int)), None)
        entry = next((entry[key] for key in _FILE_NAMES if key in entry), None)
    if not isinstance(entry, str):
        raise MalformedError(f"{name}: the manifest lists a file without a name", "Wait for the next delivery.")
    return Listed(entry, size)


@dataclass(frozen=True)
class Manifest:
    """What a manifest says of its delivery.

    Attributes:
        file: Itself.
        listed: Its data files.
        group: What later runs replace: the export and its period, by the manifest's own words where it has them.
        run: When it ran, as digits that sort by time; empty where nothing tells.
        current: Whether it says itself that its delivery is the one that counts.
        count: How many files it says there are.
    """

    file: SourceFile
    listed: tuple[Listed, ...]
    group: str
    run: str
    current: bool = False
    count: int | None = None


def read_manifest(file: SourceFile, body: bytes) -> Manifest | None:
    """A manifest, told by what it holds; None for a file of that name that is none.

    Args:
        file: The file.
        body: Its bytes.

    Raises:
        MalformedError: no JSON, or a list with entries without names.
    """
    document = _document(body, file.name)
    listed = _entries(document, file.name)
    if listed is None:
        return None
    *folders, name = file.where.split("/")
    known = delivery_of(file.where)
    export, ran = (_part(document, key) for key in ("exportConfig", "runInfo"))
    assembly = str(document.get("assemblyId", ""))
    group = known.group if known and "reportKeys" not in document else f"{_without_runs(folders)}/{name}"
    if export.get("resourceId") and ran.get("startDate"):  # Azure says itself which export it is, and of which period
        group = f"{str(export['resourceId']).lower()} {str(ran['startDate'])[:10]}"
    submitted = re.sub(r"\D", "", str(ran.get("submittedTime", "")))[:12]
    count = document.get("blobCount")
    return Manifest(
        file,
        tuple(listed),
        group,
        (known.run if known else _run_of(folders)) or submitted,
        # AWS's older reports: the manifest in the folder of the period names the assembly that counts.
        current=bool(assembly) and assembly not in folders,
        count=count if isinstance(count, int) else None,
    )


def _part(document: Any, key: str) -> Mapping[str, Any]:
    part = document.get(key)
    return part if isinstance(part, dict) else {}


@dataclass(frozen=True)
class Chosen:
    """The files of one delivery that count; a file that stands for itself is a delivery of its own.

    Attributes:
        files: In the order of their names.
        manifest: The manifest, or None for a file that stands for itself.
        run: See `Manifest`.
        incomplete: Newer deliveries that were passed over, and what they lack.
        unlisted: Files beside those of the delivery that its manifest does not list.
        unread: Files below `path` that may be bills in a form that is not read.
    """

    files: tuple[SourceFile, ...]
    manifest: SourceFile | None = None
    run: str = ""
    incomplete: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass
class _Group:
    """The deliveries of one export and period: with their files by manifest, and without a manifest by folder."""

    whole: list[tuple[Manifest, dict[Listed, SourceFile]]] = field(default_factory=list)
    bare: dict[Delivery, list[SourceFile]] = field(default_factory=dict)


Providers = Callable[[SourceFile], set[str] | None]
"""Whose charges a file holds; None for one that cannot be read."""


def choose(
    files: Sequence[SourceFile], manifests: Iterable[Manifest], providers: Providers
) -> tuple[list[Chosen], dict[str, SourceError]]:
    """Of each export and period the newest delivery that is whole; files that stand for themselves, each alone.

    Args:
        files: Every data file found.
        manifests: Every manifest found.
        providers: Asked of files that lie where an export writes and of which there is no manifest.

    Returns:
        What counts, and for each export and period without a delivery that does the reason, by a path in it.
    """
    there = {file.where: file for file in files}
    groups: dict[str, _Group] = defaultdict(_Group)
    by_path: dict[str, str] = {}
    taken: dict[str, str] = {}
    for manifest in manifests:
        found = {entry: file for entry in manifest.listed if (file := _find(entry.name, manifest, there))}
        groups[manifest.group].whole.append((manifest, found))
        taken.update({file.where: manifest.group for file in found.values()})
        for where in (manifest.file.where, *(file.where for file in found.values())):
            path = delivery_of(where)
            by_path[path.group if path else _without_runs(where.split("/")[:-1])] = manifest.group
    folders = {_folder(where): group for where, group in taken.items()}
    stems = {(_folder(where), _stem(where)) for where in taken}
    alone: list[Chosen] = []
    unlisted: dict[str, list[str]] = defaultdict(list)
    for file in files:
        if file.where in taken:
            continue
        known, folder = delivery_of(file.where), _folder(file.where)
        if folder in folders and (known or (folder, _stem(file.where)) in stems):
            unlisted[folders[folder]].append(file.name)
        elif known:
            groups[by_path.get(known.group, known.group)].bare.setdefault(known, []).append(file)
        else:
            alone.append(Chosen((file,)))
    chosen: list[Chosen] = [*alone, *_of_others(groups, providers)]
    refused: dict[str, SourceError] = {}
    for name, of_export in sorted(groups.items()):
        if not of_export.whole and not of_export.bare:
            continue
        try:
            chosen.append(_newest(of_export, tuple(unlisted[name])))
        except SourceError as error:
            somewhere = of_export.whole[0][0].file if of_export.whole else next(iter(of_export.bare.values()))[0]
            refused[somewhere.where] = error
    return chosen, refused


def _of_others(groups: Mapping[str, _Group], providers: Providers) -> list[Chosen]:
    """Files that only lie where an export would write, taken out of their groups: no line in them is of its vendor.

    A group of which there is a manifest is an export's, and so is a folder in which nothing can be read.
    """
    plain: list[Chosen] = []
    for group in groups.values():
        for delivery, files in list(group.bare.items()) if not group.whole else ():
            readable = [found for file in files if (found := providers(file)) is not None]
            if readable and not set(delivery.vendors) & set().union(*readable):
                plain += [Chosen((file,)) for file in group.bare.pop(delivery)]
    return plain


def _folder(where: str) -> str:
    return where.rpartition("/")[0]


def _stem(where: str) -> str:
    """A file's name without its numbers: what the files of one delivery have in common."""
    return re.sub(r"\d+", "", where.rpartition("/")[2])


def _find(listed: str, manifest: Manifest, there: Mapping[str, SourceFile]) -> SourceFile | None:
    """The file that a manifest lists, wherever the tree was copied to.

    It lies below a folder in which the manifest lies too, at the end of the path the manifest gives.
    """
    parts = listed.partition("://")[2].split("/")[1:] if "://" in listed else listed.strip("/").split("/")
    folders = manifest.file.where.split("/")[:-1]
    known = delivery_of(manifest.file.where)
    if known and "metadata" in folders:  # a bare name
        beside = "/".join(["data" if folder == "metadata" else folder for folder in folders])
        if found := there.get(f"{beside}/{parts[-1]}"):
            return found
    for depth in range(len(folders), 0, -1):
        for start in range(len(parts)):
            found = there.get("/".join([*folders[:depth], *parts[start:]]))
            if found:
                return found
    return None


def _newest(group: _Group, unlisted: tuple[str, ...]) -> Chosen:
    """The newest whole delivery.

    Raises:
        TransientError: none is whole; names what is missing.
        PermanentError: two are, and nothing says which one is newer.
    """
    incomplete: list[str] = []
    chosen: tuple[tuple[bool, str], Chosen] | None = None
    for manifest, found in sorted(group.whole, key=lambda one: (_age(one), one[0].file.where), reverse=True):
        age = _age((manifest, found))
        if chosen and age != chosen[0]:
            break
        lacks = ", ".join(_lacking(manifest, found))
        if lacks:
            incomplete.append(f"{manifest.file.name} {lacks}")
        elif chosen and set(chosen[1].files) != set(found.values()):
            raise PermanentError(
                f"{manifest.file.name} and {chosen[1].manifest.name if chosen[1].manifest else ''}: two whole exports "
                "of one period, and nothing in their paths or manifests says which is newer",
                "Move the older one out of `path`.",
            )
        elif not chosen:
            files = tuple(sorted(set(found.values()), key=lambda file: file.where))
            chosen = age, Chosen(files, manifest.file, manifest.run, (), unlisted)
    newest = chosen[1].run if chosen else ""
    incomplete += [
        f"{_folder(files[0].name)} has no {MANIFEST}"
        for bare, files in sorted(group.bare.items())
        if not newest or not bare.run or bare.run >= newest
    ]
    if chosen is None:
        raise TransientError(
            f"no whole delivery of an export: {'; '.join(incomplete)}",
            "Wait until the export has finished and run the same days again, or copy what is missing; its manifest "
            "too, for without it nobody knows whether all files are there." + ("" if group.whole else _UNLESS_OWN),
        )
    return replace(chosen[1], incomplete=tuple(incomplete))


def _age(delivery: tuple[Manifest, Mapping[Listed, SourceFile]]) -> tuple[bool, str]:
    """Sorts the deliveries of one group: the one that says it is current, then by the time of the run.

    That is in the folder's name or in the manifest; where a store keeps runs under names without a time, it is when
    the files were written. A copy on a local disk has no such time.
    """
    manifest, found = delivery
    run = manifest.run
    if run and not run[:8].isdigit():
        written = [file.last_modified for file in (*found.values(), manifest.file)]
        run = max(written).strftime("%Y%m%d%H%M%S")
    return manifest.current, run


def _lacking(manifest: Manifest, found: Mapping[Listed, SourceFile]) -> Iterator[str]:
    """Why a delivery is not whole."""
    missing = sorted({entry.name.rpartition("/")[2] for entry in manifest.listed if entry not in found})
    if missing:
        yield f"lacks {', '.join(missing[:3])}, which its manifest lists"
    if manifest.count is not None and manifest.count != len(manifest.listed):
        yield f"lists {len(manifest.listed)} of {manifest.count} files"
    for entry, file in found.items():
        plain = file.name.lower().endswith(".csv")  # of packed files it is not known which size is meant
        if plain and entry.size is not None and entry.size != file.size:
            yield f"has {file.size:,} of {entry.size:,} bytes of {file.name.rpartition('/')[2]}"
        if "://" in file.name and file.last_modified > manifest.file.last_modified:
            yield f"is older than {file.name.rpartition('/')[2]}: a newer delivery is under way"

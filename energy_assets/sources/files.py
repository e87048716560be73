"""Files that a person or another system put somewhere: found by a glob, in a local folder or in a bucket.

What belongs here: listing, downloading, and telling one version of a file from another. What does not: the meaning
of the files, landing them, and how stores are opened and refuse (`buckets`).
Serves every `*_files` source.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import obstore
from obstore.store import ObjectStore

from energy_assets.sources.buckets import STORE_ERRORS, classified, download, open_store
from energy_assets.sources.errors import PermanentError, TransientError

BUCKET_SCHEMES = frozenset({"s3", "s3a", "gs", "az", "abfs", "abfss", "azure", "adl"})
SETTLED_S = 2.0
"""A local file changed less than this long ago may change again without a trace in its times: file systems keep
them in steps of up to two seconds."""

QUIET_S = 600
"""A local file changed less than this long ago may be written on while it is read, and is copied first."""

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class SourceFile:
    """One file a pattern matched.

    Attributes:
        name: Its path relative to the site folder, or its url; the same on every machine, for receipts.
        size: In bytes.
        etag: What the store says of its content; None for local files.
        last_modified: UTC.
        where: Its full path or url, which shows the folders it lies in.
    """

    name: str
    size: int
    etag: str | None
    last_modified: datetime
    _location: str = field(repr=False)
    _store: ObjectStore | None = field(default=None, repr=False, compare=False)
    _version: str = field(default="", repr=False)

    @property
    def where(self) -> str:
        """The full path or url; a local name may leave out the folders that show the layout of an export."""
        return self.name if self._store is not None else Path(self._location).resolve().as_posix()

    @property
    def version(self) -> str:
        """Equal only while the content is the same.

        Of objects: size and etag, or the time where a store gives no etag. Of local files: size, inode, and the
        times of the last change of content and of status in nanoseconds; the latter cannot be set back.
        """
        return self._version or f"{self.size} {self.etag or self.last_modified.isoformat()}"

    def settled(self) -> bool:
        """Whether what was read since the listing is what `version` stands for.

        Objects change as a whole, and `fetch` refuses one that was replaced. A local file must have the version
        it was listed with, and that one must be older than the steps in which times are kept. What remains is a
        clock that was set back between two changes of equal size.
        """
        if self._store is not None:
            return True
        try:
            stat = os.stat(self._location)
        except OSError:
            return False
        return _local_version(stat) == self._version and time.time() - max(stat.st_mtime, stat.st_ctime) >= SETTLED_S

    def fetch(self, folder: Path) -> Path:
        """The file as a local path: itself when it is local, else downloaded in chunks into `folder` (once).

        Args:
            folder: A temporary folder for downloads.

        Raises:
            TransientError: the store did not answer, or the object was replaced since it was listed.
            DeniedError: the store refuses access.
            PermanentError: the file is gone or may not be read.
        """
        if self._store is None:
            local = Path(self._location)
            if not local.is_file() or not os.access(local, os.R_OK):
                raise PermanentError(
                    f"{self.name}: the file is gone or may not be read",
                    "Put it back, or let the user that runs this read it.",
                )
            return local
        target = self._target(folder)
        if not target.exists():
            try:
                answer = obstore.get(self._store, self._location)
                if answer.meta["e_tag"] != self.etag:
                    raise TransientError(
                        f"{self.name}: the file was replaced while the folder was read", "Run the same days again."
                    )
                download(answer, target)
            except STORE_ERRORS as error:
                raise classified(self.name, error) from error
        return target

    def still(self, folder: Path) -> Path:
        """The file as a local path whose bytes do not change: as `fetch`, or a copy of what is being written on.

        A log that grows is copied once, so that what is looked into, hashed and landed are the same bytes.

        Args:
            folder: A temporary folder for downloads and copies.

        Raises:
            SourceError: see `fetch`.
        """
        path = self.fetch(folder)
        if self._store is not None:
            return path
        copy = folder / f"{hashlib.sha256(f'{self.name} {self._version}'.encode()).hexdigest()[:16]}-{path.name}"
        if copy.exists():
            return copy
        if time.time() - path.stat().st_mtime > QUIET_S:
            return path
        part = copy.with_name(f"{copy.name}.part")
        shutil.copyfile(path, part)
        part.rename(copy)
        return copy

    def discard(self, folder: Path) -> None:
        """Give the disk space of a download back; a local file stays where it is.

        Args:
            folder: As given to `fetch`.
        """
        if self._store is not None:
            self._target(folder).unlink(missing_ok=True)

    def _target(self, folder: Path) -> Path:
        key = hashlib.sha256(f"{self.name}\n{self.etag}\n{self.last_modified}".encode()).hexdigest()[:16]
        return folder / f"{key}-{self._location.rsplit('/', 1)[-1]}"


def list_files(pattern: str, site_folder: Path, options: Mapping[str, str] | None = None) -> list[SourceFile]:
    """The files a glob matches, sorted by name; `*`, `?`, `[…]` stay within a folder, `**` crosses folders.

    Args:
        pattern: A path, relative to the folder of site.yaml or absolute, or a url: s3://bucket/…, gs://bucket/…,
            az://container/…, abfss://container@account.dfs.core.windows.net/….
        site_folder: The folder of site.yaml.
        options: For buckets, as obstore takes them (`endpoint`, `region`, …); credentials come from the
            environment or the machine's role.

    Raises:
        TransientError: the store did not answer.
        DeniedError: the store refuses access.
        PermanentError: nothing matches, or there is no such bucket; names the pattern.
    """
    scheme, separator, rest = pattern.partition("://")
    if not separator:
        found = _list_local(pattern, site_folder)
    elif scheme in BUCKET_SCHEMES and "/" in rest:
        found = _list_bucket(pattern, options or {})
    else:
        raise PermanentError(
            f"{pattern}: this is no path in a file store",
            "Use a path, or a url such as s3://bucket/folder/*.csv, gs://… or az://….",
        )
    if not found:
        where = f" in {site_folder}" if not separator and not Path(pattern).is_absolute() else ""
        raise PermanentError(
            f"{pattern}: no file matches{where}", "Correct `path` in site.yaml or put the files there."
        )
    return sorted(found, key=lambda file: file.name)


def surely_gone(name: str, patterns: Iterable[str], site_folder: Path) -> bool:
    """Whether a file that listings no longer show is not there any more.

    A bucket's listing is whole or fails, and speaks of what lies below its folder. That of a local folder leaves out
    what it may not read without a word, so a local file is gone only if the system says that there is no such file.

    Args:
        name: As a listing named it before.
        patterns: What was listed.
        site_folder: The folder of site.yaml.
    """
    if "://" in name:
        return any(name.startswith(f"{_fixed_folder(pattern)}/") for pattern in patterns if "://" in pattern)
    anchors = {Path(_fixed_folder(pattern)) for pattern in patterns if Path(pattern).is_absolute()}
    return all(_is_missing(anchor / name) for anchor in {site_folder, *anchors})


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _list_local(pattern: str, site_folder: Path) -> list[SourceFile]:
    absolute = Path(pattern).is_absolute()
    anchor = Path(_fixed_folder(pattern)) if absolute else site_folder
    found = []
    for match in glob.glob(pattern, root_dir=site_folder, recursive=True):
        path = site_folder / match
        if not path.is_file():
            continue
        inside = path.is_relative_to(site_folder) and ".." not in path.parts
        name = Path(os.path.relpath(path, site_folder if inside else anchor)).as_posix()
        stat = path.stat()
        modified = datetime.fromtimestamp(stat.st_mtime, UTC)
        found.append(SourceFile(name, stat.st_size, None, modified, str(path), _version=_local_version(stat)))
    return found


def _local_version(stat: os.stat_result) -> str:
    return f"{stat.st_size} {stat.st_ino} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def _list_bucket(pattern: str, options: Mapping[str, str]) -> list[SourceFile]:
    root = _fixed_folder(pattern)
    below = pattern[len(root) + 1 :]
    wanted = re.compile(_as_regex(below))
    try:
        store = open_store(root, options)
        metas: Iterable[obstore.ObjectMeta]
        if "/" in below or "**" in below:
            metas = [meta for batch in obstore.list(store) for meta in batch]
        else:
            metas = obstore.list_with_delimiter(store)["objects"]
    except STORE_ERRORS as error:
        raise classified(pattern, error) from error
    return [
        SourceFile(f"{root}/{m['path']}", m["size"], m["e_tag"], m["last_modified"], m["path"], store)
        for m in metas
        if wanted.fullmatch(m["path"])
    ]


def _fixed_folder(pattern: str) -> str:
    """The folder a pattern starts in: everything before the first part that holds a wildcard."""
    magic = _MAGIC.search(pattern)
    return pattern[: pattern.rindex("/", 0, magic.start() if magic else None)] or "/"


def _as_regex(pattern: str) -> str:
    """A glob as a regular expression for whole keys."""
    tokens = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    return "".join(
        tokens.get(part) or (part.replace("[!", "[^", 1) if part.startswith("[") else re.escape(part)) for part in parts
    )

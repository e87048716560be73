"""Files that a person or another system put somewhere: found by a glob, in a local folder or in a bucket.

What belongs here: listing and downloading. What does not: the meaning of the files, and landing them.
Serves every `*_files` source.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError, GenericError
from obstore.store import ObjectStore, from_url

from energy_assets.sources.errors import PermanentError, SourceError, TransientError

BUCKET_SCHEMES = frozenset({"s3", "s3a", "gs", "az", "abfs", "abfss", "azure", "adl"})
CHUNK = 8 << 20
RETRY = {"max_retries": 4, "retry_timeout": timedelta(minutes=1)}
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class SourceFile:
    """One file a pattern matched.

    Attributes:
        name: Its path relative to the site folder, or its url; the same on every machine, for receipts.
        size: In bytes.
        etag: What the store says of its content; None for local files.
        last_modified: UTC.
    """

    name: str
    size: int
    etag: str | None
    last_modified: datetime
    _location: str = field(repr=False)
    _store: ObjectStore | None = field(default=None, repr=False, compare=False)

    def fetch(self, folder: Path) -> Path:
        """The file as a local path: itself when it is local, else downloaded in chunks into `folder` (once).

        Raises:
            TransientError: the store did not answer.
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
        version = hashlib.sha256(f"{self.name}\n{self.etag}\n{self.last_modified}".encode()).hexdigest()[:16]
        target = folder / f"{version}-{self._location.rsplit('/', 1)[-1]}"
        if not target.exists():
            partial = target.with_name(f"{target.name}.partial")
            try:
                with partial.open("wb") as out:
                    for chunk in obstore.get(self._store, self._location).stream(min_chunk_size=CHUNK):
                        out.write(chunk)
            except (BaseError, FileNotFoundError) as error:
                raise _classified(self.name, error) from error
            partial.rename(target)
        return target


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
        PermanentError: nothing matches, or the store refuses; names the pattern.
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
        found.append(SourceFile(name, stat.st_size, None, modified, str(path)))
    return found


def _list_bucket(pattern: str, options: Mapping[str, str]) -> list[SourceFile]:
    root = _fixed_folder(pattern)
    below = pattern[len(root) + 1 :]
    wanted = re.compile(_as_regex(below))
    try:
        store = _open(root, options)
        metas: Iterable[obstore.ObjectMeta]
        if "/" in below or "**" in below:
            metas = [meta for batch in obstore.list(store) for meta in batch]
        else:
            metas = obstore.list_with_delimiter(store)["objects"]
    except (BaseError, FileNotFoundError) as error:
        raise _classified(pattern, error) from error
    return [
        SourceFile(f"{root}/{m['path']}", m["size"], m["e_tag"], m["last_modified"], m["path"], store)
        for m in metas
        if wanted.fullmatch(m["path"])
    ]


def _fixed_folder(pattern: str) -> str:
    """The folder a pattern starts in: everything before the first part that holds a wildcard."""
    magic = _MAGIC.search(pattern)
    return pattern[: pattern.rindex("/", 0, magic.start() if magic else None)] or "/"


def _open(url: str, options: Mapping[str, str]) -> ObjectStore:
    """A store below `url`; plain http only where the endpoint asks for it (test servers)."""
    plain = options.get("endpoint", "").startswith("http://")
    settings: dict[str, Any] = {**options, "retry_config": RETRY}
    if plain:
        settings["client_options"] = {"allow_http": True}
    return from_url(url, **settings)


def _as_regex(pattern: str) -> str:
    """A glob as a regular expression for whole keys."""
    tokens = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    return "".join(
        tokens.get(part) or (part.replace("[!", "[^", 1) if part.startswith("[") else re.escape(part)) for part in parts
    )


def _classified(what: str, error: Exception) -> SourceError:
    """An obstore error as one of ours, on one line."""
    said = " ".join(str(error).split())[:300]
    refused = re.search(r"status code: 4(?!08|29)\d\d", said)
    if isinstance(error, GenericError) and not refused:
        return TransientError(f"{what}: the store gave no good answer ({said})", "Run the same days again.")
    return PermanentError(
        f"{what}: the store refuses ({said})",
        "Check the name of the bucket, and that the credentials may list and read it.",
    )

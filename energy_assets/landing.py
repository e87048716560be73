"""Landing: raw bytes as they came over the wire, write-once and content-addressed.

What belongs here: objects, receipts, and which objects make up a source's day (an edition).
What does not: the meaning of the bytes. Serves the `raw/<source>` assets and the evidence.

Layout below the storage root:
    landing/objects/ab/abcd….zst                    the bytes, compressed, named by the sha256 of the raw bytes
    landing/receipts/ab/abcd…/<source>-<request>.json   how these bytes were obtained
    landing/editions/<source>/<day>/000001.json         the objects of one day, newest number last
    landing/seen/<source>.json.zst                      what the source's files were found to hold; may be deleted

Everything but `seen` is written once and never again. `seen` saves work and decides nothing: without it the same
objects and editions come out, only later.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import obstore
import zstandard
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

CHUNK = 1 << 20
LEVEL, LEVEL_OF_PACKED = 3, 1
"""Levels of zstd: of any bytes, and of those that are most likely compressed already. Objects are named by the hash of
the raw bytes, so the level changes no name."""
PACKED = (b"\x1f\x8b", b"PAR1", b"PK\x03\x04", b"\x28\xb5\x2f\xfd")
"""How gzip, Parquet, zip and zstd files begin."""


@dataclass(frozen=True)
class Held:
    """Bytes that lie in the landing zone already, in place of the bytes themselves."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Fetched:
    """One answer of a source, before it is landed.

    Attributes:
        body: The raw bytes, or the path of a local file that holds them, or bytes that were landed before.
        request: What was asked, without secrets; together with the bytes all that a parser may know.
        days: The days the bytes speak of.
        status: The HTTP status, or None where there was no HTTP.
        media_type: For the reader of the receipt.
    """

    body: bytes | Path | Held
    request: Mapping[str, Any]
    days: tuple[date, ...]
    status: int | None = None
    media_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Landed:
    """A raw object in the landing zone and the request that brought it."""

    sha256: str
    bytes: int
    request: Mapping[str, Any]


@dataclass(frozen=True)
class Edition:
    """The objects that make up one day of one source, in the order they were fetched."""

    source: str
    day: date
    number: int
    objects: tuple[Landed, ...]

    @property
    def data_version(self) -> str:
        """One hash over the objects' hashes: equal exactly when the raw bytes are equal."""
        return _digest({"objects": sorted(f"{o.sha256} {_digest(dict(o.request))}" for o in self.objects)})


class Landing:
    """The landing zone in one object store; every write but that of `remember` is create-only."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, source: str, fetched: Fetched, at: datetime) -> Landed:
        """Store the bytes and the receipt of one answer; storing the same again changes nothing.

        Args:
            source: Name of the source.
            fetched: The answer.
            at: When it was fetched, UTC; for the receipt alone.

        Raises:
            FileNotFoundError: the answer refers to bytes that are not there.
        """
        sha256, size = self._identity(fetched.body)
        key = self._object_key(sha256)
        if not isinstance(fetched.body, Held) and not self._exists(key):
            with tempfile.TemporaryFile() as compressed:
                writer = zstandard.ZstdCompressor(level=_level(fetched.body)).stream_writer(compressed, closefd=False)
                with writer:
                    for chunk in _chunks(fetched.body):
                        writer.write(chunk)
                compressed.seek(0)
                self._create(key, compressed)
        request = dict(fetched.request)
        receipt = {
            "source": source,
            "request": request,
            "status": fetched.status,
            "fetched_at": at.isoformat(timespec="seconds"),
            "bytes": size,
            "sha256": sha256,
            "media_type": fetched.media_type,
        }
        self._create(self._receipt_key(source, sha256, request), _json(receipt))
        return Landed(sha256, size, request)

    def publish(self, source: str, day: date, objects: tuple[Landed, ...]) -> Edition:
        """Record which objects make up a day; unchanged objects make no new edition.

        Args:
            source: Name of the source.
            day: The day.
            objects: In the order in which they were fetched.
        """
        while True:
            last = self.edition(source, day)
            edition = Edition(source, day, last.number + 1 if last else 1, objects)
            if last and last.data_version == edition.data_version:
                return last
            entry = {
                "source": source,
                "day": day.isoformat(),
                "objects": [{"sha256": o.sha256, "bytes": o.bytes, "request": dict(o.request)} for o in objects],
            }
            if self._create(f"landing/editions/{source}/{day}/{edition.number:06d}.json", _json(entry)):
                return edition

    def edition(self, source: str, day: date) -> Edition | None:
        """The newest edition of a day, or None when the day was never collected.

        Args:
            source: The source's name.
            day: The day, UTC.
        """
        prefix = f"landing/editions/{source}/{day}/"
        keys = sorted(meta["path"] for batch in obstore.list(self._store, prefix) for meta in batch)
        if not keys:
            return None
        entry = json.loads(self._get(keys[-1]))
        objects = tuple(Landed(o["sha256"], o["bytes"], o["request"]) for o in entry["objects"])
        return Edition(source, day, int(Path(keys[-1]).stem), objects)

    def read(self, sha256: str) -> bytes:
        """The raw bytes of one object.

        Raises:
            FileNotFoundError: there is no such object.
        """
        return zstandard.ZstdDecompressor().decompressobj().decompress(self._get(self._object_key(sha256)))

    def spool(self, sha256: str, folder: Path, suffix: str = "") -> Path:
        """Write the raw bytes of one object to a local file (once) and return its path.

        Args:
            sha256: Of the raw bytes, in hex.
            folder: A local folder, which exists.
            suffix: End of the file's name, for readers that go by it.
        """
        target = folder / f"{sha256}{suffix}"
        if not target.exists():
            partial = target.with_name(f"{target.name}.partial")
            stream = obstore.get(self._store, self._object_key(sha256)).stream(min_chunk_size=CHUNK)
            decompressor = zstandard.ZstdDecompressor().decompressobj()
            with partial.open("wb") as out:
                for chunk in stream:
                    out.write(decompressor.decompress(bytes(chunk)))
            partial.rename(target)
        return target

    def holds(self, sha256: str) -> bool:
        """Whether these bytes were landed, by any source."""
        return self._exists(self._object_key(sha256))

    def seen(self, source: str) -> dict[str, Any]:
        """What `remember` was told of a source; empty where there is nothing, or nothing that can be read."""
        try:
            packed = self._get(self._seen_key(source))
            found = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
        except (FileNotFoundError, ValueError, zstandard.ZstdError):
            return {}
        return found if isinstance(found, dict) else {}

    def remember(self, source: str, entries: Mapping[str, Any], forget: Collection[str] = ()) -> None:
        """Add entries to what is remembered of a source; an entry of the same name is replaced.

        One object for each source, swapped as a whole: a reader sees the old or the new one. Of two runs that
        remember at the same moment one may lose its entries; its files are then looked into once more.

        Args:
            source: Name of the source.
            entries: JSON by name.
            forget: Names whose entries are left out from now on.
        """
        kept = {name: entry for name, entry in self.seen(source).items() if name not in forget}
        body = json.dumps({**kept, **entries}, sort_keys=True, separators=(",", ":")).encode()
        obstore.put(self._store, self._seen_key(source), zstandard.ZstdCompressor(level=LEVEL).compress(body))

    def receipts(self, sha256: str) -> list[dict[str, Any]]:
        """Every receipt of one object, oldest first."""
        prefix = f"landing/receipts/{sha256[:2]}/{sha256}/"
        keys = [meta["path"] for batch in obstore.list(self._store, prefix) for meta in batch]
        return sorted((json.loads(self._get(key)) for key in keys), key=lambda r: str(r["fetched_at"]))

    def _identity(self, body: bytes | Path | Held) -> tuple[str, int]:
        if not isinstance(body, Held):
            return _hash(body)
        if not self.holds(body.sha256):
            raise FileNotFoundError(f"the landing zone has no object {body.sha256}")
        return body.sha256, body.bytes

    @staticmethod
    def _seen_key(source: str) -> str:
        return f"landing/seen/{source}.json.zst"

    @staticmethod
    def _object_key(sha256: str) -> str:
        return f"landing/objects/{sha256[:2]}/{sha256}.zst"

    @staticmethod
    def _receipt_key(source: str, sha256: str, request: Mapping[str, Any]) -> str:
        return f"landing/receipts/{sha256[:2]}/{sha256}/{source}-{_digest(dict(request))[:16]}.json"

    def _exists(self, key: str) -> bool:
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def _create(self, key: str, body: Any) -> bool:
        """Write once; False when the key is already there."""
        try:
            obstore.put(self._store, key, body, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def _get(self, key: str) -> bytes:
        return bytes(obstore.get(self._store, key).bytes())


@dataclass
class _Sha256:
    digest: Any = field(default_factory=hashlib.sha256)
    size: int = 0


def _hash(body: bytes | Path) -> tuple[str, int]:
    state = _Sha256()
    for chunk in _chunks(body):
        state.digest.update(chunk)
        state.size += len(chunk)
    return state.digest.hexdigest(), state.size


def _chunks(body: bytes | Path) -> Iterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    with body.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _level(body: bytes | Path) -> int:
    """The level to compress a body with."""
    start = next(_chunks(body), b"")
    return LEVEL_OF_PACKED if start.startswith(PACKED) else LEVEL


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1).encode()


def _digest(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

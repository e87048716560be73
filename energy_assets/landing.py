"""Landing: raw bytes as they came over the wire, write-once and content-addressed.

What belongs here: objects, receipts, and which objects make up a source's day (an edition).
What does not: the meaning of the bytes. Serves the `raw/<source>` assets and the evidence.

Layout below the storage root:
    landing/objects/ab/abcd….zst                    the bytes, compressed, named by the sha256 of the raw bytes
    landing/receipts/ab/abcd…/<source>-<request>.json   how these bytes were obtained
    landing/editions/<source>/<day>/000001.json         the objects of one day, newest number last
    landing/seen/<source>.json.zst                      what the source's files were found to hold; may be deleted

    landing/damaged/…                                   what was found damaged and set aside, under its former name

Everything but `seen` is written once, and again only where what is stored was damaged. `seen` saves work and decides
nothing: without it the same objects and editions come out, only later.

Stored bytes are not believed: an object must hash to its name whenever it is read, receipts and editions carry a
`check` over their content. What fails raises `DamagedError`; the same bytes, fetched again, replace it.
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

from energy_assets.integrity import GONE, DamagedError
from energy_assets.secrets import masked

CHUNK = 1 << 20
LEVEL, LEVEL_OF_PACKED = 3, 1
"""Levels of zstd: of any bytes, and of those that are most likely compressed already. Objects are named by the hash of
the raw bytes, so the level changes no name."""
DAMAGED = "landing/damaged"
CHECK = "check"
"""Key of receipts and editions: the sha256 of all the others. Those of older stores have none."""
AGAIN = "Run the days it is of again: the bytes are fetched anew and replace it."
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


class DamagedObjectError(DamagedError):
    """An object whose bytes are not those that were landed.

    Attributes:
        sha256: Its name.
        found: What is wrong with it.
    """

    def __init__(self, sha256: str, found: str) -> None:
        super().__init__(f"the raw object {sha256} in the landing zone is damaged ({found})", AGAIN)
        self.sha256, self.found = sha256, found


class Landing:
    """The landing zone in one object store; every write but that of `remember` is create-only, or mends damage."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, source: str, fetched: Fetched, at: datetime) -> Landed:
        """Store the bytes and the receipt of one answer; storing the same again changes nothing but what is damaged.

        Args:
            source: Name of the source.
            fetched: The answer.
            at: When it was fetched, UTC; for the receipt alone.

        Raises:
            FileNotFoundError: the answer refers to bytes that are not there.
        """
        sha256, size = self._identity(fetched.body)
        key = self._object_key(sha256)
        if not isinstance(fetched.body, Held):
            found = self._exists(key)
            if not found or self.fault(sha256):
                with tempfile.TemporaryFile() as compressed:
                    packer = zstandard.ZstdCompressor(level=_level(fetched.body), write_checksum=True)
                    with packer.stream_writer(compressed, closefd=False) as writer:
                        for chunk in _chunks(fetched.body):
                            writer.write(chunk)
                    compressed.seek(0)
                    self._write(key, compressed, replace=found)
        request = json.loads(masked(json.dumps(dict(fetched.request))))
        receipt = {
            "source": source,
            "request": request,
            "status": fetched.status,
            "fetched_at": at.isoformat(timespec="seconds"),
            "bytes": size,
            "sha256": sha256,
            "media_type": masked(fetched.media_type),
        }
        receipt_key = self._receipt_key(source, sha256, request)
        if not self._write(receipt_key, _checked(receipt)) and _entry(self._get(receipt_key)) is None:
            self._write(receipt_key, _checked(receipt), replace=True)
        return Landed(sha256, size, request)

    def publish(self, source: str, day: date, objects: tuple[Landed, ...]) -> Edition:
        """Record which objects make up a day; unchanged objects make no new edition, unless the last one is damaged.

        Args:
            source: Name of the source.
            day: The day.
            objects: In the order in which they were fetched.
        """
        while True:
            keys = self._edition_keys(source, day)
            try:
                last = self._edition(source, day, keys[-1]) if keys else None
            except DamagedError:
                self.set_aside(keys[-1])
                continue
            edition = Edition(source, day, int(Path(keys[-1]).stem) + 1 if keys else 1, objects)
            if last and last.data_version == edition.data_version:
                return last
            entry = {
                "source": source,
                "day": day.isoformat(),
                "objects": [{"sha256": o.sha256, "bytes": o.bytes, "request": dict(o.request)} for o in objects],
            }
            if self._write(f"landing/editions/{source}/{day}/{edition.number:06d}.json", _checked(entry)):
                return edition

    def edition(self, source: str, day: date) -> Edition | None:
        """The newest edition of a day, or None when the day was never collected.

        Args:
            source: The source's name.
            day: The day, UTC.

        Raises:
            DamagedError: it cannot be read, or is not what was written.
        """
        keys = self._edition_keys(source, day)
        return self._edition(source, day, keys[-1]) if keys else None

    def read(self, sha256: str) -> bytes:
        """The raw bytes of one object.

        Raises:
            FileNotFoundError: there is no such object.
            DamagedObjectError: what is stored is not these bytes.
        """
        return b"".join(self._raw(sha256))

    def spool(self, sha256: str, folder: Path, suffix: str = "") -> Path:
        """Write the raw bytes of one object to a local file (once) and return its path.

        Args:
            sha256: Of the raw bytes, in hex.
            folder: A local folder, which exists.
            suffix: End of the file's name, for readers that go by it.

        Raises:
            FileNotFoundError: there is no such object.
            DamagedObjectError: what is stored is not these bytes; no file is left.
        """
        target = folder / f"{sha256}{suffix}"
        if not target.exists():
            partial = target.with_name(f"{target.name}.partial")
            try:
                with partial.open("wb") as out:
                    out.writelines(self._raw(sha256))
                partial.rename(target)
            finally:
                partial.unlink(missing_ok=True)
        return target

    def fault(self, sha256: str) -> str:
        """What is wrong with an object, which is read whole; empty where its bytes are those that were landed."""
        try:
            for _ in self._raw(sha256):
                pass
        except FileNotFoundError:
            return GONE
        except DamagedObjectError as error:
            return error.found
        return ""

    def set_aside(self, key: str) -> None:
        """Move something damaged out of the way, so that it counts as not there and is fetched again.

        Args:
            key: As `objects`, `receipt_keys` and `edition_keys` give it, or the sha256 of an object.
        """
        key = key if "/" in key else self._object_key(key)
        try:
            obstore.rename(self._store, key, f"{DAMAGED}/{key.removeprefix('landing/')}")
        except FileNotFoundError:
            return  # another run did

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
        packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(body)
        obstore.put(self._store, self._seen_key(source), packed)

    def receipts(self, sha256: str) -> list[dict[str, Any]]:
        """Every receipt of one object, oldest first.

        Raises:
            DamagedError: one cannot be read, or is not what was written.
        """
        keys = self._keys(f"landing/receipts/{sha256[:2]}/{sha256}/")
        return sorted((self._read_entry(key, "receipt") for key in keys), key=lambda r: str(r["fetched_at"]))

    def lost_receipts(self, editions: Collection[Edition]) -> Iterator[tuple[Edition, str]]:
        """Editions and the keys of receipts of their objects that are not there.

        Args:
            editions: Any.
        """
        there = set(self._keys("landing/receipts/"))
        for edition in editions:
            for landed in edition.objects:
                key = self._receipt_key(edition.source, landed.sha256, landed.request)
                if key not in there:
                    yield edition, key

    def object_names(self) -> Iterator[str]:
        """The sha256 of every object that is there."""
        for key in self._keys("landing/objects/"):
            yield Path(key).stem

    def damaged_entries(self) -> Iterator[str]:
        """Keys of every receipt and edition that is not what was written; reads all of them."""
        for key in (*self._keys("landing/receipts/"), *self._keys("landing/editions/")):
            if _entry(self._get(key)) is None:
                yield key

    def days(self, source: str) -> set[date]:
        """Days of which a source has an edition, whether it can be read or not.

        Args:
            source: Its name.
        """
        return {date.fromisoformat(Path(key).parent.name) for key in self._keys(f"landing/editions/{source}/")}

    def latest(self, sources: Collection[str]) -> Iterator[Edition]:
        """The newest edition of every day of some sources; damaged ones are left out.

        Args:
            sources: Their names.
        """
        for source in sources:
            for day in sorted(self.days(source)):
                try:
                    edition = self.edition(source, day)
                except DamagedError:
                    continue
                if edition:
                    yield edition

    def _raw(self, sha256: str) -> Iterator[bytes]:
        """The raw bytes in chunks; the error of bytes that are not those of the name comes after the last one."""
        stream = obstore.get(self._store, self._object_key(sha256)).stream(min_chunk_size=CHUNK)
        unpacker, digest = zstandard.ZstdDecompressor().decompressobj(), hashlib.sha256()
        try:
            for packed in stream:
                raw = unpacker.decompress(bytes(packed))
                digest.update(raw)
                yield raw
        except zstandard.ZstdError as error:
            raise DamagedObjectError(sha256, f"it cannot be unpacked: {error}") from error
        if digest.hexdigest() != sha256:
            raise DamagedObjectError(sha256, f"what is stored hashes to {digest.hexdigest()[:12]}…")

    def _edition_keys(self, source: str, day: date) -> list[str]:
        return sorted(self._keys(f"landing/editions/{source}/{day}/"))

    def _edition(self, source: str, day: date, key: str) -> Edition:
        entry = self._read_entry(key, "edition")
        objects = tuple(Landed(o["sha256"], o["bytes"], o["request"]) for o in entry["objects"])
        return Edition(source, day, int(Path(key).stem), objects)

    def _read_entry(self, key: str, what: str) -> dict[str, Any]:
        entry = _entry(self._get(key))
        if entry is None:
            raise DamagedError(f"the {what} {key} is damaged", AGAIN)
        return entry

    def _keys(self, prefix: str) -> list[str]:
        return [meta["path"] for batch in obstore.list(self._store, prefix) for meta in batch]

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

    def _write(self, key: str, body: Any, *, replace: bool = False) -> bool:
        """Write once, unless something damaged is to be replaced; False when the key is already there."""
        try:
            obstore.put(self._store, key, body, mode="overwrite" if replace else "create")
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


def _checked(entry: Mapping[str, Any]) -> bytes:
    """A receipt or an edition as it is stored."""
    plain = json.loads(json.dumps(entry))
    return json.dumps({**plain, CHECK: _digest(plain)}, sort_keys=True, ensure_ascii=False, indent=1).encode()


def _entry(stored: bytes) -> dict[str, Any] | None:
    """A receipt or an edition as it was written, without its check; None where it is damaged."""
    try:
        entry = json.loads(stored)
    except ValueError:
        return None
    if not isinstance(entry, dict):
        return None
    check = entry.pop(CHECK, None)
    return entry if check in (None, _digest(entry)) else None


def _digest(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

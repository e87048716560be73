"""The landing zone: raw bytes once, receipts, editions; in a folder, in S3, Azure and GCS."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard

from energy_assets.integrity import DamagedError
from energy_assets.landing import DamagedObjectError, Fetched, Held, Landing
from energy_assets.storage import Storage
from energy_assets_tests.azure_server import azure_container
from energy_assets_tests.gcs_server import gcs_bucket
from energy_assets_tests.s3_server import s3_bucket

NOON = datetime(2024, 5, 10, 12, tzinfo=UTC)
LATER = datetime(2024, 5, 11, 12, tzinfo=UTC)
DAY = date(2024, 5, 9)


def answer(body: bytes | Path | Held = b"hello", **request: Any) -> Fetched:
    return Fetched(body, {"path": "a.csv", **request}, (DAY,), 200, "text/csv")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Storage]:
    with s3_bucket() as storage:
        yield storage


@pytest.fixture(scope="module")
def container() -> Iterator[Storage]:
    with azure_container() as storage:
        yield storage


@pytest.fixture(scope="module")
def gcs() -> Iterator[Storage]:
    with gcs_bucket() as storage:
        yield storage


@pytest.fixture(params=["folder", "bucket", "container", "gcs"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return Storage(str(tmp_path / "var"))
    whole: Storage = request.getfixturevalue(request.param)
    return Storage(f"{whole.root}/{tmp_path.name}", whole.options)


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Landing, Path]:
    return Storage(str(tmp_path / "var")).landing(), tmp_path / "var" / "landing"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_lands_comes_back_byte_for_byte(storage: Storage, tmp_path: Path) -> None:
    landing = storage.landing()
    landed = landing.put("meters", answer(b"bytes \x00\xff"), NOON)
    edition = landing.publish("meters", DAY, (landed,))
    (tmp_path / "spool").mkdir()
    assert landing.read(landed.sha256) == b"bytes \x00\xff"
    assert landing.spool(landed.sha256, tmp_path / "spool", ".csv").read_bytes() == b"bytes \x00\xff"
    assert landing.edition("meters", DAY) == edition
    assert landing.edition("meters", date(2024, 5, 10)) is None
    assert [receipt["sha256"] for receipt in landing.receipts(landed.sha256)] == [landed.sha256]


def test_a_large_file_streams_through_landing(storage: Storage, tmp_path: Path) -> None:
    """Incompressible and larger than a part of a multipart upload, which cannot be create-only."""
    source = tmp_path / "large.bin"
    source.write_bytes(random.Random(1).randbytes(12 << 20))  # noqa: S311
    landing = storage.landing()
    landed = landing.put("meters", answer(source), NOON)
    assert landing.put("meters", answer(source), LATER) == landed
    assert landed.bytes == 12 << 20
    assert landing.spool(landed.sha256, tmp_path).read_bytes() == source.read_bytes()


def test_landing_the_same_again_changes_nothing(folder: tuple[Landing, Path]) -> None:
    landing, root = folder
    landed = landing.put("meters", answer(), NOON)
    landing.publish("meters", DAY, (landed,))
    before = files(root)
    assert landing.put("meters", answer(), LATER) == landed
    landing.publish("meters", DAY, (landed,))
    assert files(root) == before
    assert len(before) == 3, "one object, one receipt, one edition"


def test_the_same_bytes_of_another_request_are_one_object_with_two_receipts(folder: tuple[Landing, Path]) -> None:
    landing, root = folder
    first = landing.put("meters", answer(), NOON)
    landing.put("bills", answer(path="b.csv"), LATER)
    receipts = landing.receipts(first.sha256)
    assert len(list((root / "objects").rglob("*.zst"))) == 1
    assert [(r["source"], r["request"]["path"]) for r in receipts] == [("meters", "a.csv"), ("bills", "b.csv")]


def test_a_receipt_says_who_what_when_and_how_much(folder: tuple[Landing, Path]) -> None:
    landing, root = folder
    landed = landing.put("meters", answer(page=2), NOON)
    (path,) = (root / "receipts").rglob("*.json")
    written = json.loads(path.read_text())
    assert len(written.pop("check")) == 64
    assert landing.receipts(landed.sha256) == [written]
    assert written == {
        "source": "meters",
        "request": {"path": "a.csv", "page": 2},
        "status": 200,
        "fetched_at": "2024-05-10T12:00:00+00:00",
        "bytes": 5,
        "sha256": landed.sha256,
        "media_type": "text/csv",
    }
    (object_,) = (root / "objects").rglob("*.zst")
    assert object_.parent.name == landed.sha256[:2]
    assert zstandard.ZstdDecompressor().decompressobj().decompress(object_.read_bytes()) == b"hello"


def test_a_new_edition_comes_only_when_the_bytes_or_requests_change(folder: tuple[Landing, Path]) -> None:
    landing, _ = folder
    one, two = (landing.put("meters", answer(body), NOON) for body in (b"1", b"2"))
    first = landing.publish("meters", DAY, (one, two))
    swapped = landing.publish("meters", DAY, (two, one))
    fewer = landing.publish("meters", DAY, (one,))
    back = landing.publish("meters", DAY, (one, two))
    assert [first.number, swapped.number, fewer.number, back.number] == [1, 1, 2, 3]
    assert first.data_version == back.data_version != fewer.data_version
    assert landing.edition("meters", DAY) == back


def test_the_same_bytes_of_another_request_make_another_edition(folder: tuple[Landing, Path]) -> None:
    landing, _ = folder
    first = landing.publish("meters", DAY, (landing.put("meters", answer(page=1), NOON),))
    second = landing.publish("meters", DAY, (landing.put("meters", answer(page=2), NOON),))
    assert [first.number, second.number] == [1, 2]
    assert first.data_version != second.data_version


def test_bytes_that_are_landed_are_referred_to_and_others_are_not(folder: tuple[Landing, Path]) -> None:
    landing, root = folder
    landed = landing.put("meters", answer(), NOON)
    before = files(root)
    assert landing.put("meters", answer(Held(landed.sha256, landed.bytes)), LATER) == landed
    assert files(root) == before
    assert (landing.holds(landed.sha256), landing.holds("00" * 32)) == (True, False)
    with pytest.raises(FileNotFoundError, match="no object 0000"):
        landing.put("meters", answer(Held("00" * 32, 5)), NOON)


def test_what_was_seen_comes_back_and_grows(storage: Storage) -> None:
    landing = storage.landing()
    assert landing.seen("meters") == {}
    landing.remember("meters", {"a.csv": {"days": ["2024-05-09"]}})
    landing.remember("meters", {"b.csv": 1})
    assert landing.seen("meters") == {"a.csv": {"days": ["2024-05-09"]}, "b.csv": 1}
    assert landing.seen("bills") == {}


def test_equal_bytes_have_equal_data_versions_in_any_landing_zone(tmp_path: Path) -> None:
    versions = set()
    for name, at in (("a", NOON), ("b", LATER)):
        landing = Storage(str(tmp_path / name)).landing()
        versions.add(landing.publish("meters", DAY, (landing.put("meters", answer(), at),)).data_version)
    assert len(versions) == 1


def test_a_day_without_objects_is_an_edition_too(folder: tuple[Landing, Path]) -> None:
    landing, _ = folder
    assert landing.publish("meters", DAY, ()).objects == ()
    assert landing.edition("meters", DAY) is not None


def test_reading_what_never_landed_says_so(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.landing().read("00" * 32)


def flip(path: Path, at: float = 0.5) -> None:
    """Turn one bit of a file."""
    stored = bytearray(path.read_bytes())
    stored[int(len(stored) * at)] ^= 1
    path.write_bytes(bytes(stored))


BODY = random.Random(5).randbytes(3 << 20)  # noqa: S311 - bytes that do not compress


def stored_object(root: Path, sha256: str) -> Path:
    return root / "objects" / sha256[:2] / f"{sha256}.zst"


def bit_in_the_middle(path: Path) -> None:
    flip(path)


def cut_short(path: Path) -> None:
    stored = path.read_bytes()
    path.write_bytes(stored[: len(stored) * 2 // 3])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def other_bytes(path: Path) -> None:
    path.write_bytes(zstandard.ZstdCompressor().compress(BODY[:-1] + b"x"))


DAMAGES = [bit_in_the_middle, cut_short, emptied, other_bytes]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_bytes_are_never_read_and_good_ones_replace_them(
    folder: tuple[Landing, Path], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    landing, root = folder
    landed = landing.put("meters", answer(BODY), NOON)
    assert not landing.fault(landed.sha256)
    damage(stored_object(root, landed.sha256))

    assert landing.fault(landed.sha256)
    spool = tmp_path / "spool"
    spool.mkdir()
    with pytest.raises(DamagedObjectError, match=rf"{landed.sha256}.*Run the days it is of again"):
        landing.read(landed.sha256)
    with pytest.raises(DamagedObjectError):
        landing.spool(landed.sha256, spool)
    assert not list(spool.iterdir())

    assert landing.put("meters", answer(BODY), LATER) == landed
    assert landing.read(landed.sha256) == BODY
    assert [receipt["fetched_at"] for receipt in landing.receipts(landed.sha256)] == ["2024-05-10T12:00:00+00:00"]


def test_objects_of_older_stores_without_a_checksum_stay_readable(folder: tuple[Landing, Path]) -> None:
    landing, root = folder
    landed = landing.put("meters", answer(BODY), NOON)
    assert zstandard.get_frame_parameters(stored_object(root, landed.sha256).read_bytes()).has_checksum
    stored_object(root, landed.sha256).write_bytes(zstandard.ZstdCompressor(level=3).compress(BODY))
    assert landing.read(landed.sha256) == BODY


def test_what_is_set_aside_counts_as_not_there_and_is_kept(storage: Storage) -> None:
    landing = storage.landing()
    landed = landing.put("meters", answer(BODY), NOON)
    landing.set_aside(landed.sha256)
    assert not landing.holds(landed.sha256)
    landing.set_aside(landed.sha256)
    with pytest.raises(FileNotFoundError):
        landing.put("meters", answer(Held(landed.sha256, landed.bytes)), NOON)
    landing.put("meters", answer(BODY), NOON)
    assert landing.read(landed.sha256) == BODY
    aside = storage.path("landing", "damaged", "objects", landed.sha256[:2], f"{landed.sha256}.zst")
    assert not storage.is_local or Path(aside).exists()


@pytest.mark.parametrize("text", ["2024-05-10T12", "a.csv"])
def test_a_receipt_with_other_words_is_damaged_until_the_bytes_come_again(
    folder: tuple[Landing, Path], text: str
) -> None:
    landing, root = folder
    landed = landing.put("meters", answer(), NOON)
    (path,) = (root / "receipts").rglob("*.json")
    path.write_text(path.read_text().replace(text, text[:-1] + "9"))
    with pytest.raises(DamagedError, match=path.name):
        landing.receipts(landed.sha256)
    assert list(landing.damaged_entries()) == [f"landing/{path.relative_to(root)}"]
    landing.put("meters", answer(), LATER)
    assert [receipt["fetched_at"] for receipt in landing.receipts(landed.sha256)] == ["2024-05-11T12:00:00+00:00"]
    assert not list(landing.damaged_entries())


@pytest.mark.parametrize("damage", [bit_in_the_middle, cut_short, emptied])
def test_a_damaged_edition_is_said_and_the_next_one_takes_its_place(
    folder: tuple[Landing, Path], damage: Callable[[Path], None]
) -> None:
    landing, root = folder
    landed = landing.put("meters", answer(), NOON)
    first = landing.publish("meters", DAY, (landed,))
    (path,) = (root / "editions").rglob("*.json")
    damage(path)
    with pytest.raises(DamagedError, match=r"000001\.json is damaged"):
        landing.edition("meters", DAY)
    assert not list(landing.latest(["meters"]))
    again = landing.publish("meters", DAY, (landed,))
    assert (again.number, again.data_version) == (1, first.data_version)
    assert not list(landing.damaged_entries())
    assert list(landing.latest(["meters"])) == [again]


def test_receipts_and_editions_of_older_stores_have_no_check_and_are_read(folder: tuple[Landing, Path]) -> None:
    landing, root = folder
    landed = landing.put("meters", answer(), NOON)
    edition = landing.publish("meters", DAY, (landed,))
    for path in [*(root / "receipts").rglob("*.json"), *(root / "editions").rglob("*.json")]:
        entry = json.loads(path.read_text())
        del entry["check"]
        path.write_text(json.dumps(entry))
    assert landing.edition("meters", DAY) == edition
    assert len(landing.receipts(landed.sha256)) == 1
    assert not list(landing.damaged_entries())

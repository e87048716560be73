"""AWS Data Exports in S3: the manifests of billing periods, and the files they list.

What belongs here: the layout of a bucket. What does not: credentials (`session`), the meaning of a bill, and which
days need which period.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import obstore
from obstore.store import S3Store

from energy_assets.periods import Month
from energy_assets.sources.aws.session import DEFAULT_REGION, open_session
from energy_assets.sources.buckets import STORE_ERRORS, classified, settings
from energy_assets.sources.errors import DeniedError, SourceError, TransientError
from energy_assets.sources.files import SourceFile
from energy_assets.sources.focus.deliveries import listed_files

_PERIOD = re.compile(r"/BILLING_PERIOD=(\d{4}-\d{2})/")
_OLDER_REPORT = re.compile(r"/\d{8}-\d{8}/(.*/)?[^/]*Manifest\.json")
_OF_LOADERS = ("RedshiftManifest.json", "QuickSightManifest.json")
"""Manifests that AWS writes for other programs, beside its own."""


@dataclass(frozen=True)
class Manifest:
    """The newest manifest of one billing period.

    Attributes:
        period: The month that is billed.
        key: Of the manifest.
        file: The manifest itself, written after all its data files.
    """

    period: Month
    key: str
    file: SourceFile


class ExportBucket:
    """One export in one bucket.

    Args:
        bucket: Name of the bucket.
        root: `prefix/export`, without a slash at the ends.
        options: `region`, `endpoint_url`, `profile`, `role_arn`, `external_id`; those not given are absent.
        session: A `boto3.Session` to start from, None to make one.

    Raises:
        DeniedError: no credentials, or no such profile.
    """

    def __init__(self, bucket: str, root: str, options: Mapping[str, str], session: Any = None) -> None:
        self._bucket = bucket
        self._root = root
        self._store = _store(bucket, options, session)

    def manifests(self) -> dict[Month, Manifest]:
        """The newest manifest of every delivered billing period.

        Raises:
            TransientError: S3 did not answer.
            PermanentError: there is no such bucket, or S3 refuses (DeniedError).
        """
        found: dict[Month, Manifest] = {}
        listed = self._list(f"{self._root}/metadata/")
        for key, file in sorted(listed.items(), key=lambda item: (item[1].last_modified, item[0])):
            period = _PERIOD.search(key)
            if period and key.endswith("Manifest.json") and not key.endswith(_OF_LOADERS):
                month = Month.parse(period[1])
                found[month] = Manifest(month, key, file)
        return found

    def holds_older_report(self) -> bool:
        """Whether what lies there is not a data export but a Cost and Usage Report of the older kind.

        Raises:
            SourceError: see `manifests`.
        """
        try:
            return any(_OLDER_REPORT.search(key) for key in self._list(f"{self._root}/"))
        except DeniedError:
            return False

    def data_files(self) -> dict[str, SourceFile]:
        """Every data file there is, by key; none where the role may not list them (`delivered` asks one by one).

        List them after the manifests: a delivery that begins in between then shows files younger than its manifest.

        Raises:
            SourceError: see `manifests`.
        """
        try:
            return self._list(f"{self._root}/data/")
        except DeniedError:
            return {}

    def data_keys(self, manifest: Manifest, body: bytes) -> list[str]:
        """The keys of the data files a manifest lists, whether it spells them as urls, keys or names.

        Args:
            manifest: The manifest.
            body: Its bytes.

        Raises:
            MalformedError: see `listed_files`.
        """
        beside = manifest.key.replace(f"{self._root}/metadata/", f"{self._root}/data/", 1).rpartition("/")[0]
        keys = []
        for name in listed_files(body, manifest.key):
            key = name.partition("://")[2].partition("/")[2] if "://" in name else name
            keys.append(key if "/" in key else f"{beside}/{key}")
        return sorted(set(keys))

    def delivered(self, key: str, manifest: Manifest, there: Mapping[str, SourceFile]) -> SourceFile:
        """A data file that a manifest lists.

        Args:
            key: As `data_keys` gives it.
            manifest: The manifest.
            there: From `data_files`; a key elsewhere is asked for by itself.

        Raises:
            TransientError: it is gone or younger than the manifest: a newer delivery is under way.
            SourceError: see `manifests`.
        """
        file = there.get(key) or self._head(key)
        if file is None:
            raise TransientError(
                f"s3://{self._bucket}/{key}: the manifest of {manifest.period} lists it and it is not there",
                "A delivery is under way, or files were removed: run the same days again after it has ended.",
            )
        if file.last_modified > manifest.file.last_modified:
            raise TransientError(
                f"s3://{self._bucket}/{key} is younger than the manifest of {manifest.period}",
                "A newer delivery is under way: run the same days again after it has ended.",
            )
        return file

    def require_unchanged(self, manifest: Manifest) -> None:
        """Make sure that no newer delivery replaced the files while they were read.

        Raises:
            TransientError: it did.
        """
        now = self._head(manifest.key)
        if now is None or (now.etag, now.last_modified) != (manifest.file.etag, manifest.file.last_modified):
            raise TransientError(
                f"s3://{self._bucket}/{manifest.key}: a newer delivery of {manifest.period} arrived while it was read",
                "Run the same days again.",
            )

    def _list(self, prefix: str) -> dict[str, SourceFile]:
        with self._classified(prefix):
            metas = [meta for batch in obstore.list(self._store, prefix) for meta in batch]
        return {meta["path"]: self._file(meta) for meta in metas}

    def _head(self, key: str) -> SourceFile | None:
        with self._classified(key):
            try:
                return self._file(obstore.head(self._store, key))
            except FileNotFoundError:
                return None

    def _file(self, meta: obstore.ObjectMeta) -> SourceFile:
        url = f"s3://{self._bucket}/{meta['path']}"
        return SourceFile(url, meta["size"], meta["e_tag"], meta["last_modified"], meta["path"], self._store)

    @contextmanager
    def _classified(self, key: str) -> Iterator[None]:
        """What S3 and STS say, as an error of ours."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except SourceError:
            raise
        except (*STORE_ERRORS, BotoCoreError, ClientError) as error:
            raise classified(f"s3://{self._bucket}/{key}", error) from error


def _store(bucket: str, options: Mapping[str, str], supplied: Any) -> S3Store:
    """The bucket, opened with the session's credentials, which obstore asks for again before they expire."""
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = open_session(options, supplied)
    endpoint = {"endpoint": options["endpoint_url"]} if "endpoint_url" in options else {}
    more = settings({"region": session.region_name or DEFAULT_REGION, **endpoint})
    return S3Store(bucket, credential_provider=Boto3CredentialProvider(session), **more)

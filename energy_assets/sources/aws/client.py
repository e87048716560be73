"""AWS Data Exports in S3: credentials, the manifests of billing periods, and the files they list.

What belongs here: the wire and the layout of a bucket. What does not: the meaning of a bill, and which days
need which period.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError, GenericError
from obstore.store import S3Store

from energy_assets.periods import Month
from energy_assets.sources.errors import PermanentError, SourceError, TransientError
from energy_assets.sources.files import RETRY
from energy_assets.sources.focus.deliveries import listed_files

CHUNK = 8 << 20
SESSION_NAME = "energy-assets"

_PERIOD = re.compile(r"/BILLING_PERIOD=(\d{4}-\d{2})/")


@dataclass(frozen=True)
class Manifest:
    """The newest manifest of one billing period.

    Attributes:
        period: The month that is billed.
        key: Of the manifest.
        written: When it was written: after all its data files.
        etag: Tells whether it was replaced meanwhile.
    """

    period: Month
    key: str
    written: datetime
    etag: str | None


class ExportBucket:
    """One export in one bucket.

    Args:
        bucket: Name of the bucket.
        root: `prefix/export`, without a slash at the ends.
        options: `region`, `endpoint_url`, `profile`, `role_arn`, `external_id`; those not given are absent.
    """

    def __init__(self, bucket: str, root: str, options: Mapping[str, str]) -> None:
        self._bucket = bucket
        self._root = root
        self._store = _store(bucket, options)

    def manifests(self) -> dict[Month, Manifest]:
        """The newest manifest of every delivered billing period.

        Raises:
            TransientError: S3 did not answer.
            PermanentError: S3 refuses.
        """
        found: dict[Month, Manifest] = {}
        with self._said(f"{self._root}/metadata/"):
            metas = [meta for batch in obstore.list(self._store, f"{self._root}/metadata/") for meta in batch]
        for meta in sorted(metas, key=lambda m: (m["last_modified"], m["path"])):
            period = _PERIOD.search(meta["path"])
            if period and meta["path"].endswith("Manifest.json"):
                month = Month.parse(period[1])
                found[month] = Manifest(month, meta["path"], meta["last_modified"], meta["e_tag"])
        return found

    def read(self, manifest: Manifest) -> bytes:
        """The bytes of a manifest.

        Raises:
            SourceError: see `manifests`.
        """
        with self._said(manifest.key):
            return bytes(obstore.get(self._store, manifest.key).bytes())

    def data_keys(self, manifest: Manifest, body: bytes) -> list[str]:
        """The keys of the data files a manifest lists, whether it spells them as urls, keys or names.

        Raises:
            MalformedError: see `listed_files`.
        """
        beside = manifest.key.replace(f"{self._root}/metadata/", f"{self._root}/data/", 1).rpartition("/")[0]
        keys = []
        for name in listed_files(body, manifest.key):
            key = name.partition("://")[2].partition("/")[2] if "://" in name else name
            keys.append(key if "/" in key else f"{beside}/{key}")
        return sorted(set(keys))

    def download(self, key: str, manifest: Manifest, folder: Path) -> Path:
        """A data file as a local file.

        Raises:
            TransientError: it is gone or younger than the manifest: a newer delivery is under way.
            SourceError: see `manifests`.
        """
        with self._said(key):
            try:
                answer = obstore.get(self._store, key)
            except FileNotFoundError as error:
                raise TransientError(
                    f"s3://{self._bucket}/{key}: the manifest of {manifest.period} lists it and it is not there",
                    "A delivery is under way, or files were removed: run the same days again after it has ended.",
                ) from error
            if answer.meta["last_modified"] > manifest.written:
                raise TransientError(
                    f"s3://{self._bucket}/{key} is younger than the manifest of {manifest.period}",
                    "A newer delivery is under way: run the same days again after it has ended.",
                )
            version = hashlib.sha256(f"{key}\n{answer.meta['e_tag']}".encode()).hexdigest()[:16]
            target = folder / f"{version}.bill"
            with target.open("wb") as out:
                for chunk in answer.stream(min_chunk_size=CHUNK):
                    out.write(chunk)
        return target

    def require_unchanged(self, manifest: Manifest) -> None:
        """Make sure that no newer delivery replaced the files while they were read.

        Raises:
            TransientError: it did.
        """
        with self._said(manifest.key):
            now = obstore.head(self._store, manifest.key)
        if (now["e_tag"], now["last_modified"]) != (manifest.etag, manifest.written):
            raise TransientError(
                f"s3://{self._bucket}/{manifest.key}: a newer delivery of {manifest.period} arrived while it was read",
                "Run the same days again.",
            )

    @contextmanager
    def _said(self, key: str) -> Iterator[None]:
        """What S3 and STS say, as an error of ours."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except SourceError:
            raise
        except (BaseError, FileNotFoundError, BotoCoreError, ClientError) as error:
            raise _classified(f"s3://{self._bucket}/{key}", error) from error


def _store(bucket: str, options: Mapping[str, str]) -> S3Store:
    """The bucket, opened with the role's credentials when there is one, else with the session's own.

    Raises:
        PermanentError: no credentials, or no such profile.
    """
    import boto3
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    endpoint = options.get("endpoint_url")
    try:
        session = boto3.Session(profile_name=options.get("profile"), region_name=options.get("region"))
        provider: Any = _Role(session, options) if "role_arn" in options else Boto3CredentialProvider(session)
    except (BotoCoreError, ValueError) as error:
        raise PermanentError(
            f"s3://{bucket}: there are no AWS credentials ({error})",
            "Give this machine a role, set AWS_PROFILE or AWS_ACCESS_KEY_ID, or name a `profile` in site.yaml.",
        ) from error
    settings: dict[str, Any] = {"region": session.region_name or "us-east-1", "retry_config": RETRY}
    if endpoint:
        settings |= {"endpoint": endpoint, "client_options": {"allow_http": endpoint.startswith("http://")}}
    return S3Store(bucket, credential_provider=provider, **settings)


class _Role:
    """Credentials of an assumed role, renewed by obstore when they expire.

    obstore's own provider cannot be pointed at another STS endpoint, which a test server needs.
    """

    def __init__(self, session: Any, options: Mapping[str, str]) -> None:
        self._session = session
        self._options = options

    def __call__(self) -> dict[str, Any]:
        sts = self._session.client(
            "sts",
            region_name=self._session.region_name or "us-east-1",
            endpoint_url=self._options.get("endpoint_url"),
        )
        request = {"RoleArn": self._options["role_arn"], "RoleSessionName": SESSION_NAME}
        if "external_id" in self._options:
            request["ExternalId"] = self._options["external_id"]
        credentials = sts.assume_role(**request)["Credentials"]
        return {
            "access_key_id": credentials["AccessKeyId"],
            "secret_access_key": credentials["SecretAccessKey"],
            "token": credentials["SessionToken"],
            "expires_at": credentials["Expiration"].astimezone(UTC),
        }


def _classified(what: str, error: Exception) -> SourceError:
    said = " ".join(str(error).split())[:300]
    refused = re.search(r"status code: 4(?!08|29)\d\d|AccessDenied|InvalidClientTokenId|NoCredentials|not found", said)
    if isinstance(error, GenericError) and not refused:
        return TransientError(f"{what}: S3 gave no good answer ({said})", "Run the same days again.")
    return PermanentError(
        f"{what}: S3 refuses ({said})",
        "Check bucket, prefix and export in site.yaml, and that the role may list and read them.",
    )

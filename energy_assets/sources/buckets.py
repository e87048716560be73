"""Object stores as every source reads them: opened with bounded retries, and what they say classified once.

What belongs here: obstore, botocore and the words of S3, Azure and Google when they refuse. What does not: globs
(`files`), the layout of an export (`aws.client`) and our own storage (`energy_assets.storage`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obstore.exceptions import BaseError, GenericError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore, from_url

from energy_assets.sources.errors import DeniedError, PermanentError, SourceError, TransientError

if TYPE_CHECKING:
    from obstore import GetResult

CHUNK = 8 << 20
"""Bytes read at once from an object."""

RETRY = {"max_retries": 4, "retry_timeout": timedelta(minutes=1)}
STORE_ERRORS = (BaseError, FileNotFoundError)
"""What obstore raises: for what is not there it is Python's own error."""

_DENIED = re.compile(
    r"status code: 40[13]\b|AccessDenied|Access ?Denied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|"
    r"InvalidToken|InvalidClientTokenId|UnrecognizedClient|TokenRefreshRequired|NoCredential|PartialCredential|"
    r"Unable to locate credentials|CredentialRetrievalError|AuthorizationFailure|AuthenticationFailed|"
    r"169\.254\.169\.254|metadata\.google\.internal"
)
"""How stores and token services spell that they refuse. The last two: nothing in the environment names credentials,
so the machine's own role was asked for, and there is no such service."""

_PERMANENT = re.compile(r"status code: 4(?!08|29)\d\d|not found", re.IGNORECASE)


def open_store(url: str, options: Mapping[str, str]) -> ObjectStore:
    """A store below a url; plain http only where the endpoint asks for it (test servers).

    Args:
        url: s3://bucket/folder, gs://…, az://… or abfss://….
        options: As obstore takes them (`endpoint`, `region`, …).
    """
    return from_url(url, **settings(options))


def settings(options: Mapping[str, str]) -> dict[str, Any]:
    """Options of a store with retries added, and plain http allowed where the endpoint asks for it."""
    plain = options.get("endpoint", "").startswith("http://")
    return {**options, "retry_config": RETRY} | ({"client_options": {"allow_http": True}} if plain else {})


def download(answer: GetResult, target: Path) -> None:
    """Write the body of an answer to a file; the file is there only once it is whole.

    Args:
        answer: Of a GET request; its body is read once.
        target: A local file.
    """
    partial = target.with_name(f"{target.name}.partial")
    with partial.open("wb") as out:
        for chunk in answer.stream(min_chunk_size=CHUNK):
            out.write(chunk)
    partial.rename(target)


def classified(what: str, error: Exception) -> SourceError:
    """An error of obstore or botocore as one of ours, on one line.

    Args:
        what: The url or pattern that was asked for.
        error: One of `STORE_ERRORS`, or botocore's `BotoCoreError` or `ClientError`.

    Returns:
        DeniedError where access is refused, TransientError where the store did not answer well,
        PermanentError for everything else, such as a bucket that does not exist.
    """
    said = " ".join(str(error).split())[:300]
    name = type(error).__name__
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or _DENIED.search(f"{name} {said}"):
        return DeniedError(
            f"{what}: the store refuses access ({said})",
            "Check that the credentials are there and not expired, and that they may list and read it.",
        )
    if isinstance(error, NotFoundError | FileNotFoundError) or _PERMANENT.search(said) or not _passing(error):
        return PermanentError(
            f"{what}: the store refuses ({said})",
            "Check the names of bucket, prefix and export in site.yaml.",
        )
    return TransientError(f"{what}: the store gave no good answer ({said})", "Run the same days again.")


def _passing(error: Exception) -> bool:
    """Whether time may heal it: obstore's unclassified errors, and botocore's of the line and of throttling."""
    if isinstance(error, GenericError):
        return True
    from botocore.exceptions import ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as LineError

    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return bool(status in (408, 429) or status >= 500)
    return isinstance(error, HTTPClientError | LineError)

"""AWS sessions: whose credentials a source works with, and the role it assumes with them.

What belongs here: credentials, for S3 and for any other API of AWS. What does not: the APIs themselves. A source
that declares the resource `boto3` works with the session the composition root supplies under that name; else it
makes its own from the profile, the environment or the machine's role.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from energy_assets.sources.errors import DeniedError

RESOURCE = "boto3"
"""The name of the Dagster resource: a `boto3.Session`."""

DEFAULT_REGION = "us-east-1"
SESSION_NAME = "energy-assets"


def open_session(options: Mapping[str, str], supplied: Any = None) -> Any:
    """A boto3 session, with the credentials of `role_arn` where one is named.

    Args:
        options: `region`, `profile`, `role_arn`, `external_id`, and `endpoint_url` of STS for tests; those not
            given are absent.
        supplied: A `boto3.Session` to start from instead of `profile`; usually `step.resources.get(RESOURCE)`.

    Returns:
        A `boto3.Session`; botocore renews the credentials of a role before they expire.

    Raises:
        DeniedError: no credentials, or no such profile.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        base = supplied or boto3.Session(profile_name=options.get("profile"), region_name=options.get("region"))
        if base.get_credentials() is None:
            raise _no_credentials("none are configured")
    except BotoCoreError as error:
        raise _no_credentials(str(error)) from error
    return _assumed(base, options) if "role_arn" in options else base


def _no_credentials(reason: str) -> DeniedError:
    return DeniedError(
        f"there are no AWS credentials ({reason})",
        "Give this machine a role, set AWS_PROFILE or AWS_ACCESS_KEY_ID, or name a `profile` in site.yaml.",
    )


def _assumed(base: Any, options: Mapping[str, str]) -> Any:
    """A session with the credentials of a role; STS is asked when they are first needed."""
    import boto3
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        CredentialProvider,
        CredentialResolver,
        DeferredRefreshableCredentials,
    )
    from botocore.session import Session

    region = options.get("region") or base.region_name or DEFAULT_REGION
    external = {"ExternalId": options["external_id"]} if "external_id" in options else {}
    fetcher = AssumeRoleCredentialFetcher(
        partial(base.client, region_name=region, endpoint_url=options.get("endpoint_url")),
        base.get_credentials(),
        options["role_arn"],
        extra_args={"RoleSessionName": SESSION_NAME, **external},
    )

    class Role(CredentialProvider):
        METHOD = "assume-role"

        def load(self) -> DeferredRefreshableCredentials:
            return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)

    session = Session()
    session.register_component("credential_provider", CredentialResolver([Role()]))
    return boto3.Session(botocore_session=session, region_name=region)

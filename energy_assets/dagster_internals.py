"""The one file that imports Dagster's private modules (`dagster._…`), each for a stated reason.

What belongs here: what this package needs of Dagster and no public name offers, with the reason beside it and a test
in `test_dagster_internals.py` that fails when the private name moves or behaves otherwise. What does not: anything
`import dagster` can do. Imports Dagster alone, so that every floor may use it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

# `dagster dev` starts its web server as a module of a fixed name and has no argument for middleware. `ui_guard` runs
# the same command, with a module of ours in that place which adds the guard to Dagster's own list of middleware.
from dagster._cli import dev as _dev
from dagster._cli.dev import dev_command as _dev_command

# The names of the tags by which Dagster finds data versions again. They are part of what it stores and documented for
# reading, but no public name spells them; a typo would silently make every partition look stale.
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

# A step over a range of partitions gets one data version for all of them (dagster#34013, open): a day alone would
# have another version than the same day in a range. This mark on a result makes Dagster log no materializations of
# its own, so that the step logs one per partition; the public `MaterializeResult` has no such switch.
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

# What Ctrl-C becomes while a run starts or ends. `execute_in_process` raises it, and no public error is its base.
from dagster._core.errors import DagsterExecutionInterruptedError

# Dagster's own SQLite event log opens a database anew for every event. `operations/event_log.py` keeps it open, for
# which there is no setting: 12 empty assets over 7 days take 0.7 s instead of 2.5 s. The second name is the argument
# by which Dagster makes what dagster.yaml names.
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

__all__ = [
    "ConfigurableClassData",
    "DagsterExecutionInterruptedError",
    "SqliteEventLogStorage",
    "run_dagster_command",
    "run_guarded_webserver",
    "version_tags",
    "without_automatic_events",
]


def without_automatic_events(result: dg.MaterializeResult[None]) -> dg.MaterializeResult[None]:
    """The result, for which Dagster logs no materialization of its own.

    The step logs one `AssetMaterialization` per partition with `context.log_event`, each with its own `version_tags`
    and metadata; what it does not log is not materialized. Check results within `result` are recorded as always, and
    steps downstream run. Metadata of `result` and of `context.add_asset_metadata` reaches no materialization.
    """
    return result._replace(metadata={**(result.metadata or {}), SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})


def version_tags(
    context: dg.AssetExecutionContext, data_version: str, code_version: str, inputs: Mapping[dg.AssetKey, str]
) -> dict[str, str]:
    """Tags that give a materialization its data version and say what it was made of, as Dagster writes them itself.

    Args:
        context: Of the step that made it.
        data_version: Of the partition; equal for equal content.
        code_version: Of what made it.
        inputs: Data version of each upstream asset. All of them: one that is missing here makes the partition stale.

    Returns:
        What `AssetMaterialization(tags=…)` takes.
    """
    tags = {
        DATA_VERSION_TAG: data_version,
        DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
        CODE_VERSION_TAG: code_version,
    }
    for key, version in inputs.items():
        tags[get_input_data_version_tag(key)] = version
        tags[get_input_event_pointer_tag(key)] = _newest_event(context, key)
    return tags


def _newest_event(context: dg.AssetExecutionContext, key: dg.AssetKey) -> str:
    """The newest materialization of an upstream asset when the step began, by its number in the event log.

    Dagster calls a partition stale if its upstream partition got another version after this event. Asking the event
    log now would hide what came while the step ran, so this is what Dagster itself noted before it started the step.
    """
    noted = context.get_step_execution_context().maybe_fetch_and_get_input_asset_version_info(key)
    return str(noted.storage_id) if noted else NULL_EVENT_POINTER


def run_dagster_command(webserver: str) -> None:
    """`dagster dev` with the arguments of this process after the first, and another module as its web server.

    Args:
        webserver: Takes the arguments of `dagster_webserver`.
    """
    start = _dev.open_ipc_subprocess  # type: ignore[attr-defined]

    def start_ours(parts: Sequence[str], **options: Any) -> Any:
        return start([webserver if part == "dagster_webserver" else part for part in parts], **options)

    _dev.open_ipc_subprocess = start_ours  # type: ignore[attr-defined]
    _dev_command(args=sys.argv[2:], prog_name="dagster dev")


def run_guarded_webserver(guard: Any, **options: Any) -> None:
    """Dagster's web server with the arguments of this process, and one more middleware in front of all others.

    Args:
        guard: The middleware.
        options: For it.
    """
    from dagster_webserver.cli import main
    from dagster_webserver.webserver import DagsterWebserver
    from starlette.middleware import Middleware

    build = DagsterWebserver.build_middleware

    def with_guard(self: DagsterWebserver[Any, Any]) -> list[Middleware]:
        return [Middleware(guard, **options), *build(self)]

    DagsterWebserver.build_middleware = with_guard  # type: ignore[method-assign]
    main()  # type: ignore[no-untyped-call]

"""What a source is: a block of site.yaml that can collect bytes, parse them, and check itself.

A source fills the contract of its feed (`energy_assets.contracts.raw`) and knows nothing of what happens
upstairs. `plan` is the only method that talks to the world; `parse` is pure: the same objects give the same
rows, today and in ten years.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import ibis
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from energy_assets.contracts import vocabulary
from energy_assets.contracts.vocabulary import Feed, OneOf
from energy_assets.landing import Fetched, Landed, Landing
from energy_assets.periods import DayRange
from energy_assets.secrets import credential_in_url
from energy_assets.sources.errors import SourceError

GhgScope = Annotated[str, OneOf(vocabulary.GhgScope)]
SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]


def _texts(block: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a block by its key."""
    if isinstance(block, str):
        yield key, block
    elif isinstance(block, Mapping):
        for name, value in block.items():
            yield from _texts(value, f"{key}.{name}" if key else str(name))
    elif isinstance(block, list | tuple):
        for value in block:
            yield from _texts(value, key)


_WAYS_IN = {"token": "token: env:NAME", "basic_auth": "basic_auth: {username: …, password: env:NAME}"}
"""Keys that take credentials as references, with how each is written."""
_BUCKETS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
    "gs": "GOOGLE_SERVICE_ACCOUNT, which names the file of the account's key",
}
"""The environment variables that obstore reads the credentials of each kind of bucket from."""


def _credentials_go(block: type[BaseModel], key: str, url: str) -> str:
    """Where the credentials of a url belong instead, in the keys that its block has or in the environment.

    Args:
        block: The model of the block.
        key: Of the url within it.
        url: As it is given.
    """
    ways = [text for name, text in _WAYS_IN.items() if name in block.model_fields]
    if ways:
        return f"Take it out, put it into an environment variable, and name that: {', or '.join(ways)}"
    scheme = url.partition("://")[0]
    store = "s3" if "endpoint" in key else {"abfss": "az"}.get(scheme, scheme)
    names = _BUCKETS.get(store, "; ".join(_BUCKETS.values()))
    options = ", or from `options` beside `root`, as references (env:NAME)" if key.startswith("storage.") else ""
    return f"Take it out: credentials come from the environment ({names}) or the machine's role{options}"


class Strict(BaseModel):
    """A block of site.yaml: unknown keys are errors, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_credentials_in_urls(cls, block: Any) -> Any:
        """Urls are printed, and kept in receipts: a credential in one is refused, and not repeated."""
        for key, value in _texts(block):
            if found := credential_in_url(value):
                raise ValueError(f"the url in `{key}` holds {found}: a secret. {_credentials_go(cls, key, value)}")
        return block


GridZone = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, min_length=1)]
"""A grid zone as Electricity Maps writes it, in capitals: `de` in a site file means DE, and finds its factors."""


_ON_PREMISES = re.compile(r"(on|in)[ _.-]*(prem(ise)?s?|house)|own|self[ _.-]*hosted", re.IGNORECASE)


def provider_name(value: str) -> str:
    """A provider as site.yaml names it.

    Args:
        value: As it stands there.

    Raises:
        ValueError: it is another spelling of `onprem`, which would make own machines a bought service.
    """
    if value != "onprem" and _ON_PREMISES.fullmatch(value.strip()):
        raise ValueError(f"machines of one's own are written `onprem`, and '{value}' would be a provider of services")
    return value


class Place(Strict):
    """Where machines stand: decides the grid and the building's overhead."""

    provider: Annotated[str, AfterValidator(provider_name)] = Field("onprem", description="aws, gcp, azure, onprem …")
    account_id: str | None = Field(None, description="account, tenant or cost centre")
    region: str = Field(description="region or site name")
    zone: GridZone | None = Field(
        None, description="grid zone as Electricity Maps names it, for example DE or US-CAL-CISO"
    )
    pue: Decimal | None = Field(
        None, ge=1, le=5, max_digits=5, decimal_places=3, description="power usage effectiveness of the building"
    )
    ghg_scope: GhgScope | None = Field(
        None, description="scope2 for own machines (default on premises), scope3.1 for bought services, scope3.8 leased"
    )
    wue: Decimal | None = Field(
        None, ge=0, le=20, max_digits=8, decimal_places=6,
        description="litres of water for cooling per kWh of the machines (water usage effectiveness)",
    )  # fmt: skip

    @property
    def scope(self) -> str:
        """Where a kWh of this place belongs: Scope 2 on premises, Scope 3.1 elsewhere, unless the site says."""
        scope = vocabulary.GhgScope.SCOPE2 if self.provider == "onprem" else vocabulary.GhgScope.SCOPE31
        return self.ghg_scope or scope.value


@dataclass(frozen=True)
class Unit:
    """One piece of collecting that succeeds or fails as a whole.

    Attributes:
        days: The days this piece is needed for; when it fails, these days fail and no others.
        label: For progress and errors.
        fetch: Does the work; everything it returns is landed for the days each answer names. It may yield
            `Incomplete` for days it cannot deliver whole, and go on.
    """

    days: tuple[date, ...]
    label: str
    fetch: Callable[[], Iterable[Fetched | Incomplete]]


@dataclass(frozen=True)
class Incomplete:
    """Days that a unit cannot deliver whole although the rest of it goes on: one unreadable file among many.

    Attributes:
        days: These days fail; days that were not asked for are passed over.
        error: Why.
    """

    days: frozenset[date]
    error: SourceError


@dataclass(frozen=True)
class Parsed:
    """Rows in the feed's raw contract, and what had to be left out.

    Attributes:
        rows: An Ibis table on the step's connection with exactly the columns of the contract.
        notes: Counts worth telling, by a name of `energy_assets.sources.notes`, for example
            `negative_readings_dropped`.
        examples: By the name of a note: the first few things it is about (a file and line, a series, a host).
        stored: The rows lie in files or tables already, so that picking one day of them costs little.
    """

    rows: ibis.Table
    notes: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stored: bool = False


@dataclass(frozen=True)
class Finding:
    """One line of `energy-assets doctor`.

    Attributes:
        ok: Nothing is to be done.
        what: A sentence without a full stop.
        remedy: What to do.
        notes: Names under which `Parsed.notes` counts the same things, so that each is told once.
    """

    ok: bool
    what: str
    remedy: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeenNode:
    """A host that a source sees now, for `energy-assets doctor`.

    Attributes:
        node_id: Its name as rows of the source write it.
        device_kind: What the source meters of it; a host with several kinds is told of several times.
        provider: Where it is; None where the source's `place` block says so.
        account_id: As `provider`.
        region: As `provider`.
        first: First day it was seen on, where the source knows.
        last: Last day.
        gpus: Its GPUs as rows of the source name them, where it tells of GPUs.
    """

    node_id: str
    device_kind: str
    provider: str | None = None
    account_id: str | None = None
    region: str | None = None
    first: date | None = None
    last: date | None = None
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeenBill:
    """A bill that a source is known to hold, for `energy-assets doctor`.

    Attributes:
        provider: Who bills.
        billing_account_id: Whom; None where the bill does not say.
        billing_period: First day of its period.
    """

    provider: str
    billing_account_id: str | None
    billing_period: date


@dataclass(frozen=True)
class SeenZone:
    """A grid zone that a source has intensities of, for `energy-assets doctor`.

    Attributes:
        zone: As rows of the source write it.
        first: First day it knows something of.
        last: Last day.
    """

    zone: str
    first: date
    last: date


@dataclass(frozen=True)
class StepContext:
    """What a source may use while it works.

    Attributes:
        con: An Ibis backend (DuckDB in memory) that lives as long as the step.
        landing: Where raw objects are read from.
        folder: A temporary folder for spooled objects.
        site_folder: The folder of site.yaml; relative paths start there.
        zones: Every grid zone the site has machines in, or billed use.
        billed_zones: Those of them that only bills tell of: a source that does not serve one goes on without it.
        now: The current instant, UTC.
        log: Of the run.
        resources: By name, those of `Source.resources` that the composition root supplies.
    """

    con: Any
    landing: Landing
    folder: Path
    site_folder: Path
    zones: tuple[str, ...]
    now: datetime
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("energy_assets"))
    billed_zones: frozenset[str] = frozenset()
    resources: Mapping[str, Any] = field(default_factory=dict)

    def read(self, landed: Landed) -> bytes:
        """The raw bytes of a landed object.

        Args:
            landed: From the edition of a day.
        """
        return self.landing.read(landed.sha256)

    def spool(self, landed: Landed, suffix: str = "") -> Path:
        """The raw bytes of a landed object as a local file.

        Args:
            landed: From the edition of a day.
            suffix: End of the file's name, for readers that tell the format by it.
        """
        return self.landing.spool(landed.sha256, self.folder, suffix)


class Source(Strict, ABC):
    """Base of every source; its fields are the keys of its block in site.yaml."""

    feeds: ClassVar[Feed]
    parser_version: ClassVar[str] = "1"
    title: ClassVar[str]
    engine_kind: ClassVar[str] = "http"
    """Shown as the asset's kind in the Dagster UI, for example `prometheus` or `csv`."""
    restates: ClassVar[bool] = False
    """Whether days collected before are collected again when `code_version` becomes another one."""
    grain: ClassVar[Literal["day", "month"]] = "day"
    """What one partition of its raw table holds. A monthly source names months by their first days."""
    resources: ClassVar[frozenset[str]] = frozenset()
    """Names of the Dagster resources this kind works with, handed over in `StepContext.resources`. One that nobody
    passes is an error when definitions load, unless the kind can make its own (`energy_assets.resources`)."""

    speaks_of_every_day: ClassVar[bool] = True
    """Whether a day without a row is one that something is missing of; not where it states what stands in for others,
    and only for some years."""

    name: SourceName = Field(description="unique name; the raw asset is called raw/<name>")
    kind: str

    @property
    def code_version(self) -> str:
        """What its rows are made with: another one where days that were collected before may say something else now.

        More than the parser's version only where the source itself states what it says, in site.yaml or a table of
        ours: then the automation collects these days again (`restates`).
        """
        return self.parser_version

    @property
    def trailing_days(self) -> int:
        """How many days back, counted from yesterday, the publisher still changes what it said.

        A nightly run collects these days again; what did not change lands nothing and refreshes nothing. 0: what
        was said once stays.
        """
        return 0

    @abstractmethod
    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """Split the collecting of `days` into units.

        Which requests a day gets never depends on the range it is part of, so that a day collected alone lands
        the same bytes.

        Args:
            days: The days wanted, days that are not over included.
            step: What the source may use.

        Raises:
            SourceError: nothing can be collected at all.
        """

    @abstractmethod
    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """Turn landed objects into rows of `days`; pure in the objects and their requests.

        Called once for each stretch of days that share the same objects.

        Args:
            objects: In the order in which they were fetched.
            days: The stretch; rows of other days are dropped.
            step: What the source may use; nothing is asked of the world.

        Returns:
            Rows of the feed's raw contract, and counts of what was left out.

        Raises:
            MalformedError: the bytes are not what the format promises; names the object.
        """

    @abstractmethod
    def check(self, step: StepContext) -> Iterable[Finding]:
        """Try the source live, without landing anything: reachable, allowed, and does it have data?"""

    def repeats(self, other: Source) -> str:
        """Why another source of the site file brings the same data as this one; empty where it does not.

        Args:
            other: A source before this one in the site file.
        """
        return ""

    def foresee(self, days: Collection[date], step: StepContext) -> Iterable[Finding]:
        """What days that are to be run will lack, asked cheaply; nothing unless a kind says so.

        Args:
            days: Days of the site that were never collected.
            step: What the source may use; nothing is landed.

        Raises:
            SourceError: the source cannot say so now.
        """
        return ()

    def observe(self, step: StepContext) -> Iterable[SeenNode | SeenBill | SeenZone]:
        """Which hosts, bills or grid zones the source knows of, asked cheaply; nothing unless a kind says so.

        The doctor compares what all sources see: hosts under two names, bills that come twice, places in zones that
        no source has.

        Args:
            step: What the source may use; nothing is landed.

        Raises:
            SourceError: the source cannot say so now.
        """
        return ()


class PlacedSource(Source, ABC):
    """A source whose machines stand in one place."""

    place: Place

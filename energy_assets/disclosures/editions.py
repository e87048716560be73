"""Editions of a report: what each said, of which versions of the tables, and why it differs from the one before.

What belongs here: the record of an edition, and where records lie. What does not: the files of a report (`shelf`),
what makes two editions differ (`causes`), and what of it is worth telling (`restating`).

A record is written once, below `<root>/editions/<profile>/<period>/`, when a report was made whose files differ from
those of the edition before. It is named by its own hash, so that damage shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import obstore
from obstore.store import ObjectStore

from energy_assets.disclosures.figures import Figure, FigureBook, canonical
from energy_assets.disclosures.methods import QUANTITIES
from energy_assets.integrity import DamagedError
from energy_assets.periods import Period

When = Literal["period", "year", "around"]
ROOT = "editions"
SCHEMA = "energy-assets/edition/1"
STAMP = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True)
class Fact:
    """A figure that an edition printed, as far as another edition can be compared with it.

    Attributes:
        id: Of the figure in that edition.
        metric: What is measured.
        label: The same for a reader.
        period: First and last day, ISO, both included.
        dimensions: The cut.
        operation: How the value follows from rows.
        value: The exact value as a decimal string; None where it was not known.
        unit: Of the value.
        reads: The columns it was made of, each as `table.column`; of counted rows `table.`.
    """

    id: str
    metric: str
    label: str
    period: tuple[str, str]
    dimensions: Mapping[str, str]
    operation: str
    value: str | None
    unit: str
    reads: tuple[str, ...]

    @property
    def key(self) -> str:
        """Equal for the same question in two editions."""
        return canonical([self.metric, dict(self.dimensions), list(self.period), self.operation, self.unit])

    @property
    def number(self) -> Decimal | None:
        """The exact value."""
        return None if self.value is None else Decimal(self.value)


@dataclass(frozen=True)
class Cause:
    """One thing that is otherwise than it was when the edition before was made.

    Attributes:
        kind: Late data, revised grid …: a value of `causes.Kind`.
        says: What changed, for a reader, with the days.
        feed: The feed of the source it came through; None where it came through none.
        when: Whether days of the period itself changed, others of its year, or of the years around it.
        table: The table it can reach; empty for all that the feed is in.
        metrics: How the names of the quantities begin that it can reach; empty for all.
    """

    kind: str
    says: str
    feed: str | None = None
    when: When = "period"
    table: str = ""
    metrics: str = ""


@dataclass(frozen=True)
class MadeWith:
    """What a report is made with besides the tables, so that another edition can be told from it.

    Attributes:
        release: Version of the package.
        lock_sha256: Hash of its dependency lock file; None for an installed package.
        site: By key of the site file, a hash of what stands there.
        factors: By file of factors, ours and the site's own, its sha256.
        profile_sha256: Hash of the profile's file.
        stated: What the site file states in a report: organisation, targets, its own indicators, basis of the factors.
    """

    release: str
    lock_sha256: str | None
    site: Mapping[str, str]
    factors: Mapping[str, str]
    profile_sha256: str
    stated: Mapping[str, Any]


@dataclass(frozen=True)
class ReportEdition:
    """A report as it was at a time.

    Attributes:
        profile: Name of the profile.
        period: What was reported, as it is written: `2026-09`.
        made_at: When its files were there, UTC, ISO.
        files: By name, the sha256 of each, without what may differ between two equal reports.
        days: Days with data, ISO.
        complete: Whether these are all days of the period.
        versions: Version of every table of the lake, those of the sources among them.
        made_with: Everything else that decides what it says.
        facts: Its figures that are read from tables.
        causes: What is otherwise than when the edition before was made; empty for the first.
    """

    profile: str
    period: str
    made_at: str
    files: Mapping[str, str]
    days: tuple[str, ...]
    complete: bool
    versions: Mapping[str, int]
    made_with: MadeWith
    facts: tuple[Fact, ...]
    causes: tuple[Cause, ...] = ()

    @property
    def at(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made_at)

    @property
    def named(self) -> str:
        """The first whole second after it was made, as `--as-of` takes it."""
        return f"{self.at + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"

    @property
    def address(self) -> str:
        """One hash over its files: two editions of the same bytes have the same."""
        return hashlib.sha256(canonical(dict(self.files)).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"schema": SCHEMA, **asdict(self)}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> ReportEdition:
        """The inverse of `to_json`.

        Args:
            content: As it was written.
        """
        known = {name: value for name, value in content.items() if name != "schema"}
        return ReportEdition(
            **{
                **known,
                "days": tuple(known["days"]),
                "made_with": MadeWith(**known["made_with"]),
                "facts": tuple(
                    Fact(**{**one, "period": tuple(one["period"]), "reads": tuple(one["reads"])})
                    for one in known["facts"]
                ),
                "causes": tuple(Cause(**one) for one in known["causes"]),
            }
        )


def facts_of(book: FigureBook) -> tuple[Fact, ...]:
    """The figures of a report that are read from tables; what is stated, or computed from others, is none.

    Args:
        book: Of the report.
    """
    return tuple(
        Fact(
            figure.id,
            figure.metric,
            figure.label,
            figure.period,
            dict(figure.dimensions),
            figure.operation,
            figure.value,
            figure.unit,
            _reads(figure),
        )
        for figure in book
        if figure.inputs
    )


def _reads(figure: Figure) -> tuple[str, ...]:
    """The columns behind a figure: of a KPI's rows those of the lake that they add up."""
    rows = [item.base or item.selection for item in figure.inputs]
    quantity = QUANTITIES.get(figure.metric)
    if quantity and any(one.table.startswith("kpis_") for one in rows):
        sides = (quantity.numerator, quantity.denominator)
        rows = [side.rows for side in sides if side] or rows
    return tuple(sorted({f"{one.table}.{name}" for one in rows for name in one.columns or ("",)}))


def write_edition(store: ObjectStore, edition: ReportEdition) -> ReportEdition | None:
    """Record an edition, unless the newest one of its report has the same files.

    Args:
        store: At the root of the storage.
        edition: With any `made_at`; that of the record is now.

    Returns:
        The record; None where there is nothing new.
    """
    known = read_editions(store, edition.profile, edition.period)
    if known and known[-1].address == edition.address:
        return None
    now = datetime.now(UTC)
    edition = replace(edition, made_at=now.isoformat(timespec="microseconds"))
    text = canonical(edition.to_json()).encode()
    name = f"{now.strftime(STAMP)}-{hashlib.sha256(text).hexdigest()}.json"
    obstore.put(store, f"{ROOT}/{edition.profile}/{edition.period}/{name}", text, mode="create")
    return edition


def read_editions(store: ObjectStore, profile: str, period: str, before: datetime | None = None) -> list[ReportEdition]:
    """The editions of a report, oldest first.

    Args:
        store: At the root of the storage.
        profile: Name of the profile.
        period: As it is written.
        before: The first moment whose editions are no longer read; None reads all.

    Raises:
        DamagedError: a record is not what was written.
    """
    found = [_read(store, key) for key in keys(store, f"{ROOT}/{profile}/{period}/")]
    return sorted((one for one in found if before is None or one.at < before), key=lambda one: one.at)


def reports_with_editions(store: ObjectStore) -> list[tuple[str, str]]:
    """Profile and period of every report of which there is an edition, in order of time.

    Args:
        store: At the root of the storage.
    """
    named = {tuple(key.split("/")[1:3]) for key in keys(store)}
    return sorted(((profile, period) for profile, period in named), key=lambda one: (Period.parse(one[1]).first, one))


def keys(store: ObjectStore, prefix: str = f"{ROOT}/") -> list[str]:
    """Where records lie, in order.

    Args:
        store: At the root of the storage.
        prefix: Of those asked for.
    """
    return sorted(one["path"] for batch in obstore.list(store, prefix) for one in batch)


def edition_fault(store: ObjectStore, key: str) -> str:
    """What is wrong with a record; empty where nothing is.

    Args:
        store: At the root of the storage.
        key: From `keys`.
    """
    try:
        _read(store, key)
    except DamagedError:
        return "it is not what was written"
    return ""


def _read(store: ObjectStore, key: str) -> ReportEdition:
    text = bytes(obstore.get(store, key).bytes())
    try:
        if hashlib.sha256(text).hexdigest() != key.rpartition("-")[2].removesuffix(".json"):
            raise ValueError(key)
        return ReportEdition.from_json(json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError(
            f"the record {key} of an edition of a report is not what was written",
            "The command `repair --set-aside` moves it out of the way; what it said is then lost.",
        ) from error


def of_period(facts: Sequence[Fact], period: Period) -> dict[str, Fact]:
    """The facts of a whole period, by key: not those of its days or of the period before.

    Args:
        facts: Of an edition.
        period: What it reports on.
    """
    span = (period.first.isoformat(), period.last.isoformat())
    return {one.key: one for one in facts if one.period == span}

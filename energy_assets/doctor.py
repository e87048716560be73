"""The doctor: every source tried live, and what they see and bring compared, without keeping anything.

What belongs here: findings about sources together, with the lines of site.yaml that settle them. What does not: what
one source finds about itself (`check`), and the rules by which hosts are named, places resolved and bills counted;
those are the run's own (`contracts.nodes`, `contracts.meters`, `contracts.bills`, `factors.places`, `unified.cost`).
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts.accounts import account_key
from energy_assets.contracts.bills import BILLS_LOOK_ALIKE, look_alike
from energy_assets.contracts.regions import region_key
from energy_assets.contracts.vocabulary import Feed, GhgScope
from energy_assets.factors.editions import BEGINNING, END
from energy_assets.factors.places import (
    Member,
    Resolved,
    members_of,
    resolve,
    site_zones,
)
from energy_assets.grid_coverage import grid, rivals
from energy_assets.host_names import SHOWN, hosts, placed
from energy_assets.lake import Lake
from energy_assets.proposed_lines import added, place_name, quoted
from energy_assets.secrets import SecretError
from energy_assets.site import STATED_OF_A_PLACE, Site, SitePlace
from energy_assets.sources.base import Finding, Place, SeenBill, SeenNode, SeenZone, Source, StepContext
from energy_assets.sources.errors import SourceError
from energy_assets.tables import COST
from energy_assets.trial import Trials
from energy_assets.unified.cost import owners

_HELD = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "provider", "billing_account_id")),
        ("precedence", pa.int64()),
        ("billing_period", pa.date32()),
        ("day", pa.date32()),
    ]
)


@dataclass(frozen=True)
class Chapter:
    """Findings about one source, or about what sources see together.

    Attributes:
        name: The source, or what is compared.
        about: The kind of source, or what the findings say.
        findings: In order.
    """

    name: str
    about: str
    findings: list[Finding]


def examine(site: Site) -> Iterator[Chapter]:
    """Each source, those of intensities last; then hosts, places, zones and bills, where there is something to say."""
    with tempfile.TemporaryDirectory() as folder:
        con = ibis.duckdb.connect()
        con.raw_sql("SET TimeZone = 'UTC'")
        step = StepContext(
            con=con,
            landing=site.disk().landing(),
            folder=Path(folder),
            site_folder=site.folder,
            zones=site_zones(site),
            now=datetime.now(UTC),
        )
        nodes: dict[str, list[SeenNode]] = {}
        bills: dict[str, list[SeenBill]] = {}
        zones: dict[str, list[SeenZone]] = {}
        trials = Trials(site, step)
        # Last what is tried for the days and zones in which the others have energy.
        late = (Feed.GRID_INTENSITY, Feed.INSTRUMENTS, Feed.INVOICES)
        for source in sorted(site.sources, key=lambda one: one.feeds in late):
            findings, seen = _look(source, step)
            if not findings or any(finding.ok for finding in findings):
                said = {said for finding in findings for said in (finding.what, *finding.notes)}
                findings += [one for one in trials.of(source) if not {one.what, *one.notes} & said]
            nodes[source.name] = [one for one in seen if isinstance(one, SeenNode)]
            bills[source.name] = [one for one in seen if isinstance(one, SeenBill)]
            zones[source.name] = [one for one in seen if isinstance(one, SeenZone)]
            yield Chapter(source.name, source.kind, together(findings))
        rows = placed(site, nodes, step.now.date())
        yield from _chapter("hosts", "one host may have several names", hosts(con, site, rows))
        yield from _chapter("energy", "what sources tell together", trials.together())
        yield from _chapter("places", "where machines stand", places(con, site, rows))
        gaps = list(grid(site, step.zones, nodes, zones)) or trials.unserved()
        gaps = [*gaps, *rivals(site, step.zones)]
        yield from _chapter("intensities", "every machine's grid zone has one", gaps)
        counted = [*same_bills(con, site.feeding(Feed.COST), bills), *alike_bills(con, site)]
        yield from _chapter("bills", "each counts once", counted)


def together(findings: Iterable[Finding]) -> list[Finding]:
    """What is wrong with many files in the same words, said once: the first of them, and how many more.

    Args:
        findings: Of one source; what is said of one file begins with its name and a colon.
    """
    alike: dict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for number, finding in enumerate(findings):
        name, _, rest = finding.what.partition(": ")
        same = (rest, finding.remedy.replace(name, "")) if rest and not finding.ok else (str(number),)
        alike[*same, *finding.notes].append(finding)
    return [_of_all(several) for several in alike.values()]


def _of_all(several: Sequence[Finding]) -> Finding:
    one, more = several[0], len(several) - 1
    return replace(one, what=one.what.replace(": ", f" and {more} more: ", 1)) if more else one


def places(con: Any, site: Site, rows: ir.Table) -> Iterator[Finding]:
    """Zone, PUE and scope of each place since the site's start and who says so; what nobody says, with lines for it.

    Args:
        con: An Ibis DuckDB connection.
        site: The site file.
        rows: Hosts seen, with their place.
    """
    members = [Member(name, p.provider, p.account_id, p.region) for name, p in site.source_places.items()]
    announced = [p for p in site.places if p.region and not any(_covers(b, p) for b in site.source_places.values())]
    members += [Member("", p.provider, p.account_id, p.region) for p in announced]
    seen = con.create_table("doctor_seen", rows, temp=True, overwrite=True)
    members += members_of(seen)
    said: dict[tuple[Any, ...], list[Resolved]] = defaultdict(list)
    every = resolve(members, site.source_places, site.places)
    for entry in (one for one in _as_of_the_last_edition(every) if one.valid_to > site.start):
        where = region_key(entry.member.provider, entry.member.region or "")
        key = (*where, entry.valid_from, entry.valid_to)
        said[(*key, entry.zone, entry.pue, entry.ghg_scope, entry.wue, entry.said_by)].append(entry)
    for entries in said.values():
        yield _placing(entries)
    yield from _without_effect(site, [one for one in every if one.valid_to > site.start])


def _as_of_the_last_edition(found: Sequence[Resolved]) -> Iterator[Resolved]:
    """Stretches that differ in the years of our tables alone as one, with the last of them; `factors` lists all."""

    def stated(one: Resolved) -> tuple[Any, ...]:
        years = [(one.pue, one.said_by[1], one.standing[1]), (one.wue, one.said_by[3], one.standing[3])]
        return one.member, one.zone, one.ghg_scope, *((value, by) for value, by, ours in years if ours is None)

    for _, alike in groupby(found, stated):
        first, *others = alike
        yield replace(others[-1], valid_from=first.valid_from) if others else first


def _without_effect(site: Site, resolved: Sequence[Resolved]) -> Iterator[Finding]:
    """What lines under `places` state and no place known takes from them, because blocks of sources go first."""
    used = {(line, name) for one in resolved for line, name in zip(one.said_by, STATED_OF_A_PLACE, strict=True)}
    for number, place in enumerate(site.places):
        line = f"site.yaml places[{number}]"
        if (place.valid_to or END) <= site.start:
            continue
        stated = [name for name in STATED_OF_A_PLACE if getattr(place, name) is not None]
        before = {
            (name, source)
            for source, block in site.source_places.items()
            for name in stated
            if _covers(block, place) and getattr(block, name) is not None and (line, name) not in used
        }
        lost = [name for name in stated if name in dict(before)]
        if lost:
            keys = " and ".join(f"`{name}`" for name in lost)
            what = f"{line} has" if lost == stated else f"{keys} of {line} {'has' if len(lost) == 1 else 'have'}"
            sources = sorted({source for _, source in before})
            yield Finding(
                False,
                f"{what} no effect: the `place` block of {' and of '.join(sources)} states {keys} of the same place, "
                "and goes first",
                f"Remove {keys} from the block, or from the line.",
            )


def _covers(block: Place, line: SitePlace) -> bool:
    """Whether a source's block is of the place that a line under `places` is of, so that it goes first."""
    here = region_key(block.provider, block.region)
    accounts = {account_key(here[0], one) for one in (block.account_id, line.account_id)} - {""}
    return region_key(line.provider, line.region or block.region) == here and len(accounts) < 2


def _placing(entries: Sequence[Resolved]) -> Finding:
    one = entries[0]
    zone, pue, scope, wue = one.said_by
    accounts = len({entry.member.account_id for entry in entries})
    what = place_name(one.member.provider, one.member.region) + (f" ({accounts} accounts)" if accounts > 1 else "")
    what += f" from {one.valid_from}" if one.valid_from != BEGINNING else ""
    what += f" until {one.valid_to}" if one.valid_to != END else ""
    what += f": zone {one.zone} ({zone})" if one.zone else ": zone not known"
    what += f", PUE {one.pue} ({pue})" if one.pue is not None else ", PUE not known"
    label = next(word.label for word in GhgScope if word.value == one.ghg_scope)
    what += f", {label} ({scope})"
    what += f", WUE {one.wue.normalize():f} ({wue})" if one.wue is not None else ""
    absent = [name for name, value in (("zone", one.zone), ("pue", one.pue)) if value is None]
    if not absent:
        return Finding(True, what)
    hints = {"zone": "zone: …", "pue": "pue: …"}
    region = f", region: {quoted(one.member.region)}" if one.member.region else ""
    line = f"- {{provider: {one.member.provider}{region}, {', '.join(hints[name] for name in absent)}}}"
    about = "   # its energy has no grams until then; zones as Electricity Maps names them (DE, US-CAL-CISO)"
    return Finding(False, what, added("places", [line + about]))


LOOKED_BACK = 62
"""Published days of bills that are compared: two months."""

UNNAMED = "Name it, in the block of the source that does not:   billing_account: …"


def same_bills(con: Any, sources: Sequence[Source], bills: dict[str, list[SeenBill]]) -> Iterator[Finding]:
    """Bills that are known to come from two sources, and which of them counts.

    Args:
        con: An Ibis DuckDB connection.
        sources: The sources of bills, in the order of the site file.
        bills: What each is known to hold, by source name.
    """
    if len(sources) < 2:
        return
    held = [
        {**vars(bill), "source": source.name, "precedence": rank, "day": bill.billing_period}
        for rank, source in enumerate(sources)
        for bill in bills.get(source.name, ())
    ]
    owned = owners(ibis.memtable(pa.Table.from_pylist(held, schema=_HELD)))
    twice = owned.filter(owned.source != owned.owner)
    rows = twice.group_by("provider", "contested", "owner", "source").aggregate(
        periods=twice.billing_period.nunique(), first=twice.billing_period.min(), last=twice.billing_period.max()
    )
    found = con.to_pyarrow(rows.order_by("provider", "contested", "owner", "source")).to_pylist()
    for row in found:
        span = f"{row['first']:%Y-%m}" + (f" to {row['last']:%Y-%m}" if row["periods"] > 1 else "")
        account = f" account {row['contested']}" if row["contested"] else ""
        counts = f"{row['provider']}{account}, {span}: {row['owner']} counts, the bill of {row['source']} is kept as a "
        what = f"{counts}cross-check (the first in the site file counts)"
        yield Finding(True, what) if account else Finding(False, f"{what}, for one of them names no account", UNNAMED)
    if not found:
        names = ", ".join(source.name for source in sources)
        yield Finding(True, f"{names}: no bill is known to come twice; if one does, the first in the site file counts")


def alike_bills(con: Any, site: Site) -> Iterator[Finding]:
    """Bills that look like one under two names, on the last days that were published.

    Args:
        con: An Ibis DuckDB connection.
        site: The site file.
    """
    lake = Lake(site.disk())
    days = sorted(lake.fingerprints(COST.name))[-LOOKED_BACK:]
    if not days:
        return
    alike = look_alike(lake.read(con, COST, days), {})
    pairs = alike.group_by("one", "other").aggregate(days=alike.day.nunique(), first=alike.day.min())
    for row in con.to_pyarrow(pairs.order_by("one", "other").limit(SHOWN)).to_pylist():
        count = f"{row['days']} day" + "s" * (row["days"] > 1)
        what = f"{row['one']} and {row['other']} have as many lines and the same total on {count}, first {row['first']}"
        yield Finding(False, what, f"{BILLS_LOOK_ALIKE.remedy}.")


def _chapter(name: str, about: str, findings: Iterable[Finding]) -> Iterator[Chapter]:
    if kept := list(findings):
        yield Chapter(name, about, kept)


def _look(source: Source, step: StepContext) -> tuple[list[Finding], list[SeenNode | SeenBill | SeenZone]]:
    """What a source finds about itself, and what it sees; where it raises, that is the last finding."""
    found: list[Finding] = []
    seen: list[SeenNode | SeenBill | SeenZone] = []
    try:
        for finding in source.check(step):
            found.append(finding)
        seen += source.observe(step)
    except SourceError as error:
        if error.message not in {finding.what for finding in found}:
            found.append(Finding(False, error.message, error.remedy))
    except SecretError as error:
        found.append(Finding(False, str(error)))
    return found, seen

"""The command line. What belongs here: arguments, output and exit codes. The work is done elsewhere.

What a command needs is imported when it runs: `--help` must not wait for an engine.
"""

from __future__ import annotations

import csv
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from energy_assets import __version__
from energy_assets.arguments import AS_OF, CSV, DECIMAL, GRAMS, DayType, MonthType, PeriodType
from energy_assets.clock import last_complete_day
from energy_assets.commands import SITE_VARIABLE, command, program, short
from energy_assets.counting import counted
from energy_assets.exit_codes import FAILED, HOLES, INTERRUPTED
from energy_assets.periods import DayRange, Month, Period

if TYPE_CHECKING:
    from energy_assets.doctor import Chapter
    from energy_assets.site import Site

ORDER = (
    "demo", "init", "doctor", "run", "report", "trace", "restatements", "reconcile", "opportunities", "sql", "ui",
    "repair",
)  # fmt: skip
"""The commands in the order of the road."""
EXIT_CODES = """\
Exit codes: 0 whole; 1 something failed; 2 wrong use or site file; 3 done, with holes: something that should have been
counted is missing or may be wrong, and is named; 130 interrupted."""
UNBOUNDED = 100_000
"""Columns of a terminal on which any table fits."""


class Road(click.Group):
    """The commands in the order in which they are used; ends with a sentence where Python would show a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Those of `ORDER`, then any other.

        Args:
            ctx: Of click.
        """
        return sorted(super().list_commands(ctx), key=lambda name: (ORDER.index(name) if name in ORDER else 99, name))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The road in four steps, as commands of this folder, and the exit codes.

        Args:
            ctx: Of click.
            formatter: Takes the text.
        """
        last = last_complete_day()
        steps = [
            (command("init", "site.yaml"), "then edit it"),
            (command("doctor", site=Path("site.yaml")), "what works, what to do"),
            (
                command("run", site=Path("site.yaml"), options={"from": last - timedelta(days=6), "to": last}),
                "collect and compute",
            ),
            (command("report", site=Path("site.yaml"), options={"period": str(Month.of(last))}), "PDF, XHTML, CSV"),
        ]
        with formatter.section("Your own data, in four steps"):
            for number, (line, why) in enumerate(steps, 1):
                formatter.write(f"  {number}. {line}   # {why}\n")
        formatter.write_paragraph()
        formatter.write_text(EXIT_CODES)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C and a disk that cannot be used end it with a sentence.

        Args:
            ctx: Of click.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            again = f"{program()} {shlex.join(sys.argv[1:])}"
            click.echo(f"\nInterrupted. What was published is whole and stays. Go on with:\n  {again}", err=True)
            sys.exit(INTERRUPTED)
        except Exception as error:
            from energy_assets.disk import trouble
            from energy_assets.screen import stop

            said = trouble(error)
            if said is None:
                raise
            stop(said, FAILED)


class _Later(click.Command):
    """The command of the UI, whose module is loaded when somebody calls it."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of the command itself.

        Args:
            info_name: As typed.
            args: Behind the name.
            parent: Of the group.
            extra: Of click.
        """
        from energy_assets.ui import main as served

        return served.make_context(info_name, args, parent, **extra)


site_option = click.option(
    "--site",
    "site_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=SITE_VARIABLE,
    default=Path("site.yaml"),
    show_default=True,
    help=f"The site file; also read from {SITE_VARIABLE}.",
)


as_of_option = click.option(
    "--as-of",
    "before",
    type=AS_OF,
    help="As it was known at the end of a day (UTC), or at a moment: 2026-10-01, 2026-10-01T14:30Z.",
)


def decision_options(function: Callable[..., None]) -> Callable[..., None]:
    """What a decision on an opportunity is given.

    Args:
        function: A command.
    """
    options = (
        click.argument("id_", metavar="ID"),
        click.option("--site", "site_path", type=click.Path(path_type=Path, dir_okay=False), help="The site file."),
        click.option("--on", type=DayType(), help="The day since when it holds; default: today, UTC."),
        click.option("--by", default="", metavar="NAME", help="Who decided."),
        click.option("--note", default="", help="Why, or how."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.group(cls=Road, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="energy-assets")
def main() -> None:
    """Energy, cost and carbon of AI workloads, from raw bytes to a disclosure that can be checked."""


main.add_command(_Later("ui", short_help="Serve the Dagster UI of a site."))


@main.command(short_help="Write a commented example site file.")
@click.argument("paths", nargs=-1, metavar="[PATH]")
@click.option(
    "--from-csv",
    multiple=True,
    metavar="FILE",
    help="Power readings: a file, a folder or a pattern in quotes; several times for several files. Write a site file "
    "that reads them.",
)
@click.option("--zone", help="With --from-csv: grid zone of the machine, for example DE or US-CAL-CISO.")
@click.option("--timezone", help="IANA name of the clock of times without an offset; default this machine's.")
@click.option("--node", help="Name of the machine, where no column has it; default this machine's.")
@click.option("--pue", type=DECIMAL, default=Decimal(1), help="Power usage effectiveness of the building; default 1.")
@click.option("--bill", type=CSV, help="A bill in FOCUS columns.")
@click.option(
    "--grid-factor",
    type=GRAMS,
    help="Direct gCO2e per kWh of a year, as a publisher states it; with its unit where that is another: '0.363 kg'.",
)
@click.option("--grid-lifecycle", type=GRAMS, help="The same over the life cycle.")
@click.option("--grid-source", help="Who states the factor: publisher, document, year.")
@click.option("--grid-year", type=click.IntRange(1990, 2100), help="The year it is of; default that of the readings.")
@click.option("--set", "keys", multiple=True, metavar="KEY=VALUE", help="A key of the source, for example time=Zeit.")
def init(paths: tuple[str, ...], from_csv: tuple[str, ...], zone: str | None, keys: Any, **wishes: Any) -> None:
    """Write a site file to PATH (default site.yaml): a commented example, or one for your own file of readings."""
    from energy_assets.screen import out, stop

    path = _site_named(paths, from_csv)
    if path.exists():
        stop(f"{path} exists already; remove it or name another path.")
    if not path.parent.exists():
        stop(f"{path}: the folder {path.parent} does not exist; make it first, or name another path.")
    if from_csv:
        _init_from(path, from_csv, zone, keys, wishes)
        return
    _write(path, files("energy_assets").joinpath("site_example.yaml").read_text(encoding="utf-8"))
    out.print(f"Wrote {path}. Edit it, then:\n  {command('doctor', site=path)}", soft_wrap=True)


def _write(path: Path, text: str) -> None:
    """Write a site file, or end with why it cannot be."""
    from energy_assets.screen import stop

    try:
        path.write_text(text, encoding="utf-8")
    except PermissionError as error:
        stop(f"{path}: cannot be written ({error.strerror}). Name a path in a folder where you may write.")


def _site_named(paths: Sequence[str], from_csv: Sequence[str]) -> Path:
    """The site file to write; whatever else stands there is refused, for a shell may have written a pattern out."""
    from energy_assets.screen import stop

    other = next((path for path in paths if not path.lower().endswith((".yaml", ".yml"))), None)
    if other and from_csv and Path(other).exists():
        folder = Path(other).parent / f"*{Path(other).suffix}"
        stop(
            f"{other} is no site file to write (PATH ends in .yaml). If the shell wrote out a pattern of several "
            f"files, put it in quotes: --from-csv {shlex.quote(str(folder))}; or write --from-csv before each file."
        )
    if other:
        stop(f"{other} is no name of a site file: PATH ends in .yaml or .yml, for example site.yaml.")
    if len(paths) > 1:
        stop(f"Name one site file to write, not {len(paths)}: {', '.join(paths)}.")
    return Path(paths[0] if paths else "site.yaml")


def _init_from(path: Path, named: Sequence[str], zone: str | None, keys: Sequence[str], wishes: dict[str, Any]) -> None:
    from rich.markup import escape

    from energy_assets.own_files import NoFiles, logs_of
    from energy_assets.own_machine import Unrecognised, Wishes, draft
    from energy_assets.screen import out, stop

    if not zone:
        stop("--zone is missing: the grid zone the machine stands in, for example --zone DE.")
    pairs = dict(key.partition("=")[::2] for key in keys)
    try:
        made = draft(logs_of(named), path, Wishes(zone=str(zone), keys=pairs, **wishes), datetime.now(UTC))
    except (NoFiles, Unrecognised) as error:
        stop(str(error))
    _write(path, made.text)
    out.print(
        f"Recognised in {', '.join(named)}:", *(f"  {escape(line)}" for line in made.said), sep="\n", soft_wrap=True
    )
    for line in made.doubts:
        out.print(f"[yellow]![/] {escape(line)}", soft_wrap=True)
    for line in made.missing:
        out.print(f"[yellow]Missing:[/] {escape(line)}.", soft_wrap=True)
    out.print(f"Wrote {path}. If all of this is right:", soft_wrap=True)
    if made.last:
        again = command("run", site=path, options={"from": made.first, "to": made.last, "report": True})
        out.print(f"  {again}", soft_wrap=True)
    else:
        again = command("run", site=path, options={"from": made.first, "report": True})
        out.print(f"  {again}   # once this day is over: days count when they are complete", soft_wrap=True)


@main.command(short_help="Try every source: what works, what to do.")
@site_option
def doctor(site_path: Path) -> None:
    """Try every source live, then compare what they see: what works, what is missing, and what to do.

    A day of each source is collected and parsed as `run` does it, and nothing of it is kept.
    """
    from rich.markup import escape

    from energy_assets.doctor import examine
    from energy_assets.screen import out

    site, healthy = _site(site_path), True
    with _served(site) as site:
        for chapter in _watched(examine(site)):
            out.print(f"[bold]{chapter.name}[/] [dim]{chapter.about}[/]")
            for finding in chapter.findings:
                healthy = healthy and finding.ok
                mark = "[green]✓[/]" if finding.ok else "[red]✗[/]"
                out.print(f"  {mark} {escape(finding.what)}", soft_wrap=True)
                if finding.remedy:
                    remedy = finding.remedy.replace("\n", "\n      ")
                    out.print(f"    → {escape(remedy)}", soft_wrap=True)
    if not healthy:
        sys.exit(FAILED)


def _watched(chapters: Iterator[Chapter]) -> Iterator[Chapter]:
    """Chapters as they come; on a terminal with a sign of life while the next one is made."""
    from energy_assets.screen import out

    while True:
        with out.status("trying …"):
            chapter = next(chapters, None)
        if chapter is None:
            return
        yield chapter


@main.command(short_help="Collect and compute a range of days.", epilog=EXIT_CODES)
@site_option
@click.option("--from", "first", type=DayType(), required=True, help="First day, for example 2024-05-09.")
@click.option("--to", "last", type=DayType(), help="Last day, included; default: the first day alone.")
@click.option("--report", "reported", is_flag=True, help="Make the reports of the days' months as well.")
def run(site_path: Path, first: date, last: date | None, reported: bool) -> None:
    """Materialize everything for a range of days through Dagster.

    Ends by saying what is missing: what a source left out, what has no grid factor, no owner, no energy.
    """
    from energy_assets.screen import stop

    site = _site(site_path)
    try:
        days = DayRange(first, last or first)
    except ValueError as error:
        stop(f"--from and --to: {error}")
    _check_days(site, site_path, days)
    again = command("run", site=site_path, options={"from": days.first, "to": days.last})
    again += " --report" if reported else ""
    with _served(site) as site:
        good, found = _run(site, days, again)
    if not reported:
        daily = "" if site.organisation.synthetic else command("ui", site=site_path)
        _end(good, found, command("report", site=site_path, options={"period": str(_most_of(days))}), daily)
        return
    for month in sorted({Month.of(day) for day in days}) if good else ():
        made = _report(site, Period.containing(month.first), again, whole=False)
        good, found = good and made.sound, found + made.lacking
    _end(good, found, "")


@main.command(short_help="Make the reports of a period.", epilog=EXIT_CODES)
@site_option
@click.option(
    "--period", type=PeriodType(), required=True, help="A month (2024-05), a quarter (2024-Q2) or a year (2024)."
)
@as_of_option
def report(site_path: Path, period: Period, before: datetime | None) -> None:
    """Make the disclosures of a month, a quarter or a year.

    With --as-of: make them as they would have been made then, from what was known, beside those of now. Nothing is
    collected, computed or published.
    """
    site = _site(site_path)
    if before is not None:
        _remake(site, period, before)
        return
    _check_period(site, site_path, period)
    again = command("report", site=site_path, options={"period": str(period)})
    made = _report(site, period, again, whole=True)
    _end(made.sound, made.lacking, command("trace", made.folders[0], "F-001", site=site_path) if made.folders else "")


def _remake(site: Site, period: Period, before: datetime) -> None:
    """The reports of a period as of an earlier time, and whether they are those that were made then."""
    from energy_assets.disclosures.profile import profiles
    from energy_assets.disclosures.remaking import NothingThenError, remake
    from energy_assets.integrity import DamagedError
    from energy_assets.opportunities.states import StateError
    from energy_assets.report_telling import tell_remade
    from energy_assets.screen import out, stop

    made = None
    for profile in (one for one in profiles() if period.grain in one.grains):
        try:
            with out.status("making it as of then …"):
                made = remake(site, profile, period, before)
        except (NothingThenError, DamagedError, StateError) as error:
            stop(str(error), FAILED)
        tell_remade(made)
    if made is None:
        stop(f"--period {period}: no profile in reports/frameworks has `{period.grain}` among its grains.")
    out.print(f"Next: {command('trace', short(made.folder), 'F-001', site=site.file)}", soft_wrap=True)


@main.command("restatements", short_help="What published figures became, and why.")
@site_option
@click.option("--period", type=PeriodType(), help="A month, a quarter or a year; default: all that were reported.")
@as_of_option
def restated(site_path: Path, period: Period | None, before: datetime | None) -> None:
    """List each figure that a later edition of a report states otherwise: old, new, why.

    On a terminal those of whole periods; in a pipe every one, as CSV with the columns of the table `restatements`.
    """
    from energy_assets.integrity import DamagedError
    from energy_assets.report_telling import tell_restatements
    from energy_assets.restatement_table import SCHEMA, all_restatements, restatement_rows
    from energy_assets.screen import stop

    try:
        found = all_restatements(_site(site_path).disk().store(), [period] if period else (), before)
    except DamagedError as error:
        stop(str(error), FAILED)
    if not sys.stdout.isatty():
        rows = restatement_rows(found).to_pylist()
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([SCHEMA.names, *([_safe(row[name]) for name in SCHEMA.names] for row in rows)])
        return
    tell_restatements(found)


def _end(good: bool, found: int, following: str, daily: str = "") -> None:
    """The last words of a command, and its exit code.

    Args:
        good: Whether everything was made.
        found: How many holes there are.
        following: The next command, if there is one.
        daily: The command that goes on collecting, if that is worth telling.
    """
    from energy_assets.screen import out

    if not good:
        sys.exit(FAILED)
    if found:
        many = f"{found} things are" if found > 1 else "1 thing is"
        out.print(f"[yellow]Done, with holes:[/] {many} missing or may be wrong (marked ! above).", soft_wrap=True)
    if following:
        out.print(f"Next: {following}", soft_wrap=True)
    if daily:
        out.print(f"Every night by itself, as long as it runs: {daily}", soft_wrap=True)
    if found:
        sys.exit(HOLES)


@main.command(short_help="Follow a figure to the bytes it came from.")
@click.option(
    "--site",
    "site_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The site file; default: the one the report was made of.",
)
@click.option("--full", is_flag=True, help="Every step, with its rows, factors, objects and receipts.")
@click.option("--json", "as_json", is_flag=True, help="Every step, for a program.")
@click.option("--csv", "listed", type=click.Choice(["objects"]), help="The raw objects it came from, as CSV.")
@click.option("--bytes", "sha256", metavar="SHA256", help="Write the bytes of this raw object instead.")
@click.argument("report_path", metavar="REPORT", type=click.Path(path_type=Path))
@click.argument("figure", metavar="FIGURE")
def trace(
    site_path: Path | None,
    full: bool,
    as_json: bool,
    listed: Literal["objects"] | None,
    sha256: str | None,
    report_path: Path,
    figure: str,
) -> None:
    """Follow FIGURE (for example F-003) of REPORT to the bytes it came from: rows, factors, raw objects, receipts.

    Ends with 0 where every step was made again and is equal, and with 1 where one differs, stored bytes are damaged, or
    a file of the report is not what was written.
    """
    from energy_assets.disclosures.following import Look, bytes_of, printed
    from energy_assets.disclosures.tracing import TraceError, opened
    from energy_assets.screen import out, stop

    wishes = {"--json": as_json, "--csv": listed, "--bytes": sha256}
    if len(asked := [name for name, wish in wishes.items() if wish]) > 1:
        stop(f"{' and '.join(asked)} ask for different output; give one of them.")
    try:
        stored = opened(report_path)
        path = site_path or (stored.site if stored.site and stored.site.exists() else None)
        site = _site(path or Path(os.environ.get(SITE_VARIABLE, "site.yaml")))
        if sha256:
            sys.stdout.buffer.write(bytes_of(site, sha256))
        else:
            look: Look = listed or ("json" if as_json else "full" if full else "short")
            against = printed(site, report_path, figure, look, out)
            if against:
                stop("\n".join(against), FAILED)
    except TraceError as error:
        if error.damaged:
            stop(str(error), FAILED)
        there = report_path.exists()
        made = command("report", site=site_path, options={"period": str(Month.of(last_complete_day()))})
        stop(str(error) if there else f"{error}\nTo make one:\n  {made}")


@main.command(short_help="Find damaged stored bytes, say what mends.")
@site_option
@click.option("--set-aside", is_flag=True, help="Move what is damaged to `damaged` below the storage root.")
def repair(site_path: Path, set_aside: bool) -> None:
    """Look at every stored byte: what is damaged, and which days to run and reports to make to mend it.

    Dagster's history of runs is looked at as well; what is damaged of it moves to `damaged` in Dagster's own folder.
    """
    from rich.markup import escape

    from energy_assets.periods import contiguous
    from energy_assets.repairing import damages, days_to_run, reports_to_make
    from energy_assets.screen import out

    site, found = _site(site_path), []
    for damage in damages(site):
        found.append(damage)
        out.print(f"[red]✗[/] {escape(damage.what)}: {escape(damage.found)}", soft_wrap=True)
        if set_aside and damage.set_aside:
            damage.set_aside()
    if not found:
        whole = "Every object, receipt, edition, table file and report is what was written; Dagster's history is whole."
        out.print(whole, soft_wrap=True)
        return
    if not set_aside and any(damage.set_aside for damage in found):
        out.print(
            "Move it out of the way first, so that nothing reads it:\n"
            f"  {command('repair', site=site_path, options={'set-aside': True})}",
            soft_wrap=True,
        )
    days = contiguous(days_to_run(site, found))
    if days:
        out.print("Run the days it is of, which fetches or computes it again:")
    for span in days:
        again = command("run", site=site_path, options={"from": span.first, "to": span.last})
        out.print(f"  {again}", soft_wrap=True)
    periods = reports_to_make(found)
    if periods:
        out.print("Make the reports again:" if not days else "After that, make the reports again:")
    for period in periods:
        out.print(f"  {command('report', site=site_path, options={'period': str(period)})}", soft_wrap=True)
    sys.exit(FAILED)


@main.command(short_help="Ask the lake: a table, or CSV in a pipe.")
@site_option
@as_of_option
@click.argument("query")
def sql(site_path: Path, query: str, before: datetime | None) -> None:
    """Run QUERY on the lake's tables, of now or as of a day: a table on a terminal, CSV in a pipe."""
    from energy_assets.query import QueryError, ask
    from energy_assets.screen import stop

    try:
        columns, rows = ask(_site(site_path), query, before)
    except QueryError as error:
        stop(str(error))
    if sys.stdout.isatty():
        _print_rows(columns, rows)
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_plain(value) for value in row] for row in rows)


@main.group(invoke_without_command=True, short_help="What could be saved, what was decided, what it saved.")
@site_option
@click.option("--month", type=MonthType(), help="For example 2024-05; default: the last one there is.")
@click.pass_context
def opportunities(ctx: click.Context, site_path: Path, month: Month | None) -> None:
    """List what could be saved: a table on a terminal, CSV in a pipe. `accept`, `done` and `dismiss` record decisions.

    Decisions are kept in opportunities.yaml beside the site file. What was done is measured afterwards.
    """
    ctx.obj = site_path
    if ctx.invoked_subcommand is not None:
        return
    from energy_assets import opportunity_listing
    from energy_assets.opportunities.states import StateError
    from energy_assets.query import QueryError
    from energy_assets.screen import err, stop

    site = _site(site_path)
    try:
        rows = opportunity_listing.listed(site, month)
        notes = opportunity_listing.notes(site, rows, month)
    except (QueryError, StateError) as error:
        stop(str(error))
    if sys.stdout.isatty():
        _print_rows(*opportunity_listing.for_a_terminal(rows))
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(opportunity_listing.COLUMNS)
        writer.writerows([_safe(row[name]) for name in opportunity_listing.COLUMNS] for row in rows)
    for note in notes or ["Nothing to save was found."]:
        err.print(note, soft_wrap=True, markup=False)
    if rows:
        again = command("opportunities", "accept", rows[0]["opportunity_id"], site=site_path)
        err.print(f"To take one on: {again}", soft_wrap=True, markup=False)


@opportunities.command(name="accept", short_help="Take one on.")
@decision_options
def accept(**decision: Any) -> None:
    """Record that opportunity ID is taken on."""
    _decide("accepted", **decision)


@opportunities.command(name="done", short_help="Say that one was done; what it saves is measured from then on.")
@decision_options
def done(**decision: Any) -> None:
    """Record that opportunity ID was done; whole months after that day are compared with the last one before it."""
    _decide("done", **decision)


@opportunities.command(name="dismiss", short_help="Decide against one.")
@decision_options
def dismiss(**decision: Any) -> None:
    """Record that opportunity ID is not wanted."""
    _decide("dismissed", **decision)


def _decide(state: str, site_path: Path | None, id_: str, on: date | None, by: str, note: str) -> None:
    from energy_assets.opportunities.states import FILE, STATES, StateError, decide
    from energy_assets.opportunity_listing import UnknownOpportunityError, known
    from energy_assets.query import QueryError
    from energy_assets.screen import out, stop

    site = _site(site_path or click.get_current_context().obj)
    today = datetime.now(UTC).date()
    if on and on > today:
        stop(f"--on {on}: is still to come; a decision is recorded when it was taken.")
    try:
        made = decide(site.folder, known(site, id_), STATES[state], on or today, by=by, note=note)
    except (UnknownOpportunityError, QueryError, StateError) as error:
        stop(str(error))
    out.print(
        f"{made.id} is {made.state.value} since {made.on}: {short(site.folder / FILE)}", soft_wrap=True, markup=False
    )


@main.command(short_help="Which factor applies where, since when and why.")
@site_option
@click.option("--missing", is_flag=True, help="Print the rows that bills need and no table has, to be filled in.")
def factors(site_path: Path, missing: bool) -> None:
    """Show which factor applies where, since when and who says so: a table on a terminal, CSV in a pipe."""
    from energy_assets import factor_listing
    from energy_assets.factor_changes import outdated_days, outdated_said
    from energy_assets.screen import err, stop
    from energy_assets.sources.errors import SourceError

    site = _site(site_path)
    try:
        if missing:
            sys.stdout.write(factor_listing.missing(site))
            return
        found = factor_listing.applied(site)
    except SourceError as error:
        stop(f"{error.message}. {error.remedy}")
    rows = [one.row for one in found]
    if sys.stdout.isatty():
        _print_rows(list(factor_listing.COLUMNS), rows)
    else:
        csv.writer(sys.stdout, lineterminator="\n").writerows([factor_listing.COLUMNS, *rows])
    if days := outdated_days(site, found):
        err.print(outdated_said(site, days), soft_wrap=True, markup=False)


@main.command(short_help="Ours beside meters, invoices and bills, and why it differs.")
@site_option
@click.option("--month", type=MonthType(), required=True, help="A month, for example 2024-05.")
def reconcile(site_path: Path, month: Month) -> None:
    """Show ours beside what others say of the month, and which steps differ: a table on a terminal, CSV in a pipe."""
    from energy_assets import reconciliation_listing
    from energy_assets.screen import out

    site = _site(site_path)
    rows = reconciliation_listing.rows_of(site, month)
    if not sys.stdout.isatty():
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(reconciliation_listing.COLUMNS)
        writer.writerows([_safe(row[name]) for name in reconciliation_listing.COLUMNS] for row in rows)
    elif rows:
        _print_rows(*reconciliation_listing.shown(rows))
        for line in reconciliation_listing.remarks(rows, site):
            out.print(line, soft_wrap=True, markup=False)
    else:
        again = command("run", site=site_path, options={"from": month.days.first, "to": month.days.last})
        out.print(reconciliation_listing.nothing(site, month, again), soft_wrap=True, markup=False)


@main.command(short_help="A made-up company, end to end, in a minute.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var/demo"),
    show_default=True,
    help="Where the demo's site file and storage go.",
)
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 31), help="How many complete days.")
def demo(folder: Path, days: int) -> None:
    """Run a small synthetic company end to end: its servers, the last days, one report."""
    from energy_assets.sandbox.company import Company
    from energy_assets.sandbox.site import write_site
    from energy_assets.screen import out

    last = last_complete_day()
    span = DayRange(last - timedelta(days=days - 1), last)
    folder.mkdir(parents=True, exist_ok=True)
    out.print(f"Synthetic company, {span}. Everything it makes lies under {folder}.", soft_wrap=True)
    with Company(folder=folder, days=span) as company:
        path = write_site(company, folder)
        site = _site(path)
        again = command("demo", options={"folder": short(folder), "days": days})
        good, _ = _run(site, span, again)
        made = _report(site, Period.containing(_most_of(span).first), again, whole=False) if good else None
    if not made or not made.sound:
        sys.exit(FAILED)
    query = "select kpi, value, unit from kpis_monthly where grain = 'total'"
    lines = [
        command("trace", made.folders[0], "F-001", site=path),
        command("sql", query, site=path),
        command("ui", site=path),
    ]
    out.print("\nLook at it:\n" + "\n".join(f"  {line}" for line in lines), soft_wrap=True, markup=False)


@contextmanager
def _served(site: Site) -> Iterator[Site]:
    """The site with its servers up: the sandbox company's are started where the site file is its own.

    Args:
        site: Any site; read again where its servers have moved.
    """
    if not site.organisation.synthetic:
        yield site
        return
    from energy_assets.sandbox.serving import own_servers
    from energy_assets.screen import out

    with own_servers(site.file) as said:
        for line in said:
            out.print(line, soft_wrap=True)
        yield _site(site.file)


def _run(site: Site, days: DayRange, again: str) -> tuple[bool, int]:
    """Run days and say what came of it: whether everything was made, and how many holes there are."""
    with _resumable(again):
        from energy_assets.progress import progress
        from energy_assets.running import run_assets, run_days
        from energy_assets.screen import err, out
        from energy_assets.telling import remarks_of, tell_outcome, tell_remarks

        out.print(f"Materializing {counted(len(days), 'day')} ({days}).")
        with progress(len(run_assets(site))) as listen:
            outcome = run_days(site, days, listen)
        tell_outcome(outcome)
        found = tell_remarks(site, remarks_of(site, days, outcome))
    if not outcome.success:
        err.print(f"What is good is published. When mended, go on with:\n  {again}", soft_wrap=True, markup=False)
    return outcome.success, found


@dataclass(frozen=True)
class _Reports:
    """The reports of a period.

    Attributes:
        folders: Of each, one per profile; empty where one could not be made.
        sound: Whether all were made and their figures follow again from what is stored.
        lacking: How many things they lack.
    """

    folders: list[Path]
    sound: bool
    lacking: int = 0


def _report(site: Site, period: Period, again: str, *, whole: bool) -> _Reports:
    """Make the reports of a period, and say what came of it; `whole` where the period itself was asked for."""
    with _resumable(again):
        from energy_assets.disclosures.places import report_folder
        from energy_assets.disclosures.profile import profiles
        from energy_assets.partitions import tables_of
        from energy_assets.progress import progress
        from energy_assets.report_telling import tell_reports
        from energy_assets.running import run_report
        from energy_assets.screen import stop

        names = [profile.name for profile in profiles() if period.grain in profile.grains]
        if not names:
            stop(f"--period {period}: no profile in reports/frameworks has `{period.grain}` among its grains.")
        with progress(len(tables_of(site, "month")) + len(names)) as listen:
            outcome = run_report(site, period, listen)
    folders = [short(report_folder(site, name, period)) for name in names] if outcome.success else []
    sound = outcome.success and not outcome.refuted
    return _Reports(folders, sound, tell_reports(site, period, folders, outcome, whole=whole))


@contextmanager
def _resumable(again: str) -> Iterator[None]:
    """On Ctrl-C, say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nInterrupted. What was published is whole and stays. Go on with:\n  {again}", err=True)
        sys.exit(INTERRUPTED)


def _check_days(site: Site, path: Path, days: DayRange) -> None:
    from energy_assets.screen import stop

    yesterday = last_complete_day()
    if days.first < site.start:
        stop(
            f"{path}: the site starts on {site.start}; days before it have no partition. Move `start` back to "
            f"{days.first} or ask for later days."
        )
    if days.last > yesterday:
        stop(f"--to {days.last}: only complete days (UTC) can be run; the last one is {yesterday}.")


def _check_period(site: Site, path: Path, period: Period) -> None:
    from energy_assets.disclosures.asset import no_indicators, runnable_days
    from energy_assets.screen import stop

    first = Period.containing(site.start, period.grain)
    running = Period.containing(datetime.now(UTC).date(), period.grain)
    if period < first:
        stop(f"--period {period}: {path} starts on {site.start}; the first {period.grain} it can report on is {first}.")
    if period > running:
        stop(f"--period {period}: has not begun yet; the last {period.grain} there can be data of is {running}.")
    if not runnable_days(site, period, last_complete_day()):
        stop(no_indicators(site, period, last_complete_day()))


def _most_of(days: DayRange) -> Month:
    """The month most of the days lie in, the later one where two have the same."""
    months = [Month.of(day) for day in days]
    return max(sorted(set(months), reverse=True), key=months.count)


def _print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table; where it is wider than the terminal, one line for each column of each row."""
    from rich.markup import escape
    from rich.measure import Measurement
    from rich.table import Table

    from energy_assets.screen import out

    table = Table(*(escape(name) for name in columns))
    for row in rows:
        table.add_row(*(escape(_plain(value)) for value in row))
    if Measurement.get(out, out.options.update(width=UNBOUNDED), table).maximum <= out.width:
        out.print(table)
        return
    width = max(map(len, columns))
    for number, row in enumerate(rows, 1):
        out.print(f"[dim]row {number}[/]")
        for name, value in zip(columns, row, strict=True):
            out.print(f"  [dim]{escape(name):<{width}}[/]  {escape(_plain(value))}", soft_wrap=True)


def _plain(value: Any) -> str:
    """A cell's text; decimals exactly, without an exponent and without the zeros that their type adds at the end."""
    if value is None:
        return ""
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return text.rstrip("0").rstrip(".") if isinstance(value, Decimal) and "." in text else text


def _safe(value: Any) -> str:
    """A cell of a listing that people open in a spreadsheet: text of a site file or an invoice is no formula."""
    from energy_assets.disclosures.text import spreadsheet_safe

    return spreadsheet_safe(value) if isinstance(value, str) else _plain(value)


def _site(path: Path) -> Site:
    from energy_assets.screen import stop
    from energy_assets.secrets import SecretError
    from energy_assets.site import SiteError, load_site

    try:
        site = load_site(path)
        site.disk()
    except (SiteError, SecretError) as error:
        stop(str(error))
    return site

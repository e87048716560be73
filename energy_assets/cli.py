"""The command line. What belongs here: arguments, output and exit codes. The work is done elsewhere."""

from __future__ import annotations

import csv
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from energy_assets import __version__
from energy_assets.periods import DayRange, Month, Period, contiguous
from energy_assets.secrets import SecretError, masked
from energy_assets.sentences import sentence
from energy_assets.site import SITE_VARIABLE, Site, SiteError, load_site

INTERRUPTED = 130
DAY = click.DateTime(["%Y-%m-%d"])
UNBOUNDED = 100_000
"""Columns of a terminal on which any table fits."""


class _Screen(Console):
    """The terminal, on which no secret is shown that a server repeated."""

    def print(self, *objects: Any, **kwargs: Any) -> None:
        """As rich prints."""
        super().print(*(masked(thing) if isinstance(thing, str) else thing for thing in objects), **kwargs)


out = _Screen(highlight=False, emoji=False)
err = _Screen(stderr=True, highlight=False, emoji=False)


class PeriodType(click.ParamType[Period]):
    """A month, a quarter or a year."""

    name = "period"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Period:
        """Read it or fail with how to write it.

        Args:
            value: As typed, or a period already.
            param: The option it belongs to.
            ctx: Of click, for the message.
        """
        try:
            return value if isinstance(value, Period) else Period.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


site_option = click.option(
    "--site",
    "site_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=SITE_VARIABLE,
    default=Path("site.yaml"),
    show_default=True,
    help=f"The site file; also read from {SITE_VARIABLE}.",
)


class _Commands(click.Group):
    """Commands that end in a sentence where the machine, and no program, is at fault."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click does."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            said = sentence(error)
            if said is None:
                raise
            return _stop(said)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="energy-assets")
def main() -> None:
    """Energy, cost and carbon of AI workloads, from raw bytes to a disclosure that can be checked."""


@main.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default=Path("site.yaml"))
def init(path: Path) -> None:
    """Write a commented example site file to PATH (default site.yaml)."""
    if path.exists():
        _stop(f"{path} exists already; remove it or name another path.")
    path.write_text(files("energy_assets").joinpath("site_example.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    out.print(f"Wrote {path}. Edit it, then: energy-assets doctor --site {path}", soft_wrap=True)


@main.command()
@site_option
def doctor(site_path: Path) -> None:
    """Try every source live, then compare what they see: what works, what is missing, and what to do."""
    from energy_assets.doctor import examine

    site, healthy = _site(site_path), True
    for chapter in examine(site):
        out.print(f"[bold]{chapter.name}[/] [dim]{chapter.about}[/]")
        for finding in chapter.findings:
            healthy = healthy and finding.ok
            mark = "[green]✓[/]" if finding.ok else "[red]✗[/]"
            out.print(f"  {mark} {escape(finding.what)}", soft_wrap=True)
            if finding.remedy:
                remedy = finding.remedy.replace("\n", "\n      ")
                out.print(f"    → {escape(remedy)}", soft_wrap=True)
    if not healthy:
        sys.exit(1)


@main.command()
@site_option
@click.option("--from", "first", type=DAY, required=True, help="First day, for example 2024-05-09.")
@click.option("--to", "last", type=DAY, help="Last day, included; default: the first day alone.")
def run(site_path: Path, first: datetime, last: datetime | None) -> None:
    """Materialize everything for a range of days through Dagster."""
    site = _site(site_path)
    try:
        days = DayRange(first.date(), (last or first).date())
    except ValueError as error:
        _stop(f"--from and --to: {error}")
    _check_days(site, site_path, days)
    command = f"energy-assets run --site {site_path} --from {days.first} --to {days.last}"
    if not _run(site, days, command):
        sys.exit(1)
    month = Month.of(days.last)
    out.print(f"Next: energy-assets report --site {site_path} --period {month}", soft_wrap=True)


@main.command()
@site_option
@click.option(
    "--period", type=PeriodType(), required=True, help="A month (2024-05), a quarter (2024-Q2) or a year (2024)."
)
def report(site_path: Path, period: Period) -> None:
    """Make the disclosures of a month, a quarter or a year."""
    site = _site(site_path)
    _check_period(site, site_path, period)
    folders = _report(site, period, f"energy-assets report --site {site_path} --period {period}")
    for folder in folders:
        _print_report(folder)
    if not folders:
        sys.exit(1)
    out.print(f"Next: energy-assets trace --site {site_path} {folders[0]} F-001", soft_wrap=True)


@main.command()
@site_option
@click.argument("report_path", metavar="REPORT", type=click.Path(path_type=Path))
@click.argument("figure", metavar="FIGURE")
def trace(site_path: Path, report_path: Path, figure: str) -> None:
    """Follow FIGURE (for example F-003) of REPORT to the bytes it came from: rows, factors, raw objects, receipts."""
    from energy_assets.disclosures.tracing import TraceError, trace_stored

    try:
        out.print(trace_stored(_site(site_path), report_path, figure))
    except TraceError as error:
        _stop(str(error))


@main.command()
@site_option
@click.option("--set-aside", is_flag=True, help="Move what is damaged to `damaged` below the storage root.")
def repair(site_path: Path, set_aside: bool) -> None:
    """Look at every stored byte: what is damaged, and which days to run to mend it."""
    from energy_assets.repairing import damages, days_to_run

    site, found = _site(site_path), []
    for damage in damages(site):
        found.append(damage)
        out.print(f"[red]✗[/] {escape(damage.what)}: {escape(damage.found)}", soft_wrap=True)
        if set_aside and damage.set_aside:
            damage.set_aside()
    if not found:
        out.print("Every object, receipt, edition and table file is what was written.")
        return
    if not set_aside and any(damage.set_aside for damage in found):
        out.print(
            "Move it out of the way, so that nothing reads it:\n"
            f"  {shlex.join(['energy-assets', 'repair', '--site', str(site_path), '--set-aside'])}",
            soft_wrap=True,
        )
    days = contiguous(days_to_run(site, found))
    if days:
        out.print("Then run the days it is of, which fetches it again:" if not set_aside else "Now run:")
    for span in days:
        command = ["energy-assets", "run", "--site", str(site_path), "--from", f"{span.first}", "--to", f"{span.last}"]
        out.print(f"  {shlex.join(command)}", soft_wrap=True)
    sys.exit(1)


@main.command()
@site_option
@click.argument("query")
def sql(site_path: Path, query: str) -> None:
    """Run QUERY on the lake's tables: a table on a terminal, CSV in a pipe."""
    from energy_assets.query import QueryError, ask

    try:
        columns, rows = ask(_site(site_path), query)
    except QueryError as error:
        _stop(str(error))
    if sys.stdout.isatty():
        _print_rows(columns, rows)
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_plain(value) for value in row] for row in rows)


@main.command()
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

    last = datetime.now(UTC).date() - timedelta(days=1)
    span = DayRange(last - timedelta(days=days - 1), last)
    folder.mkdir(parents=True, exist_ok=True)
    out.print(f"Synthetic company, {span}. Everything it makes lies under {folder}.")
    with Company(folder=folder, days=span) as company:
        path = write_site(company, folder)
        site = _site(path)
        again = f"energy-assets demo --folder {folder} --days {days}"
        if not _run(site, span, again):
            sys.exit(1)
        folders = _report(site, Period.containing(_most_of(span).first), again)
    for folder_ in folders:
        _print_report(folder_)
    if not folders:
        sys.exit(1)
    query = "select kpi, value, unit from kpis_monthly where grain = 'total'"
    out.print(
        "\nLook at it:\n"
        f"  energy-assets trace --site {path} {folders[0]} F-001\n"
        f'  energy-assets sql --site {path} "{query}"\n'
        "  make ui",
        soft_wrap=True,
    )


def _run(site: Site, days: DayRange, command: str) -> bool:
    with _resumable(command):
        from energy_assets.running import run_assets, run_days

        out.print(f"Materializing {len(days)} {'day' if len(days) == 1 else 'days'} ({days}).")
        with _progress_bar(len(run_assets(site))) as listen:
            outcome = run_days(site, days, listen)
    for asset, made in outcome.also.items():
        spans = ", ".join(map(str, contiguous(sorted(made))))
        out.print(f"{asset}: made again as well, because what is new changes them too: {spans}", soft_wrap=True)
    for warning in outcome.warnings:
        err.print(f"[yellow]! {escape(warning)}[/]", soft_wrap=True)
    for asset, message in outcome.failures.items():
        err.print(f"[red]✗ {asset}[/]\n{escape(message)}", soft_wrap=True)
    for bad in dict.fromkeys(outcome.withheld.values()):
        names = ", ".join(name for name, lacks in outcome.withheld.items() if lacks == bad)
        err.print(f"Not made for {', '.join(map(str, contiguous(sorted(bad))))}: {names}", soft_wrap=True)
    if not outcome.success:
        err.print(f"What is good is published. When mended, go on with:\n  {command}", soft_wrap=True)
    return outcome.success


def _report(site: Site, period: Period, command: str) -> list[Path]:
    """The folders of the reports made, one per profile; none where one failed, which was then said."""
    with _resumable(command):
        from energy_assets.disclosures.asset import report_folder
        from energy_assets.disclosures.profile import profiles
        from energy_assets.partitions import tables_of
        from energy_assets.running import run_report

        names = [profile.name for profile in profiles() if period.grain in profile.grains]
        if not names:
            _stop(f"--period {period}: no profile in reports/frameworks has `{period.grain}` among its grains.")
        months = tables_of(site, "month")
        with _progress_bar(len(months) + len(names)) as listen:
            outcome = run_report(site, period, listen)
    for asset, message in outcome.failures.items():
        err.print(f"[red]✗ {asset}[/]\n{escape(message)}", soft_wrap=True)
    return [_short(report_folder(site, name, period)) for name in names] if outcome.success else []


def _short(path: Path) -> Path:
    """The path from here, when it lies below the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@contextmanager
def _resumable(command: str) -> Iterator[None]:
    """On Ctrl-C, say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        err.print(f"\nInterrupted. What was published is whole and stays. Go on with:\n  {command}", soft_wrap=True)
        sys.exit(INTERRUPTED)


@contextmanager
def _progress_bar(steps: int) -> Iterator[Any]:
    """A progress bar fed by the run."""
    from energy_assets.running import Step

    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out,
    )
    task, finished = progress.add_task("starting", total=steps), set[str]()

    def listen(step: Step) -> None:
        if step.kind == "start":
            progress.update(task, description=step.asset)
        elif step.kind == "note":
            progress.update(task, description=f"{step.asset} [dim]{escape(step.text[:60])}[/]")
        elif step.kind == "done":
            finished.add(step.asset)  # some run once more, for days that came out of another asset
            progress.update(task, completed=len(finished))

    with progress:
        yield listen


def _check_days(site: Site, path: Path, days: DayRange) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    if days.first < site.start:
        _stop(
            f"{path}: the site starts on {site.start}; days before it have no partition. Move `start` back to "
            f"{days.first} or ask for later days."
        )
    if days.last > yesterday:
        _stop(f"--to {days.last}: only complete days (UTC) can be run; the last one is {yesterday}.")


def _check_period(site: Site, path: Path, period: Period) -> None:
    first = Period.containing(site.start, period.grain)
    running = Period.containing(datetime.now(UTC).date(), period.grain)
    if period < first:
        _stop(
            f"--period {period}: {path} starts on {site.start}; the first {period.grain} it can report on is {first}."
        )
    if period > running:
        _stop(f"--period {period}: has not begun yet; the last {period.grain} there can be data of is {running}.")


def _most_of(days: DayRange) -> Month:
    """The month most of the days lie in, the later one where two have the same."""
    months = [Month.of(day) for day in days]
    return max(sorted(set(months), reverse=True), key=months.count)


def _print_report(folder: Path) -> None:
    from energy_assets.disclosures.asset import headline

    table = Table(box=None, show_header=False, pad_edge=False)
    for figure_id, label, value in headline(folder):
        table.add_row(f"[cyan]{figure_id}[/]", escape(label), f"[bold]{escape(value)}[/]")
    out.print(table)
    for name in ("report.pdf", "report.xhtml", "facts.csv", "figures.json"):
        out.print(f"  {folder / name}", soft_wrap=True)


def _print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table; where it is wider than the terminal, one line for each column of each row."""
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


def _site(path: Path) -> Site:
    try:
        site = load_site(path)
        site.disk()
    except (SiteError, SecretError) as error:
        _stop(str(error))
    return site


def _stop(message: str) -> Any:
    err.print(escape(message), soft_wrap=True)
    sys.exit(2)

"""A site file from one's own file of readings: what is recognised is printed, what is not is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from energy_assets import own_machine
from energy_assets.cli import main
from energy_assets.doctor import examine
from energy_assets.own_files import logs_of
from energy_assets.own_machine import Draft, Unrecognised, Wishes, draft
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import run_days
from energy_assets.site import load_site
from energy_assets.sources.grid_factors.source import GridFactors
from energy_assets.sources.local_time import this_machine
from energy_assets_tests.small_site import _charges, write_csv

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
START = datetime(2026, 11, 20)
SMI = "timestamp, index, uuid, name, power.draw [W], utilization.gpu [%]\n"


def smi(hours: int = 48) -> str:
    """A log of two boards of 300 W, a reading every five minutes of local time."""
    return SMI + "".join(
        f"{START + timedelta(minutes=5 * m):%Y/%m/%d %H:%M:%S}.000, {n}, GPU-{n}a1b2c3d-0000, H100, 300.00 W, 9 %\n"
        for m in range(12 * hours + 1)
        for n in (0, 1)
    )


def write_bill(path: Path) -> None:
    """A bill of the first day of the log."""
    lines = [{**line, "ChargePeriodStart": "2026-11-20 03:00:00", "ChargePeriodEnd": "2026-11-20 04:00:00",
              "BillingPeriodStart": "2026-11-01 00:00:00"} for line in _charges(date(2026, 11, 20))]  # fmt: skip
    write_csv(path, list(lines[0]), (line.values() for line in lines))


def made(folder: Path, text: str, name: str = "power.csv", **wishes: Any) -> Draft:
    (folder / name).write_text(text)
    found = draft(logs_of([str(folder / name)]), folder / "site.yaml", Wishes(**{"zone": "DE", **wishes}), NOW)
    (folder / "site.yaml").write_text(found.text)
    return found


def source(folder: Path) -> Any:
    return load_site(folder / "site.yaml").sources[0]


def test_a_log_of_nvidia_smi_a_bill_and_a_yearly_factor_make_grams_and_costs(tmp_path: Path) -> None:
    """The whole road: init, doctor, run, without an edit by hand."""
    (tmp_path / "smi.csv").write_text(smi())
    write_bill(tmp_path / "bill.csv")
    site = tmp_path / "site.yaml"
    command = ["init", str(site), "--from-csv", str(tmp_path / "smi.csv"), "--zone", "de", "--timezone", "UTC",
               "--node", "box-1", "--bill", str(tmp_path / "bill.csv"), "--grid-factor", "363.5",
               "--grid-lifecycle", "427", "--grid-source", "UBA: CC 13/2025"]  # fmt: skip
    result = CliRunner().invoke(main, command)

    assert result.exit_code == 0, result.output
    for word in ("a log of nvidia-smi", "node is box-1", "by the clock of UTC (as you say", "grid zone DE", "PUE 1",
                 "the grid factor is of 2026", "bill.csv, in EUR"):  # fmt: skip
        assert word in result.output
    assert f"run --site {site} --from 2026-11-20 --to 2026-11-21" in result.output
    assert "Missing" not in result.output

    loaded = load_site(site)
    assert all(finding.ok for chapter in examine(loaded) for finding in chapter.findings)
    outcome = run_days(loaded, DayRange(date(2026, 11, 20), date(2026, 11, 21)), lambda step: None)
    assert outcome.success, outcome.failures
    query = "select sum(energy_kwh), sum(location_g), sum(upstream_g), max(factor_tier) from emissions"
    ((kwh, location, upstream, tier),) = ask(loaded, query)[1]
    assert (kwh, tier) == (Decimal("28.8"), 4)
    assert (location, upstream) == (kwh * Decimal("363.5"), kwh * Decimal("63.5"))
    assert ask(loaded, "select sum(billed_cost), billing_currency from cost group by all")[1][0][1] == "EUR"

    again = CliRunner().invoke(main, command)
    assert (again.exit_code, "exists already" in again.output) == (2, True)


def test_a_zone_that_a_publishers_table_has_gets_its_yearly_factor(tmp_path: Path) -> None:
    found = made(tmp_path, smi(), zone="DE")
    assert [line.split(" (")[0] for line in found.missing] == ["a bill"]
    (said,) = [line for line in found.said if "grid factor" in line]
    assert "Google Cloud, region carbon data 2025 (europe-west3, Frankfurt), 275.81 g/kWh, direct: tier 4" in said
    factors = next(one for one in load_site(tmp_path / "site.yaml").sources if one.kind == "grid_factors")
    assert isinstance(factors, GridFactors)
    assert (factors.publishers, factors.factors) == (["google_cloud"], [])


def test_what_is_missing_is_said_and_the_rest_works(tmp_path: Path) -> None:
    found = made(tmp_path, smi(), timezone="Europe/Berlin", zone="IS")
    assert [line.split(":")[0].split(" (")[0] for line in found.missing] == ["a grid factor", "a bill"]
    assert (found.first, found.last) == (date(2026, 11, 19), date(2026, 11, 21)), "days are UTC"
    assert source(tmp_path).timezone == "Europe/Berlin"


def test_the_clock_and_the_name_of_this_machine_are_taken_and_said(tmp_path: Path) -> None:
    found = made(tmp_path, smi())
    assert source(tmp_path).timezone == this_machine()
    assert any("this machine's zone; --timezone names another" in line for line in found.said)
    assert any("this machine's name; --node names another" in line for line in found.said)


@pytest.mark.parametrize(
    ("column", "machine", "zone"),
    [
        ("time (UTC)", "Europe/Berlin", "UTC"),
        ("Zeit (MEZ)", "Europe/Berlin", "Europe/Berlin"),
        ("time (UTC+1)", "Europe/Berlin", "Europe/Berlin"),
        ("time", "Europe/Berlin", "Europe/Berlin"),
        ("Zeit (MEZ)", "Etc/UTC", None),
        ("local_time", "UTC", None),
    ],
)
def test_a_clock_that_the_column_names_is_taken_or_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, machine: str, zone: str | None
) -> None:
    monkeypatch.setattr(own_machine, "this_machine", lambda: machine)
    text = f"{column},power_w\n" + "".join(f"{START + timedelta(minutes=5 * n)},600\n" for n in range(50))
    if zone is None:
        with pytest.raises(Unrecognised, match="--timezone"):
            made(tmp_path, text, keys={"time": column})
        made(tmp_path, text, keys={"time": column}, timezone="Europe/Berlin")
        zone = "Europe/Berlin"
    else:
        made(tmp_path, text, keys={"time": column})
    assert source(tmp_path).timezone == zone


def test_columns_that_are_named_by_hand_count_in_a_log_of_nvidia_smi_too(tmp_path: Path) -> None:
    head, *lines = smi().splitlines()
    text = "\n".join([f"seen, {head}", *(f"{line.split(',')[0]}, {line}" for line in lines)]) + "\n"
    made(tmp_path, text, keys={"time": "seen"})
    assert (source(tmp_path).format, source(tmp_path).time) == ("nvidia_smi", "seen")


@pytest.mark.parametrize(
    ("header", "cells", "keys"),
    [
        ("Time,Host,Power (kW)", "{t:%Y-%m-%dT%H:%M:%SZ},n1,0.6",
         {"time": "Time", "power_unit": "kW", "timezone": None}),
        ("epoch,watts", "{e},600", {"time": "epoch", "time_unit": "s", "power_w": "watts"}),
        ("time_ms,power", "{e}000,600", {"time_unit": "ms"}),
        ("ts,power", "{e}000000,600", {"time_unit": "us"}),
        ("ts,power", "{e}000000000,600", {"time_unit": "ns"}),
        ("Datum;Rechner;Leistung [W]", "{t:%d.%m.%Y %H:%M};n1;600,0", {"time": "Datum", "timezone": this_machine()}),
        ("timestamp,power_w,power_limit", "{t:%Y-%m-%d %H:%M:%S},600,700", {"power_w": "power_w"}),
    ],
)  # fmt: skip
def test_columns_units_and_clocks_are_recognised(tmp_path: Path, header: str, cells: str, keys: dict[str, Any]) -> None:
    lines = []
    for minute in range(0, 121, 5):
        at = START.replace(tzinfo=UTC) + timedelta(minutes=minute)
        lines.append(cells.format(t=at, e=int(at.timestamp())))
    made(tmp_path, "\n".join([header, *lines]) + "\n")
    found = source(tmp_path)
    assert {key: getattr(found, key) for key in keys} == keys
    site = load_site(tmp_path / "site.yaml")
    assert all(finding.ok for finding in next(iter(examine(site))).findings)


def test_readings_that_come_seldom_raise_the_longest_gap(tmp_path: Path) -> None:
    text = "time,power_w\n" + "".join(f"{START + timedelta(minutes=15 * n)},600\n" for n in range(50))
    found = made(tmp_path, text)
    assert source(tmp_path).max_gap_s == 1350
    assert any("max_gap_s is 1350" in line for line in found.said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("when,power_w\n2026-11-20 00:00:00,600\n", "--set time=COLUMN"),
        ("time,what\n2026-11-20 00:00:00,600\n", "--set power_w=COLUMN"),
        ("time,power in,power out\n2026-11-20 00:00:00,600,1\n", "--set power_w='power in'"),
        ("time,power_w\n17,600\n", "no epoch times"),
        ("time,gpu,power_w\n2026-11-20T00:00:00Z,0,600\n2026-11-20T00:05:00Z,0,600\n", "--set device_kind"),
        (
            "time,feed,power_w\n" + "".join(f"2026-11-20T00:0{m}:00Z,{f},{w}\n" for m in range(5) for f, w in
                                            (("A", 310), ("B", 290))),
            "--set device",
        ),
        ("time,power_w\n2026-11-20T00:00:00Z,600\n", "a single reading"),
        ("duration,emissions_rate,energy_consumed,timestamp,gpu_power\n1,1,1,2026-11-20T00:00:00,1\n", "CodeCarbon"),
        ("", "is empty"),
    ],
)  # fmt: skip
def test_what_is_not_told_is_asked_for(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(Unrecognised) as caught:
        made(tmp_path, text)
    assert message in str(caught.value)
    assert not (tmp_path / "site.yaml").exists()


def test_what_is_asked_for_can_be_said(tmp_path: Path) -> None:
    text = "when,feed,power_w\n" + "".join(
        f"2026-11-20T00:0{m}:00Z,{f},{w}\n" for m in range(5) for f, w in (("A", 310), ("B", 290))
    )
    made(tmp_path, text, keys={"time": "when", "device": "feed", "device_kind": "node"})
    found = source(tmp_path)
    assert (found.time, found.device.columns, found.stated) == ("when", ("feed",), "node")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grid-factor", "380"], "--grid-source"),
        (["--grid-source", "UBA"], "--grid-factor 380"),
        (["--grid-factor", "0", "--grid-source", "UBA"], "--grid-lifecycle 24"),
        (["--grid-factor", "0.363", "--grid-source", "UBA"], "--grid-factor '0.363 kg'"),
        (["--grid-lifecycle", "0.427", "--grid-source", "UBA"], "--grid-lifecycle '0.427 kg'"),
        (["--grid-factor", "0.363", "--grid-lifecycle", "427", "--grid-source", "UBA"], "--grid-factor '0.363 kg'"),
        (["--grid-factor", "0.8 lb", "--grid-source", "UBA"], "is no grid factor; write 363.5"),
        (["--grid-factor", "363000", "--grid-source", "UBA"], "--grid-factor: Decimal input should have no more"),
        (["--grid-factor", "363.12345", "--grid-source", "UBA"], "--grid-factor: Decimal input should have no more"),
        (["--pue", "1,2"], "write it with a point"),
        (["--pue", "0.5"], "--pue: Input should be greater than or equal to 1"),
        (["--set", "colour=red"], "--set colour: there is no such key; there are "),
        (["--set", "power_unit=hp"], "--set power_unit: Input should be"),
        (["--set", "node=nope"], "has no column 'nope'"),
        (["--timezone", "Berlin"], "--timezone: Berlin is no time zone of the IANA database"),
    ],
)
def test_a_wrong_option_is_refused_and_nothing_is_written(tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "smi.csv").write_text(smi(1))
    site = tmp_path / "site.yaml"
    command = ["init", str(site), "--from-csv", str(tmp_path / "smi.csv"), "--zone", "DE", *options]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not site.exists()


@pytest.mark.parametrize(
    ("options", "direct", "lifecycle"),
    [
        (["--grid-factor", "0.3635 kg"], "363.5", None),
        (["--grid-factor", "0.3635kgCO2e/kWh", "--grid-lifecycle", "427"], "363.5", "427"),
        (["--grid-factor", "363.5 g"], "363.5", None),
        (["--grid-factor", "0.2", "--grid-lifecycle", "24"], "0.2", "24"),
        (["--grid-factor", "0.2 g"], "0.2", None),
        (["--grid-factor", "0", "--grid-lifecycle", "24"], "0", "24"),
        (["--grid-factor", "5.5"], "5.5", None),
    ],
)
def test_a_grid_factor_may_be_typed_with_its_unit(
    tmp_path: Path, options: list[str], direct: str, lifecycle: str | None
) -> None:
    (tmp_path / "smi.csv").write_text(smi(1))
    code, output = init(tmp_path, "smi.csv", more=[*options, "--grid-source", "UBA"])
    assert code == 0, output
    assert f"{direct} g/kWh direct" in output
    (factor,) = load_site(tmp_path / "site.yaml").sources[1].factors
    assert factor.direct_gco2e_per_kwh == Decimal(direct)
    assert factor.lifecycle_gco2e_per_kwh == (Decimal(lifecycle) if lifecycle else None)


def test_the_hour_that_clocks_show_twice_is_told_and_not_refused(tmp_path: Path) -> None:
    """A logger by UTC, whose log is taken as local time: what a run takes, init takes."""
    start = datetime(2026, 10, 25)
    text = "timestamp, index, power.draw [W]\n" + "".join(
        f"{start + timedelta(minutes=5 * m):%Y/%m/%d %H:%M:%S}.000, 0, 300.00 W\n" for m in range(12 * 24)
    )
    (tmp_path / "smi.csv").write_text(text)
    code, output = init(tmp_path, "smi.csv", more=["--timezone", "Europe/Berlin"])
    assert code == 0, output
    assert "! smi.csv: 288 readings of 1 device" in output
    assert "12 times lie in the hour that clocks show twice" in output
    assert "Here: --timezone …" in output
    assert "If these times are UTC, set `timezone: UTC`" in output
    site = load_site(tmp_path / "site.yaml")
    outcome = run_days(site, DayRange(date(2026, 10, 25), date(2026, 10, 25)), lambda step: None)
    assert outcome.success
    power = next(iter(examine(site))).findings
    told = [finding for finding in power if "in the hour that clocks show twice" in finding.what]
    assert len(told) == 1, "once, by the file and not by the trial as well"


@pytest.mark.parametrize(
    ("zone", "near"),
    [
        ("Germany", "did you mean Germany (DE)?"),
        ("DEU", "did you mean Germany (DE)?"),
        ("UK", "did you mean United Kingdom (GB)?"),
        ("Bavaria", "written into the site file by hand"),
    ],
)
def test_a_zone_in_no_country_is_refused_with_those_it_may_be(tmp_path: Path, zone: str, near: str) -> None:
    (tmp_path / "smi.csv").write_text(smi(1))
    code, output = init(tmp_path, "smi.csv", more=["--zone", zone, "--grid-factor", "363", "--grid-source", "UBA"])
    assert (code, near in output) == (2, True), output
    assert not (tmp_path / "site.yaml").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", "site.yaml")

    monkeypatch.setattr(Path, "write_text", refused)
    site = tmp_path / "site.yaml"
    result = CliRunner().invoke(main, ["init", str(site)])
    assert result.exit_code == 2
    why = "cannot be written (Permission denied). Name a path in a folder where you may write."
    assert result.output == f"{site}: {why}\n"


def test_a_zone_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "smi.csv").write_text(smi(1))
    result = CliRunner().invoke(main, ["init", str(tmp_path / "site.yaml"), "--from-csv", str(tmp_path / "smi.csv")])
    assert (result.exit_code, "--zone" in result.output) == (2, True)


def test_a_name_with_wildcards_is_a_name(tmp_path: Path) -> None:
    made(tmp_path, smi(1), name="log[1].csv")
    assert next(iter(examine(load_site(tmp_path / "site.yaml")))).findings[0].ok


def log(start: datetime = START, hours: int = 24, uuid: str = "", power: int = 300) -> str:
    """A log of nvidia-smi of two boards named by their index, or by a UUID too."""
    header = SMI if uuid else "timestamp, index, power.draw [W]\n"
    own = f"{uuid}, H100, {power}.00 W, 9 %" if uuid else f"{power}.00 W"
    return header + "".join(
        f"{start + timedelta(minutes=5 * m):%Y/%m/%d %H:%M:%S}.000, {n}, {own.replace('#', str(n))}\n"
        for m in range(12 * hours + 1)
        for n in (0, 1)
    )


def written(folder: Path, **texts: str) -> Path:
    """A folder of logs, by their names without suffix."""
    logs = folder / "logs"
    logs.mkdir()
    for name, text in texts.items():
        (logs / f"{name}.csv").write_text(text)
    return logs


def init(folder: Path, *named: str, more: Sequence[str] = ()) -> tuple[int, str]:
    """`init` for files of readings: exit code and output, in one line."""
    named_files = [part for name in named for part in ("--from-csv", str(folder / name))]
    zone = ["--zone", "DE", "--timezone", "UTC"]
    result = CliRunner().invoke(main, ["init", str(folder / "site.yaml"), *named_files, *zone, *more])
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize("named", [["logs"], ["logs/*.csv"], ["logs/box1.csv", "logs/box2.csv"]])
def test_several_logs_of_equal_boards_are_machines_named_by_their_files(tmp_path: Path, named: list[str]) -> None:
    """Two machines of two boards of 300 and 200 W, a day: 24 h * 2 * 0.5 kW = 24 kWh."""
    written(tmp_path, box1=log(), box2=log(power=200))
    code, output = init(tmp_path, *named)
    assert code == 0, output
    assert "node is the name of the file (box1, box2)" in output
    site = load_site(tmp_path / "site.yaml")
    assert source(tmp_path).path == "logs/*.csv"
    assert all(finding.ok for finding in next(iter(examine(site))).findings)
    assert run_days(site, DayRange(date(2026, 11, 20), date(2026, 11, 20)), lambda step: None).success
    rows = ask(site, "select node_id, sum(energy_kwh) from energy group by all order by all")[1]
    assert rows == [("box1", Decimal("14.4")), ("box2", Decimal("9.6"))]


def test_several_files_beside_others_are_named_by_what_their_names_have_in_common(tmp_path: Path) -> None:
    written(tmp_path, box1=log(), box2=log(power=200), bill="a,b\n1,2\n")
    assert init(tmp_path, "logs/box1.csv", "logs/box2.csv")[0] == 0
    assert source(tmp_path).path == "logs/box*.csv"


def test_several_files_that_no_pattern_tells_from_others_are_refused(tmp_path: Path) -> None:
    written(tmp_path, box1=log(), box2=log(power=200), box3=log())
    code, output = init(tmp_path, "logs/box1.csv", "logs/box3.csv")
    assert (code, "no one pattern matches these 2 files and no others" in output) == (2, True)


def test_logs_that_follow_one_another_are_of_one_machine(tmp_path: Path) -> None:
    written(tmp_path, monday=log(hours=23), tuesday=log(START + timedelta(hours=24)))
    code, output = init(tmp_path, "logs", more=["--node", "box"])
    assert code == 0, output
    assert source(tmp_path).node.constant == "box"
    (tmp_path / "site.yaml").unlink()
    assert "no board of one name is read in two files at a time" in init(tmp_path, "logs")[1]
    assert source(tmp_path).node.constant


def test_boards_with_names_that_no_two_have_do_not_tell_machines_apart(tmp_path: Path) -> None:
    written(tmp_path, one=log(uuid="GPU-#a1b2c3d-0000"), two=log(uuid="GPU-#a1b2c3d-0000"))
    assert init(tmp_path, "logs")[0] == 0
    assert source(tmp_path).node.constant


def test_machines_whose_files_have_one_name_are_named_by_their_folders(tmp_path: Path) -> None:
    logs = written(tmp_path)
    for name in ("box1", "box2"):
        (logs / name).mkdir()
        (logs / name / "smi.csv").write_text(log())
    assert init(tmp_path, "logs")[0] == 0
    assert (source(tmp_path).path, source(tmp_path).node.from_path) == ("logs/**/*.csv", "([^/]+)/[^/]+$")


def test_files_that_a_shell_wrote_out_are_never_to_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, box1=log(), box2=log(), box3=log())
    monkeypatch.chdir(tmp_path)
    for others in (["logs/box2.csv"], ["logs/box2.csv", "logs/box3.csv"]):
        result = CliRunner().invoke(main, ["init", "--from-csv", "logs/box1.csv", *others, "--zone", "DE"])
        output = " ".join(result.output.split())
        assert result.exit_code == 2
        assert "logs/box2.csv is no site file to write" in output
        assert "put it in quotes: --from-csv 'logs/*.csv'" in output
        assert "remove" not in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["box"], "box is no name of a site file: PATH ends in .yaml or .yml, for example site.yaml."),
        (["a.yaml", "b.yml"], "Name one site file to write, not 2: a.yaml, b.yml."),
        (["--from-csv", "no/*.csv", "--zone", "DE"], "no/*.csv: there is no such file"),
    ],
)
def test_what_is_no_path_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["init", *arguments])
    assert (result.exit_code, message in " ".join(result.output.split())) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,meterCategory,costInBillingCurrency\n2026-11-20,VM,1\n", "bill.csv: this is no FOCUS bill"),
        ("", "bill.csv: is empty"),
    ],
)
def test_what_is_no_bill_is_refused_in_the_words_of_doctor(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "smi.csv").write_text(smi(1))
    (tmp_path / "bill.csv").write_text(text)
    code, output = init(tmp_path, "smi.csv", more=["--bill", str(tmp_path / "bill.csv")])
    assert (code, message in output) == (2, True), output
    assert not (tmp_path / "site.yaml").exists()

"""A full, read-only or forbidden disk is told in a sentence, whichever library met it; nothing else is taken for it."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from energy_assets.cli import main
from energy_assets.disk import trouble
from energy_assets.integrity import DamagedError
from energy_assets.landing import Landing
from energy_assets_tests.small_site import DAYS, write_site


def failed(number: int, path: str = "/data/var") -> OSError:
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (failed(errno.ENOSPC), "/data/var: the disk is full. Free some space"),
        (failed(errno.EROFS), "/data/var: the disk is read-only. Name a folder"),
        (failed(errno.EACCES), "/data/var: no permission. Give this user the right"),
        (RuntimeError("Generic LocalFileSystem error: Unable to write /a b/c: No such device (os error 28)"),
         "/a b/c: the disk is full"),
        (failed(errno.EFBIG), "/data/var: a file may not grow so far"),
        (DamagedError("a is damaged", "Run b"), "a is damaged. Run b"),
        (sqlite3.OperationalError("disk I/O error"), "the storage: the disk cannot be written"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "the storage: the disk is read-only"),
    ],
)  # fmt: skip
def test_errors_of_the_disk_say_what_they_mean(error: Exception, said: str) -> None:
    assert str(trouble(error)).startswith(said)
    above = ValueError("on top")
    above.__cause__ = error
    assert str(trouble(above)).startswith(said), "whatever it led to"


@pytest.mark.parametrize("error", [failed(errno.ENOENT), ValueError("28"), ConnectionRefusedError(111, "refused")])
def test_other_errors_are_not_the_disks(error: Exception) -> None:
    assert trouble(error) is None


def test_a_command_that_cannot_write_ends_with_the_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: Any, **__: Any) -> int:
        raise failed(errno.ENOSPC, str(self))

    monkeypatch.setattr(Path, "write_text", full)
    result = CliRunner().invoke(main, ["init", str(tmp_path / "site.yaml")])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{tmp_path}/site.yaml: the disk is full.")


def test_a_step_that_cannot_write_says_so_and_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise failed(errno.ENOSPC)

    path = write_site(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr(Landing, "put", full)
    result = CliRunner().invoke(main, ["run", "--site", str(path), "--from", str(DAYS.first)])
    assert result.exit_code == 1
    assert "✗ raw/meters\n/data/var: the disk is full." in result.stderr
    assert "What is good is published. When mended, go on with:" in result.stderr


def test_ctrl_c_before_anything_began_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("energy_assets.site.load_site", pressed)
    monkeypatch.setattr("sys.argv", ["energy-assets", "doctor", "--site", "a b.yaml"])
    result = CliRunner().invoke(main, ["doctor", "--site", "a b.yaml"])
    assert result.exit_code == 130
    assert result.stderr.rstrip().endswith("doctor --site 'a b.yaml'")
    assert "Aborted" not in result.stderr

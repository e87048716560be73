"""Starting and ending the UI: what a person reads, and that nothing is left behind."""

from __future__ import annotations

import socket
from pathlib import Path

from click.testing import CliRunner

from energy_assets.ui import main
from energy_assets_tests.browser.serving import START_S, serving, until
from energy_assets_tests.small_site import write_site


def test_ctrl_c_while_it_starts_leaves_no_process_and_no_stack_trace(tmp_path: Path) -> None:
    with serving(write_site(tmp_path)) as starting:
        until(lambda: "Starting the Dagster UI" in starting.printed(), START_S, starting.printed)
        until(lambda: len(starting.leftovers()) > 2, START_S, starting.leftovers)
        assert starting.stop() == 0
        assert "Traceback" not in starting.printed()


def test_a_taken_port_is_answered_with_another_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = CliRunner().invoke(main, ["--site", str(write_site(tmp_path)), "--port", str(port)])
    assert answer.exit_code == 1
    assert f"Port {port} is taken" in str(answer.exception)
    # The next one may be that of the reports of a UI that runs on this one.
    assert int(str(answer.exception).rpartition("--port ")[2]) >= port + 2


def test_a_missing_site_is_answered_with_how_to_make_one(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["--site", str(tmp_path / "none.yaml")])
    assert answer.exit_code == 1
    assert str(answer.exception).endswith("energy-assets demo")

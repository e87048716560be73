"""Secret references: read at the moment of use, and a clear answer when they lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from energy_assets.secrets import SecretError, SecretRef, reveal


def test_a_secret_comes_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EA_TOKEN", "s3cret")
    (tmp_path / "token").write_text("from a file\n")
    assert reveal("env:EA_TOKEN") == "s3cret"
    assert reveal(f"file:{tmp_path / 'token'}") == "from a file"


@pytest.mark.parametrize(
    ("reference", "said"),
    [("env:EA_NOT_SET", "EA_NOT_SET is not set; export it"), ("file:/nowhere/token", "No such file.*create it")],
)
def test_a_reference_that_leads_nowhere_says_what_to_do(reference: str, said: str) -> None:
    with pytest.raises(SecretError, match=said):
        reveal(reference)


@pytest.mark.parametrize("text", ["hunter2", "vault-ish:x", "env:", ":x", ""])
def test_a_secret_in_the_clear_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=r"env:…, file:…"):
        TypeAdapter(SecretRef).validate_python(text)

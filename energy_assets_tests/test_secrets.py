"""Secret references: read at the moment of use, and a clear answer when they lead nowhere."""

from __future__ import annotations

import base64
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from pydantic import TypeAdapter, ValidationError

from energy_assets.landing import Fetched
from energy_assets.secrets import MASK, SecretError, SecretRef, masked, protect, reveal
from energy_assets.storage import Storage


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


VALUES = ["hunter-2", "p@ss/w=rd+%&?", 'with "quotes" and \\ back', "tökén", "a b c d e", "0123456789abcdef" * 4]


@pytest.mark.parametrize("value", VALUES)
def test_a_revealed_value_is_masked_in_every_spelling(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EA_VALUE", value)
    assert reveal("env:EA_VALUE") == value
    raw = value.encode()
    spellings = [
        value,
        quote(value),
        quote(value, safe=""),
        quote(value, safe="").lower(),
        quote_plus(value),
        json.dumps(value),
        json.dumps(json.dumps(value)),
        repr(value),
        *(base64.b64encode(b"x" * n + raw + b"tail").decode() for n in range(6)),
        base64.urlsafe_b64encode(b"user:" + raw).decode(),
    ]
    for spelling in spellings:
        said = masked(f"before {spelling} after")
        assert MASK in said
        assert said.startswith("before ")
        assert said.endswith(" after")
        assert value not in said


def test_a_value_of_four_characters_is_masked_and_one_of_three_would_be_found_in_any_word() -> None:
    protect("zq9x")
    protect("zq8")
    assert masked("zq9x zq8 zq9") == f"{MASK} zq8 zq9"


def test_log_records_and_receipts_hold_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    protect("swordfish-77")
    with caplog.at_level(logging.INFO):
        logging.getLogger("some.library").info("sent %s to %s", "swordfish-77", "x")
        try:
            raise ValueError("no such swordfish-77")
        except ValueError:
            logging.getLogger("other").exception("it failed")
    assert "swordfish-77" not in caplog.text
    assert caplog.text.count(MASK) == 3
    landing = Storage(str(tmp_path)).landing()
    landed = landing.put("s", Fetched(b"x", {"url": "http://h/?q=swordfish-77"}, ()), datetime(2024, 5, 1, tzinfo=UTC))
    assert landed.request == {"url": f"http://h/?q={MASK}"}
    assert landing.receipts(landed.sha256)[0]["request"] == landed.request

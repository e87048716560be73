"""How billing accounts are spelled: one key for each, so that the same bill is known from whichever export it comes.

What belongs here: spelling, for a column, for one text and for SQL. What does not: which source counts for a bill
(`energy_assets.unified.cost`).
"""

from __future__ import annotations

import re

import ibis
import ibis.expr.types as ir

BLANKS = " \t\n\r\v\f"
STEPS = (
    (r"^(azure|gcp) .*/([^/]+)/*$", r"\1 \2"),
    (r"^aws '", "aws "),
    (r"^aws ([0-9]+)\.0+$", r"aws \1"),
    (r"^aws ([0-9]{1,4})[- ]([0-9]{4})[- ]([0-9]{4})$", r"aws \1\2\3"),
    (r"^aws ([0-9]{1,12})$", r"aws 00000000000\1"),
    (r"^aws 0+([0-9]{12})$", r"aws \1"),
    (r"^([^ ]*) [0-9](?:[.,][0-9]+)?e\+[0-9]+$", r"\1 "),
    (r"^[^ ]* ", ""),
)
"""Replaced one after the other in provider, blank, account, in lower case: patterns that RE2 and Python read alike.

Azure and Google write an account bare or as the path of a resource, of which the last part is it
(`/providers/Microsoft.Billing/billingAccounts/1234`, `billingAccounts/01AB-22`). AWS's twelve digits are printed with
dashes (`0123-4567-8901`), and spreadsheets cut their zeros, quote them or add `.0`. A number that a spreadsheet made
to `1.23457E+11` is lost: it names no account.
"""


def account_key(provider: str, account: str | None) -> str:
    """A billing account as it is compared; empty where none is named.

    Args:
        provider: aws, gcp, azure …
        account: As a bill or a person writes it.
    """
    text = f"{provider} {(account or '').strip(BLANKS).lower()}"
    for pattern, by in STEPS:
        text = re.sub(pattern, by, text)
    return text


def account_keys(rows: ir.Table, account: str = "billing_account_id") -> ir.StringValue:
    """`account_key` of a column: expensive on every line of a bill, so aggregate first.

    Args:
        rows: With `provider` and the column of the account.
        account: Name of that column.
    """
    text = rows.provider + ibis.literal(" ") + rows[account].strip().lower().fill_null("")
    for pattern, by in STEPS:
        text = text.re_replace(pattern, by)
    return text


def account_key_sql(provider: str, account: str) -> str:
    """`account_key` as SQL of DuckDB.

    Args:
        provider: SQL of the provider.
        account: SQL of the account; NULL becomes the empty text.
    """
    text = f"concat({provider}, ' ', lower(trim({account}, E' \\t\\n\\r\\x0B\\f')))"
    for pattern, by in STEPS:
        text = f"regexp_replace({text}, {_quoted(pattern)}, {_quoted(by)})"
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

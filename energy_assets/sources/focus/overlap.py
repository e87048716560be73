"""Two files that hold the same lines of the same bill: the double count no layout warns of.

What belongs here: comparing bills with each other. What does not: equal bytes (counted once, in `parse`) and
deliveries of one export (only the newest counts, in `deliveries`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

from energy_assets.contracts.accounts import account_key, account_key_sql
from energy_assets.sources.errors import PermanentError
from energy_assets.sources.focus.bill import sha256_of
from energy_assets.sources.focus.parse import Share, Wanted, rewrite, rewritten, typed_file

SAME_SHARE = 0.5
"""Part files of one bill share next to no line; a second export of a period shares nearly all."""

COMPARED = (
    "charge_period_start",
    "charge_period_end",
    "account_id",
    "region",
    "resource_id",
    "service_name",
    "service_category",
    "sku_id",
    "charge_category",
    "consumed_quantity",
    "consumed_unit",
    "billed_cost",
    "effective_cost",
    "list_cost",
    "billing_currency",
)
"""What every version of FOCUS prints, and what stays the same from one delivery to the next: no invoice number."""

_LINE = ", ".join("own.key" if column == "account_id" else column for column in COMPARED)


@dataclass(frozen=True)
class Opened:
    """A bill that was looked into.

    Attributes:
        name: How errors call it.
        path: The local file.
        delivery: Files of one delivery are never compared.
        shares: What it holds.
        sha256: Of its bytes, where it is known already.
    """

    name: str
    path: Path
    delivery: int
    shares: tuple[Share, ...]
    sha256: str = ""


class Holds(Protocol):
    """What `suspects` must know of a bill."""

    @property
    def delivery(self) -> int:
        """Files of one delivery are never compared."""

    @property
    def shares(self) -> tuple[Share, ...]:
        """What it holds."""


def refuse_same_lines(con: Any, bills: Sequence[Opened], wanted: Wanted, folder: Path) -> None:
    """Refuse to add up two files if, on the days both speak of, half of the smaller one's lines are in the other.

    Compared is `COMPARED`, within one account's billing period.

    Args:
        con: A DuckDB connection.
        bills: Every file about to be counted.
        wanted: The layout, or `auto`.
        folder: For temporary files.

    Raises:
        PermanentError: names both files, the account, the period and how many lines are the same.
    """
    pairs = suspects(bills)
    if not pairs:
        return
    typed: dict[int, Path] = {}
    hashes: dict[int, str] = {}
    for number in sorted({n for pair in pairs for n in pair}):
        bill = bills[number]
        hashes[number] = bill.sha256 or sha256_of(bill.path)
        target = typed_file(folder, hashes[number], wanted)
        if not target.exists():
            rewrite(con, bill.path, bill.name, wanted, target)
        typed[number] = target
    for one, other in sorted(pairs):
        if hashes[one] != hashes[other]:
            _compare(con, bills[one], bills[other], typed[one], typed[other])


def suspects(bills: Sequence[Holds]) -> set[tuple[int, int]]:
    """Pairs of files of different deliveries that speak of the same account, period and day, by their position."""
    holders: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, bill in enumerate(bills):
        for share in bill.shares:
            account = account_key(share.provider, share.billing_account)
            key = (share.provider, account, share.billing_period, share.day)
            holders[key].append(number)
    return {
        pair
        for numbers in holders.values()
        for pair in combinations(sorted(set(numbers)), 2)
        if bills[pair[0]].delivery != bills[pair[1]].delivery
    }


def _compare(con: Any, one: Opened, other: Opened, one_rows: Path, other_rows: Path) -> None:
    keys = "provider, account, billing_period, day"
    same = " AND ".join(f"a.{key.strip()} IS NOT DISTINCT FROM b.{key.strip()}" for key in keys.split(","))
    grouped = f"""
        SELECT c.provider, bill.key AS account, billing_period, day, hash(row({_LINE})) AS line, count(*) AS n
        FROM {{rows}} c
        JOIN accounts bill ON bill.provider = c.provider AND bill.name IS NOT DISTINCT FROM billing_account_id
        JOIN accounts own ON own.provider = c.provider AND own.name IS NOT DISTINCT FROM account_id
        GROUP BY ALL"""  # noqa: S608
    # The few accounts are spelled out once: that is expensive on every line.
    both = rewritten(con, [one_rows, other_rows])
    found = con.execute(
        f"""
        WITH accounts AS MATERIALIZED (
            SELECT provider, name, {account_key_sql("provider", "name")} AS key FROM (
                SELECT provider, billing_account_id AS name FROM {both}
                UNION SELECT provider, account_id FROM {both})),
        a AS ({grouped.format(rows=rewritten(con, [one_rows]))}),
        b AS ({grouped.format(rows=rewritten(con, [other_rows]))}),
        days AS (SELECT {keys}, sum(a_n) AS a_n, sum(b_n) AS b_n FROM (
            SELECT {keys}, n AS a_n, 0 AS b_n FROM a UNION ALL SELECT {keys}, 0, n FROM b) GROUP BY ALL),
        shared AS (SELECT * FROM days WHERE a_n > 0 AND b_n > 0),
        smaller AS (SELECT least(sum(a_n), sum(b_n)) AS n FROM shared),
        equal AS (SELECT sum(least(a.n, b.n)) AS n, min(a.provider) AS provider, min(a.account) AS account,
            min(a.billing_period) AS period FROM a JOIN b ON a.line = b.line AND {same})
        SELECT equal.n, smaller.n, provider, account, period FROM equal, smaller
        WHERE equal.n >= {SAME_SHARE} * smaller.n"""  # noqa: S608
    ).fetchone()
    if found:
        equal, of, provider, account, period = found
        whose = f"account {account}" if account else "without an account"
        raise PermanentError(
            f"{one.name} and {other.name} both hold {equal} of {of} lines of {provider} {whose} in the "
            f"billing period {period}: adding them up would count these charges twice",
            "Keep the newer export only, or narrow `path`; with `same_lines: keep` both are counted as they are.",
        )

"""Proofs: what must hold for a table beyond its contract, tried on its staged rows before they are published.

What belongs here: a statement, the rows that break it, and counting these by partition. What does not: which
statements a table has, and what becomes of a partition that breaks one (`lake` withholds it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import uuid4

import ibis.expr.types as ir

from energy_assets.contracts.audit import EXAMPLES


@dataclass(frozen=True)
class Proof:
    """A statement about the rows of a table.

    Attributes:
        name: Of the check that shows it.
        about: What holds.
        breaches: The rows for which it does not hold, from the staged rows in the contract's columns and the upstream
            tables by lake name. Each carries the table's partition column, so that only its partition is withheld.
            It must be made from these arguments alone, and share no code with the transform it proves.
        blocking: Whether a partition with a breach is withheld; otherwise the breach is reported only.
        remedy: What to do about a breach, said with it; empty where the breach says enough.
    """

    name: str
    about: str
    breaches: Callable[[ir.Table, Mapping[str, ir.Table]], ir.Table]
    blocking: bool = True
    remedy: str = ""

    def bind(self, upstream: Mapping[str, ir.Table]) -> StagedProof:
        """The proof with what it compares staged rows with.

        Args:
            upstream: Tables by lake name, restricted to the partitions that are replaced, on the connection that
                replaces them.
        """
        return StagedProof(self, upstream)


@dataclass(frozen=True)
class Breaches:
    """The rows for which a proof does not hold.

    Attributes:
        rows: How many there are in each partition that has some; exact.
        examples: Up to 20 of each of these partitions.
    """

    rows: Mapping[date, int] = field(default_factory=dict)
    examples: Mapping[date, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.rows.values())


@dataclass(frozen=True)
class StagedProof:
    """A proof that can be tried as soon as rows are staged.

    Attributes:
        proof: The statement.
        upstream: Tables by lake name that it compares the staged rows with.
    """

    proof: Proof
    upstream: Mapping[str, ir.Table]

    def breaches(self, con: Any, rows: ir.Table, partition: str) -> Breaches:
        """Try the proof.

        Args:
            con: The Ibis DuckDB connection of the rows and of the upstream tables.
            rows: The staged rows, in the contract's columns.
            partition: The date column of the table.

        Raises:
            ValueError: the proof's breaches do not say which partition they are of.
        """
        wrong = self.proof.breaches(rows, self.upstream)
        if partition not in wrong.columns:
            raise ValueError(
                f"proof {self.proof.name}: its breaches need the column {partition}; they have "
                f"{', '.join(wrong.columns)}"
            )
        # A proof may join whole days, so it is worked out once; what holds leaves nothing to keep.
        name = f"breaches_{uuid4().hex[:12]}"
        kept = con.create_table(name, wrong, temp=True)
        try:
            counts = kept.group_by(partition).aggregate(n=kept.count()).to_pyarrow().to_pylist()
            return Breaches(
                {part[partition]: int(part["n"]) for part in counts},
                {part[partition]: _examples(kept, partition, part[partition]) for part in counts},
            )
        finally:
            con.drop_table(name)


def _examples(breaches: ir.Table, partition: str, day: date | None) -> list[dict[str, Any]]:
    mine = breaches[partition].isnull() if day is None else breaches[partition] == day
    rows: list[dict[str, Any]] = breaches.filter(mine).limit(EXAMPLES).to_pyarrow().to_pylist()
    return rows

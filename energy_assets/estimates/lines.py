"""Lines of a bill that say what was used, and their kinds: what all lines that are estimated alike have in common.

What belongs here: which lines count as use, their quantity, and the few kinds they are of. What does not: what a kind
draws (`components`), and the hours of a line (`hours`).
"""

from __future__ import annotations

from collections.abc import Iterable

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts.joining import same
from energy_assets.estimates.components import BETWEEN, Component, Decision, Line, decide
from energy_assets.estimates.constants import Constants

OWNER = ("project", "model_id", "workload_type", "workload_id")
RESERVED = r"capacity-?reservations?>?/"
"""In the ResourceId of capacity that is reserved: `…:capacity-reservation/cr-…` of AWS, `…/capacityReservations/…` of
Azure."""
KIND = ("provider", "service", "meter", "instance_type", "unit")
"""Columns of a kind, as `Line` has them."""


KEPT = (
    "day", "hour", "charge_period_start", "charge_period_end", "source", "account_id", "region", "resource_id", *OWNER,
    *KIND, "quantity", "billed_cost", "billing_currency", "raw_sha256",
)  # fmt: skip
"""What is needed of a line that says what was used."""


def used(cost: ir.Table) -> ir.Table:
    """The lines that say what was used: no tax, fee, credit or discount, and no commitment that nobody used.

    FOCUS 1.2, ChargeCategory and CommitmentDiscountStatus: an unused commitment is a charge of use without any. So is
    one whose resource is a capacity reservation: hours in which a machine ran in it name the machine (AWS Data Exports,
    Monitoring your On-Demand capacity reservations; Azure bills the unused ones at the price of the machine).

    Args:
        cost: Rows of the contract `Cost`.

    Returns:
        The columns of `KEPT`; `quantity` is NULL where the bill prints none.
    """
    rows = cost.filter(
        cost.charge_category == "Usage",
        ~cost.commitment_discount_status.fill_null("").upper().identical_to("UNUSED"),
        ~cost.resource_id.fill_null("").lower().re_search(RESERVED),
    )
    consumed = rows.consumed_quantity.notnull()
    told = rows.sku_meter.fill_null("") != ""
    both = ibis.ifelse(
        told & (rows.provider != "aws"),
        rows.sku_meter.concat(BETWEEN, rows.charge_description.fill_null("")),
        ibis.ifelse(told, rows.sku_meter, rows.charge_description.fill_null("")),
    )
    made = rows.mutate(
        service=rows.service_name.fill_null(""),
        meter=both,
        quantity=ibis.ifelse(consumed, rows.consumed_quantity, rows.pricing_quantity),
        unit=ibis.ifelse(consumed, rows.consumed_unit, rows.pricing_unit),
    )
    return made.select(*KEPT)


def kinds_of(lines: ir.Table, constants: Constants) -> dict[Line, Decision]:
    """What becomes of each kind that occurs.

    Args:
        lines: From `used`, on a connection.
        constants: The site's own, and ours.
    """
    found = lines.select(*KIND).distinct().order_by(*KIND).to_pyarrow().to_pylist()
    return {line: decide(line, constants) for line in (Line(**row) for row in found)}


COMPONENTS = pa.schema(
    [
        *((name, pa.string()) for name in KIND),
        ("kind", pa.int32()),
        ("part", pa.int32()),
        ("reason", pa.string()),
        ("what", pa.string()),
        ("machine", pa.bool_()),
        ("instance_hours", pa.float64()),
        ("device_kind", pa.string()),
        ("device_id", pa.string()),
        ("device_model", pa.string()),
        ("amount_unit", pa.string()),
        ("monthly", pa.bool_()),
        ("per_unit", pa.float64()),
        ("idle_kwh", pa.float64()),
        ("slope_kwh", pa.float64()),
        ("utilization", pa.float64()),
        ("replication", pa.float64()),
        ("default_pct", pa.float64()),
        ("known_pct", pa.float64()),
        ("embodied_g", pa.float64()),
        ("currency", pa.string()),
    ]
)
"""Columns of `components_table`: a kind's components, and one row without a component for a kind that has none."""


def components_table(decisions: Iterable[tuple[Line, Decision]]) -> pa.Table:
    """The components of kinds as a table of schema `COMPONENTS`.

    Args:
        decisions: From `kinds_of`.
    """
    rows = []
    for number, (line, decision) in enumerate(decisions):
        key = {"kind": number, **{name: getattr(line, name) for name in KIND}}
        if not decision.components:
            rows.append({**key, "part": 0, **_reasoned(decision)})
        for part, component in enumerate(decision.components):
            rows.append({**key, "part": part, **_reasoned(decision), **_numbers(component)})
    return pa.Table.from_pylist(rows, schema=COMPONENTS)


def _reasoned(decision: Decision) -> dict[str, object]:
    return {
        "reason": decision.reason,
        "what": decision.what or None,
        "machine": bool(decision.instance_hours),
        "instance_hours": float(decision.instance_hours),
    }


def _numbers(component: Component) -> dict[str, object]:
    return {
        "machine": component.machine,
        "device_kind": component.device_kind,
        "device_id": component.device_id,
        "device_model": component.device_model,
        "amount_unit": component.amount_unit,
        "monthly": component.monthly,
        "per_unit": float(component.amount),
        "idle_kwh": float(component.idle_kwh),
        "slope_kwh": float(component.slope_kwh),
        "utilization": float(component.utilization),
        "replication": float(component.replication),
        "default_pct": component.default_pct,
        "known_pct": component.known_pct,
        "embodied_g": None if component.embodied_g is None else float(component.embodied_g),
        "currency": component.currency,
    }


def with_kind(lines: ir.Table, components: ir.Table) -> ir.Table:
    """Lines with the number of their kind in place of its texts, which are long and many; those of other kinds go.

    The quantity of a proxy from spend is the cost, in the proxy's currency. Lines without a quantity go, too.

    Args:
        lines: From `used`.
        components: From `components_table`: of the kinds that are wanted.
    """
    kinds = components.select("kind", "currency", *KIND).distinct()
    both = lines.inner_join(kinds, same(lines, kinds, KIND))
    texts = ("meter", "instance_type", "unit", "quantity")
    spent = ibis.ifelse(lines.billing_currency == kinds.currency, lines.billed_cost, None)
    quantity = ibis.ifelse(kinds.currency.isnull(), lines.quantity, spent)
    made = both.select(*(lines[n] for n in lines.columns if n not in texts), kinds.kind, quantity=quantity)
    return made.filter(made.quantity.notnull())


def costs_of_kinds(lines: ir.Table, components: ir.Table) -> ir.Table:
    """What each kind of line costs on each day, with what became of it.

    Args:
        lines: From `used`.
        components: From `components_table`, of the kinds of these lines.

    Returns:
        day, source, `KIND`, billing_currency, reason (NULL where it is estimated), what, lines, billed_cost.
    """
    kinds = components.filter(components.part == 0)
    both = lines.inner_join(kinds, same(lines, kinds, KIND))
    kept = ("day", "source", *KIND, "billing_currency", "billed_cost", "quantity")
    both = both.select(*(lines[name] for name in kept), kinds.reason, kinds.what, kinds.currency)
    unsaid = both.reason.isnull() & both.currency.isnull() & both.quantity.isnull()
    foreign = both.reason.isnull() & (both.currency != both.billing_currency).fill_null(False)
    reason = ibis.cases((unsaid, "no quantity"), (foreign, "no method"), else_=both.reason)
    named = both.mutate(reason=reason, what=ibis.ifelse(foreign, both.meter, both.what))
    return named.group_by("day", "source", *KIND, "billing_currency", "reason", "what").aggregate(
        lines=named.count(), billed_cost=named.billed_cost.sum()
    )

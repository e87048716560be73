"""The KPIs, each described once: words, unit, formula, and the sums over lake rows that it is made of.

What belongs here: one description per KPI. The KPI tables, the evidence query of a figure and the words of the report
are all made from it. What does not: how the sums are computed (`facts.py`, `daily.py`), and figures that a report
makes for itself. Adding a KPI is adding one `Indicator` to the list below.

The value is numerator / denominator, divided last; an indicator without denominator is a sum. Scopes of the GHG
Protocol are apart: no indicator in grams adds rows of two of them, but for intensities (grams per kWh, per request),
which say what electricity emits whoever owns the machines, and `lifecycle_g`, which is cut by scope alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from energy_assets.contracts.tables import KPI_DIMENSIONS, RUN
from energy_assets.contracts.vocabulary import MEASURED, TRAINING, GhgScope
from energy_assets.kpis.ingredients import FIRST_KNOWN, SUM, Filter, Ingredient, Selection, total

Kind = Literal["energy", "mass", "share", "count", "ratio", "money"]
Basis = Literal["energy", "activity", "reported", "matched", "matched numerator", "none"]
EMBODIED = "embodied_g"
LOSSES = "losses_g"
BESIDE = (LOSSES, EMBODIED)
"""Columns beside those of the electricity that was used: each is added where it is known."""
BOUGHT_GRAMS = SUM.join(("lifecycle_g or location_g", *BESIDE))
"""All that a bought service emits: of the electricity the whole where it is known, its way there, and the hardware."""
CATEGORY_3 = SUM.join(("upstream_g", LOSSES))
"""All of Scope 3 category 3 that is known: the supply of the electricity, and what the grid lost on the way."""
SCORED_GRAMS = f"location_g{SUM}{EMBODIED}"
"""E x I + M of the Software Carbon Intensity, ISO/IEC 21031:2024."""
SCORED = "location-based + embodied"
UPSTREAM, LIFECYCLE = "(life-cycle − direct intensity)", "life-cycle intensity"
LOST = "kWh lost for each that arrives × life-cycle intensity of the zone in the hour"
EVERYWHERE = ("total", *KPI_DIMENSIONS)
BY_OWNER = ("total", "source", "zone", "project", "model_id", "workload_type")
BY_PLACE = ("total", "source", "zone", "ghg_scope")
BY_MODEL = ("total", "model_id")
BY_SERVICE = ("total", "source", "project", "model_id")
BY_BILL = ("total", "source", "project", "model_id", "workload_type")


@dataclass(frozen=True)
class Indicator:
    """One KPI.

    Attributes:
        name: Public name, the value of the column `kpi`.
        label: For a reader.
        kind: Decides how it is printed.
        unit: Unit of the value; `{currency}` is that of the organisation, or of the bills where it is a sum.
        method: Id of its method.
        formula: The method in words.
        numerator: What is summed (the value, where there is no denominator).
        denominator: What it is divided by.
        grains: Dimensions it is cut by.
        basis: What its coverage speaks of: device-hours observed whose amount is known, hours of servers observed, the
            share of the energy of which its sources tell what the denominator asks for, the smaller share of both
            sides that could be matched, the matched share of the numerator alone, or nothing.
        match: What numerator and denominator must both have to be counted, day by day: `account`, a known project of
            one provider and account, where a side without account is of any of the provider's; or `model_id`, a model
            in one project, or the model alone where its two sides share no project.
        interval: Whether the intervals of its sides say that of the whole; not where one side is the other times a
            number of unknown interval.
    """

    name: str
    label: str
    kind: Kind
    unit: str
    method: str
    formula: str
    numerator: Ingredient
    denominator: Ingredient | None = None
    grains: tuple[str, ...] = EVERYWHERE
    basis: Basis = "energy"
    match: Literal["account", "model_id"] | None = None
    interval: bool = True

    @property
    def scope(self) -> str | None:
        """The GHG scope that its rows are restricted to."""
        return next((str(f.value) for f in self.numerator.rows.filters if f.column == "ghg_scope"), None)

    def ingredients(self) -> tuple[Ingredient, ...]:
        """Numerator and, where there is one, denominator."""
        return (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)

    def matched_sides(self) -> tuple[Ingredient, ...]:
        """The ingredients whose matched share is its coverage."""
        sides = {"matched": self.ingredients(), "matched numerator": (self.numerator,)}
        return sides.get(self.basis, ())

    def evidence_factor(self, ingredient: Ingredient) -> str | None:
        """What one query of the ingredient's rows is multiplied with to give it; None: it is not one query."""
        return None if self.match or ingredient.with_idle else ingredient.factor


_IT = total("emissions", "energy_kwh")
_FACILITY = total("emissions", "facility_kwh")
_OWN = Filter("ghg_scope", "=", GhgScope.SCOPE2.value)
_BOUGHT = Filter("ghg_scope", "=", GhgScope.SCOPE31.value)
_LEASED = Filter("ghg_scope", "=", GhgScope.SCOPE38.value)
_INFERENCE = Filter("workload_type", "=", "inference")
_IDLE = Filter("workload_type", "=", "idle")
_MEASURED = Filter("method", "in", MEASURED)
_IN_USE = Filter("workload_type", "!=", "idle")
#: Sources name the pod, job or run that used a device, or say that none did; others cannot tell.
_USE_REPORTED = Filter("workload_id", "or idle")
_WITH_LOCATION = Filter("location_g", "is not null")
_WITH_LIFECYCLE = Filter("lifecycle_g", "is not null")
_WITH_FOOTPRINT = Filter(EMBODIED, "is not null")
_GPU = Filter("device_kind", "=", "gpu")
_SERVED_WH = total("emissions", "facility_kwh", _INFERENCE, factor="1000", with_idle=True)
_SERVED_G = total("emissions", "location_g", _INFERENCE, with_idle=True)
_SCORED_G = total(
    "emissions", SCORED_GRAMS, _INFERENCE, _WITH_LOCATION, _WITH_FOOTPRINT, with_idle=True
)  # fmt: skip
_TRAINS = Filter("workload_type", "in", TRAINING)
_MATCHED = "; only models (in one project where they share one) that have both on the day"

TIER_NAMES = {
    "1": "Tier 1 · metered and confirmed",
    "2": "Tier 2 · own meter or counter",
    "3": "Tier 3 · telemetry with a model",
    "4": "Tier 4 · proxy",
}
RUNG_NAMES = {
    "1": "The hour, measured",
    "2": "The hour, estimated by the publisher",
    "3": "Same hour of day, mean of the month",
    "4": "One value for all hours of a year or month",
}


def _inside(label: str) -> str:
    """A label as it stands inside another one."""
    return f"{label[0].lower()}{label[1:]}"


def _intensity(which: str = "intensity") -> str:
    """What energy is multiplied with: a value of the hour itself is not always known."""
    return f"{which} of the zone in the hour, or the average that stands for it"


_ENERGY = (
    Indicator(
        "facility_kwh", "Electricity, facility", "energy", "kWh", "M-FACILITY",
        "sum of (IT energy × PUE of the place)", _FACILITY,
    ),
    Indicator(
        "energy_kwh", "Electricity, IT equipment", "energy", "kWh", "M-ENERGY",
        "counters: last minus first value of each hour; gauges: time-weighted mean × hours; summed", _IT,
    ),
)  # fmt: skip

_SCOPES = (
    Indicator(
        "scope2_location_g", "Scope 2 emissions, location-based", "mass", "gCO2e", "M-SCOPE2",
        f"sum of (facility energy × {_intensity()}) over own machines",
        total("emissions", "location_g", _OWN), grains=BY_OWNER,
    ),
    Indicator(
        "scope33_upstream_g", "Scope 3.3 emissions, upstream of electricity", "mass", "gCO2e", "M-SCOPE33",
        f"sum of (facility energy × {_intensity(UPSTREAM)}) over own machines",
        total("emissions", "upstream_g", _OWN), grains=BY_OWNER,
    ),
    Indicator(
        "scope33_losses_g", "Scope 3.3 emissions, grid losses", "mass", "gCO2e", "M-SCOPE33-LOSSES",
        f"sum of (facility energy × {LOST}) over own machines, where the losses are known",
        total("emissions", LOSSES, _OWN), grains=BY_OWNER,
    ),
    Indicator(
        "scope33_g", "Scope 3.3 emissions, upstream and grid losses", "mass", "gCO2e", "M-SCOPE33-ALL",
        "upstream of the electricity and grid losses of own machines, each where known; coverage: of the upstream",
        total("emissions", CATEGORY_3, _OWN), grains=BY_OWNER,
    ),
    Indicator(
        "scope32_embodied_g", "Scope 3.2 emissions, embodied in hardware", "mass", "gCO2e", "M-SCOPE32",
        "sum of the embodied emissions of the hours of own machines",
        total("emissions", "embodied_g", _OWN), grains=BY_OWNER,
    ),
    Indicator(
        "scope31_g", "Scope 3.1 emissions, bought services", "mass", "gCO2e", "M-SCOPE31",
        "sum of life-cycle (location-based and upstream) emissions, grid losses and embodied emissions of bought "
        "services, each where known; location-based alone where the life cycle is not",
        total("emissions", BOUGHT_GRAMS, _BOUGHT), grains=BY_OWNER,
    ),
    Indicator(
        "scope38_location_g", "Scope 3.8 emissions, leased machines, location-based", "mass", "gCO2e", "M-SCOPE38",
        f"sum of (facility energy × {_intensity()}) over leased machines",
        total("emissions", "location_g", _LEASED), grains=BY_OWNER,
    ),
    Indicator(
        "scope38_upstream_g", "Scope 3.8 emissions, upstream of leased machines", "mass", "gCO2e", "M-SCOPE38-UP",
        f"sum of (facility energy × {_intensity(UPSTREAM)}) over leased machines",
        total("emissions", "upstream_g", _LEASED), grains=BY_OWNER,
    ),
    Indicator(
        "scope38_losses_g", "Scope 3.8 emissions, grid losses of leased machines", "mass", "gCO2e",
        "M-SCOPE38-LOSSES", f"sum of (facility energy × {LOST}) over leased machines, where the losses are known",
        total("emissions", LOSSES, _LEASED), grains=BY_OWNER,
    ),
    Indicator(
        "scope38_embodied_g", "Scope 3.8 emissions, embodied in leased hardware", "mass", "gCO2e", "M-SCOPE38-HARDWARE",
        "sum of the embodied emissions of the hours of leased machines",
        total("emissions", EMBODIED, _LEASED), grains=BY_OWNER,
    ),
    Indicator(
        "scope31_losses_g", "Of Scope 3.1: grid losses of bought services", "mass", "gCO2e", "M-SCOPE31-LOSSES",
        f"sum of (facility energy × {LOST}) over bought services, a part of their Scope 3.1",
        total("emissions", LOSSES, _BOUGHT), grains=BY_OWNER, basis="none",
    ),
    Indicator(
        "scope31_embodied_g", "Of Scope 3.1: embodied in the hardware of bought services", "mass", "gCO2e",
        "M-SCOPE31-HARDWARE", "sum of the embodied emissions of bought services, a part of their Scope 3.1",
        total("emissions", EMBODIED, _BOUGHT), grains=BY_OWNER, basis="none",
    ),
    Indicator(
        "lifecycle_g", "Life-cycle emissions of electricity", "mass", "gCO2e", "M-LIFECYCLE",
        f"sum of (facility energy × {_intensity(LIFECYCLE)}), scopes apart",
        total("emissions", "lifecycle_g"), grains=("ghg_scope",),
    ),
)  # fmt: skip

_ON_THE_WAY = (
    Indicator(
        "losses_coverage", "Facility energy of grids whose losses are known", "share", "share", "M-LOSSES-KNOWN",
        "facility energy of which losses on the way are known / all facility energy",
        total("emissions", "facility_kwh", Filter(LOSSES, "is not null")), _FACILITY, BY_PLACE, "none",
    ),
)  # fmt: skip

_HARDWARE = (
    Indicator(
        "embodied_per_gpu_hour", "Emissions embodied in hardware per accelerator-hour, all scopes", "ratio",
        "gCO2e (embodied) per accelerator-hour", "M-EMBODIED-GPU",
        "embodied emissions of accelerators / their hours, both of those whose footprint is known: existing hours of "
        "own ones, used hours of bought ones",
        total("emissions", EMBODIED, _GPU), total("emissions", "device_hours", _GPU, _WITH_FOOTPRINT),
        grains=BY_OWNER, basis="none",
    ),
    Indicator(
        "embodied_coverage", "IT energy of hardware whose footprint is known", "share", "share", "M-EMBODIED-KNOWN",
        "IT energy of hardware of which a table or the inventory tells what its making emitted / all IT energy",
        total("emissions", "energy_kwh", _WITH_FOOTPRINT), _IT, BY_PLACE, "none",
    ),
)  # fmt: skip

_WATER = (
    Indicator(
        "water_onsite_l", "Water for cooling, on site", "count", "l", "M-WATER-SITE",
        "sum of (IT energy × water usage effectiveness of the place), where that is known",
        total("emissions", "water_onsite_l"), grains=BY_PLACE, basis="none",
    ),
    Indicator(
        "water_offsite_l", "Water consumed in making the electricity", "count", "l", "M-WATER-GRID",
        "sum of (facility energy × water that the grid zone's power plants consume), where that is known",
        total("emissions", "water_offsite_l"), grains=BY_PLACE, basis="none",
    ),
    Indicator(
        "water_onsite_coverage", "IT energy with a known water usage effectiveness", "share", "share",
        "M-WATER-SITE-KNOWN", "IT energy at places whose water usage effectiveness is known / all IT energy",
        total("emissions", "energy_kwh", Filter("water_onsite_l", "is not null")), _IT, BY_PLACE, "none",
    ),
    Indicator(
        "water_offsite_coverage", "Facility energy of grids whose water is known", "share", "share",
        "M-WATER-GRID-KNOWN", "facility energy of grid zones whose water is known / all facility energy",
        total("emissions", "facility_kwh", Filter("water_offsite_l", "is not null")), _FACILITY, BY_PLACE, "none",
    ),
)  # fmt: skip

_FACILITIES = (
    Indicator(
        "pue", "Power usage effectiveness (PUE)", "ratio", "kWh per kWh", "M-PUE",
        "facility energy / IT energy, both where the PUE of the place is known (ISO/IEC 30134-2)",
        _FACILITY, total("emissions", "energy_kwh", Filter("facility_kwh", "is not null")), BY_PLACE, "none",
        interval=False,
    ),
    Indicator(
        "wue", "Water usage effectiveness (WUE), on site", "ratio", "l per kWh", "M-WUE",
        "water for cooling on site / IT energy, both where the WUE of the place is known (ISO/IEC 30134-9)",
        total("emissions", "water_onsite_l"),
        total("emissions", "energy_kwh", Filter("water_onsite_l", "is not null")), BY_PLACE, "none", interval=False,
    ),
    Indicator(
        "cue", "Carbon usage effectiveness (CUE), location-based, all scopes", "ratio",
        "gCO2e (location-based) per kWh of IT", "M-CUE",
        "location-based emissions of the facility energy / IT energy, both where the intensity is known "
        "(ISO/IEC 30134-8)",
        total("emissions", "location_g"), total("emissions", "energy_kwh", _WITH_LOCATION), BY_PLACE, "none",
    ),
)  # fmt: skip

_TRAINING = (
    Indicator(
        "energy_to_solution", "Energy to solution of a training run", "energy", "kWh", "M-SOLUTION",
        "facility energy of all hours in which a training run is named, every attempt of that name, failed ones "
        "included; over a longer period the sum of its days",
        total("emissions", "facility_kwh", _TRAINS), grains=(RUN,), basis="none",
    ),
)  # fmt: skip

_ACTIVITY = (
    Indicator(
        "requests", "Requests answered", "count", "requests", "M-ACTIVITY", "serving counters, resets handled; summed",
        total("activity", "requests"), grains=BY_SERVICE, basis="activity",
    ),
    Indicator(
        "prompt_tokens", "Prompt tokens", "count", "tokens", "M-ACTIVITY", "serving counters, resets handled; summed",
        total("activity", "prompt_tokens"), grains=BY_SERVICE, basis="activity",
    ),
    Indicator(
        "generated_tokens", "Generated tokens", "count", "tokens", "M-ACTIVITY",
        "serving counters, resets handled; summed",
        total("activity", "generated_tokens"), grains=BY_SERVICE, basis="activity",
    ),
    Indicator(
        "wh_per_1k_inferences", "Energy per 1,000 requests", "ratio", "Wh per 1,000 requests", "M-WH-REQUEST",
        f"facility energy of inference with its share of idle energy / requests × 1,000{_MATCHED}",
        _SERVED_WH, total("activity", "requests", factor="0.001"), BY_MODEL, "matched", "model_id",
    ),
    Indicator(
        "wh_per_1m_tokens", "Energy per million generated tokens", "ratio", "Wh per 1,000,000 tokens", "M-WH-TOKEN",
        f"facility energy of inference with its share of idle energy / generated tokens × 1,000,000{_MATCHED}",
        _SERVED_WH, total("activity", "generated_tokens", factor="0.000001"), BY_MODEL, "matched", "model_id",
    ),
    Indicator(
        "gco2e_per_1k_inferences", "Emissions of electricity per 1,000 requests, location-based, all scopes", "ratio",
        "gCO2e (location-based) per 1,000 requests", "M-G-REQUEST",
        "location-based emissions of the electricity of inference with its share of idle, whoever owns the machines "
        f"/ requests × 1,000{_MATCHED}",
        _SERVED_G, total("activity", "requests", factor="0.001"), BY_MODEL, "matched", "model_id",
    ),
    Indicator(
        "sci_per_1k_inferences", "Software carbon intensity per 1,000 requests, all scopes", "ratio",
        f"gCO2e ({SCORED}) per 1,000 requests", "M-SCI-REQUEST",
        "(E × I + M) / R of ISO/IEC 21031: location-based emissions of the electricity of inference with its share of "
        "idle, and the share of making its hardware, of hardware whose footprint is known / requests × 1,000"
        f"{_MATCHED}",
        _SCORED_G, total("activity", "requests", factor="0.001"), BY_MODEL, "matched", "model_id",
    ),
    Indicator(
        "sci_per_1m_tokens", "Software carbon intensity per million generated tokens, all scopes", "ratio",
        f"gCO2e ({SCORED}) per 1,000,000 tokens", "M-SCI-TOKEN",
        "(E × I + M) / R of ISO/IEC 21031: location-based emissions of the electricity of inference with its share of "
        "idle, and the share of making its hardware, of hardware whose footprint is known / generated tokens × "
        f"1,000,000{_MATCHED}",
        _SCORED_G, total("activity", "generated_tokens", factor="0.000001"), BY_MODEL, "matched", "model_id",
    ),
)  # fmt: skip

_MONEY = (
    Indicator(
        "billed_cost", "Billed cost", "money", "{currency}", "M-COST",
        "sum of BilledCost as printed on the bill, per currency",
        total("cost", "billed_cost"), grains=BY_BILL, basis="none",
    ),
    Indicator(
        "cost_per_kwh", "Billed cost per facility kWh", "ratio", "{currency} per kWh", "M-COST-KWH",
        "billed cost / facility energy; only projects that have both at one provider and account on the day; coverage: "
        "share of the cost",
        total("cost", "billed_cost"), _FACILITY, ("total", "project"), "matched numerator", "account",
    ),
    Indicator(
        "cost_per_1m_tokens", "Billed cost per million generated tokens", "ratio", "{currency} per 1,000,000 tokens",
        "M-COST-TOKEN", f"billed cost / generated tokens × 1,000,000{_MATCHED}",
        total("cost", "billed_cost"), total("activity", "generated_tokens", factor="0.000001"), BY_MODEL, "matched",
        "model_id",
    ),
)  # fmt: skip

_QUALITY = (
    Indicator(
        "idle_share", "Idle share of IT energy of known use", "share", "share", "M-IDLE",
        "IT energy of devices known to be used by nobody / IT energy of which the source tells who used it, or that "
        "nobody did; coverage: share of the IT energy of which it does",
        total("emissions", "energy_kwh", _IDLE), total("emissions", "energy_kwh", _USE_REPORTED), basis="reported",
    ),
    Indicator(
        "coverage", "Device-hours observed", "share", "share", "M-COVERAGE",
        "observed device-hours / device-hours that telemetry knows of; what is estimated from bills is in neither",
        total("emissions", "coverage", _MEASURED), total("emissions", None, _MEASURED),
    ),
    Indicator(
        "measured_share", "IT energy that was measured", "share", "share", "M-MEASURED",
        "IT energy that meters, counters and power readings tell / all IT energy; the rest is estimated",
        total("emissions", "energy_kwh", _MEASURED), _IT, BY_PLACE,
    ),
    Indicator(
        "factor_coverage", "Energy with a grid factor", "share", "share", "M-FACTOR",
        "facility energy that has a location-based intensity / facility energy",
        total("emissions", "facility_kwh", _WITH_LOCATION), _FACILITY,
    ),
    Indicator(
        "attributed_share", "Energy attributed to a project, idle devices aside", "share", "share", "M-ATTRIBUTION",
        "IT energy whose project is known / IT energy, both without that of devices known to be idle",
        total("emissions", "energy_kwh", _IN_USE, Filter("project", "!=", "unknown")),
        total("emissions", "energy_kwh", _IN_USE), BY_PLACE,
    ),
    Indicator(
        "carbon_intensity_location", "Grid intensity, location-based", "ratio", "gCO2e (location-based) per kWh",
        "M-INTENSITY", "location-based emissions / facility energy that has this intensity, all scopes",
        total("emissions", "location_g"), total("emissions", "facility_kwh", _WITH_LOCATION),
        ("total", "source", "zone", "project"),
    ),
    Indicator(
        "carbon_intensity_lifecycle", "Grid intensity, life-cycle", "ratio", "gCO2e (life-cycle) per kWh",
        "M-INTENSITY-LC", "life-cycle emissions / facility energy that has this intensity, all scopes",
        total("emissions", "lifecycle_g"), total("emissions", "facility_kwh", _WITH_LIFECYCLE),
        ("total", "source", "zone", "project"),
    ),
    *(
        Indicator(
            f"tier{n}_share", f"IT energy of {_inside(label)}", "share", "share", "M-TIER",
            "sum of IT energy of the tier / sum of IT energy",
            total("emissions", "energy_kwh", Filter("quality_tier", "=", n)), _IT, BY_PLACE,
        )
        for n, label in TIER_NAMES.items()
    ),
    *(
        Indicator(
            f"factor_tier{n}_share", f"Facility energy by grid factor: {_inside(label)}", "share", "share",
            "M-FACTOR-TIER", "sum of facility energy with a grid factor of that kind / sum of facility energy",
            total("emissions", "facility_kwh", Filter("factor_tier", "=", n)), _FACILITY, BY_PLACE,
        )
        for n, label in RUNG_NAMES.items()
    ),
)  # fmt: skip

INDICATORS: dict[str, Indicator] = {
    one.name: one
    for one in (
        *_ENERGY,
        *_SCOPES,
        *_ON_THE_WAY,
        *_HARDWARE,
        *_WATER,
        *_FACILITIES,
        *_TRAINING,
        *_ACTIVITY,
        *_MONEY,
        *_QUALITY,
    )
}


def has_coverage_rows(indicator: Indicator) -> bool:
    """Whether the coverage of an indicator is a quotient of two sums over rows."""
    return indicator.basis in ("energy", "activity", "reported")


def coverage_rows(indicator: Indicator) -> tuple[Selection, Selection]:
    """Of the rows the coverage of an indicator speaks of: hours observed and hours that exist, or energy of both.

    Of energy these are the hours of telemetry: nobody observes what is estimated from a bill.
    An hour whose amount is unknown, because its zone has no intensity or its place no PUE, is not observed. Of hardware
    an hour counts whose footprint is known, observed or not: it exists all the same.
    """
    if indicator.basis == "reported" and indicator.denominator:
        reported = indicator.denominator.rows
        return reported, replace(reported, filters=())
    table, amount = "activity" if indicator.basis == "activity" else "emissions", indicator.numerator.rows
    scope = tuple(f for f in amount.filters if f.column == "ghg_scope")
    hours = Selection(table, None, scope if table == "activity" else (_MEASURED, *scope))
    observed = replace(hours, column="coverage")
    if table == "activity" or indicator.kind == "share" or not amount.column:
        return observed, hours
    if amount.column == EMBODIED:
        return hours.where(Filter(EMBODIED, "is not null")), hours
    # What comes beside the electricity has a coverage of its own.
    first = FIRST_KNOWN.join(amount.terms[0])
    return observed.where(Filter(first, "is not null")), hours

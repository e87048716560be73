"""The closed vocabularies of the lake, each said once: values, and what a reader sees of them.

What belongs here: words that columns, site files, meters and reports share. What does not: rules about them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Self

from pydantic_core import CoreSchema, core_schema


class OneOf:
    """Mark of a text field (`Annotated[str, OneOf(words)]`) that takes the words of a vocabulary and nothing else.

    The value stays a plain text, and an error lists the words, as with `Literal`.
    """

    def __init__(self, words: Iterable[str], without: Iterable[str] = ()) -> None:
        """Take a vocabulary, or part of it.

        Args:
            words: Members of a vocabulary, in the order of error messages.
            without: Members that the field does not take.
        """
        left_out = {str(word) for word in without}
        self.values = [str(word) for word in words if str(word) not in left_out]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        """The schema of `Literal` over the values.

        Args:
            source: The annotated type.
            handler: Makes the schema of that type; not asked.
        """
        return core_schema.literal_schema(self.values)


class Word(StrEnum):
    """A value of a vocabulary with the label that people read."""

    label: str

    def __new__(cls, value: str, label: str) -> Self:
        """Make a member of its stored text and its label."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        return member

    @classmethod
    def values(cls) -> list[str]:
        """The stored texts, in order."""
        return [member.value for member in cls]


class Feed(StrEnum):
    """What a source delivers: decides the contract of its rows and the tables it reaches."""

    ENERGY = "energy"
    COST = "cost"
    ACTIVITY = "activity"
    GRID_INTENSITY = "grid_intensity"
    INSTRUMENTS = "instruments"
    INVOICES = "invoices"
    UTILIZATION = "utilization"
    ESTIMATES = "estimates"
    """No source delivers it: it is made of bills, where the site wants that."""


class DeviceKind(Word):
    """What was metered."""

    GPU = "gpu", "GPUs"
    CPU = "cpu", "CPUs"
    DRAM = "dram", "Memory"
    NODE = "node", "Whole nodes"
    REST_OF_NODE = "rest_of_node", "Rest of the nodes"
    INSTANCE = "instance", "Cloud instances"
    SERVICE = "service", "Managed services"
    STORAGE = "storage", "Storage"
    NETWORK = "network", "Network"


class Method(Word):
    """How energy is known."""

    MEASURED_COUNTER = "measured_counter", "energy counter"
    MEASURED_POWER = "measured_power", "power readings"
    METERED_NODE = "metered_node", "node meter"
    ESTIMATED_UTILIZATION = "estimated_utilization", "estimate from utilization"
    ESTIMATED_CAPACITY = "estimated_capacity", "estimate from capacity"
    PROVIDER_REPORTED = "provider_reported", "reported by the provider"
    SPEND_PROXY = "spend_proxy", "proxy from spend"


MEASURED = (Method.MEASURED_COUNTER.value, Method.MEASURED_POWER.value, Method.METERED_NODE.value)
"""Methods by which something was observed."""
ESTIMATED = (Method.ESTIMATED_UTILIZATION.value, Method.ESTIMATED_CAPACITY.value, Method.SPEND_PROXY.value)
"""Methods by which nothing was: they say what may have been used."""


class WorkloadType(Word):
    """What a workload does."""

    TRAINING = "training", "Training"
    FINE_TUNING = "fine_tuning", "Fine-tuning"
    INFERENCE = "inference", "Inference"
    BATCH = "batch", "Batch"
    DEVELOPMENT = "development", "Development"
    IDLE = "idle", "Idle"
    OVERHEAD = "overhead", "Overhead"
    OTHER = "other", "Other"
    UNKNOWN = "unknown", "Not attributed"


TRAINING = (WorkloadType.TRAINING.value, WorkloadType.FINE_TUNING.value)
"""What makes a model: its runs have an end, so that what one took can be told."""


class FactorState(Word):
    """Whether a factor is stated for the day it is used on."""

    APPLIES = "applies", "stated for these days"
    CARRIED = "carried", "of other days, for none is stated for these"


class GhgScope(Word):
    """Which category of the GHG Protocol the electricity of a place belongs to."""

    SCOPE2 = "scope2", "Own machines (Scope 2)"
    SCOPE31 = "scope3.1", "Bought services (Scope 3.1)"
    SCOPE38 = "scope3.8", "Leased machines (Scope 3.8)"


class InstrumentKind(Word):
    """What conveys the emission rate of electricity, in the order in which the market-based method takes it."""

    CERTIFICATE = "certificate", "Energy attribute certificates"
    CONTRACT = "contract", "Contracts (PPA)"
    SUPPLIER_RATE = "supplier_rate", "Supplier rate"
    RESIDUAL_MIX = "residual_mix", "Residual mix"


class Verdict(Word):
    """Whether an instrument meets the quality criteria of the market-based method, or which one it does not meet."""

    COUNTS = "counts", "counts"
    NO_FACTOR = "no_factor", "states no emission factor"
    UNTRACKED = "untracked", "names no registry or no serial"
    NOT_RETIRED = "not_retired", "is not retired"
    OTHER_BENEFICIARY = "other_beneficiary", "is retired for somebody else"
    OTHER_YEAR = "other_year", "is of another year than the one it is claimed for"
    OTHER_MARKET = "other_market", "is of a market in which no electricity was used"
    SERIAL_TWICE = "serial_twice", "was counted under the same serials before"
    OUTDONE = "outdone", "is one of several rates of the same electricity, of which another one counts"


class Against(Word):
    """What our figures are held against."""

    NODE_METER = "node_meter", "Meters of nodes"
    INVOICE = "invoice", "Electricity invoices"
    BILL_ESTIMATE = "bill_estimate", "Estimates from bills"


class Step(Word):
    """Why ours and theirs differ: the parts of a difference, in the order in which they are printed."""

    COVERAGE = "by_coverage", "hours that one side lacks or observed in part"
    LAG = "by_lag", "what one side does not have yet"
    BOUNDARY = "by_boundary", "what only one side counts"
    ENERGY = "by_energy", "energy"
    PUE = "by_pue", "PUE"
    INTENSITY = "by_intensity", "carbon intensity"
    UNEXPLAINED = "unexplained", "what cannot be told apart"


LIKE = (Step.ENERGY, Step.PUE, Step.INTENSITY, Step.UNEXPLAINED)
"""Parts that are of the hours and things that both sides have; the others say that like is not held against like."""


class OpportunityRule(Word):
    """Which rule found that something can be saved."""

    IDLE_ACCELERATORS = "idle_accelerators", "Idle accelerators"
    UNUSED_COMMITMENTS = "unused_commitments", "Commitments for accelerators that nobody used"
    RESERVED_AT_IDLE_LOAD = "reserved_at_idle_load", "Reserved accelerators at idle load"
    MOVABLE_HOURS = "movable_hours", "Work movable to cleaner hours"
    CLEANER_REGIONS = "cleaner_regions", "Cleaner regions already in use"
    REGRESSED_MODELS = "regressed_models", "Models whose energy per token rose"
    OVERSIZED_MACHINES = "oversized_machines", "Oversized machines"


class OpportunityState(Word):
    """What a person decided about an opportunity."""

    PROPOSED = "proposed", "proposed"
    ACCEPTED = "accepted", "accepted"
    DONE = "done", "done"
    DISMISSED = "dismissed", "dismissed"

"""Contracts of the lake's public tables. Names and columns are an interface: people query and chart them."""

from __future__ import annotations

from pandera.ibis import DataFrameModel, Field

from energy_assets.contracts import types as t
from energy_assets.contracts.raw import DEVICE_KINDS, METHODS
from energy_assets.contracts.vocabulary import (
    Against,
    FactorState,
    GhgScope,
    InstrumentKind,
    OpportunityRule,
    Verdict,
    WorkloadType,
)

WORKLOAD_TYPES = WorkloadType.values()
KPI_DIMENSIONS = ["source", "zone", "project", "model_id", "workload_type", "ghg_scope"]
RUN = "workload_id"
"""A dimension of training alone: its runs are few, and what one used is asked for; requests have no such name."""
KPI_KEYS = [*KPI_DIMENSIONS, RUN]
KPI_GRAINS = ["total", *KPI_KEYS]
SHA256 = "^[0-9a-f]{64}$"


class Energy(DataFrameModel):
    """IT energy of one device, in one hour, for one user of the device."""

    day: t.DAY = Field(description="UTC day, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour")
    source: t.TEXT = Field(description="name of the source in site.yaml")
    provider: t.TEXT = Field(description="aws, gcp, azure, onprem …")
    account_id: t.TEXT = Field(nullable=True, description="account, tenant or cost centre")
    region: t.TEXT = Field(nullable=True, description="region or site")
    zone: t.TEXT = Field(nullable=True, description="grid zone; NULL where the site file names none")
    project: t.TEXT = Field(description="from the attribution rules; 'unknown' where none matched")
    model_id: t.TEXT = Field(nullable=True, description="AI model, where a rule or the source names it")
    workload_type: t.TEXT = Field(isin=WORKLOAD_TYPES, description="from the attribution rules")
    workload_id: t.TEXT = Field(nullable=True, description="pod, job, run or endpoint")
    node_id: t.TEXT = Field(description="host")
    device_id: t.TEXT = Field(description="device on the host")
    device_kind: t.TEXT = Field(isin=DEVICE_KINDS, description="what was metered")
    device_model: t.TEXT = Field(nullable=True, description="as the device names itself")
    share_id: t.TEXT = Field(description="which user of a shared device; 'all' where unshared, 'idle' for nobody")
    energy_kwh: t.MEASURED = Field(nullable=True, ge=0, description="IT energy before PUE; NULL where not observed")
    usage_hours: t.MEASURED = Field(nullable=True, ge=0, le=1, description="hours the device was seen in this hour")
    device_hours: t.FIGURE = Field(nullable=True, description="accelerator-hours that a bill tells; NULL of telemetry")
    embodied_g: t.GRAMS = Field(
        nullable=True, ge=0, description="share of the manufacture of what a bill tells; NULL of telemetry"
    )
    method: t.TEXT = Field(isin=METHODS, description="how the energy is known")
    quality_tier: t.TIER = Field(isin=[1, 2, 3, 4], description="1 metered and confirmed … 4 proxy")
    coverage: t.SHARE = Field(ge=0, le=1, description="share of the hour that was observed")
    uncertainty_pct: t.PERCENT = Field(nullable=True, ge=0, description="95 % interval, ± per cent")
    raw_sha256: t.TEXT = Field(str_matches=SHA256, description="raw object of the row")

    class Config:
        """Grain and partition of the table."""

        unique = ["hour", "source", "provider", "region", "node_id", "device_id", "share_id"]
        name = "energy"


class Cost(DataFrameModel):
    """One charge of a bill, FOCUS names in snake case."""

    day: t.DAY = Field(description="UTC day the charge period starts, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour the charge period starts in")
    charge_period_start: t.HOUR = Field(description="ChargePeriodStart, UTC")
    charge_period_end: t.HOUR = Field(description="ChargePeriodEnd, UTC, exclusive")
    source: t.TEXT = Field(description="name of the source in site.yaml")
    billing_period: t.DAY = Field(description="first day of the billing period")
    provider: t.TEXT = Field(description="aws, gcp, azure, oracle …: whose account the charge is billed to")
    publisher: t.TEXT = Field(nullable=True, description="PublisherName, else ServiceProviderName: who made or sold it")
    billing_account_id: t.TEXT = Field(nullable=True, description="BillingAccountId")
    account_id: t.TEXT = Field(nullable=True, description="SubAccountId, else BillingAccountId")
    invoice_id: t.TEXT = Field(nullable=True, description="InvoiceId; NULL until the charge is invoiced")
    region: t.TEXT = Field(nullable=True, description="RegionId")
    zone: t.TEXT = Field(nullable=True, description="grid zone of the region; NULL until it is mapped")
    project: t.TEXT = Field(description="from the attribution rules; 'unknown' where none matched")
    model_id: t.TEXT = Field(nullable=True, description="AI model, where a rule names it")
    workload_type: t.TEXT = Field(isin=WORKLOAD_TYPES, description="from the attribution rules")
    workload_id: t.TEXT = Field(nullable=True, description="job, run or endpoint, where a rule names it")
    resource_id: t.TEXT = Field(nullable=True, description="ResourceId")
    resource_type: t.TEXT = Field(nullable=True, description="ResourceType")
    instance_type: t.TEXT = Field(nullable=True, description="machine type, as the provider spells it")
    service_name: t.TEXT = Field(nullable=True, description="ServiceName")
    service_category: t.TEXT = Field(nullable=True, description="ServiceCategory")
    sku_id: t.TEXT = Field(nullable=True, description="SkuId")
    sku_meter: t.TEXT = Field(nullable=True, description="SkuMeter: what is metered")
    sku_price_id: t.TEXT = Field(nullable=True, description="SkuPriceId")
    charge_category: t.TEXT = Field(
        isin=["Usage", "Purchase", "Tax", "Credit", "Adjustment"], description="ChargeCategory"
    )
    charge_class: t.TEXT = Field(nullable=True, description="ChargeClass: Correction, or NULL")
    charge_description: t.TEXT = Field(nullable=True, description="ChargeDescription")
    commitment_discount_id: t.TEXT = Field(nullable=True, description="CommitmentDiscountId")
    commitment_discount_status: t.TEXT = Field(nullable=True, description="CommitmentDiscountStatus: Used, Unused")
    consumed_quantity: t.MONEY = Field(nullable=True, description="ConsumedQuantity, as printed")
    consumed_unit: t.TEXT = Field(nullable=True, description="ConsumedUnit")
    pricing_quantity: t.MONEY = Field(nullable=True, description="PricingQuantity, as printed")
    pricing_unit: t.TEXT = Field(nullable=True, description="PricingUnit")
    list_unit_price: t.MONEY = Field(nullable=True, description="ListUnitPrice, as printed")
    billed_cost: t.MONEY = Field(description="BilledCost, as printed")
    effective_cost: t.MONEY = Field(nullable=True, description="EffectiveCost, as printed")
    list_cost: t.MONEY = Field(nullable=True, description="ListCost, as printed")
    billing_currency: t.TEXT = Field(str_matches="^[A-Z]{3}$", description="ISO 4217")
    raw_sha256: t.TEXT = Field(str_matches=SHA256, description="raw object of the row")

    class Config:
        """A bill may hold two equal lines: no grain is enforced."""

        name = "cost"


class Activity(DataFrameModel):
    """What workloads delivered in one hour: requests, tokens, samples, steps."""

    day: t.DAY = Field(description="UTC day, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour")
    source: t.TEXT = Field(description="name of the source in site.yaml")
    project: t.TEXT = Field(description="from the attribution rules; 'unknown' where none matched")
    model_id: t.TEXT = Field(nullable=True, description="AI model")
    workload_type: t.TEXT = Field(isin=WORKLOAD_TYPES, description="from the attribution rules")
    workload_id: t.TEXT = Field(nullable=True, description="pod, job, run or endpoint")
    deployment: t.TEXT = Field(description="the serving job or instance")
    requests: t.COUNT = Field(nullable=True, ge=0, description="requests answered")
    failed_requests: t.COUNT = Field(nullable=True, ge=0, description="requests aborted or failed")
    prompt_tokens: t.COUNT = Field(nullable=True, ge=0, description="input tokens")
    generated_tokens: t.COUNT = Field(nullable=True, ge=0, description="output tokens")
    samples: t.COUNT = Field(nullable=True, ge=0, description="training samples; NULL where no source tells")
    training_steps: t.COUNT = Field(nullable=True, ge=0, description="optimizer steps; NULL where no source tells")
    flop: t.FIGURE = Field(nullable=True, ge=0, description="floating point operations; NULL where no source tells")
    coverage: t.SHARE = Field(ge=0, le=1, description="share of the hour that was observed")
    raw_sha256: t.TEXT = Field(str_matches=SHA256, description="raw object of the row")

    class Config:
        """Grain of the table."""

        unique = ["hour", "source", "deployment", "model_id"]
        name = "activity"


class GridIntensity(DataFrameModel):
    """Carbon intensity of a zone in an hour: the best value that is known."""

    day: t.DAY = Field(description="UTC day, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour")
    zone: t.TEXT = Field(description="grid zone")
    lifecycle_gco2e_per_kwh: t.FACTOR = Field(nullable=True, ge=0, le=3000, description="life-cycle intensity")
    direct_gco2e_per_kwh: t.FACTOR = Field(nullable=True, ge=0, le=3000, description="combustion intensity")
    carbon_free_share: t.SHARE = Field(nullable=True, ge=0, le=1, description="carbon-free share of consumption")
    is_estimated: t.FLAG = Field(nullable=True, description="estimated by the publisher, or a stand-in")
    hour_covered: t.SHARE = Field(nullable=True, gt=0, le=1, description="share of the hour its values hold for")
    answered_minutes: t.MINUTES = Field(
        nullable=True, ge=1, le=60, description="how far apart the publisher's values are, in minutes"
    )
    resolution: t.TEXT = Field(nullable=True, isin=["hour", "month", "year"], description="period of the value")
    factor_tier: t.TIER = Field(
        nullable=True,
        isin=[1, 2, 3, 4],
        description="1 hour, 2 hour estimated, 3 month, 4 year; NULL: none known",
    )
    source: t.TEXT = Field(nullable=True, description="name of the source in site.yaml")
    factor_id: t.TEXT = Field(nullable=True, description="publisher, zone and edition of the factor")
    raw_sha256: t.TEXT = Field(nullable=True, str_matches=SHA256, description="raw object of the row")

    class Config:
        """Grain of the table."""

        unique = ["hour", "zone"]
        name = "grid_intensity"


class FactorsApplied(DataFrameModel):
    """Which factor the energy of a day meets: one row for each thing, value and who says so."""

    day: t.DAY = Field(description="UTC day, the partition")
    factor: t.TEXT = Field(description="PUE, WUE, grid zone, GHG scope, making of hardware …")
    of: t.TEXT = Field(description="what it is of: provider and region, grid zone, accelerator, host")
    value: t.TEXT = Field(nullable=True, description="as its table or the site file states it; NULL where nobody does")
    unit: t.TEXT = Field(nullable=True, description="of the value; NULL of words")
    valid_from: t.DAY = Field(nullable=True, description="first day it stands for; NULL where it has no bound")
    valid_to: t.DAY = Field(nullable=True, description="the day after the last; NULL where it has no bound")
    edition: t.TEXT = Field(nullable=True, description="year or fiscal year the value is of; NULL of the site file")
    state: t.TEXT = Field(isin=FactorState.values(), description="whether it is stated for this day, or carried")
    said_by: t.TEXT = Field(nullable=True, description="line of the site file, or table and publication")

    class Config:
        """Grain and partition of the table."""

        unique = ["day", "factor", "of", "value", "said_by"]
        name = "factors_applied"


class Emissions(DataFrameModel):
    """Energy with the factors of its own hour and place applied. Columns that later work fills stay NULL."""

    day: t.DAY = Field(description="UTC day, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour")
    source: t.TEXT = Field(description="name of the source in site.yaml")
    provider: t.TEXT = Field(description="aws, gcp, azure, onprem …")
    account_id: t.TEXT = Field(nullable=True, description="account, tenant or cost centre")
    region: t.TEXT = Field(nullable=True, description="region or site")
    zone: t.TEXT = Field(nullable=True, description="grid zone")
    project: t.TEXT = Field(description="from the attribution rules")
    model_id: t.TEXT = Field(nullable=True, description="AI model")
    workload_type: t.TEXT = Field(isin=WORKLOAD_TYPES, description="from the attribution rules")
    workload_id: t.TEXT = Field(nullable=True, description="pod, job, run or endpoint")
    node_id: t.TEXT = Field(description="host")
    device_id: t.TEXT = Field(description="device on the host")
    device_kind: t.TEXT = Field(isin=DEVICE_KINDS, description="what was metered")
    share_id: t.TEXT = Field(description="which user of a shared device")
    method: t.TEXT = Field(isin=METHODS, description="how the energy is known")
    quality_tier: t.TIER = Field(isin=[1, 2, 3, 4], description="tier of the energy")
    coverage: t.SHARE = Field(ge=0, le=1, description="share of the hour that was observed")
    uncertainty_pct: t.PERCENT = Field(nullable=True, ge=0, description="of the energy, 95 % interval, ± per cent")
    energy_kwh: t.MEASURED = Field(nullable=True, ge=0, description="IT energy before PUE")
    pue: t.PUE = Field(nullable=True, ge=1, le=5, description="power usage effectiveness applied")
    facility_kwh: t.FACILITY_KWH = Field(nullable=True, ge=0, description="energy_kwh x pue")
    location_g: t.GRAMS = Field(nullable=True, ge=0, description="location-based: facility_kwh x direct intensity")
    upstream_g: t.GRAMS = Field(nullable=True, description="facility_kwh x (life-cycle - direct intensity)")
    lifecycle_g: t.GRAMS = Field(nullable=True, ge=0, description="facility_kwh x life-cycle")
    losses_g: t.GRAMS = Field(
        nullable=True, ge=0, description="of what the grid lost on the way: facility_kwh x losses per kWh x life-cycle"
    )
    device_hours: t.FIGURE = Field(
        nullable=True, description="hours of accelerators that exist (own) or are used (bought); NULL of other devices"
    )
    embodied_g: t.GRAMS = Field(
        nullable=True, ge=0, description="share of the hardware's manufacture; NULL where no footprint of it is known"
    )
    water_onsite_l: t.LITRES = Field(nullable=True, ge=0, description="cooling water: energy_kwh x WUE of the place")
    water_offsite_l: t.LITRES = Field(
        nullable=True, ge=0, description="water that making the electricity consumes: facility_kwh x that of the zone"
    )
    ghg_scope: t.TEXT = Field(isin=GhgScope.values(), description="where the kWh belongs")
    factor_id: t.TEXT = Field(nullable=True, description="publisher, zone and edition of the factor")
    factor_basis: t.TEXT = Field(nullable=True, isin=["direct", "lifecycle"], description="basis of location_g")
    factor_tier: t.TIER = Field(nullable=True, isin=[1, 2, 3, 4], description="kind of grid factor, 1 the best")
    factor_resolution: t.TEXT = Field(nullable=True, isin=["hour", "month", "year"], description="its period")
    factor_uncertainty_pct: t.PERCENT = Field(
        nullable=True, ge=0, description="of the intensity, 95 % interval, ± per cent; NULL where nobody states one"
    )
    grams_uncertainty_pct: t.PERCENT = Field(
        nullable=True, ge=0, description="of the grams: energy and intensity in squares; NULL where one is unknown"
    )
    raw_sha256: t.TEXT = Field(str_matches=SHA256, description="raw object of the energy")

    class Config:
        """Grain of the table."""

        unique = ["hour", "source", "provider", "region", "node_id", "device_id", "share_id"]
        name = "emissions"


class EmissionsMarket(DataFrameModel):
    """Electricity of a month by zone and scope: what contracts and certificates are matched against."""

    month: t.DAY = Field(description="first day of the month, the partition")
    zone: t.TEXT = Field(nullable=True, description="grid zone; NULL where the site file names none")
    ghg_scope: t.TEXT = Field(isin=GhgScope.values(), description="where the kWh belongs")
    facility_kwh: t.FACILITY_KWH = Field(nullable=True, ge=0, description="to be covered by instruments")
    location_g: t.GRAMS = Field(nullable=True, ge=0, description="the same electricity, location-based")
    market_g: t.GRAMS = Field(
        nullable=True, ge=0, description="market-based, matched by the year; NULL where no source tells of instruments"
    )
    instruments: t.TEXT = Field(nullable=True, description="contracts, certificates and residual mix that were applied")
    certified_kwh: t.FACILITY_KWH = Field(nullable=True, ge=0, description="of it covered by certificates")
    contract_kwh: t.FACILITY_KWH = Field(nullable=True, ge=0, description="of it covered by contracts")
    supplier_kwh: t.FACILITY_KWH = Field(nullable=True, ge=0, description="of it with a supplier's rate")
    residual_kwh: t.FACILITY_KWH = Field(nullable=True, ge=0, description="of it with the residual mix")
    location_fallback_kwh: t.FACILITY_KWH = Field(
        nullable=True, ge=0, description="of it with the location factor, for want of a residual mix"
    )
    carbon_free_kwh: t.FACILITY_KWH = Field(
        nullable=True, ge=0, description="of it covered by carbon-free certificates and contracts, matched by the year"
    )
    hourly_matched_kwh: t.FACILITY_KWH = Field(
        nullable=True,
        ge=0,
        description="extra: what carbon-free certificates of the very hour cover, hour by hour; no part of market_g",
    )
    months_matched: t.COUNT = Field(
        nullable=True, ge=1, le=12, description="months of the year with electricity; until it is over, shares are open"
    )

    class Config:
        """Grain of the table."""

        unique = ["month", "zone", "ghg_scope"]
        name = "emissions_market"


class AppliedInstruments(DataFrameModel):
    """Instruments of a year that are alike, whether they count, and what they cover in a month.

    A batch that covers electricity of several zones or scopes has a row for each. `quantity_kwh` and `counted_kwh` are
    of the whole batch and year, and the same in all its rows; `applied_kwh` adds up.
    """

    month: t.DAY = Field(description="first day of the month, the partition")
    batch: t.TEXT = Field(description="which batch: equal in all rows that speak of the same instruments of a file")
    source: t.TEXT = Field(description="name of the source in site.yaml")
    instrument: t.TEXT = Field(isin=InstrumentKind.values(), description="what it is")
    registry: t.TEXT = Field(nullable=True, description="where it is tracked")
    market: t.TEXT = Field(description="grid zone or market within which it may be used")
    technology: t.TEXT = Field(nullable=True, description="as the file spells it")
    supplier: t.TEXT = Field(nullable=True, description="who delivers")
    vintage: t.COUNT = Field(description="year of the generation, or of the rate")
    gco2e_per_kwh: t.FACTOR = Field(nullable=True, ge=0, description="the instruments' own emission factor")
    carbon_free: t.FLAG = Field(nullable=True, description="carbon-free; NULL: not known")
    verdict: t.TEXT = Field(isin=Verdict.values(), description="counts, or which criterion is not met")
    certificates: t.COUNT = Field(ge=1, description="lines of the file")
    quantity_kwh: t.FACILITY_KWH = Field(nullable=True, ge=0, description="as stated, of the year; NULL: no limit")
    counted_kwh: t.FACILITY_KWH = Field(nullable=True, ge=0, description="of it, each serial once")
    zone: t.TEXT = Field(nullable=True, description="grid zone whose electricity is covered; NULL where none is")
    ghg_scope: t.TEXT = Field(nullable=True, isin=GhgScope.values(), description="scope of that electricity")
    applied_kwh: t.FACILITY_KWH = Field(ge=0, description="electricity of the month that is covered")
    market_g: t.GRAMS = Field(nullable=True, ge=0, description="applied_kwh x gco2e_per_kwh")
    example: t.TEXT = Field(description="the first of them: file and line")
    serials: t.TEXT = Field(nullable=True, description="its serials, as the file spells them")
    raw_sha256: t.TEXT = Field(str_matches=SHA256, description="raw object of the batch")

    class Config:
        """Grain of the table."""

        unique = ["month", "batch", "zone", "ghg_scope"]
        name = "instruments"


class Reconciliation(DataFrameModel):
    """Ours beside what somebody else says of the same thing and month: the difference, and which steps make it.

    `difference` is the exact sum of the parts `by_…` and `unexplained`. A part that cannot be told is NULL, and its
    amount is in `unexplained`; one that is no part of the quantity is NULL as well: the energy of IT has no PUE.
    """

    month: t.DAY = Field(description="first day of the month, the partition")
    against: t.TEXT = Field(isin=Against.values(), description="what ours is held against")
    source: t.TEXT = Field(description="name of the source of theirs in site.yaml; several are joined with +")
    provider: t.TEXT = Field(description="aws, gcp, azure, onprem …")
    account_id: t.TEXT = Field(nullable=True, description="account or tenant, where theirs is of one")
    region: t.TEXT = Field(nullable=True, description="region or site")
    service: t.TEXT = Field(description="what is compared: node, machine, or 'electricity' of a place")
    meter: t.TEXT = Field(description="what tells theirs: meter, contract or machine as its source names it")
    quantity: t.TEXT = Field(
        isin=["energy_kwh", "facility_kwh", "location_g", "lifecycle_g"], description="what is compared"
    )
    unit: t.TEXT = Field(isin=["kWh", "g"], description="unit of the amounts")
    ours: t.FIGURE = Field(nullable=True, ge=0, description="what we have of the month; NULL: nothing")
    theirs: t.FIGURE = Field(nullable=True, ge=0, description="what the other side has of the month; NULL: nothing")
    difference: t.FIGURE = Field(nullable=True, description="ours - theirs; NULL where one is")
    ratio: t.FIGURE = Field(nullable=True, ge=0, description="ours / theirs; NULL where theirs is 0 or one is NULL")
    by_coverage: t.FIGURE = Field(nullable=True, description="part: hours that one side lacks or observed in part")
    by_lag: t.FIGURE = Field(nullable=True, description="part: from the end of one side's data on")
    by_boundary: t.FIGURE = Field(nullable=True, description="part: what only one side counts")
    by_energy: t.FIGURE = Field(nullable=True, description="part: energy of the same hours and things")
    by_pue: t.FIGURE = Field(nullable=True, description="part: facility energy per kWh of IT energy")
    by_intensity: t.FIGURE = Field(nullable=True, description="part: grams per kWh of facility energy")
    unexplained: t.FIGURE = Field(nullable=True, description="part: what cannot be told apart")
    theirs_compared: t.FIGURE = Field(
        nullable=True, ge=0, description="theirs of the hours that both sides have: what the last four parts are of"
    )
    compared_ratio: t.FIGURE = Field(
        nullable=True, description="like by like: without coverage, lag and boundary; NULL where nothing is compared"
    )
    compared_hours: t.COUNT = Field(ge=0, description="hours that both sides have")
    ours_only_hours: t.COUNT = Field(ge=0, description="hours that only we have")
    theirs_only_hours: t.COUNT = Field(ge=0, description="hours that only the other side has")
    gap_hours: t.FIGURE = Field(ge=0, description="device-hours of ours that were not observed in the hours compared")
    why: t.TEXT = Field(description="the largest part, and what is missing, in words")
    raw_sha256: t.TEXT = Field(str_matches=SHA256, description="raw object of theirs, the first of several")

    class Config:
        """Grain of the table."""

        unique = ["month", "against", "source", "provider", "account_id", "region", "service", "meter", "quantity"]
        name = "reconciliation"


class _Kpis(DataFrameModel):
    kpi: t.TEXT = Field(description="name of the indicator, with its unit")
    grain: t.TEXT = Field(isin=KPI_GRAINS, description="the dimension the row is cut by; 'total' for none")
    source: t.TEXT = Field(nullable=True, description="name of the source, where grain is source")
    zone: t.TEXT = Field(nullable=True, description="grid zone, where grain is zone")
    project: t.TEXT = Field(nullable=True, description="project, where grain is project")
    model_id: t.TEXT = Field(nullable=True, description="AI model, where grain is model_id; 'unknown' for none")
    workload_type: t.TEXT = Field(nullable=True, description="workload type, where grain is workload_type")
    ghg_scope: t.TEXT = Field(nullable=True, description="scope of the GHG Protocol, where grain is ghg_scope")
    workload_id: t.TEXT = Field(nullable=True, description="training run, where grain is workload_id")
    value: t.FIGURE = Field(nullable=True, description="numerator / denominator, or the numerator of a sum")
    unit: t.TEXT = Field(description="unit of the value")
    numerator: t.FIGURE = Field(nullable=True, description="exact")
    denominator: t.FIGURE = Field(nullable=True, description="exact; NULL for a sum")
    coverage: t.SHARE = Field(
        nullable=True, ge=0, le=1, description="share of the numerator that was observed, or matched"
    )
    uncertainty_pct: t.PERCENT = Field(nullable=True, ge=0, description="95 % interval of the value, ± per cent")


class KpisDaily(_Kpis):
    """Indicators of one day, long form."""

    day: t.DAY = Field(description="UTC day, the partition")

    class Config:
        """Grain of the table."""

        unique = ["day", "kpi", "unit", "grain", *KPI_KEYS]
        name = "kpis_daily"


class KpisMonthly(_Kpis):
    """Indicators of one month, long form: sums of the days' numerators and denominators, divided last."""

    month: t.DAY = Field(description="first day of the month, the partition")
    days: t.COUNT = Field(ge=0, description="days of the month that have data")

    class Config:
        """Grain of the table."""

        unique = ["month", "kpi", "unit", "grain", *KPI_KEYS]
        name = "kpis_monthly"


class Opportunities(DataFrameModel):
    """What can be saved, by month, rule and subject; each alone: one kWh may stand in several, so they never add up.

    A subject that a rule measured and found nothing to save of is a row too (`found` is false): savings are measured
    against it afterwards.
    """

    month: t.DAY = Field(description="first day of the month, the partition")
    opportunity_id: t.TEXT = Field(str_matches="^[0-9a-f]{12}$", description="hash of rule and subject; no month in it")
    rule: t.TEXT = Field(isin=OpportunityRule.values(), description="which rule found it")
    found: t.FLAG = Field(description="true: there is something to save; false: measured, and there is nothing")
    subject: t.TEXT = Field(description="what it is about, in words")
    source: t.TEXT = Field(nullable=True, description="name of the source in site.yaml, where it is one")
    provider: t.TEXT = Field(nullable=True, description="aws, gcp, azure, onprem …")
    account_id: t.TEXT = Field(nullable=True, description="account, tenant or cost centre")
    region: t.TEXT = Field(nullable=True, description="region or site")
    zone: t.TEXT = Field(nullable=True, description="grid zone")
    project: t.TEXT = Field(nullable=True, description="project")
    model_id: t.TEXT = Field(nullable=True, description="AI model")
    workload_type: t.TEXT = Field(nullable=True, isin=WORKLOAD_TYPES, description="workload type")
    node_id: t.TEXT = Field(nullable=True, description="host")
    device_model: t.TEXT = Field(nullable=True, description="accelerator, as it names itself")
    resource_id: t.TEXT = Field(nullable=True, description="commitment of the bill")
    target_region: t.TEXT = Field(nullable=True, description="region it is compared with")
    ghg_scope: t.TEXT = Field(
        nullable=True, isin=GhgScope.values(), description="where its kWh belongs; NULL: to none, or to several"
    )
    of_kwh: t.FACILITY_KWH = Field(nullable=True, ge=0, description="IT energy of the subject, of which it is a part")
    energy_kwh: t.FACILITY_KWH = Field(nullable=True, description="IT energy that would not be used")
    facility_kwh: t.FACILITY_KWH = Field(nullable=True, description="the same with PUE")
    location_g: t.GRAMS = Field(nullable=True, description="location-based grams that would not be emitted")
    cost: t.MONEY = Field(nullable=True, description="cost that would not arise; NULL where nobody bills it")
    currency: t.TEXT = Field(nullable=True, str_matches="^[A-Z]{3}$", description="ISO 4217, of cost")
    uncertainty_pct: t.PERCENT = Field(nullable=True, ge=0, description="of the energy, 95 % interval, ± per cent")
    grams_uncertainty_pct: t.PERCENT = Field(nullable=True, ge=0, description="of the grams, 95 % interval, ± per cent")
    coverage: t.SHARE = Field(
        nullable=True, ge=0, le=1, description="share of the subject's energy that the rule could judge"
    )
    row_count: t.COUNT = Field(ge=0, description="rows it stands on: as many as `query` returns")
    days: t.COUNT = Field(ge=0, description="days of the month that tell of the subject")
    measured_kwh: t.FACILITY_KWH = Field(nullable=True, description="what is compared with later months, with PUE")
    measured_g: t.GRAMS = Field(nullable=True, description="the same in location-based grams")
    units: t.FIGURE = Field(nullable=True, ge=0, description="what the measured amounts are divided by to be compared")
    unit: t.TEXT = Field(description="unit of `units`")
    month_before: t.DAY = Field(nullable=True, description="month it is compared with, where the rule compares two")
    measure: t.FIGURE = Field(nullable=True, description="what the rule judges by, where it has a limit")
    measure_before: t.FIGURE = Field(nullable=True, description="the same in the month before")
    measure_unit: t.TEXT = Field(nullable=True, description="unit of both")
    overlaps: t.TEXT = Field(nullable=True, description="rules that may speak of the same kWh")
    what: t.TEXT = Field(description="what to do")
    basis: t.TEXT = Field(description="what was assumed")
    query: t.TEXT = Field(description="SQL over the lake that returns the rows it stands on")

    class Config:
        """Grain of the table."""

        unique = ["month", "opportunity_id"]
        name = "opportunities"

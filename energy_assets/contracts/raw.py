"""Contracts of the rows that sources parse from raw bytes, one per kind of feed.

A source fills these columns and nothing else; place, attribution and uncertainty are added upstairs in
`unified`. Every row names the raw object it came from in `raw_sha256`.
"""

from __future__ import annotations

from pandera.ibis import DataFrameModel, Field

from energy_assets.contracts import types as t
from energy_assets.contracts.vocabulary import DeviceKind, GhgScope, InstrumentKind, Method

DEVICE_KINDS = DeviceKind.values()
METHODS = Method.values()


PLACE_COLUMNS = ("provider", "account_id", "region")
"""What a source leaves out whose machines stand in the one place of its block."""


class EnergyReadings(DataFrameModel):
    """Energy of one device in one hour, as a meter, a counter or a gauge told it."""

    day: t.DAY = Field(description="UTC day, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour")
    provider: t.TEXT = Field(nullable=True, description="where the source tells it; else the place of its block")
    account_id: t.TEXT = Field(nullable=True, description="where the source tells it; else the place of its block")
    region: t.TEXT = Field(nullable=True, description="where the source tells it; else the place of its block")
    node_id: t.TEXT = Field(description="host")
    device_id: t.TEXT = Field(description="device on the host (UUID, RAPL zone), or the host itself")
    device_kind: t.TEXT = Field(isin=DEVICE_KINDS, description="what was metered")
    device_model: t.TEXT = Field(nullable=True, description="as the device names itself")
    device_uuid: t.TEXT = Field(
        nullable=True, description="device_id in small letters where it is a UUID: the same device on whatever host"
    )
    share_id: t.TEXT = Field(description="which user of a shared device this row is; 'idle' for nobody, 'all' unshared")
    energy_kwh: t.MEASURED = Field(nullable=True, ge=0, description="IT energy; NULL where it was not observed")
    usage_hours: t.MEASURED = Field(nullable=True, ge=0, le=1, description="hours the device was seen in this hour")
    method: t.TEXT = Field(isin=METHODS, description="how the energy is known")
    quality_tier: t.TIER = Field(isin=[1, 2, 3, 4], description="1 metered and confirmed … 4 proxy")
    coverage: t.SHARE = Field(ge=0, le=1, description="share of the hour that was observed")
    workload_id: t.TEXT = Field(nullable=True, description="pod, job, run or endpoint, where the source knows it")
    idle: t.FLAG = Field(description="true where the source knows that nobody used the device")
    labels: t.LABELS = Field(description="labels and tags that attribution rules may match")
    raw_sha256: t.TEXT = Field(str_matches="^[0-9a-f]{64}$", description="raw object of the row")

    class Config:
        """Grain of the table."""

        unique = ["hour", "provider", "account_id", "region", "node_id", "device_id", "share_id"]


class Charges(DataFrameModel):
    """One charge of a bill on one day, FOCUS columns in snake case; a column no bill of the provider has is NULL."""

    day: t.DAY = Field(description="UTC day the charge period starts, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour the charge period starts in")
    charge_period_start: t.HOUR = Field(description="ChargePeriodStart, UTC")
    charge_period_end: t.HOUR = Field(description="ChargePeriodEnd, UTC, exclusive")
    billing_period: t.DAY = Field(description="first day of the billing period")
    provider: t.TEXT = Field(description="aws, gcp, azure, oracle …: whose account the charge is billed to")
    publisher: t.TEXT = Field(nullable=True, description="PublisherName, else ServiceProviderName: who made or sold it")
    billing_account_id: t.TEXT = Field(nullable=True, description="BillingAccountId")
    account_id: t.TEXT = Field(nullable=True, description="SubAccountId, else BillingAccountId")
    invoice_id: t.TEXT = Field(nullable=True, description="InvoiceId; NULL until the charge is invoiced")
    region: t.TEXT = Field(nullable=True, description="RegionId")
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
    labels: t.LABELS = Field(description="Tags")
    raw_sha256: t.TEXT = Field(str_matches="^[0-9a-f]{64}$", description="raw object of the row")


class InferenceCounts(DataFrameModel):
    """What one deployment of a model served in one hour."""

    day: t.DAY = Field(description="UTC day, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour")
    deployment: t.TEXT = Field(description="the serving job or instance")
    model_id: t.TEXT = Field(nullable=True, description="model name as the server tells it")
    requests: t.COUNT = Field(nullable=True, ge=0, description="requests answered, whatever the finish reason")
    failed_requests: t.COUNT = Field(nullable=True, ge=0, description="requests aborted or failed")
    prompt_tokens: t.COUNT = Field(nullable=True, ge=0, description="input tokens")
    generated_tokens: t.COUNT = Field(nullable=True, ge=0, description="output tokens")
    coverage: t.SHARE = Field(ge=0, le=1, description="share of the hour that was observed")
    labels: t.LABELS = Field(description="labels that attribution rules may match")
    raw_sha256: t.TEXT = Field(str_matches="^[0-9a-f]{64}$", description="raw object of the row")

    class Config:
        """Grain of the table."""

        unique = ["hour", "deployment", "model_id"]


class IntensityRows(DataFrameModel):
    """Grid carbon intensity of one zone: the hours of the day, and stand-ins for hours that are missing.

    Per zone and hour there is at most one row of each resolution: `hour` as published, `month` the mean of the
    same hour of day over the zone's calendar month, `year` the zone's mean over the calendar year.
    """

    day: t.DAY = Field(description="UTC day, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour")
    zone: t.TEXT = Field(description="grid zone")
    lifecycle_gco2e_per_kwh: t.FACTOR = Field(nullable=True, ge=0, le=3000, description="life-cycle intensity")
    direct_gco2e_per_kwh: t.FACTOR = Field(nullable=True, ge=0, le=3000, description="combustion intensity")
    carbon_free_share: t.SHARE = Field(nullable=True, ge=0, le=1, description="carbon-free share of consumption")
    is_estimated: t.FLAG = Field(description="the publisher estimated it, or it stands in for a missing hour")
    hour_covered: t.SHARE = Field(nullable=True, gt=0, le=1, description="share of the hour its values hold for")
    answered_minutes: t.MINUTES = Field(
        nullable=True, ge=1, le=60, description="how far apart the publisher's values are, in minutes"
    )
    resolution: t.TEXT = Field(isin=["hour", "month", "year"], description="what period the value was made for")
    factor_id: t.TEXT = Field(description="publisher, zone and edition of the factor")
    raw_sha256: t.TEXT = Field(str_matches="^[0-9a-f]{64}$", description="raw object of the row")

    class Config:
        """Grain of the table."""

        unique = ["hour", "zone", "resolution"]


class UtilizationReadings(DataFrameModel):
    """How busy the processors or the GPUs of one machine were in one hour, as its cloud's monitoring told it."""

    day: t.DAY = Field(description="UTC day, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour")
    provider: t.TEXT = Field(description="aws, gcp, azure …")
    account_id: t.TEXT = Field(nullable=True, description="where the source tells it")
    region: t.TEXT = Field(nullable=True, description="where the source tells it")
    resource_id: t.TEXT = Field(description="the machine: instance id, name or resource path")
    component: t.TEXT = Field(isin=["cpu", "gpu"], description="whose load it is")
    utilization: t.SHARE = Field(ge=0, le=1, description="mean share of full load while it was observed")
    coverage: t.SHARE = Field(gt=0, le=1, description="share of the hour that was observed")
    raw_sha256: t.TEXT = Field(str_matches="^[0-9a-f]{64}$", description="raw object of the row")

    class Config:
        """Grain of the table."""

        unique = ["hour", "provider", "account_id", "region", "resource_id", "component"]


class UsageEstimates(DataFrameModel):
    """Energy of one component of one resource in one hour, as estimated from what a bill says was used."""

    day: t.DAY = Field(description="UTC day, the partition")
    hour: t.HOUR = Field(description="start of the UTC hour")
    source: t.TEXT = Field(description="name of the bill's source in site.yaml")
    provider: t.TEXT = Field(description="aws, gcp, azure, oracle …")
    account_id: t.TEXT = Field(nullable=True, description="SubAccountId, else BillingAccountId")
    region: t.TEXT = Field(nullable=True, description="RegionId")
    project: t.TEXT = Field(description="of the bill's line")
    model_id: t.TEXT = Field(nullable=True, description="of the bill's line")
    workload_type: t.TEXT = Field(description="of the bill's line")
    workload_id: t.TEXT = Field(nullable=True, description="of the bill's line")
    node_id: t.TEXT = Field(description="the resource, as its own telemetry names it; else account and service")
    is_machine: t.FLAG = Field(description="part of a machine that may have telemetry of its own")
    device_id: t.TEXT = Field(description="component of the resource")
    device_kind: t.TEXT = Field(isin=DEVICE_KINDS, description="gpu, cpu, dram, storage, network, instance")
    device_model: t.TEXT = Field(nullable=True, description="accelerator, processor or medium; the type of an instance")
    share_id: t.TEXT = Field(description="whose lines these are: project, model, workload type and workload")
    amount: t.FIGURE = Field(nullable=True, description="how much was used, in amount_unit")
    amount_unit: t.TEXT = Field(
        isin=["gpu_h", "vcpu_h", "GB_h", "GB", "instance_h", "currency"], description="unit of the amount"
    )
    utilization: t.SHARE = Field(nullable=True, ge=0, le=1, description="share of full load that was taken")
    replication: t.SHARE = Field(nullable=True, description="copies kept, or machines run, of what is billed once")
    energy_kwh: t.FIGURE = Field(nullable=True, ge=0, description="IT energy; NULL where the type is in no table")
    embodied_g: t.GRAMS = Field(
        nullable=True, ge=0, description="share of the hardware's manufacture; NULL where no table has it"
    )
    usage_hours: t.MEASURED = Field(nullable=True, ge=0, le=1, description="hours of the machine, where it is one")
    method: t.TEXT = Field(isin=METHODS, description="estimated_utilization, estimated_capacity or spend_proxy")
    quality_tier: t.TIER = Field(isin=[3, 4], description="3 with a measured utilization, 4 without")
    coverage: t.SHARE = Field(ge=0, le=1, description="0: nobody observed anything")
    uncertainty_pct: t.PERCENT = Field(nullable=True, ge=0, description="95 % interval, ± per cent")
    raw_sha256: t.TEXT = Field(str_matches="^[0-9a-f]{64}$", description="raw object of the bill")

    class Config:
        """Grain of the table."""

        unique = ["hour", "source", "provider", "account_id", "region", "node_id", "device_id", "share_id"]


class Instruments(DataFrameModel):
    """What is known in a month of the instruments of its year: certificates, contracts, supplier rates, residual mixes.

    Each month of a year holds all of them, because they are matched against the year; rates of the years before are
    among them, for as long as they may stand in.
    """

    month: t.DAY = Field(description="first day of the month, the partition")
    instrument: t.TEXT = Field(isin=InstrumentKind.values(), description="what it is")
    registry: t.TEXT = Field(nullable=True, description="where it is tracked, as the file spells it")
    serial_from: t.TEXT = Field(nullable=True, description="first serial, as the file spells it")
    serial_to: t.TEXT = Field(nullable=True, description="last serial")
    serial_series: t.TEXT = Field(nullable=True, description="registry and fixed part of the serials, in one spelling")
    serial_first: t.SERIAL = Field(nullable=True, description="number of the first serial within its series")
    serial_last: t.SERIAL = Field(nullable=True, description="number of the last one")
    quantity_kwh: t.FACILITY_KWH = Field(nullable=True, ge=0, description="electricity; NULL: a rate without limit")
    generation_start: t.HOUR = Field(description="start of the generation, or of what a rate is of; UTC")
    generation_end: t.HOUR = Field(description="its end, exclusive")
    vintage: t.COUNT = Field(ge=1990, le=2100, description="year of the generation, or of the rate")
    for_year: t.COUNT = Field(ge=1990, le=2100, description="year it is claimed for; the vintage where none is stated")
    technology: t.TEXT = Field(nullable=True, description="as the file spells it")
    market: t.TEXT = Field(description="grid zone or market within which it may be used")
    supplier: t.TEXT = Field(nullable=True, description="who delivers")
    gco2e_per_kwh: t.FACTOR = Field(nullable=True, ge=0, le=3000, description="the instrument's own emission factor")
    carbon_free: t.FLAG = Field(nullable=True, description="whether its electricity is carbon-free; NULL: not known")
    retired_on: t.DAY = Field(nullable=True, description="when it was retired, redeemed or cancelled")
    beneficiary: t.TEXT = Field(nullable=True, description="for whom it was retired; NULL: for the account's holder")
    ghg_scope: t.TEXT = Field(
        nullable=True,
        isin=[GhgScope.SCOPE2.value, GhgScope.SCOPE38.value],
        description="what it is allocated to; NULL: Scope 2, and for rates also 3.8",
    )
    file: t.TEXT = Field(description="name of the file, as it was listed")
    line: t.COUNT = Field(ge=1, description="line of the file, the header being 1")
    raw_sha256: t.TEXT = Field(str_matches="^[0-9a-f]{64}$", description="raw object of the row")

    class Config:
        """Grain of the table."""

        unique = ["month", "raw_sha256", "line"]


class Invoices(DataFrameModel):
    """A line of an electricity invoice, in each month that its period touches."""

    month: t.DAY = Field(description="first day of the month, the partition")
    invoice_id: t.TEXT = Field(description="number of the invoice")
    corrects: t.TEXT = Field(nullable=True, description="number of the invoice that a credit note is of")
    meter: t.TEXT = Field(description="meter, contract or delivery point")
    provider: t.TEXT = Field(description="whose place it is: onprem, or a provider")
    account_id: t.TEXT = Field(nullable=True, description="account or tenant; NULL: all of the place")
    region: t.TEXT = Field(description="region or site")
    first_day: t.DAY = Field(description="first day of the period")
    last_day: t.DAY = Field(description="last day of the period, included")
    boundary: t.TEXT = Field(isin=["it", "facility"], description="what the meter counts: it, or facility with cooling")
    energy_kwh: t.FACILITY_KWH = Field(description="as invoiced; below zero on a credit note")
    pue: t.PUE = Field(nullable=True, ge=1, description="as the invoice states it")
    gco2e: t.GRAMS = Field(nullable=True, description="as invoiced, location-based")
    gco2e_basis: t.TEXT = Field(nullable=True, isin=["direct", "lifecycle"], description="what its grams are of")
    cost: t.MONEY = Field(nullable=True, description="as invoiced")
    currency: t.TEXT = Field(nullable=True, str_matches="^[A-Z]{3}$", description="ISO 4217")
    file: t.TEXT = Field(description="name of the file, as it was listed")
    line: t.COUNT = Field(ge=1, description="line of the file, the header being 1")
    raw_sha256: t.TEXT = Field(str_matches="^[0-9a-f]{64}$", description="raw object of the row")

    class Config:
        """Grain of the table."""

        unique = ["month", "raw_sha256", "line"]

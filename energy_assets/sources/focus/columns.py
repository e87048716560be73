"""What the columns of a bill mean: FOCUS 1.0 to 1.4, and AWS's Cost and Usage Report in both spellings.

What belongs here: which column feeds which column of `contracts.raw.Charges`, and by which rule. What does not:
physical types (`cells`) and running the query (`parse`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from energy_assets.sources.csv_text import SAVE_AS
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.focus.bill import Bill, literal
from energy_assets.sources.focus.cells import MONEY, NO_TAGS, Cell, Cells, RetypedError

Layout = Literal["focus", "aws_cur"]

CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
PROVIDERS = {
    "aws": ("aws", "amazon web services", "amazon internet services", "amazon aws"),
    "azure": ("azure", "microsoft"),
    "gcp": ("gcp", "google"),
    "oracle": ("oracle", "oci"),
}
"""How the names of a cloud and of its legal entities begin, by our name: the entities differ by country.

Whole words, in any case; any other provider becomes a slug of itself, in its own script. Amazon
Internet Services is what AWS India was called. Read for providers and for invoice issuers alike.
"""
_GAP = "[ ,.;:_/()-]"
"""What may stand between the words of such a name, and after them."""

PROVIDER_COLUMNS = ("ProviderName", "ServiceProviderName", "HostProviderName")
"""FOCUS 1.0 to 1.2 have the first, 1.3 has all, 1.4 removed the first: one of them must be there."""

FOCUS_REQUIRED = (
    "BilledCost",
    "BillingCurrency",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargePeriodEnd",
    "ChargePeriodStart",
)
"""Mandatory in every FOCUS version, and a charge means nothing without them."""

FOCUS_NUMBERS = ("BilledCost", "ConsumedQuantity", "EffectiveCost", "ListCost", "ListUnitPrice", "PricingQuantity")
CUR_NUMBERS = (
    "lineItem/UnblendedCost",
    "lineItem/UsageAmount",
    "pricing/publicOnDemandCost",
    "pricing/publicOnDemandRate",
    "reservation/EffectiveCost",
    "savingsPlan/SavingsPlanEffectiveCost",
)

ALIASES = {
    "ProviderName": "Provider",
    "PublisherName": "Publisher",
    "InvoiceIssuerName": "InvoiceIssuer",
    "RegionId": "Region",
}
"""Oracle's reports keep the names of the FOCUS preview."""

CUR_REQUIRED = {
    "billbillingperiodstartdate": "bill/BillingPeriodStartDate",
    "lineitemcurrencycode": "lineItem/CurrencyCode",
    "lineitemlineitemtype": "lineItem/LineItemType",
    "lineitemunblendedcost": "lineItem/UnblendedCost",
    "lineitemusageenddate": "lineItem/UsageEndDate",
    "lineitemusagestartdate": "lineItem/UsageStartDate",
}

CUR_CATEGORIES = {
    "Usage": ("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage"),
    "Tax": ("Tax",),
    "Credit": ("Credit", "Refund"),
    "Purchase": ("Fee", "RIFee", "SavingsPlanRecurringFee", "SavingsPlanUpfrontFee"),
}
"""ChargeCategory of each LineItemType; all others (discounts, negations) adjust other lines."""

CUR_SERVICE_CATEGORIES = {
    "AI and Machine Learning": ("AmazonBedrock", "AmazonBedrockService", "AmazonSageMaker", "AmazonQ"),
    "Compute": ("AmazonEC2", "AWSLambda", "AmazonECS", "AmazonEKS", "AWSBatch", "AmazonECR"),
    "Storage": ("AmazonS3", "AmazonEFS", "AmazonFSx", "AmazonGlacier", "AWSBackup", "AmazonS3GlacierDeepArchive"),
    "Networking": ("AWSDataTransfer", "AmazonVPC", "AmazonCloudFront", "AmazonRoute53", "AWSELB"),
    "Databases": ("AmazonRDS", "AmazonDynamoDB", "AmazonElastiCache", "AmazonNeptune", "AmazonDocDB"),
}
"""FOCUS ServiceCategory of the product codes AI workloads meet; any other stays NULL."""


@dataclass(frozen=True)
class Charge:
    """SQL of one charge.

    Attributes:
        cells: Values that must be readable, by column of the contract.
        texts: Values that may be absent, by column of the contract.
        labels: The tags as a map.
        bad_labels: True where tags are there and cannot be read.
        allocation: `allocated` for a share of a charge that was split, `split` for a line that repeats a part of
            another line, NULL for all others; see `allocation`.
        tags: JSON text the labels are yet to be made from; a map is expensive to write and read, and this one is only
            needed for the days that are wanted.
    """

    cells: dict[str, Cell]
    texts: dict[str, str]
    labels: str
    bad_labels: str
    allocation: str = "NULL::VARCHAR"
    tags: str = "NULL::VARCHAR"


def layout_of(bill: Bill, wanted: Literal["auto", "focus", "aws_cur"]) -> Layout:
    """Which layout the header shows.

    Args:
        bill: The bill with its header.
        wanted: The layout the site names, or "auto".

    Raises:
        MalformedError: neither, or not the wanted one; names what is missing and what to do.
    """
    names = {column.lower() for column in bill.columns}
    focus_missing = [column for column in FOCUS_REQUIRED if column.lower() not in names]
    if not {column.lower() for column in (*PROVIDER_COLUMNS, ALIASES["ProviderName"])} & names:
        focus_missing.append("ProviderName or ServiceProviderName")
    cur_names = {_bare(column) for column in bill.columns}
    cur_missing = [column for bare, column in CUR_REQUIRED.items() if bare not in cur_names]
    if wanted != "aws_cur" and not focus_missing:
        return "focus"
    if wanted != "focus" and not cur_missing:
        return "aws_cur"
    if wanted != "aws_cur" and len(focus_missing) < len(FOCUS_REQUIRED) / 2:
        raise MalformedError(
            f"{bill.name}: this FOCUS bill has no column {', '.join(focus_missing)}",
            _preview(names) or "These columns are mandatory in FOCUS: export them too and deliver the file again.",
        )
    if wanted != "focus" and len(cur_missing) < len(CUR_REQUIRED) / 2:
        raise MalformedError(
            f"{bill.name}: this AWS Cost and Usage Report has no column {', '.join(cur_missing)}",
            "Select these columns in the export too and deliver the file again.",
        )
    raise MalformedError(
        f"{bill.name}: this is no {_TITLES[wanted]}; its columns begin {', '.join(list(bill.columns)[:6])}",
        _remedy(names),
    )


_TITLES = {
    "auto": "FOCUS bill and no AWS Cost and Usage Report",
    "focus": "FOCUS bill",
    "aws_cur": "AWS Cost and Usage Report",
}


def _preview(names: set[str]) -> str:
    found = {"chargetype", "amortizedcost"} & names and "billedcost" in names
    return "ChargeType and AmortizedCost are of the preview FOCUS 0.5: export FOCUS 1.0 or later." if found else ""


def _remedy(names: set[str]) -> str:
    if preview := _preview(names):
        return preview
    if {"metercategory", "subscriptionid"} & names or "billingperiodstartdate" in names:
        return (
            "It looks like an Azure export of actual or amortized cost: in Cost Management create an export of "
            "the type 'Cost and usage details (FOCUS)' and point `path` at it."
        )
    if {"usage_start_time", "cost_type"} <= names:
        return "It looks like Google's billing export: query its FOCUS view and point `path` at the result."
    return "Point `path` at FOCUS 1.0 to 1.4 exports, and narrow it so that it matches nothing else."


def charge_of(bill: Bill, layout: Layout) -> Charge:
    """The expressions that read one charge from a bill.

    Args:
        bill: The bill with its header.
        layout: Which columns mean what.

    Raises:
        MalformedError: a column holds another type than it should; names it and the type found.
    """
    try:
        return _focus(bill) if layout == "focus" else _cur(bill)
    except RetypedError as error:
        remedy = SAVE_AS if bill.shape.header else "Export the bill again with the types of its specification."
        raise MalformedError(f"{bill.name}: {error}", remedy) from error


def _focus(bill: Bill) -> Charge:
    cells = Cells(bill)
    spelled = {column.lower(): column for column in reversed(bill.columns)}

    def column(name: str) -> str | None:
        if name in bill.columns:
            return name
        return spelled.get(name.lower(), spelled.get(ALIASES.get(name, name).lower()))

    def text(name: str) -> str:
        return cells.text(column(name))

    cells.settle_decimals(map(column, FOCUS_NUMBERS))
    named = next(name for name in PROVIDER_COLUMNS if column(name))
    tags = None if cells.has(column("AllocatedTags")) else cells.json_text(column("Tags"))
    labels, bad_labels = (NO_TAGS, "false") if tags else _focus_labels(cells, column)
    billing_account, allocated = text("BillingAccountId"), text("AllocatedMethodId")
    return Charge(
        cells={
            "charge_period_start": cells.time("ChargePeriodStart", column("ChargePeriodStart"), required=True),
            "charge_period_end": cells.time("ChargePeriodEnd", column("ChargePeriodEnd"), required=True),
            "billing_period": _date(cells.time("BillingPeriodStart", column("BillingPeriodStart"), required=True)),
            "provider": _provider(named, _focus_provider(text)),
            "charge_category": _category(text("ChargeCategory")),
            "consumed_quantity": cells.number("ConsumedQuantity", column("ConsumedQuantity")),
            "pricing_quantity": cells.number("PricingQuantity", column("PricingQuantity")),
            "list_unit_price": cells.number("ListUnitPrice", column("ListUnitPrice")),
            "billed_cost": cells.number("BilledCost", column("BilledCost"), required=True),
            "effective_cost": cells.number("EffectiveCost", column("EffectiveCost")),
            "list_cost": cells.number("ListCost", column("ListCost")),
            "billing_currency": _currency("BillingCurrency", text("BillingCurrency")),
        },
        texts={
            "publisher": f"coalesce({text('PublisherName')}, {text('ServiceProviderName')})",
            "billing_account_id": billing_account,
            "account_id": f"coalesce({text('SubAccountId')}, {billing_account})",
            "invoice_id": text("InvoiceId"),
            "region": text("RegionId"),
            "resource_id": text("ResourceId"),
            "resource_type": text("ResourceType"),
            "instance_type": _focus_instance_type(cells, column, text),
            "service_name": text("ServiceName"),
            "service_category": text("ServiceCategory"),
            "sku_id": text("SkuId"),
            "sku_meter": f"coalesce({text('SkuMeter')}, {text('x_SkuMeterName')}, {text('x_UsageType')})",
            "sku_price_id": text("SkuPriceId"),
            "charge_class": _spelled(text("ChargeClass"), "Correction"),
            "charge_description": text("ChargeDescription"),
            "commitment_discount_id": text("CommitmentDiscountId"),
            "commitment_discount_status": _spelled(text("CommitmentDiscountStatus"), "Used", "Unused"),
            "consumed_unit": text("ConsumedUnit"),
            "pricing_unit": text("PricingUnit"),
        },
        labels=labels,
        bad_labels=bad_labels,
        allocation=f"CASE WHEN {allocated} IS NOT NULL THEN 'allocated' END",
        tags=tags or "NULL::VARCHAR",
    )


def _focus_provider(text: Callable[[str], str]) -> str:
    """Whose account the charge is billed to, in every version of FOCUS the same.

    ProviderName, where it is printed. FOCUS 1.4 has no such column: then the service provider, but for a line of a
    cloud's marketplace the cloud, because the service provider of 1.3 and 1.4 is the seller there, while the
    invoice and the account are the cloud's (FOCUS, Participating Entity Identification, 3.1 to 3.3).
    """
    issuer = text("InvoiceIssuerName")
    cloud = _clouds(issuer)
    later = f"CASE {cloud} ELSE coalesce({text('ServiceProviderName')}, {text('HostProviderName')}) END"
    return f"coalesce({text('ProviderName')}, {later})"


def _focus_labels(cells: Cells, column: Callable[[str], str | None]) -> tuple[str, str]:
    """The tags; of a share of a split charge the tags of what it was split to, which hold the charge's own too."""
    labels, bad = cells.tags(column("Tags"))
    if not cells.has(column("AllocatedTags")):
        return labels, bad
    allocated, bad_allocated = cells.tags(column("AllocatedTags"))
    own = f"{cells.text(column('AllocatedTags'))} IS NOT NULL"
    return f"CASE WHEN {own} THEN {allocated} ELSE {labels} END", f"({bad} OR {bad_allocated})"


def _focus_instance_type(cells: Cells, column: Callable[[str], str | None], text: Callable[[str], str]) -> str:
    """The machine type: FOCUS 1.1 on has it in SkuPriceDetails, before that providers in columns of their own."""
    places = [cells.entry(column("SkuPriceDetails"), "InstanceType")]
    places += [text(name) for name in ("x_InstanceType", "x_SkuInstanceType")]
    places += [cells.entry(column("x_SkuDetails"), "ServiceType"), _aws_instance_type(text("x_UsageType"))]
    known = [place for place in places if "NULL::VARCHAR" not in place]
    return f"nullif(coalesce({', '.join(known)}), '')" if known else "NULL::VARCHAR"


def _aws_instance_type(usage_type: str) -> str:
    """The machine in an AWS usage type such as EUC1-BoxUsage:p5.48xlarge or USE1-Host:ml.g5.xlarge."""
    machine = "[a-z][a-z0-9-]*[.][a-z0-9-]+"
    shape = f"(?:(?:Box|Spot|Dedicated|Heavy|Sched)Usage:({machine})|:(ml[.]{machine}))$"
    found = f"regexp_extract({usage_type}, '{shape}', ['ec2', 'sagemaker'])"
    return f"coalesce(nullif({found}.ec2, ''), nullif({found}.sagemaker, ''))"


def _cur(bill: Bill) -> Charge:
    """Rules: AWS, Cost and Usage Report, understanding savings plans and reservations in the line items."""
    cells = Cells(bill)
    by_bare = {_bare(column): column for column in reversed(bill.columns)}

    def column(name: str) -> str | None:
        return by_bare.get(_bare(name))

    def text(*names: str) -> str:
        return f"coalesce({', '.join(cells.text(column(name)) for name in names)})"

    def number(name: str, *, required: bool = False) -> Cell:
        return cells.number(name, column(name), required=required)

    cells.settle_decimals(map(column, CUR_NUMBERS))
    kind = text("lineItem/LineItemType")
    category = " ".join(
        f"WHEN {kind} IN ({', '.join(literal(t) for t in types)}) THEN {literal(name)}"
        for name, types in CUR_CATEGORIES.items()
    )
    billed = number("lineItem/UnblendedCost", required=True)
    quantity = number("lineItem/UsageAmount")
    used = f"{kind} IN ({', '.join(literal(t) for t in CUR_CATEGORIES['Usage'])})"
    labels, bad_labels = _cur_tags(bill, cells, column("resource_tags"))
    resource, unit, usage_type = text("lineItem/ResourceId"), text("pricing/unit"), text("lineItem/UsageType")
    reservation = text("reservation/ReservationARN")
    return Charge(
        cells={
            "charge_period_start": cells.time(
                "lineItem/UsageStartDate", column("lineItem/UsageStartDate"), required=True
            ),
            "charge_period_end": cells.time("lineItem/UsageEndDate", column("lineItem/UsageEndDate"), required=True),
            "billing_period": _date(
                cells.time("bill/BillingPeriodStartDate", column("bill/BillingPeriodStartDate"), required=True)
            ),
            "provider": Cell("provider", "'aws'", "'aws'"),
            "charge_category": Cell(
                "lineItem/LineItemType",
                f"CASE {category} WHEN {kind} IS NOT NULL THEN 'Adjustment' END",
                kind,
                required=True,
            ),
            "consumed_quantity": Cell(
                quantity.label,
                f"CASE WHEN {used} THEN {quantity.value} END",
                f"CASE WHEN {used} THEN {quantity.raw} END",
                kept=quantity.kept,
            ),
            "pricing_quantity": quantity,
            "list_unit_price": number("pricing/publicOnDemandRate"),
            "billed_cost": billed,
            "effective_cost": _cur_effective(kind, billed, number, reservation),
            "list_cost": number("pricing/publicOnDemandCost"),
            "billing_currency": _currency("lineItem/CurrencyCode", text("lineItem/CurrencyCode")),
        },
        texts={
            "publisher": text("lineItem/LegalEntity"),
            "billing_account_id": text("bill/PayerAccountId"),
            "account_id": text("lineItem/UsageAccountId", "bill/PayerAccountId"),
            "invoice_id": text("bill/InvoiceId"),
            "region": text("product/regionCode", "product/region"),
            "resource_id": resource,
            "resource_type": _cur_resource_type(resource),
            "instance_type": f"coalesce({text('product/instanceType')}, {_aws_instance_type(usage_type)})",
            "service_name": _cur_service(cells, column, text),
            "service_category": _cur_service_category(text("lineItem/ProductCode")),
            "sku_id": text("product/sku"),
            "sku_meter": usage_type,
            "sku_price_id": text("pricing/RateCode", "pricing/RateId"),
            "charge_class": "NULL::VARCHAR",
            "charge_description": text("lineItem/LineItemDescription"),
            "commitment_discount_id": f"coalesce({text('savingsPlan/SavingsPlanARN')}, {reservation})",
            "commitment_discount_status": (
                f"CASE WHEN {kind} IN ('SavingsPlanCoveredUsage', 'DiscountedUsage') THEN 'Used' END"
            ),
            "consumed_unit": f"CASE WHEN {used} THEN {unit} END",
            "pricing_unit": unit,
        },
        labels=labels,
        bad_labels=bad_labels,
        allocation=f"CASE WHEN {text('splitLineItem/ParentResourceId')} IS NOT NULL THEN 'split' END",
    )


def _cur_resource_type(resource: str) -> str:
    """The kind of resource in an ARN or in the name EC2 gives: FOCUS has the same words."""
    return f"""CASE WHEN starts_with({resource}, 'i-') THEN 'instance'
        WHEN starts_with({resource}, 'vol-') THEN 'volume'
        ELSE nullif(regexp_extract({resource}, '^arn:[^:]*:[^:]*:[^:]*:[^:]*:([a-z-]+)[/:]', 1), '') END"""


def _cur_effective(kind: str, billed: Cell, number: Callable[[str], Cell], reservation: str) -> Cell:
    covered = number("savingsPlan/SavingsPlanEffectiveCost")
    discounted = number("reservation/EffectiveCost")
    committed, spent = number("savingsPlan/TotalCommitmentToDate"), number("savingsPlan/UsedCommitment")
    upfront = number("reservation/UnusedAmortizedUpfrontFeeForBillingPeriod")
    recurring = number("reservation/UnusedRecurringFee")
    unused = f"coalesce({upfront.value} + {recurring.value}, {upfront.value}, {recurring.value})"
    value = f"""CASE
        WHEN {kind} = 'SavingsPlanCoveredUsage' THEN {covered.value}
        WHEN {kind} = 'SavingsPlanRecurringFee' THEN {committed.value} - {spent.value}
        WHEN {kind} IN ('SavingsPlanNegation', 'SavingsPlanUpfrontFee') THEN 0
        WHEN {kind} = 'DiscountedUsage' THEN {discounted.value}
        WHEN {kind} = 'RIFee' THEN {unused}
        WHEN {kind} = 'Fee' AND {reservation} IS NOT NULL THEN 0
        ELSE {billed.value} END"""
    raw = f"""CASE
        WHEN {kind} = 'SavingsPlanCoveredUsage' THEN {covered.raw}::VARCHAR
        WHEN {kind} = 'DiscountedUsage' THEN {discounted.raw}::VARCHAR END"""
    return Cell("effective cost", f"CAST({value} AS {MONEY})", raw)


def _cur_service(cells: Cells, column: Callable[[str], str | None], text: Callable[..., str]) -> str:
    in_product = cells.entry(column("product"), "product_name")
    return (
        f"coalesce({text('product/ProductName')}, {in_product}, {text('product/servicename', 'lineItem/ProductCode')})"
    )


def _cur_service_category(code: str) -> str:
    cases = " ".join(
        f"WHEN {code} IN ({', '.join(literal(c) for c in codes)}) THEN {literal(name)}"
        for name, codes in CUR_SERVICE_CATEGORIES.items()
    )
    return f"CASE {cases} END"


def _cur_tags(bill: Bill, cells: Cells, tags_column: str | None) -> tuple[str, str]:
    """The user's tags under their own keys: AWS writes `user:team`, `user_team` and `team` for the same one."""
    if tags_column is not None:
        labels, bad = cells.tags(tags_column)
        entries = f"list_transform(map_entries({labels}), lambda tag: {{'key': {_USER_KEY}, 'value': tag.value}})"
        return f"coalesce(TRY(map_from_entries({entries})), {labels})", bad
    in_columns: dict[str, str] = {}
    for column in bill.columns:
        found = re.match(r"(?:resourceTags/|resource_tags_)(?:user[:_])?(.+)", column)
        if found:
            in_columns.setdefault(found[1], column)
    return cells.tags_in_columns(in_columns), "false"


_USER_KEY = "regexp_replace(tag.key, '^user[:_]', '')"


def _bare(name: str) -> str:
    """A CUR column name without the marks its spellings differ in: lineItem/UsageType, line_item_usage_type."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _date(cell: Cell) -> Cell:
    """The nearest day: a period starts at midnight, but not every provider's midnight is that of UTC."""
    return Cell(cell.label, f"CAST({cell.value} + INTERVAL 12 HOUR AS DATE)", cell.raw, cell.required)


def _provider(label: str, name: str) -> Cell:
    """Our name of a provider: of a cloud, else a slug of its letters in any script, else the text as it is."""
    slug = f"nullif(trim(regexp_replace(lower({name}), '[^\\p{{L}}\\p{{M}}\\p{{N}}]+', '-', 'g'), '-'), '')"
    as_it_is = f"nullif(regexp_replace(lower(trim({name})), '\\s+', '-', 'g'), '')"
    return Cell(label, f"CASE {_clouds(name)} ELSE coalesce({slug}, {as_it_is}) END", name, required=True)


def _clouds(name: str) -> str:
    """WHEN … THEN of each cloud, by how its names begin (`PROVIDERS`), whatever stands between the words.

    One pattern a cloud, as `name` is an expression that is computed wherever it stands.
    """
    return " ".join(
        f"WHEN regexp_matches({name}, '^ *(?:{'|'.join(names).replace(' ', _GAP)})(?:{_GAP}|$)', 'i') "
        f"THEN {literal(ours)}"
        for ours, names in PROVIDERS.items()
    )


def _spelled(text: str, *words: str) -> str:
    """The text, with FOCUS's own capitals where it is one of its words."""
    known = " ".join(f"WHEN {literal(word.lower())} THEN {literal(word)}" for word in words)
    return f"CASE lower({text}) {known} ELSE {text} END"


def _category(text: str) -> Cell:
    known = " ".join(f"WHEN {literal(name.lower())} THEN {literal(name)}" for name in CATEGORIES)
    return Cell("ChargeCategory", f"CASE lower({text}) {known} END", text, required=True)


def _currency(label: str, text: str) -> Cell:
    value = f"CASE WHEN regexp_full_match({text}, '[A-Z]{{3}}') THEN {text} END"
    return Cell(label, value, text, required=True)

"""site.yaml: what an organisation has, where it is kept, and how it is to be counted.

What belongs here: the models of the file and the errors a person gets for a wrong one. What does not: acting
on it. The keys of a source are the fields of its class (`energy_assets.sources.registry`).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from energy_assets.commands import SITE_VARIABLE as SITE_VARIABLE
from energy_assets.commands import command
from energy_assets.contracts import vocabulary
from energy_assets.contracts.accounts import account_key
from energy_assets.contracts.node_names import plain_name
from energy_assets.contracts.regions import maybe_same, region_key
from energy_assets.contracts.vocabulary import OneOf
from energy_assets.own_kpis import PREFIX, OwnKpi, repeated
from energy_assets.secrets import known_scheme, revealed
from energy_assets.sources.base import GhgScope, GridZone, Place, PlacedSource, Source, Strict, provider_name
from energy_assets.sources.registry import KINDS, source_class
from energy_assets.storage import Storage, unmakable
from energy_assets.yaml_limits import too_much

T = TypeVar("T", bound=BaseModel)
RESERVED = (vocabulary.WorkloadType.IDLE.value, vocabulary.WorkloadType.UNKNOWN.value)
"""No project and no model may be called so."""


def _three_letters(code: str) -> str:
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise ValueError("is no ISO 4217 code: three capital letters, for example EUR or USD")
    return code


Currency = Annotated[str, AfterValidator(_three_letters)]
Named = Annotated[str, StringConstraints(pattern=r"^([^{}]+|\{label:[^{}]+\})$")]
WorkloadType = Annotated[str, OneOf(vocabulary.WorkloadType, without=RESERVED)]

_SECRETIVE = re.compile(r"secret|token|password|sas_|_key$")
"""Keys whose values are secrets: never in the clear, never repeated in a message."""


STATED_OF_A_PLACE = ("zone", "pue", "ghg_scope", "wue")
"""What a place decides; each is taken from the most specific that states it."""


class SiteError(Exception):
    """The site file cannot be used; the message has one line per fault: file, line, key, what is allowed."""


class Organisation(Strict):
    """Who reports."""

    name: str = Field(description="as it appears on the cover")
    currency: Currency = Field("USD", description="ISO 4217 code reports print costs in")
    consolidation: Literal["operational_control", "financial_control", "equity_share"] = Field(
        "operational_control", description="GHG Protocol consolidation approach"
    )
    base_year: int | None = Field(None, ge=1990, le=2100, description="year targets are measured against")
    lei: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{18}[0-9]{2}$")] | None = Field(
        None, description="Legal Entity Identifier, ISO 17442"
    )
    synthetic: bool = Field(False, description="true labels every report as made from synthetic data")


class StorageBlock(Strict):
    """Where landing, lake and reports are kept."""

    root: str = Field("./var", description="a folder (relative to the site file) or s3://, gs://, az:// URL")
    options: dict[str, str] = Field(
        default_factory=dict,
        description="object store options, for example aws_endpoint; values may be secret references",
    )

    @field_validator("options")
    @classmethod
    def _secrets_elsewhere(cls, options: dict[str, str]) -> dict[str, str]:
        for key in options:
            if _SECRETIVE.search(key):
                try:
                    known_scheme(options[key])
                except ValueError as error:
                    raise ValueError(f"{key}: {error}") from None
        return options


class Engine(Strict):
    """What computes."""

    kind: Literal["duckdb"] = Field("duckdb", description="DuckDB in memory, one connection per step")
    memory_limit: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?\s?(MB|GB)$")] = Field(
        "4GB", description="for example 4GB; beyond it DuckDB spills to disk"
    )
    threads: int | None = Field(None, ge=1, description="default: all cores")


class SitePlace(Strict):
    """What the site knows of a provider, an account or a region: goes before the table of cloud regions.

    One that names a region and nothing else says that there are machines; the table of cloud regions says the rest.
    """

    provider: Annotated[str, AfterValidator(provider_name)] = Field(
        min_length=1, description="aws, gcp, azure, onprem …"
    )
    account_id: str | None = Field(None, min_length=1, description="only this account; default all")
    region: str | None = Field(None, min_length=1, description="only this region; default all")
    zone: GridZone | None = Field(
        None, description="grid zone as Electricity Maps names it, for example DE or US-CAL-CISO"
    )
    pue: Decimal | None = Field(
        None, ge=1, le=5, max_digits=5, decimal_places=3, description="power usage effectiveness of the building"
    )
    ghg_scope: GhgScope | None = Field(None, description="scope2 own, scope3.1 bought services, scope3.8 leased")
    wue: Decimal | None = Field(
        None, ge=0, le=20, max_digits=8, decimal_places=6,
        description="litres of water for cooling per kWh of the machines (water usage effectiveness)",
    )  # fmt: skip
    valid_from: date | None = Field(None, description="first day; default always")
    valid_to: date | None = Field(None, description="the day after the last; default for ever")

    @model_validator(mode="after")
    def _says_something(self) -> SitePlace:
        if self.region is None and all(getattr(self, name) is None for name in STATED_OF_A_PLACE):
            raise ValueError("says nothing; give it a zone, a pue, a wue or a ghg_scope, or at least a region")
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError(f"valid_to ({self.valid_to}) is not after valid_from ({self.valid_from})")
        return self

    @property
    def key(self) -> tuple[str, str, str]:
        """Provider, region and account it speaks of, in one spelling; empty for all of them."""
        provider, region = region_key(self.provider, self.region or "")
        return provider, region, account_key(provider, self.account_id)

    def holds(self, first: date, after: date) -> bool:
        """Whether it is valid on every day from `first` to before `after`.

        Args:
            first: First day.
            after: First day after the stretch.
        """
        return (self.valid_from or date.min) <= first and after <= (self.valid_to or date.max)

    def contradiction(self, other: SitePlace) -> str | None:
        """What both say differently of the same place on the same day, as `zone DE and FR`; None if nothing."""
        start = max(self.valid_from or date.min, other.valid_from or date.min)
        end = min(self.valid_to or date.max, other.valid_to or date.max)
        if self.key != other.key or start >= end:
            return None
        for name in STATED_OF_A_PLACE:
            mine, its = getattr(self, name), getattr(other, name)
            if mine is not None and its is not None and mine != its:
                return f"{name} {mine} and {its}"
        return None


class Rule(Strict):
    """Maps what a source tells of a workload to project, model and workload type.

    A rule matches when every key of `match` does: a column (source, node_id, workload_id, deployment, …) or a
    label or tag, against a pattern with `*` and `?`, or a list of them. The first rule that matches wins.
    """

    match: dict[str, str | list[str]] = Field(min_length=1, description="column or label: pattern, or list of patterns")
    project: Named | None = Field(None, description="a name, or {label:team} to take a label's value")
    model_id: Named | None = Field(None, description="a name, or {label:model_name} to take a label's value")
    workload_type: WorkloadType | None = Field(None, description="what the workload does")

    @field_validator("project", "model_id")
    @classmethod
    def _not_ours(cls, name: str | None) -> str | None:
        if name is not None and name.strip().casefold() in RESERVED:
            raise ValueError(f"{' and '.join(RESERVED)} are what we call energy without an owner; use another name")
        return name


class NodeRule(Strict):
    """One host and its names: `{name: gpu-a, also: ["10.0.0.7"]}`, or a pattern for many hosts.

    Names are compared without capitals, port and trailing dot, with and without their domain. Exact lines come
    first, then patterns in the order of the file.
    """

    name: str = Field(min_length=1, description="the host's one name; with `match`, its groups in braces: '{node}'")
    also: tuple[str, ...] = Field((), description="other names or addresses of the same host")
    match: str | None = Field(None, description="regular expression for whole names, such as '(?P<node>gpu-.+)-bmc'")
    region: str | None = Field(None, description="only hosts of this region; default: of all")
    metered: bool = Field(True, description="false: the host has no meter, and no check shall ask for one")

    @model_validator(mode="after")
    def _pattern_fits(self) -> NodeRule:
        if self.match is None:
            if set(self.name) & set("{}"):
                raise ValueError("`name` has braces but there is no `match` whose groups could fill them")
            return self
        if self.also:
            raise ValueError("`also` is for exact names; give the pattern in `match` a line of its own")
        if re.search(r"\(\?(=|!|<=|<!)|\\[1-9]", self.match):
            raise ValueError("`match` uses a look-around or back-reference; RE2 has none, write it without")
        try:
            groups = set(re.compile(self.match).groupindex)
        except re.error as error:
            raise ValueError(f"`match` is no regular expression: {error}") from None
        absent = sorted(set(re.findall(r"\{([^{}]*)\}", self.name)) - groups)
        if absent:
            raise ValueError(f"`name` wants the group {absent[0]!r}; write it in `match` as (?P<{absent[0]}>…)")
        return self


class Attribution(Strict):
    """Who used what."""

    rules: list[Rule] = Field(default_factory=list, description="in order; the first match wins")


class Factors(Strict):
    """Choices of factors that an auditor must see."""

    scope2_basis: Literal["direct", "lifecycle"] = Field(
        "direct", description="intensity behind location_g; the GHG Protocol wants direct (combustion) factors"
    )
    instances: str | None = Field(
        None, description="a CSV of machine types of your own, beside site.yaml; its rows go before the built-in ones"
    )
    accelerators: str | None = Field(
        None, description="a CSV of accelerators of your own, beside site.yaml; its rows go before the built-in ones"
    )
    hardware: str | None = Field(
        None,
        description="a CSV of the hardware you own, beside site.yaml: what making it emitted, and its years of use",
    )
    losses: str | None = Field(
        None, description="a CSV of grid losses, beside site.yaml; its rows go before the built-in ones"
    )


class SpendProxy(Strict):
    """Energy per money of services of which nobody publishes any: the weakest of all methods, only where asked for."""

    provider: Annotated[str, AfterValidator(provider_name)] = Field(description="whose bill: aws, gcp, azure …")
    service: str = Field(min_length=1, description="ServiceName of the bill; may hold * and ?")
    currency: Currency = Field(description="of the bill; lines in another one stay unknown")
    kwh_per_unit: Decimal = Field(gt=0, description="kWh of IT energy per unit of the currency")
    uncertainty_pct: Decimal | None = Field(None, ge=0, lt=1000, description="95 % interval, ± per cent")
    source: str = Field(min_length=1, description="who says so, with the year")


class Estimates(Strict):
    """Energy of what bills say was used, where nobody meters it."""

    usage: bool = Field(True, description="false: bills are costs and nothing else; no energy is estimated from them")
    spend_proxy: list[SpendProxy] = Field(
        default_factory=list, description="energy per money for services of which nobody publishes any; tier 4"
    )


class Reconciliation(Strict):
    """How far ours may be from what meters, invoices and bills say of the same thing."""

    tolerance_pct: Decimal = Field(
        Decimal(10), ge=0, le=1000, max_digits=6, decimal_places=3,
        description="a check warns where like differs from like by more; exactly on the limit passes",
    )  # fmt: skip


class Opportunities(Strict):
    """From where on something counts as worth a look."""

    regression_pct: Decimal = Field(
        Decimal(10), ge=0, le=1000, max_digits=7, decimal_places=3,
        description="a model's energy per token rose by more than so many per cent; exactly so much is none",
    )  # fmt: skip
    compare_months: int = Field(3, ge=1, le=12, description="how many months back a month to compare with may lie")
    oversized_below: Decimal = Field(
        Decimal("0.3"), gt=0, le=1, max_digits=4, decimal_places=3,
        description="share of full load that a machine did not reach in any hour of the month",
    )  # fmt: skip
    observed_at_least: Decimal = Field(
        Decimal("0.9"), gt=0, le=1, max_digits=4, decimal_places=3,
        description="share of a machine's hours that must have been measured to judge it",
    )  # fmt: skip
    idle_load_at_most: Decimal = Field(
        Decimal("0.05"), ge=0, le=1, max_digits=4, decimal_places=3,
        description="share of the way from idle to full power up to which a reserved accelerator does nothing",
    )  # fmt: skip


class Target(Strict):
    """A reduction the organisation has promised."""

    kpi: str = Field(description="name of a KPI")
    unit: str = Field(description="unit of the values")
    base_year: int = Field(ge=1990, le=2100)
    base_value: Decimal
    target_year: int = Field(ge=1990, le=2100)
    target_value: Decimal


class Site(Strict):
    """The whole file. `sources` holds the source objects themselves."""

    organisation: Organisation
    start: date = Field(description="first day of the daily partitions, for example 2024-01-01")
    storage: StorageBlock = Field(default_factory=StorageBlock)
    engine: Engine = Field(default_factory=Engine)
    sources: list[Any] = Field(description="where data comes from")
    places: list[SitePlace] = Field(
        default_factory=list, description="zone, PUE and scope by provider, account, region"
    )
    attribution: Attribution = Field(default_factory=Attribution)
    nodes: list[NodeRule] = Field(default_factory=list, description="which names mean the same host")
    factors: Factors = Field(default_factory=Factors)
    estimates: Estimates = Field(default_factory=Estimates)
    kpis: list[OwnKpi] = Field(default_factory=list, description="indicators of your own (docs/method/kpis.md)")
    reconciliation: Reconciliation = Field(default_factory=Reconciliation)
    targets: list[Target] = Field(default_factory=list)
    opportunities: Opportunities = Field(default_factory=Opportunities)
    folder: Path = Field(Path("."), exclude=True)
    file: Path = Field(Path("site.yaml"), exclude=True)

    @field_validator("places")
    @classmethod
    def _one_voice(cls, places: list[SitePlace]) -> list[SitePlace]:
        for number, place in enumerate(places):
            for before, other in enumerate(places[:number]):
                if said := other.contradiction(place):
                    raise ValueError(
                        f"places[{before}] and places[{number}] say different things of the same place on the same "
                        f"days ({said}); give them valid_from and valid_to that do not overlap, or remove one"
                    )
        return places

    @field_validator("nodes")
    @classmethod
    def _one_name_each(cls, nodes: list[NodeRule]) -> list[NodeRule]:
        exact = [rule for rule in nodes if rule.match is None]
        named = [(plain_name(text), rule) for rule in exact for text in (rule.name, *rule.also)]
        for (text, one), (other_text, other) in combinations(named, 2):
            overlap = not (one.region and other.region) or maybe_same(one.region, other.region)
            if text == other_text and overlap and plain_name(one.name) != plain_name(other.name):
                raise ValueError(f"'{text}' is a name of both '{one.name}' and '{other.name}'; leave it in one of them")
        return nodes

    @model_validator(mode="after")
    def _own_kpis_fit(self) -> Site:
        if twice := repeated(self.kpis):
            raise ValueError(f"kpis: two are called '{twice}'; names must be unique")
        for number, one in enumerate(self.kpis):
            if said := one.against(self.organisation.currency):
                raise ValueError(f"kpis[{number}]: {one.name}: {said}")
        aims = [(target.kpi, target.target_year) for target in self.targets]
        if again := next((aim for aim in aims if aims.count(aim) > 1), None):
            raise ValueError(f"targets: two are on {again[0]} for {again[1]}; leave one, or give them different years")
        mine = {one.name for one in self.kpis}
        for number, target in enumerate(self.targets):
            if target.kpi.startswith(PREFIX) and target.kpi not in mine:
                raise ValueError(
                    f"targets[{number}].kpi: '{target.kpi}' is not in kpis{_nearest(target.kpi, sorted(mine))}"
                )
        return self

    @property
    def source_places(self) -> dict[str, Place]:
        """The place of every source that has one, by source name."""
        return {source.name: source.place for source in self.sources if isinstance(source, PlacedSource)}

    def feeding(self, feed: str) -> list[Source]:
        """The sources of one feed, in the order of the file."""
        return [source for source in self.sources if source.feeds == feed]

    def has(self, feed: str) -> bool:
        """Whether the site has rows of a feed: from a source, or, of energy, estimated from its bills.

        Args:
            feed: A value of `Feed`.
        """
        estimated = self.estimates.usage and bool(self.feeding(vocabulary.Feed.COST))
        if feed == vocabulary.Feed.ESTIMATES:
            return estimated
        return bool(self.feeding(feed)) or (feed == vocabulary.Feed.ENERGY and estimated)

    def disk(self) -> Storage:
        """The storage, with its folder made absolute and its secrets resolved."""
        return Storage(self.disk_root, revealed(self.storage.options))

    @property
    def disk_root(self) -> str:
        """The folder of the storage, absolute, or its URL."""
        root = self.storage.root
        return root if "://" in root else str((self.folder / root).resolve())


class _Loader(yaml.SafeLoader):
    """YAML, in which a date that is in no calendar stays a text: its key says then what is wrong with it."""

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> Any:
        """A date or a time; the text where it is none.

        Args:
            node: What looks like one.
        """
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError:
            return self.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_yaml_timestamp)


def load_site(path: Path) -> Site:
    """Read and check a site file.

    Raises:
        SiteError: with every fault found, not only the first.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        remedy = f". To write an example: {command('init', path)}" if isinstance(error, FileNotFoundError) else ""
        raise SiteError(f"{path}: cannot be read ({why}){remedy}") from error
    if said := too_much(text):
        raise SiteError(f"{path}: {said}")
    try:
        loader = _Loader(text)
        lines = loader.get_single_node()
        content = loader.construct_document(lines) if lines else None
    except (yaml.YAMLError, ValueError) as error:
        raise SiteError(f"{path}: is no valid YAML: {_problem(error)}") from None
    if not isinstance(content, dict):
        raise SiteError(f"{path}: is empty or no mapping; it needs the keys {', '.join(_keys(Site))}")
    faults: list[tuple[tuple[int | str, ...], str]] = [(loc, "is there twice") for loc in _doubled(lines)]
    for ours in ("folder", "file"):
        if content.pop(ours, None) is not None:
            faults.append(((ours,), f"unknown key{_nearest(ours, _keys(Site))}"))
    sources = _sources(content.get("sources"), faults)
    here = {"folder": path.resolve().parent, "file": Path(os.path.abspath(path))}
    site = _validated(Site, {**content, "sources": sources, **here}, (), faults)
    if site and "://" not in site.storage.root and (why := unmakable(Path(site.disk_root))):
        faults.append((("storage", "root"), f"{why}; name another folder that can be written"))
    if faults or site is None:
        raise SiteError("\n".join(f"{path}:{_line(lines, loc)}: {_dotted(loc)}: {text}" for loc, text in faults))
    return site


def site_from_environment() -> Site:
    """The site that `ENERGY_ASSETS_SITE` names; Dagster's code location starts here.

    Raises:
        SiteError: the variable is not set, or its file is wrong.
    """
    path = os.environ.get(SITE_VARIABLE)
    if not path:
        raise SiteError(f"{SITE_VARIABLE} is not set; it names the site file, for example {SITE_VARIABLE}=site.yaml")
    return load_site(Path(path))


def _sources(blocks: Any, faults: list[tuple[tuple[int | str, ...], str]]) -> list[Source]:
    loaded: list[Source] = []
    if not isinstance(blocks, list) or not blocks:
        faults.append((("sources",), "needs a list of at least one source, each with name and kind"))
        return loaded
    for number, block in enumerate(blocks):
        loc: tuple[int | str, ...] = ("sources", number)
        kind = block.get("kind") if isinstance(block, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            faults.append(((*loc, "kind"), f"'{kind}' is no kind of source{_nearest(str(kind), KINDS)}"))
            continue
        source = _validated(source_class(kind), block, loc, faults)
        if source is not None and source.name in {other.name for other in loaded}:
            faults.append(((*loc, "name"), f"'{source.name}' is the name of another source; names must be unique"))
        elif source is not None:
            faults += [((*loc, "url"), why) for other in loaded if (why := source.repeats(other))]
            loaded.append(source)
    return loaded


def _validated(
    model: type[T], value: Any, loc: tuple[int | str, ...], faults: list[tuple[tuple[int | str, ...], str]]
) -> T | None:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for fault in error.errors():
            here = tuple(part for part in fault["loc"] if not str(part).startswith(("function-", "constrained-")))
            faults.append(((*loc, *here), _explain(model, here, fault)))
        return None


def _explain(model: type[BaseModel], loc: Sequence[int | str], fault: Any) -> str:
    key = str(loc[-1]) if loc else ""
    owner = _model_at(model, loc[:-1])
    if fault["type"] == "extra_forbidden" and owner:
        return f"unknown key{_nearest(key, _keys(owner))}"
    if fault["type"] == "missing" and owner and key in owner.model_fields:
        about = owner.model_fields[key].description
        return "is missing" + (f": {about}" if about else "")
    if fault["type"] in ("model_type", "model_attributes_type") and (block := _model_at(model, loc)):
        return f"needs a block of keys: {', '.join(_keys(block))}; for example {_example(key, block, fault['input'])}"
    said = str(fault["msg"]).removeprefix("Value error, ")
    about = owner.model_fields[key].description if owner and key in owner.model_fields else None
    hidden = isinstance(fault["input"], (dict, list)) or "secret" in said or _SECRETIVE.search(key)
    given = "" if hidden else f" (given: {fault['input']!r})"
    return f"{said}{given}" + (f"; it is {about}" if about else "")


def _example(key: str, block: type[BaseModel], given: Any) -> str:
    """A block as it is to be written, with a text that was given in place of it under its first key."""
    first, text = _keys(block)[0], given if isinstance(given, str) and not _SECRETIVE.search(key) else "…"
    return f"{key}: {{{first}: {text}}}"


def _model_at(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel] | None:
    """The model behind a path into the document."""
    current: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if current else None
        current = next(_models_in(field.annotation), None) if field else None
    return current


def _models_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _keys(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    hint = f"; did you mean '{close[0]}'?" if close else "."
    return f"{hint} Allowed: {', '.join(known)}"


def _dotted(loc: Sequence[int | str]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return path.removeprefix(".") or "the file"


def _doubled(node: yaml.Node | None, loc: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    """Paths of keys that are written twice; YAML itself silently keeps the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield (*loc, name)
            seen.add(name)
            yield from _doubled(value, (*loc, name))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _doubled(value, (*loc, number))


def _problem(error: Exception) -> str:
    """What YAML found wrong and on which line; without the text itself, which may hold a secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(getattr(error, "reason", error))


def _line(node: yaml.Node | None, loc: Sequence[int | str]) -> int:
    """The line of a path into the document, or of the nearest thing above it that exists."""
    line = 1
    for part in loc:
        following: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, following = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            following = node.value[part]
            line = following.start_mark.line + 1
        if following is None:
            break
        node = following
    return line

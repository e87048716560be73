"""A month of a made-up company as lake tables, written in SQL: three projects, four models, three zones.

Only for tests of the disclosures, so that they need nothing of the road before them. All values follow from
row numbers; nothing is random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import ibis
import pyarrow as pa

from energy_assets.contracts.tables import RUN
from energy_assets.disclosures.inputs import Organisation, ReportInputs, Target
from energy_assets.disclosures.profile import read_profile
from energy_assets.kpis.daily import by_member, indicators
from energy_assets.kpis.facts import facts
from energy_assets.kpis.indicators import INDICATORS
from energy_assets.kpis.periods import monthly
from energy_assets.periods import Period

SUMS = {
    "energy_kwh": ("kWh", "sum(energy_kwh)", "emissions"),
    "facility_kwh": ("kWh", "sum(facility_kwh)", "emissions"),
    "scope2_location_g": ("gCO2e", "sum(location_g) filter (where ghg_scope = 'scope2')", "emissions"),
    "scope33_upstream_g": ("gCO2e", "sum(upstream_g) filter (where ghg_scope = 'scope2')", "emissions"),
    "scope31_g": (
        "gCO2e",
        "sum(location_g + coalesce(upstream_g, 0) + coalesce(losses_g, 0)) filter (where ghg_scope = 'scope3.1')",
        "emissions",
    ),
    "scope38_location_g": ("gCO2e", "sum(location_g) filter (where ghg_scope = 'scope3.8')", "emissions"),
    "scope38_upstream_g": ("gCO2e", "sum(upstream_g) filter (where ghg_scope = 'scope3.8')", "emissions"),
    "scope33_losses_g": ("gCO2e", "sum(losses_g) filter (where ghg_scope = 'scope2')", "emissions"),
    "scope33_g": (
        "gCO2e", "sum(upstream_g + coalesce(losses_g, 0)) filter (where ghg_scope = 'scope2')", "emissions",
    ),
    "scope38_losses_g": ("gCO2e", "sum(losses_g) filter (where ghg_scope = 'scope3.8')", "emissions"),
    "requests": ("requests", "sum(requests)", "activity"),
    "prompt_tokens": ("tokens", "sum(prompt_tokens)", "activity"),
    "generated_tokens": ("tokens", "sum(generated_tokens)", "activity"),
    "billed_cost": ("EUR", "sum(billed_cost)", "cost"),
}  # fmt: skip
NAMES = ("kpis_daily", "kpis_monthly", "emissions", "cost", "activity", "grid_intensity")
GRAINS = ("source", "zone", "project", "model_id", "workload_type", "ghg_scope")
IT, FACILITY = "sum(energy_kwh)", "sum(facility_kwh)"
OF_TELEMETRY = "filter (where method in ('measured_counter', 'measured_power', 'metered_node'))"
RATIOS = {
    "idle_share": (
        "share", "coalesce(sum(energy_kwh) filter (where workload_type = 'idle'), 0)",
        "coalesce(sum(energy_kwh) filter (where workload_type = 'idle' or workload_id is not null), 0)",
    ),
    "attributed_share": (
        "share",
        "coalesce(sum(energy_kwh) filter (where project <> 'unknown' and workload_type <> 'idle'), 0)",
        "sum(energy_kwh) filter (where workload_type <> 'idle')",
    ),
    "coverage": ("share", f"sum(coverage) {OF_TELEMETRY}", f"count(*) {OF_TELEMETRY}"),
    "measured_share": ("share", f"coalesce(sum(energy_kwh) {OF_TELEMETRY}, 0)", IT),
    "losses_coverage": ("share", "coalesce(sum(facility_kwh) filter (where losses_g is not null), 0)", FACILITY),
    "factor_coverage": ("share", "coalesce(sum(facility_kwh) filter (where location_g is not null), 0)", FACILITY),
    "carbon_intensity_location": (
        "gCO2e (location-based) per kWh", "sum(location_g)", "sum(facility_kwh) filter (where location_g is not null)",
    ),
    "carbon_intensity_lifecycle": (
        "gCO2e (life-cycle) per kWh", "sum(lifecycle_g)", "sum(facility_kwh) filter (where lifecycle_g is not null)",
    ),
    **{
        f"tier{n}_share": ("share", f"coalesce(sum(energy_kwh) filter (where quality_tier = {n}), 0)", IT)
        for n in (1, 2, 3, 4)
    },
    **{
        f"factor_tier{n}_share": ("share", f"coalesce(sum(facility_kwh) filter (where factor_tier = {n}), 0)", FACILITY)
        for n in (1, 2, 3, 4)
    },
}  # fmt: skip
MATCHED = [name for name, indicator in INDICATORS.items() if indicator.match]


@dataclass(frozen=True)
class Company:
    """What varies between tests.

    Attributes:
        first: First day with data.
        days: Number of days with data.
        projects: Names of the three projects, as tags give them.
        models: Names of the four models.
        pue: Whether the third site has a PUE.
        unobserved: Whether some hours were not observed.
        load: Multiplies all energy.
        bought: Sources whose machines are bought as a service (scope 3.1).
        leased: Sources whose machines are leased (scope 3.8).
        lossy: Grid zones of which it is known that a twentieth is lost on the way.
    """

    first: str = "2026-11-16"
    days: int = 7
    projects: tuple[str, str, str] = ("assistants", "search", "research")
    models: tuple[str, str, str, str] = ("llama-3.1-70b", "mixtral-8x7b", "embed-multilingual", "research-7b")
    pue: bool = True
    unobserved: bool = True
    load: str = "1"
    bought: tuple[str, ...] = ("virginia",)
    leased: tuple[str, ...] = ()
    lossy: tuple[str, ...] = ()


def connect() -> Any:
    """An empty DuckDB as ibis knows it."""
    con = ibis.duckdb.connect(threads=2)
    con.raw_sql("SET TimeZone='UTC'")
    return con


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "''"


def build(con: Any, company: Company) -> None:
    """Make all tables of `company` in `con`."""
    names = [n.replace("'", "''") for n in (*company.projects, *company.models)]
    p1, p2, p3, m1, m2, m3, m4 = names
    statements = f"""
    create or replace table fleet as select * from (values
      ('frankfurt','onprem','fra1','DE','train-01',8,'{p3}','{m4}','training',0.62,1.18,2),
      ('frankfurt','onprem','fra1','DE','train-02',8,'{p3}','{m4}','training',0.55,1.18,2),
      ('paris','onprem','par1','FR','serve-01',4,'{p1}','{m1}','inference',0.44,1.25,2),
      ('paris','onprem','par1','FR','serve-02',4,'{p2}','{m3}','inference',0.31,1.25,2),
      ('virginia','aws','us-east-1','US-MIDA-PJM','i-0a1',2,'{p1}','{m2}','inference',0.36,
        {"1.15" if company.pue else "null"},3),
      ('virginia','aws','us-east-1','US-MIDA-PJM','i-0b2',2,'unknown',null,'unknown',0.2,
        {"1.15" if company.pue else "null"},3)
    ) t(source,provider,region,zone,node_id,gpus,project,model_id,workload_type,peak_kw,pue,quality_tier);
    create or replace table hours as
      select h::timestamp as hour, h::date as day, row_number() over (order by h) - 1 as n
      from generate_series(timestamp '{company.first}',
        timestamp '{company.first}' + interval {company.days * 24 - 1} hour, interval 1 hour) t(h);
    create or replace table shares as
      select f.*, h.hour, h.day, h.n, d.g as gpu, s.share
      from fleet f, hours h, generate_series(0, 7) d(g), (values ('all'),('idle')) s(share) where d.g < f.gpus;
    create or replace table energy as select day, hour, source, provider, null::varchar as account_id, region, zone,
      case when share='idle' then 'unknown' else project end as project,
      case when share='idle' then null else model_id end as model_id,
      case when share='idle' then 'idle' else workload_type end as workload_type,
      case when share='all' and workload_type <> 'unknown' then node_id || '-job' end as workload_id,
      node_id, 'GPU-' || gpu as device_id, 'gpu' as device_kind,
      'NVIDIA H100 80GB HBM3' as device_model, share as share_id,
      case when {"n % 53 = 7 and gpu = 1" if company.unobserved else "false"} then null
        else (case when share='idle' then 0.06 else
          peak_kw * (0.62 + 0.25*sin((n % 24 - 8)*pi()/12) + 0.08*sin(n*0.7) + 0.05*sin(gpu + n // 24)) end
          * {company.load})::decimal(18,9) end as energy_kwh,
      1::decimal(18,9) as usage_hours,
      case when quality_tier=2 then 'measured_counter' else 'estimated_utilization' end as method,
      quality_tier::smallint as quality_tier,
      (case when {"n % 53 = 7 and gpu = 1" if company.unobserved else "false"} then 0
        when n % 31 = 3 then 0.96 else 1 end)::decimal(9,6) as coverage,
      (case when quality_tier=2 then 2 else 18 end)::decimal(6,3) as uncertainty_pct,
      sha256(source || day::varchar) as raw_sha256 from shares;
    create or replace table grid_intensity as select day, hour, zone,
      (life * (1 + swing*cos((n % 24 - 19)*pi()/12)) + 3*sin(n//24))::decimal(9,3) as lifecycle_gco2e_per_kwh,
      (life*0.82 * (1 + swing*cos((n % 24 - 19)*pi()/12)) + 3*sin(n//24))::decimal(9,3) as direct_gco2e_per_kwh,
      (free - 0.1*cos((n % 24 - 19)*pi()/12))::decimal(9,6) as carbon_free_share, false as is_estimated,
      case when zone='US-MIDA-PJM' and n % 24 in (3,4) then 'month' else 'hour' end as resolution,
      (case when zone='US-MIDA-PJM' and n % 24 in (3,4) then 3 when zone='FR' and n % 5 = 0 then 2 else 1 end
        )::smallint as factor_tier,
      'grid' as source, 'electricity_maps/' || zone || '/2026-11' as factor_id,
        sha256('grid'||zone||day::varchar) as raw_sha256
      from hours, (values ('DE',402,0.22,0.55),('FR',58,0.3,0.93),('US-MIDA-PJM',437,0.12,0.4)) z(zone,life,swing,free);
    create or replace table emissions as select e.day, e.hour, e.source, e.provider, e.account_id, e.region, e.zone,
      e.project, e.model_id, e.workload_type, e.workload_id, e.node_id, e.device_id, e.device_kind, e.share_id,
      null::decimal(6,3) as factor_uncertainty_pct, null::decimal(6,3) as grams_uncertainty_pct,
      e.method, e.quality_tier, e.coverage, e.uncertainty_pct, e.energy_kwh, f.pue::decimal(5,3) as pue,
      e.energy_kwh::decimal(38,9) * f.pue::decimal(5,3) as facility_kwh,
      e.energy_kwh::decimal(38,9) * f.pue::decimal(5,3) * g.direct_gco2e_per_kwh as location_g,
      e.energy_kwh::decimal(38,9) * f.pue::decimal(5,3)
        * (g.lifecycle_gco2e_per_kwh - g.direct_gco2e_per_kwh)::decimal(9,3) as upstream_g,
      e.energy_kwh::decimal(38,9) * f.pue::decimal(5,3) * g.lifecycle_gco2e_per_kwh as lifecycle_g,
      case when e.zone in ({_listed(company.lossy)}) then (e.energy_kwh::decimal(38,9) * f.pue::decimal(5,3)
        * (g.lifecycle_gco2e_per_kwh * 0.05)::decimal(9,3))::decimal(38,15) end as losses_g,
      null::decimal(38,15) as device_hours, null::decimal(38,15) as embodied_g,
      null::decimal(38,15) as water_onsite_l, null::decimal(38,15) as water_offsite_l,
      case when e.source in ({_listed(company.bought)}) then 'scope3.1'
        when e.source in ({_listed(company.leased)}) then 'scope3.8' else 'scope2' end as ghg_scope,
      g.factor_id, 'direct' as factor_basis, g.factor_tier, g.resolution as factor_resolution,
      e.raw_sha256
      from energy e join fleet f using (source, node_id) left join grid_intensity g on g.hour=e.hour and g.zone=e.zone;
    create or replace table activity as select day, hour, source, project, model_id, workload_type,
      null::varchar as workload_id, node_id as deployment,
      (20000 + 9000*sin((n % 24 - 8)*pi()/12) + 2000*gpus)::bigint as requests, 3::bigint as failed_requests,
      (9000000 + 5000000*sin((n % 24 - 8)*pi()/12))::bigint as prompt_tokens,
      (2500000 + 1000000*sin((n % 24 - 8)*pi()/12))::bigint as generated_tokens,
      1::decimal(9,6) as coverage, sha256('act'||node_id||day::varchar) as raw_sha256
      from fleet, hours where workload_type='inference';
    create or replace table cost as select day, hour, source, provider, null::varchar as account_id, region,
      null::varchar as zone, project, model_id, workload_type,
      (gpus * 2.4 * (1 + 0.001*(n%24)))::decimal(38,18) as billed_cost, 'EUR' as billing_currency,
      sha256('bill'||source) as raw_sha256 from fleet, hours where provider='aws';
    """
    con.raw_sql(statements)
    first = "date_trunc('month', day)::date"
    month = f"{first} as month, count(distinct day)::bigint as days"
    con.raw_sql(f"create or replace table kpis_daily as {_kpis(con, 'day', 'day')}")
    con.raw_sql(f"create or replace table kpis_monthly as {_kpis(con, month, first)}")
    _add_matched(con)
    con.raw_sql("drop table shares; drop table hours; drop table fleet")


def _add_matched(con: Any) -> None:
    """Ratios whose sides are matched, as the road makes them: too much for a line of SQL."""
    summed = con.create_table("summed", facts(con.table("emissions"), con.table("activity"), con.table("cost"), "EUR"))
    made = indicators(con.create_table("members", by_member(summed)), "EUR")
    days = con.create_table("matched", made.filter(made.kpi.isin(MATCHED)))
    con.raw_sql("insert into kpis_daily by name from matched")
    con.create_table("matched_months", monthly(days))
    con.raw_sql("insert into kpis_monthly by name from matched_months")
    con.raw_sql("drop table summed; drop table members; drop table matched; drop table matched_months")


def _kpis(con: Any, time: str, by: str) -> str:
    parts = []
    for grain in ("total", *GRAINS):
        for kpi, (unit, numerator, table) in SUMS.items():
            if grain in {"total", *con.table(table).columns}:
                parts.append(_kpi(kpi, grain, (unit, numerator, None), table, time, by))
    for kpi, ratio in RATIOS.items():
        parts += [_kpi(kpi, grain, ratio, "emissions", time, by) for grain in ("total", "zone", "ghg_scope")]
    return " union all ".join(parts)


def _kpi(kpi: str, grain: str, ratio: tuple[str, str, str | None], table: str, time: str, by: str) -> str:
    unit, numerator, denominator = ratio
    has_energy = table == "emissions"
    columns = ", ".join(
        f"coalesce({c}, 'unknown')::varchar as {c}" if c == grain else f"null::varchar as {c}" for c in (*GRAINS, RUN)
    )
    value = f"({numerator})" if denominator is None else f"({numerator})::double / nullif(({denominator})::double, 0)"
    group = ", ".join(c for c in (by, f"coalesce({grain}, 'unknown')" if grain != "total" else "") if c)
    cover = "(sum(coverage)::double / nullif(count(coverage), 0))::decimal(9,6)" if has_energy else "null::decimal(9,6)"
    sure = "null::decimal(6,3)"
    if has_energy and unit != "share":
        sure = "(sum(energy_kwh * uncertainty_pct)::double / nullif(sum(energy_kwh)::double, 0))::decimal(6,3)"
    below = f"({denominator})::decimal(38,15)" if denominator else "null::decimal(38,15)"
    return (
        f"select {time}, '{kpi}' as kpi, '{grain}' as grain, {columns}, ({value})::decimal(38,15) as value, "
        f"'{unit}' as unit, ({numerator})::decimal(38,15) as numerator, {below} as denominator, "
        f"{cover} as coverage, {sure} as uncertainty_pct from {table}"
        + (f" group by {group}" if group else "")
        + f" having ({numerator}) is not null"
    )


@cache
def tables(company: Company) -> Mapping[str, pa.Table]:
    """The tables of `company`, made once and handed to each test in a database of its own."""
    con = connect()
    build(con, company)
    return {name: con.table(name).to_pyarrow() for name in NAMES}


def inputs(company: Company | None = None, *, previous: Company | None = None, **changes: Any) -> ReportInputs:
    """The inputs of a report on `company`; `previous` is the same company in the month before."""
    company = company or Company()
    con = connect()
    for name, rows in tables(company).items():
        con.create_table(name, rows)
    if previous:
        con.create_table("kpis_previous", tables(previous)["kpis_monthly"])
    first = date.fromisoformat(company.first)
    days = [(first + timedelta(days=n)).isoformat() for n in range(company.days)]
    settings: dict[str, Any] = {
        "con": con,
        "tables": {name: con.table(name) for name in NAMES},
        "period": Period.parse(company.first[:7]),
        "profile": read_profile("ml_sustainability"),
        "organisation": Organisation(name="Example AI", currency="EUR", base_year=2025, synthetic=True, lei=None),
        "targets": (
            Target("wh_per_1k_inferences", "Wh per 1,000 requests", 2025, Decimal(45), 2030, Decimal(25)),
            Target("scope2_location_g", "gCO2e", 2025, Decimal(61_000_000), 2030, Decimal(30_500_000)),
        ),
        "pins": {name: {day: f"{n:02x}" * 32 for n, day in enumerate(days)} for name in NAMES},
        "previous": con.table("kpis_previous") if previous else None,
        "code_version": "0.1.0",
    }
    return ReportInputs(**(settings | changes))

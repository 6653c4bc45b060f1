"""The tables: what sources deliver, what the lake holds, what the generator keeps aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from features.schemas import Column, Table
from pipelines.lab.reference.markdown import grid, names
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.sources.layout import RawLayout


def delivered_layouts() -> tuple[RawLayout, ...]:
    """Raw layouts of all use cases."""
    from pipelines.usecases.churn import layouts as churn
    from pipelines.usecases.demand import layouts as demand
    from pipelines.usecases.imputation import layouts as imputation
    from pipelines.usecases.repurchase import layouts as repurchase

    return (*churn.LAYOUTS, *demand.LAYOUTS, *imputation.LAYOUTS, *repurchase.LAYOUTS)


def lake_tables() -> Iterator[tuple[str, Sequence[Table]]]:
    """Tables of the lake in groups with a heading, in reading order."""
    from pipelines.io import promotions, runs
    from pipelines.monitoring import schemas as monitoring
    from pipelines.privacy import tombstones
    from pipelines.sinks import ledger_tables
    from pipelines.sources import landed
    from pipelines.usecases.churn import contracts as churn
    from pipelines.usecases.churn import schemas as churn_tables
    from pipelines.usecases.clustering import contracts as clustering
    from pipelines.usecases.clustering import schemas as clustering_tables
    from pipelines.usecases.demand import contracts as demand
    from pipelines.usecases.demand import schemas as demand_tables
    from pipelines.usecases.imputation import contracts as imputation
    from pipelines.usecases.imputation import schemas as imputation_tables
    from pipelines.usecases.repurchase import contracts as repurchase
    from pipelines.usecases.repurchase import schemas as repurchase_tables

    settings = Settings.model_construct(home=PROJECT_ROOT)  # without the environment
    made = (churn.features_contract(settings), churn.labels_contract(settings))
    yield "Churn, raw: what was landed", churn.RAW_TABLES
    yield "Churn: features and labels, computed by dbt", [contract.table for contract in made]
    scored = (churn_tables.SCORES, churn_tables.OUT_OF_SCOPE, churn_tables.VALIDATION)
    yield "Churn: predictions", (*scored, churn_tables.CONTRIBUTIONS)
    marts = (
        demand.panel_contract(settings),
        demand.calendar_contract(settings),
        demand.ahead_contract(settings),
        demand.profile_contract(settings),
        demand.out_of_scope_contract(settings),
    )
    yield "Demand, raw: what was landed", demand.RAW_TABLES
    yield "Demand: features, computed by dbt", [contract.table for contract in marts]
    yield "Demand: forecasts and the backtest", demand_tables.TABLES
    counts = [table for table in clustering.RAW_TABLES if table not in demand.RAW_TABLES]
    yield "Clustering, raw: beside the tables of demand", counts
    yield "Clustering: features, computed by dbt", [clustering.features_contract(settings).table]
    yield "Clustering: groups of stores", clustering_tables.TABLES
    yield "Imputation, raw: what was landed", imputation.RAW_TABLES
    completed = imputation.mart_contracts(settings).values()
    yield "Imputation: features, computed by dbt", [contract.table for contract in completed]
    yield "Imputation: completed data sets and the training", imputation_tables.TABLES
    shop = (
        repurchase.customers_contract(settings),
        repurchase.candidates_contract(settings),
        repurchase.training_contract(settings),
        repurchase.labels_contract(settings),
    )
    yield "Repurchase, raw: what was landed", repurchase.RAW_TABLES
    yield "Repurchase: features and labels, computed by dbt", [contract.table for contract in shop]
    predicted = (repurchase_tables.NEXT_ORDERS, repurchase_tables.BASKETS)
    judged = (
        repurchase_tables.TIMING_VALIDATION,
        repurchase_tables.BASKET_VALIDATION,
        repurchase_tables.CURVES,
        repurchase_tables.REALISED,
    )
    yield "Repurchase: predictions, and what became of them", (*predicted, *judged)
    yield "Operations: ingestion", (landed.INGESTS, landed.QUARANTINE, landed.SOURCES)
    yield "Operations: erasures", (tombstones.ERASURES, tombstones.TOMBSTONES)
    yield "Operations: runs and promotions", (runs.STEP_RUNS, promotions.PROMOTIONS)
    published = (ledger_tables.RUNS, ledger_tables.ROWS, ledger_tables.JOBS, ledger_tables.FLIPS)
    yield "Operations: publishing", published
    yield "Operations: monitoring", (monitoring.MONITORING, monitoring.REFERENCE)


def layouts_section() -> str:
    """Files that a source delivers."""
    parts = [
        "## Files that a source delivers\n",
        "For each table a file `NAME.parquet`, `NAME.csv` or `NAME.csv.gz`, or a folder `NAME/` of such files.\n"
        "Times are UTC without a zone, dates `YYYY-MM-DD`. A row that breaks a rule goes to `ops/quarantine` with\n"
        "the reason, the others land; a missing column or an unreadable file lands nothing.\n",
    ]
    for layout in delivered_layouts():
        parts.append(f"### {layout.table.name}\n\n{layout.table.description}\n")
        history = _HISTORY[layout.history.value].format(known=layout.known)
        parts.append(_keys(layout.table) + f" Rows are {history}.\n")
        parts.append(_columns(layout.table.columns))
        if rules := _rules(layout):
            parts.append("Rules between columns and tables:\n")
            parts.append("".join(f"- {rule}\n" for rule in rules))
    return "\n".join(parts)


_HISTORY = {
    "immutable": "facts: the same key with other content is quarantined",
    "versioned": "versions: a change is a further row with a later `{known}`",
}


def _rules(layout: RawLayout) -> list[str]:
    rules = [f"`{rule.column}` must {rule.words}." for rule in layout.rules]
    for column, table, other in layout.references:
        rules.append(f"`{column}` must be an `{other}` of `{table}`, landed before or in the same delivery.")
    for column in layout.lists:
        rules.append(f"`{column}` is landed trimmed, sorted and without repeats.")
    return rules


def tables_section() -> str:
    """Tables of the lake."""
    parts = [
        "## Tables of the lake\n",
        "Delta tables under `MILLRACE_LAKE`. Every write is checked against these rules before it is committed.\n",
    ]
    for title, tables in lake_tables():
        parts.append(f"### {title}\n")
        for table in tables:
            parts.append(f"#### {table.name}\n\n{table.description}\n")
            parts.append(_keys(table) + "\n")
            parts.append(_columns(table.columns))
    return "\n".join(parts)


def truth_tables() -> tuple[Table, ...]:
    """What simulators know and no model sees."""
    from pipelines.lab.simulation.churn.truth import CHURN_RISK
    from pipelines.lab.simulation.demand.truth import LATENT_DEMAND, SERIES
    from pipelines.lab.simulation.imputation.truth import VALUES
    from pipelines.lab.simulation.repurchase import truth as shop

    next_orders = (shop.NEXT_ORDERS, shop.NEXT_LINES)
    return (CHURN_RISK, LATENT_DEMAND, SERIES, VALUES, shop.HOUSEHOLDS, shop.REPERTOIRE, *next_orders)


def truth_section() -> str:
    """Columns that the simulators know and no model sees."""
    parts = [
        "## What the generators keep aside\n",
        "`millrace generate` writes it beside the delivered files as `NAME.parquet`. It is never ingested:\n"
        "models are measured against it, they do not see it.\n",
    ]
    for table in truth_tables():
        parts.append(f"### {table.name}\n\n{table.description}\n")
        parts.append(_columns(table.columns))
    return "\n".join(parts)


def _keys(table: Table) -> str:
    text = f"Key: {names(table.key)}."
    return f"{text} Partitioned by {names(table.partition_by)}." if table.partition_by else text


def _columns(columns: Iterable[Column]) -> str:
    rows = [
        (f"`{c.name}`", c.dtype.value, c.unit or "", "yes" if c.nullable else "", _range(c), _meaning(c))
        for c in columns
    ]
    return grid(("Column", "Type", "Unit", "Null", "Values", "Meaning"), rows)


def _range(column: Column) -> str:
    if column.allowed is not None:
        return names(column.allowed)
    low, high = (None if v is None else f"{v:g}" for v in (column.minimum, column.maximum))
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is not None:
        return f">= {low}"
    return f"<= {high}" if high is not None else ""


def _meaning(column: Column) -> str:
    return f"{column.description} *Personal data.*" if column.personal else column.description

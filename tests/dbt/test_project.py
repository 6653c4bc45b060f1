"""The dbt project keeps its promises: unit tests pass, can fail, and every column has an owner and a meaning."""

from __future__ import annotations

import json
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from features.schemas import Table
from pipelines.discovery import every
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.dbt import DbtRun, call_dbt, run_dbt
from pipelines.io.lake import Lake
from pipelines.io.marts import tables_behind
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.steps.prepare import tables_read
from pipelines.usecases.churn.layouts import LAYOUTS, PRODUCT_FEATURES

PROJECT = PROJECT_ROOT / "dbt_project"
DAY = date(2025, 3, 3)


@pytest.fixture(scope="session")
def tables() -> list[Table]:
    """What the SQL of all use cases may read."""
    found = [table for usecase in every() for table in (*tables_read(usecase)[0], *usecase.tables)]
    return list({table.name: table for table in found}.values())


@pytest.fixture(scope="session")
def settings(tables: list[Table], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = Settings(var=tmp_path_factory.mktemp("dbt"))
    for table in tables:
        Lake.of(made).overwrite(table, table.arrow_schema.empty_table())
    return made


@pytest.fixture(scope="session")
def build(settings: Settings, tables: list[Table]) -> DbtRun:
    """The whole project, unit tests included, over tables without rows."""
    # Of a parameter that two use cases have, either will do over tables without rows.
    plans = [usecase.plan(usecase.run(DAY, settings), False) for usecase in every()]
    return run_dbt(
        settings,
        run_id="project",
        select=["fqn:*"],
        tables=tables,
        as_of_dates=[DAY],
        parameters={name: value for plan in plans for name, value in plan.parameters.items()},
        unit_tests=True,
    )


@pytest.fixture(scope="session")
def manifest(build: DbtRun) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((build.folder / "target" / "manifest.json").read_text())
    return content


def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert len(found) > 15
    return found


def test_every_unit_test_ran_and_passed(build: DbtRun, manifest: dict[str, Any]) -> None:
    ran = {node.name: node.status for node in build.nodes if node.name.startswith("unit_test.")}
    assert set(ran) == set(manifest["unit_tests"])
    assert set(ran.values()) == {"pass"}


def test_the_tables_behind_an_export_are_those_of_dbts_own_lineage(manifest: dict[str, Any]) -> None:
    def sources(node: str) -> set[str]:
        if node in manifest["sources"]:
            source = manifest["sources"][node]
            return {f"{source['schema']}/{source['identifier']}"}
        return {table for parent in manifest["parent_map"][node] for table in sources(parent)}

    exports = [target.export for usecase in every() for target in usecase.targets]
    assert len(exports) >= 5
    for export in exports:
        assert tables_behind(PROJECT, export) == sources(f"model.millrace.{export}"), export
    assert tables_behind(PROJECT, *exports) == {t for each in exports for t in tables_behind(PROJECT, each)}


def test_a_model_that_is_not_there_has_no_lineage() -> None:
    with pytest.raises(ConfigError, match="no model exp_nowhere"):
        tables_behind(PROJECT, "exp_nowhere")


#: A cut-off moved by one moment, per feature model, and the unit test that must see it.
LEAKS = {
    "int_churn__usage_as_of": ("usage.known_at < days.as_of", "usage.known_at <= days.as_of"),
    "int_churn__tickets_as_of": ("versions.known_at < days.as_of", "versions.known_at <= days.as_of"),
    "int_churn__invoices_as_of": ("versions.known_at < days.as_of", "versions.known_at <= days.as_of"),
    "int_churn__accounts_as_of": ("known_at < as_of_dates.as_of", "known_at <= as_of_dates.as_of"),
    "int_churn__terms_as_of": ("known_at < as_of_dates.as_of", "known_at <= as_of_dates.as_of"),
    "int_churn__contracts_as_of": ("as_of < term_end as", "as_of <= term_end as"),
    "ml_churn_features": ("left join tickets using (as_of, account_key)", "left join tickets using (account_key)"),
    "ml_churn_labels": ("label_known_on + 1", "label_known_on + 2"),
    "exp_salesforce__churn_scores": ("inner join as_of_dates using (as_of)", "cross join as_of_dates"),
    "exp_dynamodb__demand_forecasts": ("inner join as_of_dates using (as_of)", "cross join (select 1 from as_of_dates)"),
    "exp_salesforce__next_orders": (
        "stg_predictions__repurchase_next_orders') }}\n    inner join {{ ref('stg_run__as_of_dates') }} using (as_of)",
        "stg_predictions__repurchase_next_orders') }}",
    ),
    "exp_dynamodb__repurchase_next_orders": (
        "baskets.product_id order by baskets.rank", "baskets.product_id order by baskets.probability"
    ),
    "int_demand__promotion_versions": ("'announced_at'", "'starts_on'"),
    "int_demand__promo_spans": ("where status = 'planned'", "where true"),
    "int_demand__promo_days": ("greatest(starts_on, valid_from) as", "starts_on as"),
    "int_demand__sales": ("cast(known_at as date), sold_on) + 1", "cast(known_at as date), sold_on)"),
    "int_demand__store_reports": ("max(sales.usable_from)", "min(sales.usable_from)"),
    "int_demand__stores_as_of": ("as_of >= stores.valid_from", "as_of >= stores.valid_from - 1"),
    "int_demand__products_as_of": ("as_of >= products.valid_from", "as_of >= products.valid_from - 1"),
    "int_demand__series_as_of": ("as_of_dates.as_of >= days.day", "as_of_dates.as_of >= days.day - 1"),
    "int_demand__store_days": ("as_of >= event_days.valid_from", "as_of >= event_days.valid_from - 1"),
    "int_demand__weather_as_of": ("forecasts.issued_at < cells.as_of", "forecasts.issued_at <= cells.as_of"),
    "int_demand__promo_ahead": ("as_of >= spans.valid_from", "as_of >= spans.valid_from - 1"),
    "int_demand__panel_days": ("days.ds >= list_prices.valid_from", "days.ds >= list_prices.valid_from - 1"),
    "int_demand__series_statistics": ("and not is_stockout as", "as"),
    "int_demand__weeks": ("- 1 as age_days", "as age_days"),
    "int_demand__seasonality": ("'seasons - 1'", "'0'"),
    "ml_demand_calendar": ("using (as_of, region, ds)", "using (region, ds)"),
    "ml_demand_ahead": ("on days.as_of = promos.as_of", "on true"),
    "int_imputation__parts_as_of": ("parts.known_at < as_of_dates.as_of", "parts.known_at <= as_of_dates.as_of"),
    "int_imputation__sensors_as_of": ("sensors.known_at < as_of_dates.as_of", "sensors.known_at <= as_of_dates.as_of"),
    "int_imputation__cells_as_of": ("measurements.known_at < parts.as_of", "measurements.known_at <= parts.as_of"),
    "ml_imputation_parts": ("left join counts using (as_of, part_id)", "left join counts using (part_id)"),
    "ml_demand_profile": ("first_sale < new_days then 'new'", "first_sale <= new_days then 'new'"),
    "int_demand__store_clusters_as_of": ("clusters.as_of < as_of_dates.as_of", "clusters.as_of <= as_of_dates.as_of"),
    "int_clustering__sales": ("sales.usable_from <= windows.as_of", "sales.usable_from <= windows.as_of + 1"),
    "int_clustering__store_days": ("customers.counted_on) < store", "customers.counted_on) <= store"),
    "int_clustering__openings": ("'is_school_holiday'", "'is_holiday_eve'"),
    "int_clustering__trade": ("valid_from <= as_of_dates.as_of", "valid_from <= as_of_dates.as_of + 1"),
    "int_clustering__assortment": ("share - chain_share", "chain_share - share"),
    "ml_clustering_features": ("closed_on < facts.as_of", "closed_on <= facts.as_of"),
    "int_repurchase__orders": ("cast(orders.known_at as date) + 1", "cast(orders.known_at as date)"),
    "int_repurchase__lines": ("order by usable_from, ordered_on", "order by ordered_on"),
    "int_repurchase__orders_as_of": ("on orders.usable_from <= days.as_of", "on orders.usable_from <= days.as_of + 1"),
    "int_repurchase__scope_as_of": ("on orders.usable_from <= days.as_of", "on orders.usable_from <= days.as_of + 1"),
    "int_repurchase__customers_as_of": ("gap >= days_since_last", "gap > days_since_last"),
    "int_repurchase__pairs_as_of": ("lines.usable_from <= orders.as_of", "lines.usable_from <= orders.as_of + 1"),
    "int_repurchase__candidates_as_of": ("<= parameters.max_candidates", "< parameters.max_candidates"),
    "int_repurchase__products_as_of": ("on products.usable_from <= days.as_of", "on products.usable_from <= days.as_of + 1"),
    "int_repurchase__next_orders": ("ordered_on < days.observed_until", "ordered_on <= days.observed_until"),
    "ml_repurchase_customers": ("where scope.wants_features", "where true"),
    "ml_repurchase_candidates": ("where candidates.as_of = (", "where candidates.as_of <= ("),
    "ml_repurchase_training": ("= bought.product_number", "<= bought.product_number"),
    "ml_repurchase_labels": ("order_number is null as", "order_number is not null as"),
}  # fmt: skip
#: Where the cut-off of a model is a macro's.
MACROS = {"int_demand__store_days": "store_events"}


def test_every_unit_test_can_fail(settings: Settings, build: DbtRun, tmp_path: Path) -> None:
    """Each model is broken in one place; the unit tests of exactly these models must notice."""
    shutil.copytree(PROJECT, tmp_path / "dbt_project")
    for model, (right, wrong) in LEAKS.items():
        (file,) = (tmp_path / "dbt_project").rglob(f"{MACROS.get(model, model)}.sql")
        sql = file.read_text()
        assert right in sql, model
        if model == "exp_salesforce__churn_scores":
            sql = sql.replace("scores.as_of as", "as_of_dates.as_of as")
        file.write_text(sql.replace(right, wrong))
    broken = settings.model_copy(update={"home": tmp_path})
    assert call_dbt(broken, ["test", "--select", "test_type:unit", "--quiet"], build.folder) == 1
    results = json.loads((build.folder / "target" / "run_results.json").read_text())["results"]
    noticed = {result["unique_id"].split(".")[2] for result in results if result["status"] == "fail"}
    assert noticed == set(LEAKS), noticed ^ set(LEAKS)


def test_a_feature_of_another_type_breaks_the_contract(
    settings: Settings, tables: list[Table], tmp_path: Path
) -> None:
    shutil.copytree(PROJECT, tmp_path / "dbt_project")
    (file,) = (tmp_path / "dbt_project").rglob("ml_churn_features.sql")
    sql = file.read_text()
    assert "coalesce(usage.logins_7d, 0) as" in sql
    file.write_text(
        sql.replace("coalesce(usage.logins_7d, 0) as", "coalesce(usage.logins_7d, 0)::varchar as")
    )
    with pytest.raises(DataContractError, match=r"ml_churn_features: .*logins_7d"):
        run_dbt(
            settings.model_copy(update={"home": tmp_path}),
            run_id="broken-contract",
            select=["+ml_churn_features"],
            tables=tables,
            as_of_dates=[DAY],
        )


def test_only_staging_reads_sources(manifest: dict[str, Any]) -> None:
    for model in models(manifest):
        if model["fqn"][1] != "staging":
            assert [parent for parent in model["depends_on"]["nodes"] if parent.startswith("source.")] == []


def test_only_the_exports_see_natural_ids(manifest: dict[str, Any]) -> None:
    """Pseudonyms stay pseudonyms on the way to a model: nothing under a feature reads the natural id."""
    bridges = {model["name"] for model in models(manifest) if model["name"].endswith("_ids")}
    assert {"stg_churn__account_ids", "stg_repurchase__customer_ids"} <= bridges
    readers = {
        child.removeprefix("model.millrace.")
        for bridge in bridges
        for child in manifest["child_map"][f"model.millrace.{bridge}"]
        if child.startswith("model.")
    }
    assert all(reader.startswith("exp_") for reader in readers), readers
    natural = re.compile(r"\b(account_id|account_name|customer_id)\b")
    for model in models(manifest):
        if model["name"] not in bridges | readers:
            assert not natural.search(model["raw_code"]), model["name"]


def test_every_source_is_used_and_every_mart_is_consumed(manifest: dict[str, Any]) -> None:
    sources = {name.split(".")[-1] for name in manifest["sources"]}
    assert {layout.table.name for layout in LAYOUTS} <= sources
    unused = [name for name in manifest["sources"] if not manifest["child_map"][name]]
    assert unused == []
    for model in models(manifest):
        children = [
            child for child in manifest["child_map"][model["unique_id"]] if not child.startswith("test.")
        ]
        assert children, f"{model['name']} has no consumer: neither a model nor an exposure"


def test_every_model_and_mart_column_is_described(manifest: dict[str, Any]) -> None:
    for model in models(manifest):
        assert "One row per" in model["description"], f"{model['name']} must say its grain"
        if model["fqn"][1] == "marts":
            assert model["contract"]["enforced"], model["name"]
            for column in model["columns"].values():
                said = column["description"]
                assert len(said) > 20, f"{model['name']}.{column['name']} must be described"
                assert "ull" in said or column["name"] == "as_of", f"{column['name']} must say its null rule"


def test_every_mart_has_a_key_test_and_every_feature_model_a_unit_test(manifest: dict[str, Any]) -> None:
    tested = {unit["model"] for unit in manifest["unit_tests"].values()}
    assert {name for name in LEAKS if name.startswith(("int_", "ml_", "exp_"))} <= tested
    keyed = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if (node.get("test_metadata") or {}).get("name") in ("unique", "unique_combination")
    }
    marts = {model["unique_id"] for model in models(manifest) if model["fqn"][1] == "marts"}
    # Its tens of millions of keys are not grouped: each series is shown to have each of its days once.
    dense = manifest["nodes"]["test.millrace.assert_demand_panel_is_dense"]
    assert "model.millrace.int_demand__series_statistics" in dense["depends_on"]["nodes"]
    # Nor are those of candidates: views on a table of which each customer's products are counted.
    bounded = manifest["nodes"]["test.millrace.assert_repurchase_candidates_are_bounded"]
    assert "model.millrace.int_repurchase__candidates_as_of" in bounded["depends_on"]["nodes"]
    assert marts - keyed == {
        f"model.millrace.{name}"
        for name in ("ml_demand_panel", "ml_repurchase_candidates", "ml_repurchase_training")
    }


def test_singular_tests_open_with_what_they_prevent() -> None:
    files = sorted((PROJECT / "tests").glob("*.sql"))
    assert len(files) >= 5
    for file in files:
        assert re.search(r"\{#-?\s+Prevents ", file.read_text()), file.name


def test_the_built_marts_have_the_types_that_python_reads(settings: Settings, build: DbtRun) -> None:
    for usecase in every():
        for mart in usecase.marts:
            built = build.read(f"select * from ml.{mart.model}").schema
            declared = usecase.run(DAY, settings).mart(mart.model).table.arrow_schema
            assert built.names == declared.names, mart.model
            assert built.types == declared.types, mart.model


def test_the_seed_knows_the_product_features() -> None:
    lines = (PROJECT / "seeds" / "churn_key_features.csv").read_text().splitlines()[1:]
    seeded = {feature: is_key == "true" for _, feature, is_key, _ in (line.split(",") for line in lines)}
    assert {name: seeded[name] for name in PRODUCT_FEATURES} == {
        name: position < 6 for position, name in enumerate(PRODUCT_FEATURES)
    }
    assert max(int(line.split(",")[3]) for line in lines) <= 62

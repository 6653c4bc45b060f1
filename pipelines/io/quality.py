"""Great Expectations on what Python lands and produces, from the same declarations as the code.

A suite is derived from a :class:`~features.schemas.Table`, so a column is declared once. Results
are kept under ``<var>/gx`` and rendered as Data Docs in the report site. Validation never leaves
the machine: analytics and progress bars are off, and the pages are stripped of the style sheets,
scripts and pictures that Data Docs would load from other hosts.

Importing Great Expectations takes 6 to 9 seconds, so it happens inside the functions.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import shutil
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from features.schemas import Column, Table
from pipelines.io.audit import Audit
from pipelines.io.lock import exclusive
from pipelines.settings import Settings

#: Larger tables are checked on a sample of about this many rows; the contract audit of the lake,
#: in SQL, sees every row.
SAMPLE_ROWS = 20_000


@dataclass(frozen=True)
class QualityResult:
    """Outcome of one validation.

    Attributes
    ----------
    suite
        Name of the suite.
    rows, checked
        Rows of the table and rows looked at.
    failures
        Broken expectations in words, with values and counts.
    """

    suite: str
    success: bool
    rows: int
    checked: int
    failures: tuple[str, ...]
    seconds: float


def validate(
    table: Table,
    frame: pa.Table,
    *,
    settings: Settings,
    suite_name: str | None = None,
    rows: int | None = None,
) -> QualityResult:
    """Check a frame against the suite of its declaration and render the result.

    Parameters
    ----------
    table
        Declaration that the suite is derived from.
    frame
        The rows, or a sample of them.
    suite_name
        Name of the suite; the table's by default. ``/`` and ``.`` become ``_``.
    rows
        Rows of which ``frame`` is a sample; None if it is everything.

    Returns
    -------
    QualityResult
        Also written to ``<var>/gx/results/<suite>.json``; its page is in
        ``<var>/report/data_docs``. Both show the latest validation of a suite: which rows went
        where is the matter of the lake's own ledgers.
    """
    started = time.monotonic()
    # Slashes and dots would become folders.
    suite_name = re.sub(r"[/.]", "_", suite_name or table.name)
    # Several steps may end at once, and the site has one index.
    with exclusive(settings, "data_docs"):
        for earlier in (_root(settings), docs_dir(settings)):
            shutil.rmtree(earlier / "validations" / suite_name, ignore_errors=True)
        context = _context(settings)
        outcome = _run(context, table, frame, suite_name, rows)
        context.build_data_docs()
        _take_offline(docs_dir(settings))
        failures = tuple(_in_words(result) for result in outcome["results"] if not result["success"])
        result = QualityResult(
            suite=suite_name,
            success=not failures,
            rows=frame.num_rows if rows is None else rows,
            checked=frame.num_rows,
            failures=failures,
            seconds=round(time.monotonic() - started, 3),
        )
        path = _root(settings) / "results" / f"{suite_name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**asdict(result), "results": outcome["results"]}, indent=1, default=str))
    return result


def quality_audit(table: Table, settings: Settings, *, suite: str | None = None) -> Audit:
    """Audit for a write to the lake: a failed validation stops the publication.

    A table of more than ``SAMPLE_ROWS`` rows is sampled by the hash of its key: the same rows
    each time, and all rows of a repeated key or none.
    """

    def audit(staged: duckdb.DuckDBPyRelation) -> list[str]:
        rows = staged.aggregate("count(*)").fetchall()[0][0]
        checked = staged.filter(sample_condition(table, rows)).to_arrow_table()
        result = validate(table, checked, settings=settings, suite_name=suite, rows=rows)
        return [f"Great Expectations: {failure}" for failure in result.failures]

    return audit


def sample_condition(table: Table, rows: int, sample_rows: int = SAMPLE_ROWS) -> str:
    """SQL condition that keeps about ``sample_rows`` of ``rows`` rows, by the hash of the key."""
    one_in = max(1, rows // sample_rows)
    key = ", ".join(f'"{name}"' for name in table.key)
    return f"hash({key}) % {one_in} = 0" if one_in > 1 else "true"


def docs_dir(settings: Settings) -> Path:
    """Folder of the Data Docs site within the report site."""
    return settings.report_dir / "data_docs"


# ---------------------------------------------------------------------------------------- inside


def _root(settings: Settings) -> Path:
    return settings.var / "gx"


def _context(settings: Settings) -> Any:
    """Context whose suites and results are files, and everything else in memory."""
    with warnings.catch_warnings():
        # Its import touches modules of the standard library that Python deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
        from great_expectations.data_context.types.base import DataContextConfig, ProgressBarsConfig

    # It tells of its own expectations' unset fields, dozens of lines in the log of every task.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)

    def store(kind: str, folder: str | None = None) -> dict[str, Any]:
        backend = (
            {"class_name": "InMemoryStoreBackend"} if folder is None else _files(_root(settings) / folder)
        )
        return {"class_name": kind, "store_backend": backend}

    config = DataContextConfig(
        config_version=4,
        stores={
            "expectations": store("ExpectationsStore", "expectations"),
            "validations": store("ValidationResultsStore", "validations"),
            "checkpoints": store("CheckpointStore"),
            "validation_definition_store": store("ValidationDefinitionStore"),  # a fixed name
        },
        expectations_store_name="expectations",
        validation_results_store_name="validations",
        checkpoint_store_name="checkpoints",
        data_docs_sites={
            "local_site": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": _files(docs_dir(settings)),
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            }
        },
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    return gx.get_context(project_config=config, mode="ephemeral")


def _files(folder: Path) -> dict[str, str]:
    return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}


def _run(context: Any, table: Table, frame: pa.Table, suite_name: str, rows: int | None) -> dict[str, Any]:
    gx: Any = importlib.import_module("great_expectations")
    looked_at = f"All {frame.num_rows:,} rows were looked at."
    if rows is not None and rows != frame.num_rows:
        looked_at = f"{frame.num_rows:,} of {rows:,} rows were looked at, sampled by the hash of the key."
    suite = context.suites.add_or_update(
        gx.ExpectationSuite(
            name=suite_name, expectations=_expectations(table), notes=[table.description, looked_at]
        )
    )
    source = context.data_sources.add_or_update_pandas("rows")
    batch = source.add_dataframe_asset(suite_name).add_batch_definition_whole_dataframe("all")
    definition = context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=suite_name, data=batch, suite=suite)
    )
    outcome = definition.run(
        batch_parameters={"dataframe": frame.to_pandas(date_as_object=True)},
        result_format={"result_format": "SUMMARY", "partial_unexpected_count": 5},
    )
    return dict(outcome.to_json_dict())


def _expectations(table: Table) -> list[Any]:
    """Expectations that a declaration implies; ``meta.rule`` says each in the words of our errors."""
    # By name: the package does not declare what it exports.
    gxe: Any = importlib.import_module("great_expectations.expectations")

    def meta(rule: str, column: Column | None = None) -> dict[str, Any]:
        return {"notes": column.description, "meta": {"rule": rule}} if column else {"meta": {"rule": rule}}

    names = table.column_names
    found: list[Any] = [
        gxe.ExpectTableColumnsToMatchOrderedList(column_list=names, **meta(f"columns must be {names}")),
    ]
    if len(table.key) == 1:
        rule = meta(f"key {table.key[0]} must be unique")
        found.append(gxe.ExpectColumnValuesToBeUnique(column=table.key[0], **rule))
    else:
        rule = meta(f"key {list(table.key)} must be unique")
        found.append(gxe.ExpectCompoundColumnsToBeUnique(column_list=list(table.key), **rule))
    for column in table.columns:
        name = column.name
        if not column.nullable:
            rule = meta(f"{name} must not be null", column)
            found.append(gxe.ExpectColumnValuesToNotBeNull(column=name, **rule))
        if column.minimum is not None or column.maximum is not None:
            low = "-inf" if column.minimum is None else f"{column.minimum:g}"
            high = "inf" if column.maximum is None else f"{column.maximum:g}"
            rule = meta(f"{name} must lie in [{low}, {high}]", column)
            found.append(
                gxe.ExpectColumnValuesToBeBetween(
                    column=name, min_value=column.minimum, max_value=column.maximum, **rule
                )
            )
        if column.allowed is not None:
            rule = meta(f"{name} must be one of {list(column.allowed)}", column)
            found.append(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(column.allowed), **rule))
    return found


def _in_words(result: dict[str, Any]) -> str:
    rule = result["expectation_config"]["meta"]["rule"]
    found = result["result"]
    if not found:  # the column is not there
        return f"{rule}, could not be checked"
    if "unexpected_count" not in found:
        return f"{rule}, got {found.get('observed_value')}"
    examples = sorted({str(value) for value in found.get("partial_unexpected_list", [])})[:3]
    got = f", got {', '.join(examples)}" if examples and examples != ["None"] else ""
    return f"{rule}{got} (offending rows: {found['unexpected_count']} of {found['element_count']})"


_REMOTE = re.compile(
    r"<link\b[^>]*href=[\"']https?://[^>]*>|<script\b[^>]*src=[\"']https?://[^>]*>\s*</script>"
    r"|<img\b[^>]*src=[\"']https?://[^>]*>",
    re.IGNORECASE,
)
_STYLE = (
    "<style>body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:75rem;padding:0 1rem;"
    "color:#1d2733;background:#fff}table{border-collapse:collapse;margin:.6rem 0}td,th{border:1px solid"
    " #ccd3db;padding:.3rem .6rem;text-align:left;vertical-align:top}.modal,form{display:none}</style>"
)


def _take_offline(site: Path) -> None:
    """Strip what the pages would load from other hosts, which also count who looks at them."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if _REMOTE.search(text):
            text = _REMOTE.sub("", text)
            page.write_text(text.replace("</head>", f"{_STYLE}</head>", 1), encoding="utf-8")

"""Great Expectations: comparison of distributions, and Data Docs of everything that was checked.

Importing this module takes 6 to 9 seconds: it happens inside the functions that need it. Nothing here leaves
the machine: analytics and progress bars are off, and the pages are stripped of the style sheets, scripts and
pictures that they would load from other hosts.
"""

from __future__ import annotations

import html
import logging
import re
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from features.schemas import Table
from pipelines.io.audit import Outcome
from pipelines.io.relations import Samples

with warnings.catch_warnings():
    # Its import touches modules of the standard library that Python deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    import great_expectations as gx
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.base import DataContextConfig, ProgressBarsConfig
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )
    from great_expectations.expectations.core.expect_column_kl_divergence_to_be_less_than import (
        ExpectColumnKLDivergenceToBeLessThan,
    )
    from great_expectations.expectations.expectation import BatchExpectation

# It tells of its own expectations' unset fields, dozens of lines in the log of every task.
logging.getLogger("great_expectations").setLevel(logging.WARNING)

#: Kullback-Leibler divergence beyond which a distribution is not the last day's any more: half a standard
#: deviation of a normal one is 0.125, a whole one 0.5.
MAX_DIVERGENCE = 0.25

#: Fewer rows than this on either side tell nothing of a distribution.
_FEWEST_ROWS = 100

#: Share of a distribution that is left for values it never had.
_UNSEEN = 0.01

_BINS = 10


class ExpectRowsToKeepTheContract(BatchExpectation):
    """Rule that SQL decided on every row; Great Expectations shows it and does not evaluate it."""

    column: str | None = None

    metric_dependencies: ClassVar[tuple[str, ...]] = ()
    domain_keys: ClassVar[tuple[str, ...]] = ("column",)
    success_keys: ClassVar[tuple[str, ...]] = ()
    args_keys: ClassVar[tuple[str, ...]] = ("column",)

    def _validate(self, metrics: Any, runtime_configuration: Any = None, execution_engine: Any = None) -> Any:
        raise NotImplementedError("SQL decides it: pipelines.io.audit")


def compare(samples: Samples | None) -> list[Any]:
    """Have Great Expectations compare the distributions of two days, one result per column."""
    if samples is None:
        return []
    now, before = samples.now.to_pandas(), samples.before.to_pandas()
    asset = _context().data_sources.add_pandas("rows").add_dataframe_asset("rows")
    found = []
    for name in now.columns:
        ours, theirs = (_plain(frame[name].dropna()) for frame in (now, before))
        if min(len(ours), len(theirs)) < _FEWEST_ROWS:
            continue
        batch = asset.add_batch_definition_whole_dataframe(name)
        expectation = ExpectColumnKLDivergenceToBeLessThan(
            column=name,
            partition_object=_partition(theirs),
            threshold=MAX_DIVERGENCE,
            tail_weight_holdout=_UNSEEN,
            notes=f"Against {len(theirs):,} rows of {samples.day}.",
            meta={"day": samples.day.isoformat()},
        )
        rows = batch.get_batch(batch_parameters={"dataframe": pd.DataFrame({name: ours})})
        found.append(rows.validate(expectation))
    return found


def moved(result: Any) -> str:
    """What Great Expectations found of a distribution, in words."""
    config, seen = result.expectation_config, result.result.get("observed_value")
    value = "without bound" if seen is None else f"{seen:.2f}"
    return (
        f"{config.kwargs['column']} is distributed differently from {config.meta['day']}: its divergence must be at "
        f"most {MAX_DIVERGENCE}, got {value}"
    )


def publish(
    table: Table, name: str, outcomes: Sequence[Outcome], compared: Sequence[Any], *, home: Path, site: Path
) -> None:
    """Render what SQL decided and what :func:`compare` found as the newest validation of a table's suite.

    Suites and results are written below ``home``, pages below ``site``.
    """
    for earlier in (home, site):
        shutil.rmtree(earlier / "validations" / name, ignore_errors=True)
    context = _context(home, site)
    notes = {column.name: column.description for column in table.columns}
    decided = [(outcome, _expectation(outcome, notes)) for outcome in outcomes]
    looked_at = f"SQL looked at all {outcomes[0].rows:,} rows; distributions were compared on samples."
    context.suites.add_or_update(
        gx.ExpectationSuite(
            name=name,
            expectations=[
                *(expectation for _, expectation in decided),
                *(result.expectation_config.to_domain_obj() for result in compared),
            ],
            notes=[table.description, looked_at],
        )
    )
    run = RunIdentifier()
    suite = ExpectationSuiteIdentifier(name=name)
    key = ValidationResultIdentifier(suite, run, "rows")
    results = [*(_result(outcome, expectation) for outcome, expectation in decided), *compared]
    context.validation_results_store.store_validation_results(_validation(table, name, results, run), key)
    pages: list[Any] = [suite, key]
    context.build_data_docs(resource_identifiers=pages)
    _take_offline(site)


def _validation(table: Table, name: str, results: list[Any], run: RunIdentifier) -> Any:
    good = sum(bool(result.success) for result in results)
    return ExpectationSuiteValidationResult(
        success=good == len(results),
        results=results,
        suite_name=name,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": good,
            "unsuccessful_expectations": len(results) - good,
            "success_percent": 100 * good / len(results),
        },
        meta={
            "run_id": run,
            "validation_time": run.run_time,
            "great_expectations_version": gx.__version__,
            "batch_spec": {"data_asset_name": table.name},
        },
    )


def _expectation(outcome: Outcome, notes: dict[str, str]) -> ExpectRowsToKeepTheContract:
    return ExpectRowsToKeepTheContract(
        column=outcome.column,
        # The pages show it as it is.
        description=html.escape(outcome.words, quote=False),
        notes=notes.get(outcome.column or ""),
    )


def _result(outcome: Outcome, expectation: ExpectRowsToKeepTheContract) -> Any:
    return ExpectationValidationResult(
        success=not outcome.offending,
        expectation_config=expectation.configuration,
        result={
            "element_count": outcome.rows,
            "unexpected_count": outcome.offending,
            "unexpected_percent": 100 * outcome.offending / outcome.rows if outcome.rows else 0.0,
            "partial_unexpected_list": [outcome.got] if outcome.got else [],
        },
    )


def _plain(values: pd.Series) -> pd.Series:
    """Numbers as they are, anything else as text."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return values.astype(float) if numeric else values.astype(str)


def _partition(values: pd.Series) -> dict[str, list[Any]]:
    """Distribution as Great Expectations takes it: tenths of numbers, shares of words."""
    if not pd.api.types.is_numeric_dtype(values):
        shares = values.value_counts(normalize=True)
        return {"values": shares.index.tolist(), "weights": shares.tolist()}
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)))
    if len(edges) == 1:
        edges = np.array([edges[0], edges[0] + 1])
    counts = np.histogram(values, edges)[0] + 0.5
    return {"bins": edges.tolist(), "weights": (counts / counts.sum()).tolist()}


def _context(home: Path | None = None, site: Path | None = None) -> Any:
    """Context whose suites, results and pages are files, if there are folders, and everything else in memory."""

    def store(kind: str, folder: Path | None = None) -> dict[str, Any]:
        return {"class_name": kind, "store_backend": _files(folder)}

    pages = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": _files(site),
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    config = DataContextConfig(
        config_version=4,
        stores={
            "expectations": store("ExpectationsStore", home and home / "expectations"),
            "validations": store("ValidationResultsStore", home and home / "validations"),
            "checkpoints": store("CheckpointStore"),
            "validation_definition_store": store("ValidationDefinitionStore"),  # a fixed name
        },
        expectations_store_name="expectations",
        validation_results_store_name="validations",
        checkpoint_store_name="checkpoints",
        data_docs_sites={"local_site": pages} if site else {},
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    return gx.get_context(project_config=config, mode="ephemeral")


def _files(folder: Path | None) -> dict[str, str]:
    if folder is None:
        return {"class_name": "InMemoryStoreBackend"}
    return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}


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

"""How imputed cells are judged: measured cells are taken out and imputed, by the gate and again on every day.

Errors of all candidates are measured on one scale, that of the challenger: the sensor's own where it is about
normal, in standard deviations. Grades and words have no interval and are not judged.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from scipy import stats

from models.evaluation.imputation_gate import Hidden, ImputationThresholds, ModelFacts, judge_imputation
from models.evaluation.verdict import Verdict
from models.imputation.imputer import BootstrapEMImputer
from models.imputation.overimpute import overimpute, with_errors
from pipelines.io.frames import by_candidate
from pipelines.io.lake import Lake, on_day
from pipelines.io.registry import ModelVersion, Registry
from pipelines.io.volume import earlier_volumes
from pipelines.monitoring.checks import check_drift
from pipelines.monitoring.findings import Finding, held_against, percent
from pipelines.monitoring.schemas import Severity, State
from pipelines.usecase import Checked, Run
from pipelines.usecases.imputation.dataset import PARTS, SUBJECTS, Wide, day_seed, read_wide, usable_frame
from pipelines.usecases.imputation.params import (
    ImputationMonitoringParams,
    ImputationParams,
    OverimputationParams,
)
from pipelines.usecases.imputation.schemas import CHAINS, COLUMNS, COMPLETED, OUT_OF_SCOPE, VALIDATION

#: Candidates that a challenger must beat, besides the champion.
_BASELINES = ("mean",)
#: Earlier days whose mean number of parts counts as usual.
_EARLIER_DAYS = 7
#: Fewest cells by which the intervals of a day are judged.
_FEWEST_CELLS = 100


# ----------------------------------------------------------------------------------- overimputation


def hide_and_impute(
    model: BootstrapEMImputer,
    reference: BootstrapEMImputer,
    wide: Wide,
    params: OverimputationParams,
    *,
    seed: int,
) -> pd.DataFrame:
    """Impute observed cells of a wide table as if they were missing.

    Returns ``row``, ``column``, ``observed``, ``mean``, ``low``, ``high``, ``covered``, ``missing_share`` and
    ``error``, which is measured on the scale of ``reference``: the same for all candidates.
    """
    found = overimpute(
        model, usable_frame(model, wide), level=0.9, draws=params.draws, cells_per_column=params.cells_per_sensor,
        seed=seed,
    )  # fmt: skip
    return with_errors(found.cells, reference)


def root_mean_square(errors: pd.Series) -> float:
    """Root mean square of errors."""
    return float(np.sqrt(np.square(errors).mean()))


# --------------------------------------------------------------------------------------------- gate


def judge(run: Run[ImputationParams], version: ModelVersion) -> Verdict:
    """Judge the challenger of the day by the cells that were hidden from it, and by how it was fitted."""
    cells, chains, columns = (
        run.lake.read(table, where=on_day(run.as_of)) for table in (VALIDATION, CHAINS, COLUMNS)
    )
    parts, gate = by_candidate(cells, ("part_id", "sensor_id")), run.params.gate
    hidden = {name: _hidden(parts.get(name, cells.slice(0, 0))) for name in ("challenger", *_BASELINES)}
    actions = columns["action"].to_pylist()
    facts = ModelFacts(
        chains=chains.num_rows,
        converged=int(pc.sum(chains["converged"]).as_py() or 0),
        columns=columns.num_rows,
        left_out=sum(action == "left_out" for action in actions),
        unexplained=tuple(_unexplained(chains, columns)),
    )
    return judge_imputation(
        hidden.pop("challenger"),
        facts,
        baselines=hidden,
        champion=_hidden(parts["champion"]) if "champion" in parts else None,
        thresholds=ImputationThresholds(
            min_cells=gate.min_cells,
            coverage=(gate.min_coverage_90, gate.max_coverage_90),
            max_left_out=gate.max_left_out_share,
            level=gate.confidence,
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=run.params.seed,
    )


def _unexplained(chains: pa.Table, columns: pa.Table) -> list[str]:
    """Sensors that EM found all but collinear although the preflight had no remark."""
    told = {row["sensor_id"] for row in columns.to_pylist() if row["problem"]}
    known = set(columns["sensor_id"].to_pylist())
    flat = {name for text in chains["flat_columns"].to_pylist() for name in text.split(", ") if name}
    return sorted((flat & known) - told)


def _hidden(cells: pa.Table) -> Hidden:
    return Hidden(
        np.array(cells["part_id"].to_pylist()),
        cells["error"].to_numpy().astype(np.float64),
        cells["covered"].to_numpy().astype(np.bool_),
    )


# --------------------------------------------------------------------------------------- monitoring


def check(run: Run[ImputationParams]) -> Checked:
    """Check what is missing on the day, how much came, and whether the intervals still hold."""
    lake, as_of, limits = run.lake, run.as_of, run.params.monitoring
    first = on_day(as_of) & (pa_dataset.field("draw") == 1)
    rows = lake.read(COMPLETED, columns=["model_version"], where=first, missing_ok=True)
    findings = [_completed(rows.num_rows)]
    if not rows.num_rows:
        return Checked(findings, None)
    label: str = rows["model_version"][0].as_py()
    wide, registry = read_wide(lake, as_of, batch=True), Registry(run.settings, run.usecase)
    version = registry.version(label.rpartition("/")[2])
    model: BootstrapEMImputer = registry.load(version)
    findings += [
        _volume(lake, as_of, len(wide.parts), limits),
        *_missing(lake, version, wide, limits),
        *_not_imputed(lake.read(OUT_OF_SCOPE, where=on_day(as_of), missing_ok=True)),
        *check_drift(lake, run.usecase, label, wide.values, SUBJECTS, limits),
        _coverage(model, wide, as_of, run.params),
    ]
    return Checked(findings, label)


def _completed(cells: int) -> Finding:
    words = "the day has completed data sets" if cells else "the day has no completed data sets"
    return held_against(
        "completed", "completed", words, float(bool(cells)), 1.0, raised=not cells, severity=Severity.CRITICAL,
        rows=cells,
    )  # fmt: skip


def _volume(lake: Lake, as_of: date, parts: int, limits: ImputationMonitoringParams) -> Finding:
    """Parts of the day against the mean of the days before that were prepared."""
    last = earlier_volumes(lake, PARTS, as_of, pa_dataset.field("in_batch"))[-_EARLIER_DAYS:]
    if not last:
        words = f"{parts:,} parts; there are no earlier days to compare with"
        return Finding("parts", "parts", State.NOT_ENOUGH_DATA, words, rows=parts)
    usual = float(np.mean(last))
    change = abs(parts - usual) / usual
    # Counts scatter: the square root of so many is no news.
    limit = max(limits.max_volume_change, 3 * np.sqrt(1 / usual + 1 / (usual * len(last))))
    words = f"{parts:,} parts, {usual:,.0f} in the mean of the last {len(last)} days"
    return held_against("parts", "parts", words, change, limit, raised=change > limit, rows=parts)


def _missing(
    lake: Lake, version: ModelVersion, wide: Wide, limits: ImputationMonitoringParams
) -> list[Finding]:
    """Share of missing cells of every sensor against that of the training parts."""
    trained = date.fromisoformat(version.tags["as_of"])
    known = lake.read(COLUMNS, where=on_day(trained), missing_ok=True)
    before = {row["sensor_id"]: row for row in known.to_pylist()}
    station = wide.sensors.set_index("sensor_id")["station"]
    parts, found = len(wide.parts), []
    rate = limits.false_alarm_rate / max(1, len(before))
    for name in wide.values.columns:
        if name not in before:
            continue
        if parts < limits.min_parts:
            words = f"{name}: {parts} parts are too few to judge a share ({limits.min_parts} are needed)"
            found.append(Finding("missing_shift", name, State.NOT_ENOUGH_DATA, words, rows=parts))
            continue
        row = before[name]
        total = row["observed"] + row["missing"]
        share, now = row["missing"] / total, float(wide.values[name].isna().mean())
        # Beyond the limit, and beyond what a share of so many parts scatters by itself.
        chance = float(stats.binom.sf(round(now * parts) - 1, parts, min(max(share, 1 / (total + 1)), 1.0)))
        raised = now - share > limits.max_missing_shift and chance < rate
        words = (
            f"{name}: {percent(now)} of the cells are missing, {percent(share)} when the model was trained"
        )
        found.append(
            held_against(
                "missing_shift", name, words, now - share, limits.max_missing_shift, raised=raised,
                segment=("station", station[name]), rows=parts, excess=max(0.0, now - share),
            )
        )  # fmt: skip
    return sorted(found, key=lambda f: (-f.excess, f.subject))


def _not_imputed(rows: pa.Table) -> list[Finding]:
    """Sensors described since the training: their gaps stay. Those left out by the preflight were accepted."""
    new = rows.filter(pc.equal(rows["scope_reason"], "new_sensor")).to_pylist()
    return [
        held_against(
            "not_imputed", row["sensor_id"], f"{row['sensor_id']}: {row['cells']:,} cells stay missing, {row['words']}",
            float(row["cells"]), 0.0, raised=True, rows=row["cells"],
        )
        for row in new
    ]  # fmt: skip


def _coverage(model: BootstrapEMImputer, wide: Wide, as_of: date, params: ImputationParams) -> Finding:
    """Overimpute cells of the day: whether the 90 % intervals hold what was measured."""
    limits = params.monitoring
    low, high = limits.min_coverage_90, limits.max_coverage_90
    cells = pd.DataFrame()
    if wide.values[wide.numeric].notna().to_numpy().sum() >= _FEWEST_CELLS:
        cells = hide_and_impute(model, model, wide, params.overimputation, seed=day_seed(params.seed, as_of))
    if len(cells) < _FEWEST_CELLS:
        words = f"fewer than {_FEWEST_CELLS} observed numbers: the intervals cannot be judged"
        return Finding("coverage_90", "draws", State.NOT_ENOUGH_DATA, words)
    coverage = float(cells["covered"].mean())
    # Cells of a part are wrong together: parts, not cells, are independent.
    by_part = cells.groupby("row")["covered"].agg(["sum", "count"])
    spread = by_part["sum"] - coverage * by_part["count"]
    error = float(np.sqrt(np.square(spread).sum()) / len(cells))
    raised = coverage + 2 * error < low or coverage - 2 * error > high
    words = (
        f"90 % intervals hold {percent(coverage)} of {len(cells):,} observed cells that were taken out (give or take "
        f"{percent(2 * error)})"
    )
    return held_against(
        "coverage_90", "draws", words, coverage, low if coverage < (low + high) / 2 else high,
        raised=raised, severity=Severity.CRITICAL, rows=len(cells),
    )  # fmt: skip

"""Imputation, monitoring: what is missing today, how much came, and whether the intervals still hold."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from scipy import stats

from models.imputation.imputer import BootstrapEMImputer
from pipelines.io.lake import Lake
from pipelines.io.registry import ModelVersion, Registry
from pipelines.monitoring.alarms import Alarm, Sentence, raise_alarms
from pipelines.monitoring.checks import check_drift
from pipelines.monitoring.findings import Finding, percent
from pipelines.monitoring.schemas import Severity, State
from pipelines.monitoring.stored import read_findings, store_findings
from pipelines.settings import Settings
from pipelines.usecases.imputation.contracts import USECASE
from pipelines.usecases.imputation.dataset import PARTS, WATCHED, Wide, read_wide
from pipelines.usecases.imputation.hidden import judge
from pipelines.usecases.imputation.params import ImputationMonitoringParams, ImputationParams
from pipelines.usecases.imputation.schemas import COLUMNS, COMPLETED, OUT_OF_SCOPE
from pipelines.usecases.imputation.score import day_seed

log = logging.getLogger(__name__)

#: Days before, of which the number of parts is a usual one.
_EARLIER_DAYS = 7
#: Fewest cells by which the intervals of a day are judged.
_FEWEST_CELLS = 100

#: What an alarm means for whom, and the first thing to do, by metric.
_WORDS = {
    "completed": (
        "Whoever reads the completed data sets has none of this day.",
        "Run `millrace score imputation` for the day and read its error.",
    ),
    "coverage_90": (
        "For everybody who uses the completed data sets: the spread between them no longer tells how uncertain a "
        "drawn cell is.",
        "Look at the overimputation by station on the report page; if a sensor was exchanged or recalibrated, run "
        "imputation_train on parts made since.",
    ),
    "parts": (
        "The completed data sets hold far fewer or more parts than usual; comparisons with other days mislead.",
        "Compare the row counts of the last ingest with the line's own count, then ingest and score again.",
    ),
    "missing_shift": (
        "For process engineers: a sensor is silent more often than when the model was trained. Its cells are drawn, "
        "and say less about the part the more of them there are.",
        "Open the missingness map: a whole station at once is a stop, a single sensor is a fault or a full disk.",
    ),
    "not_imputed": (
        "Cells of a sensor stay missing: users of the wide table meet gaps.",
        "Read the sensor's words on the report page; a new sensor is learned by the next imputation_train.",
    ),
    "feature_shift": (
        "For process engineers: a sensor measures other values than when the model was judged; drawn cells rest on "
        "what was usual then.",
        "Check the sensor for a new calibration or unit; if the process changed, run imputation_train.",
    ),
}


def run(
    as_of: date, *, settings: Settings | None = None, params: ImputationParams | None = None
) -> dict[str, Any]:
    """Check the completed data sets of ``as_of`` and write ``ops/monitoring``.

    A repeated run replaces the day's rows. What cannot be judged is a finding of its own, never silence.

    Returns
    -------
    ``as_of``, ``model_version``, ``alarms`` (see :meth:`Alarm.as_dict`) and the number of findings
    per state; small enough for XCom.
    """
    settings, params = settings or Settings.load(), params or ImputationParams.load_default()
    lake, day = Lake.of(settings), pa_dataset.field("as_of") == as_of
    rows = lake.read(
        COMPLETED, columns=["model_version"], where=day & (pa_dataset.field("draw") == 1), missing_ok=True
    )
    version = rows["model_version"][0].as_py() if rows.num_rows else None
    findings = [_completed(rows.num_rows)]
    if version is not None:
        wide, registry = read_wide(lake, as_of, batch=True), Registry(settings, USECASE)
        served = registry.version(version.rpartition("/")[2])
        model: BootstrapEMImputer = registry.load(served)
        findings += [
            _volume(lake, as_of, len(wide.parts), params.monitoring),
            *_missing(lake, served, wide, params.monitoring),
            *_not_imputed(lake.read(OUT_OF_SCOPE, where=day, missing_ok=True)),
            *check_drift(lake, version, wide.watched, WATCHED, params.monitoring),
            _coverage(model, wide, as_of, params),
        ]
    alarms = _alarms(as_of, findings)
    store_findings(lake, USECASE, as_of, findings, model_version=version, alarms=alarms)
    for alarm in alarms:
        log.warning("%s alarm, %s. %s", alarm.severity, alarm.title, alarm.first_step)
    return {
        "as_of": as_of.isoformat(),
        "model_version": version,
        "alarms": [alarm.as_dict() for alarm in alarms],
        "findings": {state.value: sum(f.state is state for f in findings) for state in State},
    }


def read_alarms(lake: Lake, as_of: date) -> list[Alarm]:
    """Word the alarms of a monitored day again, from the stored findings."""
    return _alarms(as_of, read_findings(lake, USECASE, as_of))


def _completed(cells: int) -> Finding:
    if cells:
        return Finding(
            "completed", "completed", State.OK, "the day has completed data sets", 1.0, 1.0, rows=cells
        )
    words = "the day has no completed data sets"
    return Finding("completed", "completed", State.ALARM, words, 0.0, 1.0, Severity.CRITICAL)


def _volume(lake: Lake, as_of: date, parts: int, limits: ImputationMonitoringParams) -> Finding:
    """Parts of the day against the mean of the days before that were prepared."""
    field = pa_dataset.field
    earlier = lake.read(PARTS, columns=["as_of"], where=(field("as_of") < as_of) & field("in_batch"))
    counts = earlier.group_by("as_of").aggregate([("as_of", "count")]).sort_by("as_of")
    last = counts["as_of_count"].to_pylist()[-_EARLIER_DAYS:]
    if not last:
        words = f"{parts:,} parts; there are no earlier days to compare with"
        return Finding("parts", "parts", State.NOT_ENOUGH_DATA, words, rows=parts)
    usual = float(np.mean(last))
    change = abs(parts - usual) / usual
    # Counts scatter: the square root of so many is no news.
    noise = 3 * np.sqrt(1 / usual + 1 / (usual * len(last)))
    raised = change > max(limits.max_volume_change, noise)
    words = f"{parts:,} parts, {usual:,.0f} in the mean of the last {len(last)} days"
    return Finding(
        "parts", "parts", State.ALARM if raised else State.OK, words, change,
        max(limits.max_volume_change, noise), Severity.WARNING if raised else None, rows=parts,
    )  # fmt: skip


def _missing(
    lake: Lake, version: ModelVersion, wide: Wide, limits: ImputationMonitoringParams
) -> list[Finding]:
    """Share of missing cells of every sensor against that of the training parts."""
    trained = date.fromisoformat(version.tags["as_of"])
    known = lake.read(COLUMNS, where=pa_dataset.field("as_of") == trained, missing_ok=True)
    before = {row["sensor_id"]: row for row in known.to_pylist()}
    parts, found = len(wide.parts), []
    rate = limits.false_alarm_rate / max(1, len(before))
    for name in wide.values.columns:
        if name not in before:
            continue
        row = before[name]
        total = row["observed"] + row["missing"]
        share = row["missing"] / total
        now = float(wide.values[name].isna().mean())
        if parts < limits.min_parts:
            words = f"{name}: {parts} parts are too few to judge a share ({limits.min_parts} are needed)"
            found.append(Finding("missing_shift", name, State.NOT_ENOUGH_DATA, words, rows=parts))
            continue
        # Beyond the limit, and beyond what a share of so many parts scatters by itself.
        chance = float(stats.binom.sf(round(now * parts) - 1, parts, min(max(share, 1 / (total + 1)), 1.0)))
        raised = now - share > limits.max_missing_shift and chance < rate
        words = (
            f"{name}: {percent(now)} of the cells are missing, {percent(share)} when the model was trained"
        )
        found.append(
            Finding(
                "missing_shift", name, State.ALARM if raised else State.OK, words, now - share,
                limits.max_missing_shift, Severity.WARNING if raised else None,
                segment=("station", _station(wide, name)), rows=parts, excess=max(0.0, now - share),
            )
        )  # fmt: skip
    return sorted(found, key=lambda f: (-f.excess, f.subject))


def _station(wide: Wide, sensor: str) -> str:
    return str(wide.sensors.loc[wide.sensors["sensor_id"] == sensor, "station"].iloc[0])


def _not_imputed(rows: pa.Table) -> list[Finding]:
    """Sensors described since the training: their gaps stay. Those left out by the preflight were accepted."""
    new = rows.filter(pc.equal(rows["scope_reason"], "new_sensor")).to_pylist()
    return [
        Finding(
            "not_imputed", row["sensor_id"], State.ALARM,
            f"{row['sensor_id']}: {row['cells']:,} cells stay missing, {row['words']}",
            float(row["cells"]), 0.0, Severity.WARNING, rows=row["cells"],
        )
        for row in new
    ]  # fmt: skip


def _coverage(model: BootstrapEMImputer, wide: Wide, as_of: date, params: ImputationParams) -> Finding:
    """Overimpute cells of the day: whether the 90 % intervals hold what was measured."""
    limits = params.monitoring
    low, high = limits.min_coverage_90, limits.max_coverage_90
    enough = wide.values[wide.numeric].notna().to_numpy().sum() >= _FEWEST_CELLS
    cells = (
        judge(model, model, wide, params.overimputation, seed=day_seed(params.seed, as_of))
        if enough
        else None
    )
    if cells is None or len(cells) < _FEWEST_CELLS:
        words = f"fewer than {_FEWEST_CELLS} observed numbers: the intervals cannot be judged"
        return Finding("coverage_90", "draws", State.NOT_ENOUGH_DATA, words)
    coverage = float(cells["covered"].mean())
    # Cells of a part are wrong together: parts, not cells, are independent.
    by_part = cells.groupby("row")["covered"].agg(["sum", "count"])
    spread = by_part["sum"] - coverage * by_part["count"]
    error = float(np.sqrt(np.square(spread).sum()) / len(cells))
    threshold = low if coverage < (low + high) / 2 else high
    raised = coverage + 2 * error < low or coverage - 2 * error > high
    words = (
        f"90 % intervals hold {percent(coverage)} of {len(cells):,} observed cells that were taken out (give or take "
        f"{percent(2 * error)})"
    )
    return Finding(
        "coverage_90", "draws", State.ALARM if raised else State.OK, words, coverage, threshold,
        Severity.CRITICAL if raised else None, rows=len(cells),
    )  # fmt: skip


def _alarms(as_of: date, findings: Sequence[Finding]) -> list[Alarm]:
    return raise_alarms(USECASE, as_of, findings, _WORDS, _phrase)


def _phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    """The finding that stands out most, and how many more there are."""
    more = f"; and {len(raised) - 1} more sensors" if len(raised) > 1 else ""
    return Sentence(speaker.message + more, speaker.segment_name)

"""Propensity, monitoring: volume, drift, and how many of the offered products were taken once that is known."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from models.recommendation.lists import BETWEEN
from pipelines.io.lake import Lake, on_day
from pipelines.io.volume import rows_of_last_day
from pipelines.monitoring.checks import check_drift
from pipelines.monitoring.findings import Finding, held_against, percent
from pipelines.monitoring.schemas import Severity, State
from pipelines.usecase import Checked, Run
from pipelines.usecases.propensity.dataset import LABELS, SUBJECTS, model_columns, read_scope, watched
from pipelines.usecases.propensity.params import PropensityParams
from pipelines.usecases.propensity.schemas import CHANCES, OFFERS

#: Fewest takers by which chances of a past day are judged.
_FEWEST_TAKERS = 100


def check(run: Run[PropensityParams]) -> Checked:
    """Check the offers of the day, and the chances of the newest past day whose horizon is over."""
    lake, limits = run.lake, run.params.monitoring
    rows = lake.read(OFFERS, columns=["model_version"], where=on_day(run.as_of), missing_ok=True)
    if not rows.num_rows:
        words = f"no offers of this day: run `{run.command('score')}`"
        return Checked([Finding("offers", "offers", State.ALARM, words, 0.0, 1.0, Severity.CRITICAL)], None)
    version = rows["model_version"][0].as_py()
    findings = [_volume(lake, run.as_of, rows.num_rows, limits.max_volume_change), _taken(run)]
    scope = pa.Table.from_pandas(watched(read_scope(run), model_columns(run)), preserve_index=False)
    findings += check_drift(lake, run.usecase, version, scope, SUBJECTS, limits)
    return Checked(findings, version)


def _volume(lake: Lake, as_of: date, scored: int, limit: float) -> Finding:
    last = rows_of_last_day(lake, OFFERS, as_of)
    change = scored / last - 1 if last else 0.0
    against = f", {change:+.0%} against the last scored day" if last else "; no earlier day to compare with"
    return held_against(
        "offers", "offers", f"{scored:,} customers have offers{against}", change, limit,
        raised=abs(change) > limit, severity=Severity.CRITICAL, rows=scored,
    )  # fmt: skip


def _taken(run: Run[PropensityParams]) -> Finding:
    """Takers over the sum of the chances, of the newest day whose horizon is over and that was scored."""
    lake, gate = run.lake, run.params.gate
    labels = run.mart(LABELS).table
    for day in reversed(run.params.matured(run.as_of)):
        chances = lake.read(CHANCES, where=on_day(day), missing_ok=True)
        taken = lake.read(labels, columns=["customer_key", "taken"], where=on_day(day), missing_ok=True)
        if chances.num_rows and taken.num_rows:
            break
    else:
        return Finding("calibration", "past offers", State.NOT_ENOUGH_DATA, "no scored day is over yet")
    both = chances.filter(pc.is_in(chances["customer_key"], taken["customer_key"].combine_chunks()))
    pairs = (
        taken.to_pandas().assign(product=lambda frame: frame["taken"].str.split(BETWEEN)).explode("product")
    )
    takers = len(both.to_pandas().merge(pairs, on=["customer_key", "product"]))
    expected = float(pc.sum(both["chance"]).as_py() or 0)
    words = f"{takers:,} products were taken within the horizon of {day}, {expected:,.0f} were expected"
    if takers < _FEWEST_TAKERS:
        return Finding("calibration", "past offers", State.NOT_ENOUGH_DATA, f"{words}: too few to judge")
    ratio = takers / expected
    raised = not gate.min_calibration <= ratio <= gate.max_calibration
    limit = gate.min_calibration if ratio < 1 else gate.max_calibration
    words = f"{words} ({percent(ratio)})"
    return held_against("calibration", "past offers", words, ratio, limit, raised=raised, rows=both.num_rows)

"""Repurchase, monitoring: today's volume, and past predictions beside what customers did since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.repurchase import rules
from models.repurchase.metrics import f1_of
from pipelines.io.commits import as_rows
from pipelines.io.lake import Lake, before_day, on_day
from pipelines.io.volume import rows_of_last_day
from pipelines.monitoring.checks import check_drift
from pipelines.monitoring.findings import Finding, held_against, percent
from pipelines.monitoring.schemas import Severity, State
from pipelines.usecase import Checked, Run
from pipelines.usecases.repurchase.dataset import LABELS, SUBJECTS, read_scope
from pipelines.usecases.repurchase.params import MonitorParams, RepurchaseParams
from pipelines.usecases.repurchase.schemas import BASKETS, NEXT_ORDERS, REALISED

#: Group of all customers together.
ALL = "all"

#: Sizes of the list at which a group ends, and the groups.
_ENDS = (0, 5, 15)
GROUPS = ("0", "1-5", "6-15", "16+")

LINES = "raw/repurchase_order_lines"

_PREDICTED = (
    "customer_key", "return_probability", "expected_days", "window_from", "window_to", "days_since_last",
    "gap_median_days", "products", "expected_f1", "candidates", "model_version",
)  # fmt: skip


def check(run: Run[RepurchaseParams]) -> Checked:
    """Write what became of past predictions, and check them and the volume of the day."""
    lake, as_of, limits = run.lake, run.as_of, run.params.monitoring
    rows = lake.read(NEXT_ORDERS, columns=["model_version"], where=on_day(as_of), missing_ok=True)
    version = rows["model_version"][0].as_py() if rows.num_rows else None
    days = realise(lake, run.params.matured(as_of), run.params.horizon_days)
    findings = [
        _volume(lake, as_of, rows.num_rows, limits),
        *check_realised(read_totals(lake, as_of), limits),
    ]
    if version is not None:
        findings += check_drift(lake, run.usecase, version, read_scope(run)[0], SUBJECTS, limits)
    return Checked(findings, version, {"realised_days": [day.isoformat() for day in days]})


def check_realised(sums: Mapping[str, float] | None, limits: MonitorParams) -> list[Finding]:
    """Hold past predictions, summed up by :func:`read_totals`, against what customers did."""
    if sums is None:
        words = "not enough days yet: no predictions whose horizon is over"
        return [
            Finding(metric, "realised", State.NOT_ENOUGH_DATA, words)
            for metric in ("return_bias", "coverage", "date_error", "list_f1")
        ]
    found = [_return_bias(sums, limits)]
    for noun, rows, checks in (
        ("returns", sums["returned"], {"coverage": _coverage, "date_error": _date_error}),
        ("lists", sums["judged_lists"], {"list_f1": _list_f1}),
    ):
        if rows >= limits.min_returns:
            found += [check(sums, limits) for check in checks.values()]
        else:
            words = f"not enough {noun} yet: {rows:,.0f} of the {limits.min_returns:,} needed"
            found += [Finding(metric, "realised", State.NOT_ENOUGH_DATA, words) for metric in checks]
    return found


def _volume(lake: Lake, as_of: date, scored: int, limits: MonitorParams) -> Finding:
    if not scored:
        words = f"no predictions of this day: run `millrace score repurchase --as-of {as_of}`"
        return Finding("predictions", "customers", State.NOT_ENOUGH_DATA, words)
    last = rows_of_last_day(lake, NEXT_ORDERS, as_of)
    if not last:
        words = f"{scored:,} customers scored; no earlier day to compare with"
        return Finding("predictions", "customers", State.OK, words, value=float(scored), rows=scored)
    change, limit = scored / last - 1, limits.max_volume_change
    words = f"{scored:,} customers scored, {change:+.0%} against the last scored day"
    return held_against(
        "predictions", "customers", words, change, limit,
        raised=abs(change) > limit, severity=Severity.CRITICAL, rows=scored,
    )  # fmt: skip


def _return_bias(sums: Mapping[str, float], limits: MonitorParams) -> Finding:
    customers, limit = max(sums["customers"], 1), limits.max_return_bias
    bias = (sums["expected_returns"] - sums["returned"]) / customers
    words = (
        f"{percent(sums['returned'] / customers)} of the customers came back within the horizon, "
        f"{percent(sums['expected_returns'] / customers)} were expected"
    )
    rows = int(sums["customers"])
    return held_against("return_bias", "realised", words, bias, limit, raised=abs(bias) > limit, rows=rows)


def _coverage(sums: Mapping[str, float], limits: MonitorParams) -> Finding:
    share = sums["in_window"] / sums["returned"]
    low, high = limits.min_coverage, limits.max_coverage
    words = (
        f"{percent(share)} of the returns fell into their window (between {percent(low)} and {percent(high)})"
    )
    return held_against(
        "coverage", "realised", words, share, low if share < low else high,
        raised=not low <= share <= high, rows=int(sums["returned"]),
    )  # fmt: skip


def _date_error(sums: Mapping[str, float], limits: MonitorParams) -> Finding:
    ours, rule = (sums[name] / sums["returned"] for name in ("absolute_error_days", "baseline_error_days"))
    words = f"expected days were {ours:.1f} days off on average, the customer's median gap {rule:.1f}"
    rows = int(sums["returned"])
    return held_against("date_error", "realised", words, ours, rule, raised=ours >= rule, rows=rows)


def _list_f1(sums: Mapping[str, float], limits: MonitorParams) -> Finding:
    lists = sums["judged_lists"]
    found, expected = sums["f1_sum"] / lists, sums["expected_f1_sum"] / lists
    least = limits.min_f1_share * expected
    words = (
        f"lists reached an F1 of {found:.3f} on {lists:,.0f} orders ({sums['hits']:,.0f} of {sums['named']:,.0f} "
        f"listed products were bought), {expected:.3f} was expected"
    )
    return held_against("list_f1", "realised", words, found, least, raised=found < least, rows=int(lists))


def realise(lake: Lake, matured: Sequence[date], horizon_days: int) -> list[date]:
    """Write ``ops/repurchase_realised`` for days whose horizon is over; returns those written."""
    written = []
    for day in matured:
        rows = realised_of(lake, day, horizon_days)
        if rows is not None:
            lake.replace_partition(REALISED, rows, {"as_of": day})
            written.append(day)
    return written


def realised_of(lake: Lake, day: date, horizon_days: int) -> pa.Table | None:
    """What became of the predictions of a day; None if there were none or their labels are not complete."""
    predicted = lake.read(NEXT_ORDERS, columns=list(_PREDICTED), where=on_day(day), missing_ok=True)
    if predicted.num_rows == 0 or not lake.exists(LABELS):
        return None
    labels = lake.read(
        LABELS,
        columns=["customer_key", "days_to_next", "observed_days", "next_order_id", "next_repeat_lines"],
        where=on_day(day),
    )
    rows = predicted.to_pandas(date_as_object=True).merge(labels.to_pandas(), on="customer_key", how="inner")
    if rows.empty or rows["observed_days"].min() < horizon_days:
        return None
    days = rows["days_to_next"].to_numpy(dtype=np.float64, na_value=np.nan)
    back = days < horizon_days
    low, high = (_days_after(rows[name], day) for name in ("window_from", "window_to"))
    usual = float(rows["gap_median_days"].median()) if rows["gap_median_days"].notna().any() else 0.0
    rule = rules.median_gap(rows["gap_median_days"], rows["days_since_last"], usual)
    judged = back & rows["next_repeat_lines"].notna().to_numpy() & (rows["candidates"] > 0).to_numpy()
    repeated = np.where(judged, rows["next_repeat_lines"].fillna(0), 0).astype(np.int64)
    named = np.where(judged, rows["products"], 0).astype(np.int64)
    hits = np.where(judged, _hits(lake, day, rows, judged), 0)
    sums = pd.DataFrame(
        {
            "customers": 1,
            "returned": back,
            "expected_returns": rows["return_probability"],
            "in_window": back & (low <= days) & (days <= high),
            "absolute_error_days": np.where(back, np.abs(rows["expected_days"] - days), 0.0),
            "baseline_error_days": np.where(back, np.abs(rule - days), 0.0),
            "judged_lists": judged,
            "named": named,
            "hits": hits,
            "repeated": repeated,
            "f1_sum": np.where(judged, f1_of(named, hits, repeated), 0.0),
            "expected_f1_sum": np.where(judged, rows["expected_f1"].fillna(0.0), 0.0),
        }
    )
    group = np.array(GROUPS)[np.searchsorted(_ENDS, rows["products"], side="left")]
    by_group = pd.concat([sums.groupby(group).sum(), sums.groupby(np.full(len(sums), ALL)).sum()])
    table = by_group.rename_axis("group").reset_index()
    return as_rows(REALISED, table, day, rows["model_version"].iloc[0])


def _hits(lake: Lake, day: date, rows: pd.DataFrame, judged: np.ndarray) -> np.ndarray:
    """Listed products that the next order had, shape (n,)."""
    if not judged.any() or not lake.exists(LINES) or not lake.exists(BASKETS.name):
        return np.zeros(len(rows), dtype=np.int64)
    field = pa_dataset.field
    orders = pa.array(rows.loc[judged, "next_order_id"].tolist())
    # Only files of the days since; an order is known after it was made.
    recent = field("ordered_on") >= day
    lines = lake.dataset(LINES).to_table(columns=["order_id", "product_id"], filter=recent)
    lines = lines.filter(pc.is_in(lines["order_id"], orders)).to_pandas()
    owner = rows.loc[judged, ["customer_key", "next_order_id"]]
    bought = lines.merge(owner, left_on="order_id", right_on="next_order_id")[["customer_key", "product_id"]]
    listed = lake.read(BASKETS, columns=["customer_key", "product_id"], where=on_day(day))
    hit = listed.to_pandas().merge(bought.drop_duplicates(), on=["customer_key", "product_id"])
    counts = hit["customer_key"].value_counts()
    return rows["customer_key"].map(counts).fillna(0).to_numpy().astype(np.int64)


def _days_after(days: pd.Series, day: date) -> np.ndarray:
    distance: np.ndarray = (pd.to_datetime(days) - pd.Timestamp(day)).dt.days.to_numpy(dtype=np.float64)
    return distance


def read_totals(lake: Lake, as_of: date, *, window_days: int = 7) -> dict[str, float] | None:
    """Sums over the newest realised days known at ``as_of``, at most a week of them; None if there are none."""
    field = pa_dataset.field
    rows = lake.read(REALISED, where=(field("group") == ALL) & before_day(as_of), missing_ok=True).to_pandas(
        date_as_object=True
    )
    if rows.empty:
        return None
    newest = rows["as_of"].max()
    rows = rows[rows["as_of"] > newest - timedelta(days=window_days)]
    names = [column.name for column in REALISED.columns if column.dtype.value in ("integer", "number")]
    return {name: float(rows[name].sum()) for name in names} | {"days": float(rows["as_of"].nunique())}

"""Past predictions beside what customers did since: sums by size of the list, once the horizon is over."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.repurchase import rules
from models.repurchase.metrics import f1_of
from pipelines.io.lake import Lake
from pipelines.usecases.repurchase.contracts import OPTIONAL_TABLES
from pipelines.usecases.repurchase.dataset import LABELS
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.prepare import matured_days
from pipelines.usecases.repurchase.schemas import BASKETS, NEXT_ORDERS, REALISED

#: Group of all customers together.
ALL = "all"

#: Sizes of the list at which a group ends, and the groups.
_ENDS = (0, 5, 15)
GROUPS = ("0", "1-5", "6-15", "16+")

LINES = next(name for name in OPTIONAL_TABLES if name.endswith("lines"))

_PREDICTED = (
    "customer_key",
    "return_probability",
    "expected_days",
    "window_from",
    "window_to",
    "days_since_last",
    "gap_median_days",
    "products",
    "expected_f1",
    "candidates",
    "model_version",
)


def realise(lake: Lake, as_of: date, params: RepurchaseParams) -> list[date]:
    """Write ``ops/repurchase_realised`` for the days whose horizon is over at ``as_of``; gives those written."""
    written = []
    for day in matured_days(as_of, params):
        rows = realised_of(lake, day, params.horizon_days)
        if rows is not None:
            lake.replace_partition(REALISED, rows, {"as_of": day})
            written.append(day)
    return written


def realised_of(lake: Lake, day: date, horizon_days: int) -> pa.Table | None:
    """What became of the predictions of a day; None if there were none or their labels are not complete."""
    own = pa_dataset.field("as_of") == day
    predicted = lake.read(NEXT_ORDERS, columns=list(_PREDICTED), where=own, missing_ok=True)
    if predicted.num_rows == 0 or not lake.exists(LABELS):
        return None
    labels = lake.read(
        LABELS,
        columns=["customer_key", "days_to_next", "observed_days", "next_order_id", "next_repeat_lines"],
        where=own,
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
    table = table.assign(as_of=day, model_version=rows["model_version"].iloc[0]).sort_values("group")
    for column in REALISED.columns:
        if column.dtype.value == "integer":
            table[column.name] = table[column.name].astype(np.int64)
    return pa.Table.from_pandas(
        table[REALISED.column_names], schema=REALISED.arrow_schema, preserve_index=False
    )


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
    listed = lake.read(BASKETS, columns=["customer_key", "product_id"], where=field("as_of") == day)
    hit = listed.to_pandas().merge(bought.drop_duplicates(), on=["customer_key", "product_id"])
    counts = hit["customer_key"].value_counts()
    return rows["customer_key"].map(counts).fillna(0).to_numpy().astype(np.int64)


def _days_after(days: pd.Series, day: date) -> np.ndarray:
    distance: np.ndarray = (pd.to_datetime(days) - pd.Timestamp(day)).dt.days.to_numpy(dtype=np.float64)
    return distance


def read_totals(lake: Lake, as_of: date, *, window_days: int = 7) -> dict[str, float] | None:
    """Sums over the newest realised days known at ``as_of``, at most a week of them; None if there are none."""
    field = pa_dataset.field
    rows = lake.read(
        REALISED, where=(field("group") == ALL) & (field("as_of") < as_of), missing_ok=True
    ).to_pandas(date_as_object=True)
    if rows.empty:
        return None
    newest = rows["as_of"].max()
    rows = rows[rows["as_of"] > newest - timedelta(days=window_days)]
    names = [column.name for column in REALISED.columns if column.dtype.value in ("integer", "number")]
    return {name: float(rows[name].sum()) for name in names} | {"days": float(rows["as_of"].nunique())}

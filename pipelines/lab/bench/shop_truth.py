"""What a shop's customers did after a day, and what simple rules would have said: from the raw tables alone.

The benches judge by this, not by the labels that dbt makes for training.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.repurchase import rules
from models.repurchase.metrics import list_metrics
from pipelines.io.lake import Lake

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ShopTruth:
    """Customers with an order before ``as_of``, by pseudonym.

    Attributes
    ----------
    customers
        ``customer_key``, ``orders``, ``since``, ``tenure``, ``gap_median``, ``last`` (order number), and of the first
        order from ``as_of`` on ``days`` and ``next``, null if there was none.
    lines
        ``order`` (number) and ``product_id``.
    before
        ``customer_key``, ``product_id``, ``times`` and ``newest`` (order number) of what was bought before.
    """

    customers: pl.DataFrame
    lines: pl.DataFrame
    before: pl.DataFrame

    def repeated(self) -> pl.DataFrame:
        """Customers who came back: ``customer_key``, products of that order (``bought``), of them ``repeated``."""
        nexts = self.next_lines().join(
            self.before.select("customer_key", "product_id", pl.lit(True).alias("known")),
            on=["customer_key", "product_id"],
            how="left",
        )
        return nexts.group_by("customer_key").agg(
            bought=pl.len(), repeated=pl.col("known").is_not_null().sum()
        )

    def next_lines(self) -> pl.DataFrame:
        """Customer and product of every line of the orders that were to be foretold."""
        nexts = self.customers.filter(pl.col("next").is_not_null()).select("customer_key", order="next")
        return nexts.join(self.lines, on="order").select("customer_key", "product_id")

    def judge(self, listed: pl.DataFrame) -> dict[str, float]:
        """Metrics of lists, each row a ``customer_key`` and ``product_id``."""
        frame = self.outcome(listed)
        return list_metrics(frame["named"], frame["hits"], frame["repeated"])

    def outcome(self, listed: pl.DataFrame) -> pl.DataFrame:
        """``named``, ``hits``, ``repeated`` and ``bought`` of every customer who came back, by pseudonym."""
        hit = listed.join(self.next_lines(), on=["customer_key", "product_id"], how="semi")
        counted = self.repeated()
        for name, rows in (("named", listed), ("hits", hit)):
            counts = rows.group_by("customer_key").agg(pl.len().alias(name))
            counted = counted.join(counts, on="customer_key", how="left")
        return counted.with_columns(pl.col("named", "hits").fill_null(0)).sort("customer_key")

    def last_order_again(self) -> pl.DataFrame:
        """Everything the last order had."""
        last = self.customers.select("customer_key", order="last")
        return last.join(self.lines, on="order").select("customer_key", "product_id")

    def most_frequent(self) -> pl.DataFrame:
        """The most often bought products, as many as an average order has; ties by the newest, then by id."""
        sizes = (
            self.before.group_by("customer_key")
            .agg(pl.col("times").sum())
            .join(self.customers.select("customer_key", "orders"), on="customer_key")
        )
        ranked = self.before.sort(
            ["customer_key", "times", "newest", "product_id"], descending=[False, True, True, False]
        ).with_columns(rank=pl.int_range(pl.len()).over("customer_key"))
        joined = ranked.join(
            sizes.select("customer_key", size=pl.col("times") / pl.col("orders")), on="customer_key"
        )
        return joined.filter(pl.col("rank") < pl.col("size").round()).select("customer_key", "product_id")

    def median_gap(self) -> Floats:
        """Days to the next order if customers keep their median gap; customers in order."""
        gap = self.customers["gap_median"].to_numpy()
        usual = float(np.nanmedian(gap))
        return rules.median_gap(gap, self.customers["since"].to_numpy(), usual)

    def bgnbd(self, horizon_days: int) -> tuple[Floats, Floats]:
        """Days and probability of a return by BG/NBD; customers in order."""
        frame = self.customers
        history = rules.purchase_history(frame["orders"], frame["since"], frame["tenure"])
        return rules.bg_nbd(history, horizon_days)


def read_truth(lake: Lake, as_of: date, *, customers: int | None = None) -> ShopTruth:
    """Read what happened before and after a day; orders of a customer are in the order of time and id.

    Parameters
    ----------
    customers
        Only the first so many by pseudonym, a keyed hash: a random sample.
    """
    raw = pl.DataFrame(lake.read("raw/repurchase_orders", columns=["order_id", "customer_key", "ordered_at"]))
    if customers is not None:
        chosen = raw["customer_key"].unique().sort().head(customers)
        raw = raw.filter(pl.col("customer_key").is_in(chosen.implode()))
    orders = (
        raw.unique("order_id")
        .with_columns(day=pl.col("ordered_at").dt.date())
        .sort("customer_key", "ordered_at", "order_id")
        .with_row_index("order")
    )
    past = orders.filter(pl.col("day") < as_of).with_columns(
        gap=pl.col("day").diff().dt.total_days().over("customer_key")
    )
    start = pl.lit(as_of)
    frame = past.group_by("customer_key").agg(
        orders=pl.len(),
        since=(start - pl.col("day").max()).dt.total_days(),
        tenure=(start - pl.col("day").min()).dt.total_days(),
        gap_median=pl.col("gap").cast(pl.Float64).median(),
        last=pl.col("order").last(),
    )
    after = (
        orders.filter(pl.col("day") >= as_of)
        .group_by("customer_key")
        .agg(next=pl.col("order").first(), days=(pl.col("day").first() - start).dt.total_days())
    )
    frame = frame.join(after, on="customer_key", how="left").sort("customer_key")
    columns = ["order_id", "product_id"]
    wanted = None if customers is None else pa_dataset.field("order_id").isin(orders["order_id"].to_list())
    lines = pl.DataFrame(lake.read("raw/repurchase_order_lines", columns=columns, where=wanted)).unique()
    lines = lines.join(orders.select("order_id", "order", "customer_key"), on="order_id").drop("order_id")
    known = lines.join(past.select("order"), on="order", how="semi")
    before = known.group_by("customer_key", "product_id").agg(times=pl.len(), newest=pl.col("order").max())
    return ShopTruth(frame, lines.select("order", "product_id"), before)


def with_next(truth: ShopTruth, next_orders: pl.DataFrame, next_lines: pl.DataFrame) -> ShopTruth:
    """The same with what a simulation knows of the orders that came next.

    Parameters
    ----------
    next_orders
        ``customer_key`` and ``days`` to the order.
    next_lines
        ``customer_key`` and ``product_id``.
    """
    first = int(truth.lines["order"].max() or 0) + 1  # type: ignore[arg-type]
    numbered = (
        next_orders.join(truth.customers.select("customer_key"), on="customer_key", how="semi")
        .sort("customer_key")
        .with_columns(next=(pl.int_range(pl.len()) + first).cast(pl.UInt32))
    )
    customers = truth.customers.drop("next", "days").join(numbered, on="customer_key", how="left")
    lines = next_lines.join(numbered, on="customer_key").select("product_id", order="next")
    return ShopTruth(
        customers.sort("customer_key"),
        pl.concat([truth.lines, lines.select("order", "product_id")]),
        truth.before,
    )


def rounded(found: Any) -> dict[str, float]:
    """Metrics with four decimals."""
    return {name: round(float(value), 4) for name, value in found.items()}

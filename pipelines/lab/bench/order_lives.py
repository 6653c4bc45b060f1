"""The simulated chain lived again with somebody's orders: the world, those who order, and what it costs.

All lives share demand, delivery calendar, packs, shelf lives and opening stock; only the orders differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from scipy.stats import nbinom

from models.forecasting.sums import SCENARIOS, SumQuantiles
from models.ordering.plan import WindowDemands, plan, sum_until
from models.ordering.rules import Applied, Rules
from models.ordering.stock import Floats, Ints, Morning, Replay, replay
from pipelines.lab.simulation.demand.stores import SHOCK, drift

#: Days ahead that forecasts say something of, today included.
AHEAD = 15

#: The levels of the equally likely demands.
_LEVELS = (np.arange(SCENARIOS) + 0.5) / SCENARIOS


@dataclass(frozen=True)
class World:
    """n products in stores over T days, as only the simulation knows them.

    Attributes
    ----------
    series
        ``store_id`` and ``sku_id`` of each.
    first
        First day.
    demand, expected : ndarray of shape (n, T + AHEAD)
        Units that people came for, and their mean given everything.
    dispersion, price : ndarray of shape (n,)
        The variance of a day is ``expected + dispersion * expected ** 2``; EUR.
    rules
        How each is ordered.
    """

    series: pd.DataFrame
    first: date
    demand: Floats
    expected: Floats
    dispersion: Floats
    price: Floats
    rules: Applied

    @property
    def days(self) -> int:
        """Days that are lived: T."""
        return int(self.demand.shape[1]) - AHEAD

    @property
    def weekdays(self) -> list[int]:
        """Day of the week of each day, Monday 0."""
        return [(self.first + timedelta(days=day)).weekday() for day in range(self.days)]

    @property
    def opening(self) -> Floats:
        """Stock of the first morning: what is expected until the delivery after the next."""
        cover = self.rules.lead + self.rules.review(self.weekdays[0])
        return self.rules.lives.stock(np.ceil(sum_until(self.expected, cover)))


def open_world(files: Path, first: date, days: int, rules: Rules, among: pd.DataFrame) -> World:
    """Read the truth of the series that are on the shelf on all days.

    Parameters
    ----------
    files
        Folder of the delivery, its truth included.
    among
        ``store_id`` and ``sku_id`` of the series that were forecast on the first day.
    """
    span = days + AHEAD
    last = first + timedelta(days=span - 1)
    truth = (
        pl.scan_parquet(files / "truth" / "latent_demand.parquet")
        .filter(pl.col("ds").is_between(first, last))
        .sort("store_id", "sku_id", "ds")
        .group_by("store_id", "sku_id", maintain_order=True)
        .agg("demand", "expected")
        .filter(pl.col("demand").list.len() == span)
        .collect()
    )
    prices = (
        pl.read_parquet(files / "products.parquet")
        .filter(pl.col("known_at") < pl.lit(first).cast(pl.Datetime("us")), pl.col("list_price_eur") > 0)
        .sort("known_at")
        .group_by("sku_id")
        .agg(pl.col("category").last(), pl.col("list_price_eur").last())
    )
    drawn = pl.read_parquet(files / "truth" / "series.parquet").select("store_id", "sku_id", "dispersion")
    keys = ["store_id", "sku_id"]
    found = (
        pl.DataFrame(among[keys])
        .join(truth, on=keys)
        .join(drawn, on=keys)
        .join(prices, on="sku_id")
        .sort(keys)
    )
    return World(
        series=found.select(keys).to_pandas(),
        first=first,
        demand=np.array(found["demand"].to_list()),
        expected=np.array(found["expected"].to_list()),
        dispersion=found["dispersion"].to_numpy(),
        price=found["list_price_eur"].to_numpy(),
        rules=rules.of(found["category"].to_list()),
    )


#: Somebody who orders: of the world, some of its series and a morning, the units of each, in whole packs.
Orderer = Callable[[World, NDArray[np.intp], Morning], Floats]


def live(world: World, orders: Orderer) -> Replay:
    """Live all days with somebody's orders."""
    weekdays, rules = world.weekdays, world.rules

    def order(morning: Morning) -> Floats:
        units = np.zeros(len(world.price))
        rows = np.flatnonzero(rules.ordering(weekdays[morning.day]))
        if len(rows):
            units[rows] = orders(world, rows, Morning(morning.day, morning.stock[rows], morning.due[rows]))
        return units

    return replay(world.demand[:, : world.days], world.opening, rules.lives, rules.lead, order)


# ------------------------------------------------------------------------------------------ the buyers


@dataclass(frozen=True)
class Buyers:
    """Buyers as the simulator's shelf has them: order up to what they expect, and some spread more.

    They round to whole packs, and order one wherever a shelf would be empty.

    Attributes
    ----------
    foreseen : ndarray of shape (n, T + AHEAD)
        Demand that they expect.
    safety
        Standard deviations on top.
    """

    foreseen: Floats
    safety: float

    def __call__(self, world: World, rows: NDArray[np.intp], morning: Morning) -> Floats:
        """Order up to the target in whole packs."""
        rules, today = world.rules.take(rows), morning.day
        cover = rules.lead + rules.review(world.weekdays[today])
        needed = sum_until(self.foreseen[rows, today : today + AHEAD], cover)
        spread = np.sqrt(needed + world.dispersion[rows] * needed**2 / cover)
        have = morning.stock.sum(axis=1) + morning.due.sum(axis=1)
        packs = np.round((needed + self.safety * spread - have) / rules.pack)
        return np.asarray(np.maximum(packs, have < 1) * rules.pack)


def foreseen(world: World, seed: int, wanted_mape: float, least: float) -> tuple[Floats, float]:
    """What buyers expect with a wanted error, and the error that they have.

    The error is one of the week, which buyers keep for some weeks, and one of the day, in equal parts.

    Parameters
    ----------
    wanted_mape
        MAPE of the days of series that sell at least ``least`` units a day.
    """
    rng = np.random.default_rng(seed)
    count, days = world.expected.shape
    weeks = np.repeat(drift(rng, count, -(-days // 7), 1.0, 0.6), 7, axis=1)[:, :days]
    error = np.sqrt(0.5) * (weeks + rng.standard_normal((count, days)))
    judged = (world.demand > 0) & (world.expected.mean(axis=1) >= least)[:, None]
    expected, came, shift = world.expected[judged], world.demand[judged], error[judged]

    def mape(size: float) -> float:
        return float((np.abs(expected * np.exp(size * shift) - came) / came).mean())

    size = _root(mape, wanted_mape, 0.0, 1.0, steps=16)
    return np.asarray(world.expected * np.exp(size * error)), mape(size)


def buyers(world: World, expecting: Floats, stock_outs: float) -> tuple[Buyers, Replay]:
    """Buyers whose stock-outs are a wanted share of the revenue, and their life."""

    def miss(safety: float) -> float:
        return -figures(world, live(world, Buyers(expecting, safety)))["stock_outs_pct"]

    safety = _root(miss, -stock_outs, -1.0, 2.0, steps=6)
    found = Buyers(expecting, safety)
    return found, live(world, found)


def _root(rising: Callable[[float], float], wanted: float, low: float, high: float, *, steps: int) -> float:
    """Where a rising function reaches a value, by halving."""
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2


# ------------------------------------------------------------------------------- ours, and the best possible


@dataclass(frozen=True)
class Forecasting:
    """Orders as the product makes them.

    Attributes
    ----------
    daily : ndarray of shape (T, n, AHEAD)
        Forecast of each morning for its day and the days after.
    sums
        Distribution of sums.
    cells : ndarray of shape (n,)
        Group of each series in it.
    service
        Service level of all products; None for what costs least.
    """

    daily: NDArray[np.floating]
    sums: SumQuantiles
    cells: NDArray[np.object_]
    service: float | None = None

    def __call__(self, world: World, rows: NDArray[np.intp], morning: Morning) -> Floats:
        """Plan the morning."""
        daily = self.daily[morning.day][rows].astype(np.float64)
        cells = self.cells[rows]

        def demands(days: Ints) -> Floats:
            return self.sums.demands(sum_until(daily, days), days, groups=cells)

        return _planned(world, rows, morning, daily, demands, self.service)


@dataclass(frozen=True)
class Knowing:
    """The same orders by somebody who knows the distribution of every day: what no forecast can better.

    Attributes
    ----------
    service
        Service level of all products; None for what costs least.
    """

    service: float | None = None

    def __call__(self, world: World, rows: NDArray[np.intp], morning: Morning) -> Floats:
        """Plan the morning."""
        today = morning.day
        daily = world.expected[rows, today : today + AHEAD]
        spread = daily + (world.dispersion[rows, None] + SHOCK**2) * daily**2

        def demands(days: Ints) -> Floats:
            mean, variance = sum_until(daily, days), sum_until(spread, days)
            mean = np.maximum(mean, 1e-9)
            share = np.minimum(mean / np.maximum(variance, mean * (1 + 1e-9)), 1 - 1e-9)
            size = mean * share / (1 - share)
            return np.asarray(nbinom.ppf(_LEVELS[None, :], size[:, None], share[:, None]))

        return _planned(world, rows, morning, daily, demands, self.service)


def _planned(
    world: World,
    rows: NDArray[np.intp],
    morning: Morning,
    daily: Floats,
    demands: WindowDemands,
    service: float | None,
) -> Floats:
    terms = world.rules.take(rows).terms(world.price[rows], world.weekdays[morning.day])
    if service is not None:
        terms = replace(terms, service=np.full(len(rows), service))
    return plan(terms, morning.stock, morning.due, daily, demands).orders.units


# -------------------------------------------------------------------------------------------- figures


def figures(world: World, lived: Replay) -> dict[str, float]:
    """What a life cost, by the economics of the rules.

    ``overstock_pct`` is the value of the evenings' stock that nobody wants before the delivery after the next, in %
    of the value of that stock; the others are in % of what people wanted to spend.
    """
    price, rules = world.price[:, None], world.rules
    wanted = (price * world.demand[:, : world.days]).sum()
    longest = np.max([rules.review(day) for day in range(7)], axis=0)
    cover = np.minimum(rules.lead + longest, AHEAD - 1)
    total = np.cumsum(world.demand, axis=1)
    until = np.arange(world.days)[None, :] + cover[:, None]
    needed = np.take_along_axis(total, until, axis=1) - total[:, : world.days]
    over = np.maximum(lived.closing - needed, 0.0)
    terms = rules.terms(world.price, 0)
    lost = {
        "missing": (terms.short[:, None] * lived.lost).sum(),
        "waste": (terms.waste[:, None] * lived.wasted).sum(),
        "holding": (terms.holding[:, None] * lived.closing).sum(),
    }
    return {
        "overstock_pct": float(100 * (price * over).sum() / (price * lived.closing).sum()),
        "stock_outs_pct": float(100 * (price * lived.lost).sum() / wanted),
        "waste_pct": float(100 * (price * lived.wasted).sum() / wanted),
        "days_of_stock": float((price * lived.closing).sum() / wanted),
        "cost_pct": float(100 * sum(lost.values()) / wanted),
        **{f"eur_{name}": float(value) for name, value in lost.items()},
        "eur_lost": float(sum(lost.values())),
    }

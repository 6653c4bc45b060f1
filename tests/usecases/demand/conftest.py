"""A small food retailer whose tables are written straight into a lake, with errors that are known.

Every forecast is what was sold times one plus the error of its segment and horizon, so that each figure
that monitoring and the report show can be worked out by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.contracts import read_contract, read_docs
from features.schemas import DType, Table
from pipelines.io.lake import Lake
from pipelines.io.promotions import Outcome, Promotion, append_promotion
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.sinks.ledger_tables import FLIPS, RUNS
from pipelines.usecases.demand.schemas import (
    AGGREGATES,
    BACKTEST,
    CERTIFICATES,
    COVERAGE,
    CROSSED,
    CROSSED_CERTIFICATES,
    CROSSED_LEVELS,
    FORECASTS,
    SARIMA_ORDERS,
    SEGMENTS,
    SERIES,
    WEEKLY,
)

AS_OF = date(2025, 6, 16)  # a Monday
TRAINED = date(2025, 6, 15)
HORIZON = 14
HISTORY = 70
VERSION = "demand/3"
MODELS = {"stable": "ets", "seasonal": "prophet", "new": "similar_xgboost", "promo": "lightgbm"}
MISSION = {"stable": "sarima", "seasonal": "prophet", "new": "similar_xgboost", "promo": "xgboost"}

#: Forecast over sales minus one, at J+7; it grows by a tenth of itself with each day further ahead.
ERRORS = {"stable": 0.10, "seasonal": -0.15, "new": 0.20, "promo": -0.25}

#: One dearer day of the week than the next, Monday first.
WEEK = np.array([8, 8, 9, 10, 13, 15, 7]) / 10


#: Targets concern series of five units a day here: the retailer's products sell less than a real one's.
OVERRIDES = {"demand": {"monitoring.min_units": 5}}


@dataclass(frozen=True)
class Chain:
    """The retailer: stores of two regions that sell the same products, and what can happen to them.

    Attributes
    ----------
    stores, skus
        Their numbers; each product is sold in each store.
    origins
        Days on which forecasts were made, the last being ``as_of``.
    noise
        Spread of the sales about their pattern and of the forecasts about theirs, for pages that look
        real; 0 makes every error known.
    errors
        See :data:`ERRORS`.
    inside
        Of ten series, those whose 80 % interval holds the sales; all 95 % ones do.
    stockouts, unreported
        Days out of stock by (store, product), half of what was wanted being sold; days by store without a
        report.
    """

    settings: Settings
    stores: int = 4
    skus: int = 30
    origins: int = 29
    noise: float = 0.0
    errors: Mapping[str, float] = field(default_factory=lambda: dict(ERRORS))
    inside: int = 8
    stockouts: Mapping[tuple[str, str], tuple[date, ...]] = field(default_factory=dict)
    unreported: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    as_of: date = AS_OF
    store_names: tuple[str, ...] = ()

    @property
    def lake(self) -> Lake:
        """Its lake."""
        return Lake.of(self.settings)

    @property
    def store_ids(self) -> list[str]:
        """Ids of the stores, in order."""
        return list(self.store_names) or [f"S{number:03}" for number in range(1, self.stores + 1)]

    @property
    def sku_ids(self) -> list[str]:
        """Names of the products."""
        return [f"K{number:04}" for number in range(1, self.skus + 1)]

    def region(self, store: int) -> str:
        """Region of the store at a position."""
        return "north" if store < (self.stores + 1) // 2 else "south"

    def segment(self, sku: int) -> str:
        """Segment of the product at a position."""
        return SEGMENTS[sku % len(SEGMENTS)]

    # ------------------------------------------------------------------------------------ numbers

    def wanted(self, first: date, days: int) -> np.ndarray:
        """Units wanted of each series on consecutive days, shape (stores, skus, days); whole, never zero."""
        store, sku = np.arange(self.stores)[:, None], np.arange(self.skus)[None, :]
        # The last tenth of the products sell less than five a day: too slow for the targets.
        level = np.where(sku >= 0.9 * self.skus, 2.0, 20.0 + 5 * (sku % 7)) * (1 + 0.1 * (store % 5))
        weekday = np.array([(first + timedelta(n)).weekday() for n in range(days)])
        made = level[:, :, None] * WEEK[weekday]
        if self.noise:
            rng = np.random.default_rng(first.toordinal())
            made = made * rng.lognormal(0, self.noise, made.shape) * (1 + 0.6 * self.promoted(first, days))
        return np.maximum(np.round(made), 1)

    def promoted(self, first: date, days: int) -> np.ndarray:
        """Discount of each product on consecutive days, shape (1, skus, days): a week in four for `promo`."""
        week = (np.array([(first + timedelta(n)).toordinal() for n in range(days)]) - 1) // 7
        sku = np.arange(self.skus)[:, None]
        running = (np.array([self.segment(int(n)) == "promo" for n in sku[:, 0]])[:, None]) & (
            (week + sku) % 4 == 0
        )
        return np.where(running, 0.2, 0.0)[None]

    def history(self) -> tuple[np.ndarray, np.ndarray]:
        """Sales of the history (NaN where unreported) and days out of stock, shape (stores, skus, HISTORY)."""
        first = self.as_of - timedelta(HISTORY)
        sold = self.wanted(first, HISTORY)
        out = np.zeros(sold.shape, dtype=bool)
        for (store, sku), days in self.stockouts.items():
            for day in days:
                out[self.store_ids.index(store), self.sku_ids.index(sku), (day - first).days] = True
        sold = np.where(out, np.floor(sold / 2), sold)
        for store, days in self.unreported.items():
            for day in days:
                sold[self.store_ids.index(store), :, (day - first).days] = np.nan
        return sold, out

    def error(self, segment: str, horizon: int) -> float:
        """Error of the forecasts of a segment."""
        return self.errors[segment] * (1 + 0.1 * (horizon - 7))

    def forecasts(self, origin: date) -> pd.DataFrame:
        """Rows of ``predictions/demand_forecasts`` of a day."""
        wanted = self.wanted(origin + timedelta(1), HORIZON)
        horizon = np.arange(1, HORIZON + 1)
        segments = np.array([self.segment(n) for n in range(self.skus)])
        relative = np.array([[self.error(s, int(h)) for h in horizon] for s in segments])
        forecast = wanted * (1 + relative[None])
        if self.noise:
            rng = np.random.default_rng(origin.toordinal() + 1)
            forecast = (
                self.expected(origin) * rng.lognormal(0, self.noise / 2, forecast.shape) * (1 + relative)
            )
        numbers = np.arange(self.stores * self.skus).reshape(self.stores, self.skus, 1)
        covers = np.broadcast_to((numbers + horizon) % 10 < self.inside, forecast.shape)
        wide = self.noise * 2 if self.noise else np.abs(relative[None]) + 0.01
        columns = {
            "operational": forecast,
            "strategic": forecast * 1.02,
            "lower_80": np.where(covers, forecast * np.maximum(1 - wide, 0) * 0.9, forecast * 3),
            "upper_80": np.where(covers, forecast * (1 + 2 * wide), forecast * 4),
            "lower_95": forecast * np.maximum(1 - 2 * wide, 0) * 0.5,
            "upper_95": forecast * (5 + wide) if not self.noise else forecast * (1 + 3 * wide),
        }
        if self.noise:  # intervals that look like intervals
            columns["lower_80"], columns["upper_80"] = (
                forecast * (1 - 0.7 * wide),
                forecast * (1 + 0.8 * wide),
            )
            columns["lower_95"], columns["upper_95"] = forecast * (1 - wide), forecast * (1 + 1.4 * wide)
        store, sku, step = np.indices(forecast.shape)
        fallback = sku.ravel() == self.skus - 1
        models = np.array([MODELS[s] for s in segments])[sku.ravel()]
        return pd.DataFrame(
            {
                "as_of": origin,
                "store_id": np.array(self.store_ids)[store.ravel()],
                "sku_id": np.array(self.sku_ids)[sku.ravel()],
                "ds": np.array([origin + timedelta(int(n) + 1) for n in range(HORIZON)])[step.ravel()],
                "horizon": step.ravel() + 1,
                **{name: values.ravel() for name, values in columns.items()},
                "segment": segments[sku.ravel()],
                "model": np.where(fallback, "fallback_constant", models),
                "reason": np.where(fallback, "sold the same each day", "champion of its cell"),
                "model_version": VERSION,
            }
        )

    def expected(self, origin: date) -> np.ndarray:
        """Pattern of the sales without noise, for forecasts that look real."""
        plain = replace(self, noise=0.0).wanted(origin + timedelta(1), HORIZON)
        return plain * (1 + 0.6 * self.promoted(origin + timedelta(1), HORIZON))

    # ------------------------------------------------------------------------------------- tables

    def write(self) -> Chain:
        """Write all tables; returns itself."""
        self.write_features()
        self.write_forecasts()
        self.write_training()
        self.write_operations()
        return self

    def write_features(self) -> None:
        """Features of ``as_of``, and of the days ahead of the day before it as well."""
        sold, out = self.history()
        first = self.as_of - timedelta(HISTORY)
        store, sku, step = (axis.ravel() for axis in np.indices(sold.shape))
        days = np.array([first + timedelta(n) for n in range(HISTORY)])[step]
        promo = np.broadcast_to(self.promoted(first, HISTORY), sold.shape).ravel()
        pair = {"store_id": np.array(self.store_ids)[store], "sku_id": np.array(self.sku_ids)[sku]}
        panel = pd.DataFrame(
            {
                "as_of": self.as_of, **pair, "ds": days, "quantity": sold.ravel(), "is_stockout": out.ravel(),
                "promo_discount": promo, "price": 2.5, "reported_on": days + timedelta(1),
            }
        )  # fmt: skip
        self._put("ml_demand_panel", panel)
        self._put("ml_demand_profile", self._profile(sold))
        whole = HISTORY + HORIZON + 1
        store, step = (axis.ravel() for axis in np.indices((self.stores, whole)))
        days = np.array([first + timedelta(n) for n in range(whole)])[step]
        holiday = days == self.as_of + timedelta(5)
        calendar = pd.DataFrame(
            {
                "as_of": self.as_of, "store_id": np.array(self.store_ids)[store], "ds": days, "is_open": True,
                "is_public_holiday": holiday, "is_school_holiday": False, "has_local_event": False,
                "days_to_holiday": 15, "days_since_holiday": 15, "temperature_c": 20.0, "rain_mm": 0.5,
                "weather_source": np.where(days < self.as_of, "observed", "forecast"),
            }
        )  # fmt: skip
        self._put("ml_demand_calendar", calendar)
        # A promotion of the second product became known today: it is not in yesterday's table.
        ahead = [self._ahead(self.as_of - timedelta(1), ()), self._ahead(self.as_of, (1,))]
        self._put("ml_demand_ahead", pd.concat(ahead))
        gone = {
            "as_of": self.as_of, "store_id": "S001", "sku_id": "K0900", "scope_reason": "delisted",
            "last_sold_on": self.as_of - timedelta(40), "days_since_last_sale": 40,
        }  # fmt: skip
        self._put("ml_demand_out_of_scope", pd.DataFrame([gone]))

    def _profile(self, sold: np.ndarray) -> pd.DataFrame:
        store, sku = (axis.ravel() for axis in np.indices(sold.shape[:2]))
        segments = np.array([self.segment(n) for n in range(self.skus)])[sku]
        return pd.DataFrame(
            {
                "as_of": self.as_of,
                "store_id": np.array(self.store_ids)[store],
                "sku_id": np.array(self.sku_ids)[sku],
                "region": np.array([self.region(n) for n in range(self.stores)])[store],
                "clientele": "mixed", "store_type": "a", "assortment": "basic", "store_cluster": None,
                "category": np.array(["dairy", "bakery", "drinks"])[sku % 3],
                "subcategory": "plain", "brand": "own", "price_band": "mid",
                "delisted_on": np.datetime64("NaT", "D"),
                "history_days": HISTORY, "sold_days": HISTORY,
                "days_since_first_sale": 400, "days_since_last_sale": 1, "days_since_launch": 400,
                "mean_quantity": np.nanmean(sold, axis=2).ravel(),
                "adi": 1.0, "cv2": 0.1, "zero_share": 0.0, "stockout_share": 0.0,
                "weekly_strength": 0.8, "yearly_strength": 0.1,
                "promo_day_share": 0.05, "promo_volume_share": 0.08, "promo_uplift": 1.4,
                "pattern": "smooth",
                "segment": segments,
                "segment_reason": [f"looks {name}" for name in segments],
                "fallback": np.where(sku == self.skus - 1, "fallback_constant", None),
            }
        )  # fmt: skip

    def _ahead(self, origin: date, announced: tuple[int, ...]) -> pd.DataFrame:
        shape = (self.stores, self.skus, HORIZON + 1)
        promo = np.broadcast_to(self.promoted(origin, HORIZON + 1), shape).copy()
        promo[:, list(announced), 3:7] = 0.3
        store, sku, step = (axis.ravel() for axis in np.indices(shape))
        promo = promo.ravel()
        return pd.DataFrame(
            {
                "as_of": origin,
                "store_id": np.array(self.store_ids)[store],
                "sku_id": np.array(self.sku_ids)[sku],
                "ds": np.array([origin + timedelta(n) for n in range(HORIZON + 1)])[step],
                "horizon": step,
                "promo_discount": promo,
                "promo_mechanic": np.where(promo > 0, "leaflet", "none"),
                "promo_day": 0, "promo_days_left": 0, "days_since_promo": 28, "category_promos": 0,
                "price": 2.5,
            }
        )  # fmt: skip

    def write_forecasts(self) -> None:
        """Forecasts of all origins, their sums, and the certificates of the last day."""
        origins = [self.as_of - timedelta(n) for n in range(self.origins - 1, -1, -1)]
        leaves = pd.concat([self.forecasts(origin) for origin in origins], ignore_index=True)
        self._put(FORECASTS, leaves)
        aggregates = self.sums(leaves)
        self._put(AGGREGATES, aggregates)
        quantities = ["operational", "strategic"]
        series = leaves.assign(level="sku_store", node=leaves["store_id"] + "/" + leaves["sku_id"])
        both = pd.concat([aggregates, series[[*aggregates.columns]]], ignore_index=True)
        both = both[both["as_of"] == self.as_of].assign(week=lambda rows: (rows["horizon"] - 1) // 7 + 1)
        weekly = both.groupby(["as_of", "level", "node", "week"], as_index=False)[quantities].sum()
        weekly["starts_on"] = [self.as_of + timedelta(1 + 7 * (int(n) - 1)) for n in weekly["week"]]
        weekly["ends_on"] = [self.as_of + timedelta(7 * int(n)) for n in weekly["week"]]
        self._put(WEEKLY, weekly)
        self._put(CERTIFICATES, self._certificates())
        self._put(CROSSED, self.crossed(leaves[leaves["as_of"] == self.as_of]))
        words = {"strategic": "reconciled"}
        self._put(CROSSED_CERTIFICATES, self._certificates().replace({"forecast": words}))

    def _certificates(self, *, ok: bool = True) -> pd.DataFrame:
        rows = [
            {"as_of": self.as_of, "forecast": forecast, "method": method, "max_incoherence": 2e-9,
             "relative_incoherence": 1e-13, "optimality_residual": None, "negatives": 0, "zero_parents": 2,
             "ok": ok, "words": f"{method} forecasts are coherent to 2e-09 units."}
            for forecast, method in (("operational", "bottom_up"), ("strategic", "top_down"))
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def breach(self) -> None:
        """Let the certificates of the day say that its totals do not agree."""
        self._put(CERTIFICATES, self._certificates(ok=False))

    def sums(self, leaves: pd.DataFrame) -> pd.DataFrame:
        """Rows of ``predictions/demand_aggregates`` that follow from forecasts of series."""
        store = leaves["store_id"].map({name: self.region(n) for n, name in enumerate(self.store_ids)})
        nodes = {"national": "all", "region": store, "store": leaves["store_id"], "sku": leaves["sku_id"]}
        keys, frames = ["as_of", "level", "node", "ds", "horizon", "model_version"], []
        for level, node in nodes.items():
            labelled = leaves.assign(level=level, node=node)
            own = labelled.groupby(keys, as_index=False)[["operational", "strategic"]].sum()
            # Without noise: wide enough for any error of the fixture, except the nation's 80 % interval.
            wide = (0.001 if level == "national" else 0.6, 0.7) if not self.noise else (0.07, 0.13)
            for nominal, width in zip((80, 95), wide, strict=True):
                own[f"lower_{nominal}"] = own["operational"] * (1 - width)
                own[f"upper_{nominal}"] = own["operational"] * (1 + width)
            frames.append(own)
        return pd.concat(frames, ignore_index=True)

    def crossed(self, leaves: pd.DataFrame) -> pd.DataFrame:
        """Rows of ``predictions/demand_crossed``: sums, for plans a tenth more of each category."""
        profile = self._profile(self.history()[0])[["store_id", "sku_id", "region", "category"]]
        named, names = leaves.merge(profile, on=["store_id", "sku_id"]), ["region", "category", "sku_id"]
        frames = []
        for level, columns in CROSSED_LEVELS.items():
            others = dict.fromkeys(set(names) - set(columns), "all")
            keys = ["as_of", "level", *names, "ds", "horizon", "model_version"]
            own = named.assign(level=level, **others).groupby(keys, as_index=False)[["operational"]].sum()
            frames.append(own.assign(reconciled=own["operational"] * (1.1 if "category" in columns else 1)))
        return pd.concat(frames, ignore_index=True)

    def write_training(self) -> None:
        """What the newest training run leaves behind."""
        profile = self._profile(self.history()[0])
        cell = profile["segment"] + "/regular"
        metrics = {f"{m}_j{h}": 0.01 * h + 0.08 for m in ("mape", "wape", "rmsse") for h in (1, 7, 14)}
        series = profile[["store_id", "sku_id", "segment", "pattern", "mean_quantity"]].assign(
            as_of=TRAINED, cell=cell, model=profile["segment"].map(MODELS), reason="champion of its cell",
            sarima_order=np.where(profile["segment"] == "stable", "(1,0,1)(0,1,1)7", None),
            **metrics, bias=-0.02, points=28, model_version=VERSION,
        )  # fmt: skip
        series.loc[profile["fallback"].notna(), ["model", "reason"]] = [
            "fallback_constant",
            "sold the same each day",
        ]
        self._put(SERIES, series)
        rows = []
        for segment in SEGMENTS:
            for rank, model in enumerate(
                dict.fromkeys([MODELS[segment], MISSION[segment], "seasonal_naive"])
            ):
                for horizon in (0, 1, 7, 14):
                    error = 0.10 + 0.02 * rank + 0.002 * horizon
                    rows.append(
                        {"as_of": TRAINED, "cell": f"{segment}/regular", "model": model, "horizon": horizon,
                         "mape": error, "wape": 0.9 * error, "deviance": 3 * error, "rmsse": 0.7, "bias": 0.01, "series": 30,
                         "points": 400, "seconds_per_series": 0.001 * 10**rank,
                         "is_mission_model": model == MISSION[segment], "is_champion": rank == 0}
                    )  # fmt: skip
        self._put(BACKTEST, pd.DataFrame(rows))
        coverage = [
            {"as_of": TRAINED, "level": level, "nominal": nominal, "horizon": horizon,
             "coverage": nominal / 100 - 0.01, "relative_width": 0.5, "points": 500}
            for level in ("national", "region", "store", "sku_store")
            for nominal in (80, 95)
            for horizon in range(HORIZON + 1)
        ]  # fmt: skip
        self._put(COVERAGE, pd.DataFrame(coverage))
        self._put(
            SARIMA_ORDERS,
            pd.DataFrame(
                [{"as_of": TRAINED, "cluster": "smooth", "sarima_order": "(1,0,1)(0,1,1)7", "aicc": 410.5,
                  "error": 0.2, "series": 4}]
            ),
        )  # fmt: skip

    def write_operations(self) -> None:
        """A gate verdict and a finished publication."""
        append_promotion(
            self.lake,
            Promotion(
                "demand", TRAINED, VERSION, Outcome.PROMOTED, "Passed: WAPE 0.110 is better than 0.150.",
                datetime.combine(TRAINED, time(2), UTC).replace(tzinfo=None), "gate:ab12", "demand/2",
                [{"name": "products", "value": 30, "low": None, "high": None, "threshold": 20, "passed": True,
                  "words": "30 products sold on the judged days, enough to judge"}],
            ),
        )  # fmt: skip
        count = self.stores * self.skus
        run = {
            "sink": "dynamodb", "object": "millrace/demand", "as_of": self.as_of, "run_key": "k",
            "run_id": "run-7", "run_no": 7, "seq": 9, "state": "finished", "forced": False, "planned": count,
            "sent": count, "ok": count, "failed": 0, "unknown": 0, "skipped": 0, "deleted": 0, "dead": 0,
            "jobs": 5, "recorded_at": datetime.combine(self.as_of, time(4, 20)),
        }  # fmt: skip
        optional = {name: None for name in RUNS.column_names if name not in run}
        self.lake.append(RUNS, pa.Table.from_pylist([run | optional], schema=RUNS.arrow_schema))
        flip = {
            "sink": "dynamodb", "object": "millrace/demand", "revision": 7, "kind": "publish",
            "as_of": self.as_of, "version": "run-7", "before": "run-6", "why": "all items confirmed",
            "who": "run:run-7", "recorded_at": datetime.combine(self.as_of, time(4, 21)),
        }  # fmt: skip
        self.lake.append(FLIPS, pa.Table.from_pylist([flip], schema=FLIPS.arrow_schema))

    def _put(self, table: Table | str, frame: pd.DataFrame) -> None:
        """Write a table of predictions, or one whose contract a dbt model declares."""
        declared = table if isinstance(table, Table) else contract(table)
        self.lake.overwrite(declared, rows_of(declared, frame))


def rows_of(table: Table, frame: pd.DataFrame) -> pa.Table:
    """Rows of a frame in the columns and types that a table declares."""
    columns = {}
    for column in table.columns:
        values = frame[column.name]
        if column.dtype is DType.DATE:
            columns[column.name] = pa.array(pd.to_datetime(values).to_numpy().astype("datetime64[D]"))
        else:
            columns[column.name] = pa.array(values.to_numpy(), column.dtype.arrow, from_pandas=True)
    return pa.table(columns, schema=table.arrow_schema)


@cache
def contract(model: str) -> Table:
    """Table of a feature model as dbt declares it."""
    models = PROJECT_ROOT / "dbt_project" / "models"
    return read_contract(models / "marts/ml/_ml_demand__models.yml", model, docs=read_docs(models)).table


@pytest.fixture(scope="session")
def make_chain(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Chain]:
    """A retailer in a lake of its own; keyword arguments as for :class:`Chain`."""

    def make(**given: Any) -> Chain:
        return Chain(Settings(var=tmp_path_factory.mktemp("chain"), overrides=OVERRIDES), **given).write()

    return make


@pytest.fixture(scope="module")
def chain(make_chain: Callable[..., Chain]) -> Chain:
    """The retailer with one unreported store-day and two stock-outs; a module's tests share it."""
    return make_chain(
        stockouts={("S001", "K0001"): (AS_OF - timedelta(3),), ("S002", "K0003"): (AS_OF - timedelta(5),)},
        unreported={"S004": (AS_OF - timedelta(2),)},
    )

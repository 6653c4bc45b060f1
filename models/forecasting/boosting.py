"""LightGBM and XGBoost behind the same two functions: boosters in their own stable formats, as bytes.

Bytes rather than objects: they can be stored without trusting either library's types, and reading them back is each
library's documented way over versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

Kind = Literal["lightgbm", "xgboost"]
Objective = Literal["poisson", "tweedie", "log"]

KINDS = ("lightgbm", "xgboost")
OBJECTIVES = ("poisson", "tweedie", "log")

#: On fewer rows a further thread waits more than it works.
ROWS_PER_THREAD = 20_000

#: Bins of a feature; ratios need no finer ones.
BINS = 255

#: Largest step of a leaf on the log scale, before the learning rate. A row that sold far more than it was expected to
#: (a store that opened meanwhile) would otherwise send its leaf, and all rows in it, to infinity or to zero.
MOST_STEP = 0.7

#: Words of a column up to which each is tried alone; more are sorted by their target first.
FEW_WORDS = 4


@dataclass(frozen=True)
class Boosting:
    """Size and pace of boosted trees, in words that both libraries share."""

    objective: Objective
    tweedie_power: float
    rounds: int
    learning_rate: float
    leaves: int
    min_rows_in_leaf: int
    subsample: float
    colsample: float
    reg_lambda: float
    seed: int
    threads: int


@dataclass(frozen=True)
class Rows:
    """Training rows.

    Attributes
    ----------
    matrix : ndarray of float32, shape (n, n_features)
    target : ndarray of float64, shape (n,)
        Units; for the objective ``log``, logs of the ratio to what is expected.
    offset : ndarray of float64, shape (n,)
        Log of the expected units, from which boosting starts; 0 for the objective ``log``.
    weight : ndarray of float64, shape (n,), optional
    words : tuple of int
        Positions of columns that hold codes of words.
    """

    matrix: NDArray[np.float32]
    target: NDArray[np.float64]
    offset: NDArray[np.float64]
    weight: NDArray[np.float64] | None
    words: tuple[int, ...]


def boost(kind: Kind, rows: Rows, size: Boosting) -> bytes:
    """Fit one booster."""
    return _boost_lightgbm(rows, size) if kind == "lightgbm" else _boost_xgboost(rows, size)


def raw_scores(
    kind: Kind, boosters: list[bytes], matrix: NDArray[np.float32], words: tuple[int, ...], threads: int
) -> NDArray[np.float64]:
    """Mean of the boosters' outputs on the log scale, without offset, shape (n,)."""
    total = np.zeros(len(matrix))
    for stored in boosters:
        if kind == "lightgbm":
            booster = lgb.Booster(model_str=stored.decode())
            total += booster.predict(matrix, raw_score=True, num_threads=threads)
        else:
            other = xgb.Booster({"nthread": threads})
            other.load_model(bytearray(stored))
            data = xgb.DMatrix(
                matrix,
                base_margin=np.zeros(len(matrix), dtype=np.float32),
                feature_types=_feature_types(matrix.shape[1], words),
                enable_categorical=True,
                nthread=threads,
            )
            total += other.predict(data, output_margin=True)
    return total / len(boosters)


def _boost_lightgbm(rows: Rows, size: Boosting) -> bytes:
    params = {
        "objective": "l2" if size.objective == "log" else size.objective,
        "tweedie_variance_power": size.tweedie_power,
        "learning_rate": size.learning_rate,
        "num_leaves": size.leaves,
        "min_data_in_leaf": size.min_rows_in_leaf,
        "bagging_fraction": size.subsample,
        "bagging_freq": 1 if size.subsample < 1 else 0,
        "feature_fraction": size.colsample,
        "lambda_l2": size.reg_lambda,
        **({} if size.objective == "log" else {"max_delta_step": MOST_STEP}),
        "max_bin": BINS,
        "min_data_in_bin": 1,  # so that a row of weight 2 counts like two rows
        "max_cat_to_onehot": FEW_WORDS,
        "seed": size.seed,
        "deterministic": True,
        # One thread owns a column's histogram, so sums do not depend on the number of threads.
        "force_col_wise": True,
        "num_threads": size.threads,
        "verbose": -1,
    }
    data = lgb.Dataset(
        rows.matrix,
        label=rows.target,
        weight=rows.weight,
        init_score=rows.offset,
        categorical_feature=list(rows.words),
        params=params,
        free_raw_data=True,
    )
    return lgb.train(params, data, size.rounds).model_to_string().encode()


def _boost_xgboost(rows: Rows, size: Boosting) -> bytes:
    objective = {"log": "reg:squarederror", "poisson": "count:poisson", "tweedie": "reg:tweedie"}
    params: dict[str, Any] = {
        "objective": objective[size.objective],
        "learning_rate": size.learning_rate,
        "grow_policy": "lossguide",
        "max_leaves": size.leaves,
        "max_depth": 0,
        "min_child_weight": size.min_rows_in_leaf,
        "subsample": size.subsample,
        "colsample_bytree": size.colsample,
        "reg_lambda": size.reg_lambda,
        "max_bin": BINS,
        "max_cat_to_onehot": FEW_WORDS,
        "tree_method": "hist",
        "seed": size.seed,
        "nthread": size.threads,
        "verbosity": 0,
    }
    if size.objective != "log":
        params["max_delta_step"] = MOST_STEP
    if size.objective == "tweedie":
        params["tweedie_variance_power"] = size.tweedie_power
    data = xgb.QuantileDMatrix(
        rows.matrix,
        label=rows.target,
        weight=rows.weight,
        base_margin=rows.offset,
        feature_types=_feature_types(rows.matrix.shape[1], rows.words),
        enable_categorical=True,
        max_bin=BINS,
        nthread=size.threads,
    )
    return bytes(xgb.train(params, data, size.rounds).save_raw("ubj"))


def _feature_types(columns: int, words: tuple[int, ...]) -> list[str]:
    return ["c" if position in words else "q" for position in range(columns)]

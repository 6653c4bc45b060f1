"""What one would get from one model per product instead of one for all pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import xgboost as xgb
from sklearn.metrics import average_precision_score, log_loss

from models.forecasting.matrix import FeatureMatrix
from models.repurchase.next_order import make_lists
from models.repurchase.order_size import OrderSize
from pipelines.lab.bench.shop_truth import ShopTruth, rounded
from pipelines.usecase import Run
from pipelines.usecases.repurchase.dataset import read_pairs, stream_candidates
from pipelines.usecases.repurchase.params import RepurchaseParams

#: Repeats that a product needs for a model of its own; of others, the share bought again is all there is.
ENOUGH = 50

_PARAMS = {
    "objective": "binary:logistic",
    "max_depth": 3,
    "learning_rate": 0.1,
    "reg_lambda": 5.0,
    "nthread": 1,
}
_ROUNDS = 40


def one_model_per_product(run: Run[RepurchaseParams], truth: ShopTruth) -> dict[str, Any]:
    """Fit a small XGBoost per product on the same rows, and judge its lists by the same choice.

    Returns
    -------
    dict
        Metrics of lists; average precision and log loss over candidates; how many products, and what share of the
        repeats, have enough repeats for a model of their own.
    """
    snapshots = run.params.origins(run.as_of)
    first = snapshots[-run.params.training.judged_snapshots]
    pairs = read_pairs(run, snapshots).seen_until(first)
    encoder = FeatureMatrix().fit(pairs.X)
    matrix, bought = encoder.transform(pairs.X), pairs.bought
    own = pairs.keys["product_id"].astype(object).to_numpy()
    repeats = pl.DataFrame({"p": own, "y": bought}).group_by("p").agg(n=pl.len(), y=pl.col("y").sum())
    overall = float(bought.mean())
    # Shares of products with few rows lean on that of all.
    share = {row["p"]: (row["y"] + 10 * overall) / (row["n"] + 10) for row in repeats.to_dicts()}
    able = set(repeats.filter((pl.col("y") >= ENOUGH) & (pl.col("y") < pl.col("n")))["p"].to_list())
    rows_of = {product: rows for product, rows in _groups(own).items() if product in able}
    models = {
        product: xgb.train(_PARAMS, xgb.DMatrix(matrix[rows], label=bought[rows], nthread=1), _ROUNDS)
        for product, rows in rows_of.items()
    }
    customers = truth.customers["customer_key"].to_list()
    parts = list(stream_candidates(run, customers))
    listed, truths, guesses = [], [], []
    after = truth.next_lines().with_columns(hit=pl.lit(True))
    for X, keys in parts:
        scored = encoder.transform(X)
        products = keys["product_id"].astype(object).to_numpy()
        probability = np.array([share.get(product, overall) for product in products])
        for product, rows in _groups(products).items():
            if product in models:
                probability[rows] = models[product].predict(xgb.DMatrix(scored[rows], nthread=1))
        frame = pl.DataFrame(
            {"customer_key": keys["customer_key"].astype(object).to_numpy(), "product_id": products}
        )
        lists = make_lists(probability, frame["customer_key"].to_numpy(), OrderSize())
        listed.append(frame[lists.position[lists.listed]])
        judged = frame.with_columns(p=probability).join(after, on=["customer_key", "product_id"], how="left")
        judged = judged.join(
            truth.customers.filter(pl.col("next").is_not_null()), on="customer_key", how="semi"
        )
        truths.append(judged["hit"].is_not_null().to_numpy())
        guesses.append(judged["p"].to_numpy())
    y, p = np.concatenate(truths), np.clip(np.concatenate(guesses), 1e-6, 1 - 1e-6)
    enough = repeats.filter(pl.col("p").is_in(list(able)))["y"].to_numpy()
    return {
        **rounded(truth.judge(pl.concat(listed))),
        "average_precision": round(float(average_precision_score(y, p)), 4),
        "log_loss": round(float(log_loss(y, p)), 4),
        "products": repeats.height,
        "products_with_enough_repeats": len(able),
        "share_of_repeats_with_enough": round(float(enough.sum() / repeats["y"].to_numpy().sum()), 4),
    }


def _groups(values: Any) -> dict[Any, np.ndarray[Any, np.dtype[np.intp]]]:
    names, position = np.unique(values.astype(str), return_inverse=True)
    order = np.argsort(position, kind="stable")
    ends = np.cumsum(np.bincount(position, minlength=len(names)))
    return dict(zip(names.tolist(), np.split(order, ends[:-1]), strict=True))

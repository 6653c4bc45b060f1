"""Cached SARIMA orders: clusters of similar series, searched weekly, looked up every night."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from models.forecasting.forecaster import cells_of


def clusters_of(profile: pd.DataFrame) -> list[str]:
    """Cluster of each series: products of a category that sell alike."""
    return [
        f"{category}/{cell}" for category, cell in zip(profile["category"], cells_of(profile), strict=True)
    ]


def orders_of_series(profile: pd.DataFrame, orders: Mapping[str, str]) -> list[str]:
    """Order of each series by its cluster; ``""``, the models' default, for a cluster not searched."""
    return [orders.get(cluster, "") for cluster in clusters_of(profile)]

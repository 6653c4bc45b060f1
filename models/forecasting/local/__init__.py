"""Models fitted one series at a time: forecasts of groups of packed series, the same in every engine."""

from __future__ import annotations

from models.forecasting.local.catalogue import LOCAL_MODELS
from models.forecasting.local.exchange import pack, unpack
from models.forecasting.local.groups import forecast_group
from models.forecasting.local.orders import orders_of, search_orders, similar_series

__all__ = [
    "LOCAL_MODELS",
    "forecast_group",
    "orders_of",
    "pack",
    "search_orders",
    "similar_series",
    "unpack",
]

"""Customers that the tills count: what a store sells, over what its customers put into their baskets."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.lab.simulation.days import DAY_US, Floats, Ints
from pipelines.lab.simulation.demand.span import Span
from pipelines.lab.simulation.demand.stores import MIXED, TOURIST, Stores

#: Units in a basket by kind of store: hypermarket, supermarket, city.
_BASKET_UNITS = np.array([11.0, 7.0, 3.5])
#: Tourists buy less at once.
_TOURIST_BASKET, _MIXED_BASKET = 0.8, 0.92


def customers_table(
    rng: np.random.Generator, stores: Stores, units: Floats, reported: Ints, span: Span
) -> pa.Table:
    """Counts of the days on which a store sold anything, known with its sales.

    Parameters
    ----------
    units
        Units sold by store and day, shape ``(S, T)``.
    reported
        When each store's day is reported, microseconds, of the same shape.
    """
    basket = _BASKET_UNITS[stores.kind] * rng.lognormal(0.0, 0.12, len(stores))
    basket *= np.where(stores.clientele == TOURIST, _TOURIST_BASKET, 1.0)
    basket *= np.where(stores.clientele == MIXED, _MIXED_BASKET, 1.0)
    counted: NDArray[np.bool_] = (units > 0) & (reported < span.end * DAY_US)
    counted[:, : span.start - span.begin] = False
    counted[:, span.end - span.begin :] = False
    store, column = np.nonzero(counted)
    expected = units[store, column] / basket[store]
    return pa.table(
        {
            "store_id": stores.ids.take(pa.array(store)),
            "counted_on": span.days[column].astype("datetime64[D]"),
            "customers": np.maximum(rng.poisson(expected), 1).astype(np.int64),
            "known_at": reported[store, column].astype("datetime64[us]"),
        }
    )

"""Past days to learn from: customers with the wait that followed, candidates with what was bought.

They are cut off in time: seen from a day ``until``, an order on or after it has not happened yet, so that the
customer is censored there and the order's candidates have no label.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Waits:
    """Customers in scope on past days, ordered by day and pseudonym.

    Attributes
    ----------
    X
        Features of the customer.
    keys
        ``as_of`` (the snapshot) and ``customer_key``.
    days
        Days from the snapshot to the next order, shape (n,); NaN where it is not known yet.
    observed
        Days after the snapshot that are known, shape (n,).
    """

    X: pd.DataFrame
    keys: pd.DataFrame
    days: Floats
    observed: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.days)

    @property
    def censored(self) -> NDArray[np.bool_]:
        """Whether the next order is not known yet, shape (n,)."""
        return np.isnan(self.days)

    @property
    def lasted(self) -> Floats:
        """Days to the next order, or observed without one, shape (n,)."""
        return np.where(self.censored, self.observed, self.days)

    def take(self, rows: NDArray[Any]) -> Waits:
        """Some rows."""
        return Waits(
            self.X.iloc[rows].reset_index(drop=True),
            self.keys.iloc[rows].reset_index(drop=True),
            self.days[rows],
            self.observed[rows],
        )

    def seen_until(self, until: date) -> Waits:
        """Rows of earlier days as they were known at the start of ``until``."""
        past = self.take(np.flatnonzero(_ordinals(self.keys["as_of"]) < until.toordinal()))
        observed = np.minimum(past.observed, until.toordinal() - _ordinals(past.keys["as_of"]))
        # An order on day d is known once d + 1 days are over.
        return replace(past, observed=observed, days=np.where(past.days < observed, past.days, np.nan))


@dataclass(frozen=True)
class Pairs:
    """Candidates of customers who came back, ordered by day, pseudonym and product.

    Attributes
    ----------
    X
        Features of the pair.
    keys
        ``as_of`` (the snapshot), ``customer_key`` and ``product_id``.
    bought
        Whether the next order had the product, shape (n,).
    days
        Days from the snapshot to that order, shape (n,).
    lines, repeated
        Products of that order, and those of them bought before, shape (n,).
    """

    X: pd.DataFrame
    keys: pd.DataFrame
    bought: NDArray[np.bool_]
    days: Floats
    lines: NDArray[np.int64]
    repeated: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bought)

    def take(self, rows: NDArray[Any]) -> Pairs:
        """Some rows."""
        return Pairs(
            self.X.iloc[rows].reset_index(drop=True),
            self.keys.iloc[rows].reset_index(drop=True),
            *(part[rows] for part in (self.bought, self.days, self.lines, self.repeated)),
        )

    def seen_until(self, until: date) -> Pairs:
        """Rows whose order was over before the start of ``until``."""
        over = _ordinals(self.keys["as_of"]) + self.days < until.toordinal()
        return self.take(np.flatnonzero(over))


def _ordinals(days: pd.Series) -> NDArray[np.int64]:
    """Days as numbers; few distinct ones, so each is converted once."""
    codes, distinct = pd.factorize(days)
    return np.array([day.toordinal() for day in distinct], dtype=np.int64)[codes]

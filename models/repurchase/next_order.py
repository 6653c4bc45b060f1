"""When and with what, joined: the predicted list for the predicted date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from models.repurchase.basket import BasketClassifier, run_lengths
from models.repurchase.expected_f1 import Choice, choose
from models.repurchase.order_size import OrderSize
from models.repurchase.timing import NextOrderTiming

Floats = NDArray[np.float64]

#: Columns that :func:`with_expected_date` adds.
EXPECTED_DAYS = "expected_days"
DUE_THEN = "elapsed_at_next_vs_cycle"

#: Columns that it needs: days since the pair's last purchase, and days from one to the next.
SINCE, CYCLE = "days_since_last_bought", "cycle_days"


class NextOrderModel(BaseEstimator):  # type: ignore[misc]
    """The two fitted models that serve together.

    Parameters
    ----------
    timing : NextOrderTiming
    basket : BasketClassifier, optional
        None for shops that deliver no order lines.
    """

    def __init__(self, timing: NextOrderTiming | None = None, basket: BasketClassifier | None = None) -> None:
        self.timing = timing
        self.basket = basket

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Columns of the customer that the model takes."""
        return np.asarray(self.fitted_timing.feature_names_in_)

    @property
    def fitted_timing(self) -> NextOrderTiming:
        """The model of dates.

        Raises
        ------
        ValueError
            There is none.
        """
        if self.timing is None:
            raise ValueError("timing must be a fitted NextOrderTiming, got None")
        return self.timing

    def predict(self, X: Any) -> Floats:
        """Days to the next order, given one within the horizon, shape (n,)."""
        return self.fitted_timing.predict(X)


@dataclass(frozen=True)
class Lists:
    """Candidates of customers, likeliest first, and how many of them are listed.

    Attributes
    ----------
    position : ndarray of int, shape (n,)
        Rows of the candidates as given, in order of customer and falling probability.
    probability : ndarray of shape (n,)
        In that order.
    sizes : ndarray of int, shape (n_customers,)
        Candidates of each customer.
    choice : Choice
        Length of each list, its expected F1 and the probability of nothing.
    """

    position: NDArray[np.intp]
    probability: Floats
    sizes: NDArray[np.int64]
    choice: Choice

    @property
    def starts(self) -> NDArray[np.int64]:
        """Place of each customer's first candidate, shape (n_customers,)."""
        return np.asarray(np.cumsum(self.sizes) - self.sizes, dtype=np.int64)

    @property
    def rank(self) -> NDArray[np.int64]:
        """1 for the likeliest candidate of its customer, shape (n,)."""
        return np.arange(len(self.position)) - np.repeat(self.starts, self.sizes) + 1

    @property
    def listed(self) -> NDArray[np.bool_]:
        """Whether a candidate is on its customer's list, shape (n,)."""
        return self.rank <= np.repeat(self.choice.size, self.sizes)


def make_lists(probability: Floats, customers: Any, order_size: OrderSize) -> Lists:
    """Choose everybody's list.

    Parameters
    ----------
    probability : ndarray of shape (n,)
        Of each candidate.
    customers : array-like of shape (n,)
        Whose candidate it is; rows of a customer follow each other. Ties keep the given order.
    """
    own = np.repeat(np.arange(len(sizes := run_lengths(customers))), sizes)
    position = np.lexsort((-probability, own))
    ranked = probability[position]
    return Lists(position, ranked, sizes, choose(ranked, sizes, order_size))


def with_expected_date(X: pd.DataFrame, expected_days: Floats) -> pd.DataFrame:
    """Candidates as they will be on the day their customer is expected.

    Parameters
    ----------
    expected_days : ndarray of shape (n,)
        Days until then; for training, predicted by a model that had not seen the customer.
    """
    days = np.asarray(expected_days, dtype=np.float32)
    cycle = X[CYCLE].to_numpy(dtype=np.float32)
    due = np.full(len(X), np.nan, dtype=np.float32)
    np.divide(X[SINCE].to_numpy(dtype=np.float32) + days, cycle, out=due, where=cycle > 0)
    return X.assign(**{EXPECTED_DAYS: days, DUE_THEN: due})

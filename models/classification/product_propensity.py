"""One binary model per product: whether a customer who does not hold it takes it within the horizon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from models.classification.balanced_forest import BalancedForestClassifier
from models.classification.frames import FrameEncoder
from models.explanation.rules import Rule, first_rule, forest_rules
from models.recommendation.lists import flags_of, names_in

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


class ProductPropensity(BaseEstimator):  # type: ignore[misc]
    """A balanced forest per product, on columns of the customer that all products share and a few of its own.

    Parameters
    ----------
    held : str
        Column with the products that a customer holds, as text joined by ``|``. Each is a flag for all models.
    own : sequence of str
        Columns of the same kind, of which a model sees only whether its own product is listed.
    n_estimators, max_depth, min_samples_leaf, max_features, max_draws, min_events, random_state, n_jobs
        See :class:`~models.classification.balanced_forest.BalancedForestClassifier`. A product that fewer customers
        than ``min_events`` took gets the overall share as everybody's chance.
    n_rules : int
        Most rules per product.

    Attributes
    ----------
    products_ : tuple of str
        Products held or taken by anybody, sorted.
    forests_ : dict of str to BalancedForestClassifier
        By product; without those that too few took.
    rates_ : ndarray of shape (n_products,)
        Share of those without a product who took it.
    rules_ : dict of str to tuple of Rule
        By product, strongest first.
    columns_ : list of str
        Names of the columns of a model: of the customer, ``held=<product>``, and those of ``own``.
    """

    def __init__(
        self,
        *,
        held: str = "held",
        own: Sequence[str] = (),
        n_estimators: int = 100,
        max_depth: int | None = 10,
        min_samples_leaf: int = 10,
        max_features: float | str = 0.3,
        max_draws: int | None = 3_000,
        min_events: int = 50,
        n_rules: int = 5,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.held = held
        self.own = own
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.max_draws = max_draws
        self.min_events = min_events
        self.n_rules = n_rules
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: pd.DataFrame, y: Any, groups: Any = None) -> Self:
        """Fit a model per product.

        Parameters
        ----------
        X : DataFrame of shape (n, n_features)
            Numbers, flags, words, and the columns of lists.
        y : sequence of str, length n
            Products taken within the horizon, joined by ``|``.
        groups : array-like of shape (n,), optional
            Customer of each row.

        Raises
        ------
        ValueError
            A column of lists is missing.
        """
        lists = [self.held, *self.own]
        missing = [name for name in lists if name not in X.columns]
        if missing:
            raise ValueError(f"X must have the columns of lists {lists}, missing: {missing}")
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.encoder_ = FrameEncoder(one_hot=True).fit(X.drop(columns=lists))
        self.products_ = names_in(X[self.held], y)
        self.columns_ = [
            *self.encoder_.get_feature_names_out(),
            *(f"held={product}" for product in self.products_),
            *self.own,
        ]
        taken = flags_of(y, self.products_)
        matrix, held, own = self._matrix(X)
        group = np.arange(len(X)) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
        self.forests_: dict[str, BalancedForestClassifier] = {}
        self.rules_: dict[str, tuple[Rule, ...]] = {}
        self.rates_ = np.zeros(len(self.products_))
        for position, product in enumerate(self.products_):
            rows = np.flatnonzero(~held[:, position])
            event = taken[rows, position]
            self.rates_[position] = event.mean() if len(rows) else 0.0
            self.rules_[product] = ()
            if min(int(event.sum()), int((~event).sum())) < self.min_events:
                continue
            of_product = self._with_own(matrix, own, position, rows)
            forest = self._forest(position).fit(of_product, event, groups=group[rows])
            self.forests_[product] = forest
            self.rules_[product] = forest_rules(
                forest.trees_,
                of_product,
                event,
                self.columns_,
                groups=group[rows],
                most=self.n_rules,
                seed=self.random_state,
            )
        return self

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Chance that each customer takes each product, shape (n, n_products); NaN where it is held."""
        check_is_fitted(self, "forests_")
        matrix, held, own = self._matrix(X)
        out = np.tile(self.rates_, (len(X), 1))
        for position, product in enumerate(self.products_):
            if product in self.forests_:
                of_product = self._with_own(matrix, own, position)
                out[:, position] = self.forests_[product].predict_proba(of_product)[:, 1]
        out[held] = np.nan
        return out

    def first_rules(self, X: pd.DataFrame) -> NDArray[np.int64]:
        """Position of the strongest rule of each product that each customer meets; -1 where none is met."""
        check_is_fitted(self, "forests_")
        matrix, _, own = self._matrix(X)
        out = np.full((len(X), len(self.products_)), -1, dtype=np.int64)
        for position, product in enumerate(self.products_):
            if self.rules_[product]:
                out[:, position] = first_rule(self.rules_[product], self._with_own(matrix, own, position))
        return out

    def _forest(self, position: int) -> BalancedForestClassifier:
        return BalancedForestClassifier(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            max_draws=self.max_draws,
            min_events=self.min_events,
            random_state=self.random_state + position,
            n_jobs=self.n_jobs,
        )

    def _matrix(self, X: pd.DataFrame) -> tuple[Singles, NDArray[np.bool_], list[NDArray[np.bool_]]]:
        """Shared columns with room for the product's own, flags of what is held, and flags of the own lists."""
        lists = {self.held, *self.own}
        # Columns by name: a day's table has more of them, keys among them.
        plain = self.encoder_.transform(X[[name for name in self.feature_names_in_ if name not in lists]])
        held = flags_of(X[self.held], self.products_)
        matrix = np.empty((len(X), len(self.columns_)), dtype=np.float32)
        matrix[:, : plain.shape[1]] = plain
        matrix[:, plain.shape[1] : plain.shape[1] + len(self.products_)] = held
        return matrix, held, [flags_of(X[name], self.products_) for name in self.own]

    def _with_own(
        self,
        matrix: Singles,
        own: list[NDArray[np.bool_]],
        position: int,
        rows: NDArray[np.intp] | None = None,
    ) -> Singles:
        """Put a product's own columns into the last places; without ``rows`` in the matrix itself."""
        chosen = matrix if rows is None else matrix[rows]
        for place, flags in enumerate(own, start=len(self.columns_) - len(own)):
            chosen[:, place] = flags[:, position] if rows is None else flags[rows, position]
        return chosen

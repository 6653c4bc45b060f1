"""Reconciliation of hierarchies that are no tree, by ``hierarchicalforecast``, with our certificate.

The library's dense methods hold matrices of all nodes by all nodes, and its sparse ones may stop far from the
optimum without saying so where negative values are allowed, which the certificate tells. A tree of any size is
better served by :func:`~models.forecasting.reconcile.reconciled.reconcile`, which is exact and faster.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from hierarchicalforecast.methods import BottomUpSparse, MinTrace, MinTraceSparse
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from models.forecasting.reconcile.certificate import Audit
from models.forecasting.reconcile.names import Keys, codes, name_of, refuse_twins, slices
from models.forecasting.reconcile.nodes import NodeValues, Values
from models.forecasting.reconcile.reconciled import Reconciled
from models.forecasting.reconcile.tree import Tree

Floats = NDArray[np.float64]
GroupedMethod = Literal["bottom_up", "ols", "wls_struct", "wls", "mint_shrink"]
GROUPED_METHODS: tuple[GroupedMethod, ...] = get_args(GroupedMethod)

#: Largest distance from the optimum that passes, as a share of the usual bottom series. The library's interior-point
#: solver leaves about 1e-3 where bounds bind; where its iteration stops too early, whole units are missing.
TOLERANCE = 1e-2
#: From so many nodes on the library's sparse methods are used; where negative values are ruled out always, because
#: they find the same optimum at a hundredth of the cost.
SPARSE_FROM = 2_000


@dataclass(frozen=True, eq=False)
class Grouping:
    """Series that add up in several ways.

    Attributes
    ----------
    summing : scipy.sparse.csr_matrix of shape (n, n_bottom)
        Which bottom series each node is the sum of; the last rows are the identity.
    levels : mapping of str to slice
        Nodes of each level; the last level holds the bottom series.
    keys : mapping of str to tuple of ndarray
        Columns that name the nodes of a level.
    """

    summing: sparse.csr_matrix
    levels: Mapping[str, slice]
    keys: Mapping[str, Keys]

    @classmethod
    def from_frame(cls, frame: Any, levels: Mapping[str, Sequence[str]]) -> Grouping:
        """Grouping of a table with one row per bottom series.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or mapping of columns
        levels : mapping of str to sequence of str
            Columns by which each level adds up; none for the total. The last level must tell all rows apart
            and keeps their order; nodes of other levels are sorted by name.

        Raises
        ------
        ValueError
            A name is missing, or a bottom series occurs twice.
        """
        *upper, bottom = levels
        columns = tuple(np.asarray(frame[name]) for name in levels[bottom])
        refuse_twins(codes(columns, bottom)[0], columns, bottom)
        n = len(columns[0])
        keys: dict[str, Keys] = {}
        parts = []
        for level in upper:
            names = tuple(np.asarray(frame[name]) for name in levels[level])
            code, first = codes(names, level) if names else (np.zeros(n, dtype=np.intp), np.zeros(1, np.intp))
            keys[level] = tuple(name[first] for name in names) or (np.array(["all"], dtype=object),)
            parts.append(sparse.csr_matrix((np.ones(n), (code, np.arange(n))), shape=(len(first), n)))
        keys[bottom] = columns
        summing = sparse.vstack([*parts, sparse.eye(n)], format="csr")
        return cls(summing, slices({level: len(names[0]) for level, names in keys.items()}), keys)

    @classmethod
    def from_tree(cls, tree: Tree) -> Grouping:
        """The same hierarchy with its summing matrix; leaves must be the last nodes in the caller's order."""
        n, leaves = len(tree), tree.leaves
        if leaves[0] != n - len(leaves):
            raise ValueError("leaves must come after all other nodes")
        rows, columns, at = [], [], leaves
        column = np.arange(len(leaves))
        while len(at):
            rows.append(at)
            columns.append(column)
            at = tree.parent[at]
            at, column = at[at >= 0], column[at >= 0]
        where = np.concatenate(rows), np.concatenate(columns)
        summing = sparse.csr_matrix((np.ones(len(where[0])), where), shape=(n, len(leaves)))
        return cls(summing, tree.levels, tree.keys)

    def __len__(self) -> int:
        return int(self.summing.shape[0])

    def name(self, node: int) -> str:
        """Level and name of a node, for messages."""
        return name_of(node, self.levels, self.keys)


def reconcile_grouped(
    grouping: Grouping,
    base: Values,
    *,
    method: GroupedMethod,
    variances: Values | None = None,
    residuals: ArrayLike | None = None,
    nonnegative: bool = True,
) -> Reconciled:
    """Make base forecasts of a grouped hierarchy coherent.

    Parameters
    ----------
    grouping : Grouping
    base : mapping of str to array-like of shape (nodes of the level, days), or array-like of shape (n, days)
        Base forecasts by level, or of all nodes.
    method : {'bottom_up', 'ols', 'wls_struct', 'wls', 'mint_shrink'}
        As for trees; ``mint_shrink`` weighs by the shrunk covariance of ``residuals``.
    variances : by level, or array-like of shape (n,)
        For ``wls``: positive error variances of the base forecasts.
    residuals : array-like of shape (n, observations)
        For ``mint_shrink``: errors of the base forecasts in the past.
    nonnegative : bool
        No value may be negative; negative base forecasts then count as zero, as in the library.

    Returns
    -------
    Reconciled
        ``certificate.ok`` is False where the library missed the optimum.

    Raises
    ------
    ValueError
        As for trees; or ``mint_shrink`` for a hierarchy that is too large for it.
    """
    if method not in GROUPED_METHODS:
        raise ValueError(f"method must be one of {', '.join(GROUPED_METHODS)}, got {method!r}")
    for name, given, user in (("variances", variances, "wls"), ("residuals", residuals, "mint_shrink")):
        if (given is None) == (method == user):
            raise ValueError(f"{name} must be given for {user} and for it only, got method {method!r}")
    large = len(grouping) >= SPARSE_FROM
    if large and method == "mint_shrink":
        raise ValueError(f"mint_shrink is for fewer than {SPARSE_FROM} nodes, got {len(grouping)}")
    levels = list(grouping.levels)
    needed = levels[-1:] if method == "bottom_up" else levels
    forecasts = NodeValues(grouping, base, "base forecasts", needed=needed)
    y = np.column_stack([forecasts.day(day) for day in range(forecasts.days)])
    y = np.maximum(y, 0.0) if nonnegative else y
    dense = method == "mint_shrink" or not (large or nonnegative or method == "bottom_up")
    summing = grouping.summing.toarray() if dense else grouping.summing
    errors = _errors(grouping, method, variances, residuals)
    past = {} if errors is None else {"y_insample": errors, "y_hat_insample": np.zeros_like(errors)}
    covariance: Floats | None = None
    if method == "bottom_up":
        x = BottomUpSparse().fit_predict(S=summing, y_hat=y)["mean"]
    else:
        kind, name = MinTrace if dense else MinTraceSparse, "wls_var" if method == "wls" else method
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Converted matrix")  # how the library calls its own solver
            x = kind(name, nonnegative=nonnegative).fit_predict(S=summing, y_hat=y, **past)["mean"]
        if method == "mint_shrink":
            covariance = kind(name).fit(S=summing, y_hat=y, **past).W
        elif errors is not None:
            covariance = np.square(errors).mean(axis=1)
        else:
            counts = np.asarray(grouping.summing.sum(axis=1)).ravel()
            covariance = counts if method == "wls_struct" else np.ones_like(counts)
    audit = GroupedAudit(grouping, method, nonnegative=nonnegative, covariance=covariance)
    for day in range(forecasts.days):
        audit.look(x[:, day], y[:, day])
    return Reconciled({level: x[nodes] for level, nodes in grouping.levels.items()}, audit.finish())


class GroupedAudit(Audit):
    """Audit of a grouped hierarchy; arrays hold one value for each node.

    Parameters
    ----------
    grouping, method, nonnegative
        What was reconciled, and how.
    covariance : ndarray of shape (n,) or (n, n), or None
        Of the base errors, its diagonal if it is one; None for bottom-up, where leaves keep their base
        forecasts.
    """

    def __init__(
        self, grouping: Grouping, method: str, *, nonnegative: bool, covariance: Floats | None
    ) -> None:
        super().__init__(method, nonnegative=nonnegative, name=grouping.name, tolerance=TOLERANCE)
        self.summing = grouping.summing
        self.bottom = grouping.levels[list(grouping.levels)[-1]]
        self.precision: Any = None
        if covariance is not None:
            diagonal = covariance if covariance.ndim == 1 else np.diag(covariance)
            self.own = diagonal[self.bottom]
            whole = covariance.ndim == 2
            self.precision = np.linalg.inv(covariance) if whole else sparse.diags(1 / diagonal)

    def look(self, values: Floats, base: Floats) -> None:
        """Take in the next day."""
        self.day(values)
        leaves = values[self.bottom]
        size = np.maximum(np.abs(values), self.summing @ np.abs(leaves))
        self.coherence.see(np.abs(values - self.summing @ leaves), size, self.place)
        step = (values - base)[self.bottom]
        if self.precision is not None:
            step = self.own * (self.summing.T @ (self.precision @ (values - base)))
        moved = np.minimum(leaves, step) if self.nonnegative else step
        usual = np.sqrt(np.mean(leaves**2 + base[self.bottom] ** 2))
        self.promise.see(np.abs(moved), usual, lambda leaf: self.place(self.bottom.start + leaf))


def _errors(
    grouping: Grouping, method: GroupedMethod, variances: Values | None, residuals: ArrayLike | None
) -> Floats | None:
    """Past errors from which the library finds what the method weighs by."""
    if variances is not None:
        given = NodeValues(grouping, variances, "variances", needed=list(grouping.levels), days=1).day(0)
        if len(bad := np.flatnonzero(given <= 0)):
            raise ValueError(f"variances must be positive, got {given[bad[0]]} for {grouping.name(bad[0])}")
        # Two errors whose mean square and whose variance both are the given one, up to a common factor that
        # lifts all above the constant which the library adds.
        return np.column_stack([np.sqrt(2 * given / given.min()), np.zeros(len(given))])
    if residuals is None:
        return None
    errors = np.asarray(residuals, dtype=np.float64)
    if errors.ndim != 2 or len(errors) != len(grouping) or not np.isfinite(errors).all():
        raise ValueError(
            f"residuals must be finite, of shape ({len(grouping)}, observations), got {errors.shape}"
        )
    return errors

"""Few axes that carry most of the differences: principal coordinates of distances, principal components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from models.clustering.kinds import SCALED, Kind

Floats = NDArray[np.float64]

#: Eigenvalues below this share of the largest are rounding errors of zero.
_TINY = 1e-10


class PrincipalCoordinates(BaseEstimator):  # type: ignore[misc]
    """Coordinates whose squared Euclidean distances are given dissimilarities (classical scaling).

    Parameters
    ----------
    n_axes : int, optional
        Axes to keep; if not given, as many as explain ``min_explained``.
    min_explained : float
        Share of the inertia to explain.

    Attributes
    ----------
    coordinates_ : ndarray of shape (n, axes)
        Centred; the sign of an axis is such that its largest coordinate in size is positive.
    eigenvalues_ : ndarray of shape (axes,)
        Inertia of each kept axis: the mean square of its coordinates.
    explained_ : ndarray of shape (axes,)
        The same as a share of the inertia of all axes that are real.
    total_inertia_ : float
        Inertia of all axes that are real.
    negative_share_ : float
        Inertia of imaginary axes (dissimilarities that no space can hold), as a share of the real. Roots
        of Gower distances without missing values have none.

    Notes
    -----
    O(n cubed) time, O(n squared) memory.

    References
    ----------
    Gower (1966), "Some distance properties of latent root and vector methods used in multivariate analysis",
    Biometrika 53, 325-338; Gower (1968), "Adding a point to vector diagrams", Biometrika 55, 582-585.
    """

    def __init__(self, n_axes: int | None = None, min_explained: float = 0.9) -> None:
        self.n_axes = n_axes
        self.min_explained = min_explained

    def fit(self, squared: Floats, y: Any = None) -> Self:
        """Find the axes of a matrix of squared distances.

        Raises
        ------
        ValueError
            The matrix is not square or holds NaN, or a parameter is out of range.
        """
        if squared.ndim != 2 or squared.shape[0] != squared.shape[1] or np.isnan(squared).any():
            raise ValueError(f"squared distances must be a square matrix without NaN, got {squared.shape}")
        n = len(squared)
        self.row_means_ = squared.mean(axis=1)
        inner = squared - self.row_means_[:, None] - self.row_means_[None, :] + self.row_means_.mean()
        inner *= -0.5 / n
        values, vectors = eigh(inner, overwrite_a=True, check_finite=False)
        values, vectors = values[::-1], vectors[:, ::-1]
        real = values > _TINY * max(values[0], 0.0)
        self.total_inertia_ = float(values[real].sum())
        self.negative_share_ = float(-values[values < 0].sum() / self.total_inertia_) if real.any() else 0.0
        kept = _axes(values[real], self.n_axes, self.min_explained)
        self.eigenvalues_ = values[:kept].copy()
        self.explained_ = self.eigenvalues_ / (self.total_inertia_ or 1.0)
        self.coordinates_ = _signed(vectors[:, :kept]) * np.sqrt(n * self.eigenvalues_)
        return self

    def project(self, squared: Floats) -> Floats:
        """Coordinates of new points from their squared distances to the fitted ones, shape (new, axes)."""
        check_is_fitted(self, "coordinates_")
        centred = self.row_means_[None, :] - squared
        centred = centred - centred.mean(axis=1, keepdims=True)
        scale = 2 * len(self.coordinates_) * self.eigenvalues_
        return np.asarray(centred @ (self.coordinates_ / scale))


class PrincipalComponents(BaseEstimator):  # type: ignore[misc]
    """Principal components of standardised variables, as FactoMineR's ``PCA``: coordinates, inertia by axis.

    Parameters and attributes are those of `PrincipalCoordinates`; ``loadings_`` has shape (variables, axes).
    Variables with one value are left out.
    """

    def __init__(self, n_axes: int | None = None, min_explained: float = 0.9) -> None:
        self.n_axes = n_axes
        self.min_explained = min_explained

    def fit(self, values: Floats, weights: Floats | None = None) -> Self:
        """Find the axes of a matrix of shape (rows, variables) without missing values."""
        self.mean_, deviation = values.mean(axis=0), values.std(axis=0)
        weight = np.ones(values.shape[1]) if weights is None else weights
        varies = deviation > _TINY * np.maximum(np.abs(self.mean_), 1e-300)
        self.scale_ = np.where(varies, np.sqrt(weight) / np.where(varies, deviation, 1.0), 0.0)
        standard = (values - self.mean_) * self.scale_
        covariance = standard.T @ standard / len(values)
        eigenvalues, vectors = eigh(covariance)
        eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
        real = eigenvalues > _TINY * max(eigenvalues[0], 0.0)
        self.total_inertia_, self.negative_share_ = float(eigenvalues[real].sum()), 0.0
        kept = _axes(eigenvalues[real], self.n_axes, self.min_explained)
        self.eigenvalues_ = eigenvalues[:kept].copy()
        self.explained_ = self.eigenvalues_ / (self.total_inertia_ or 1.0)
        coordinates = standard @ vectors[:, :kept]
        sign = _signs(coordinates)
        self.loadings_, self.coordinates_ = vectors[:, :kept] * sign, coordinates * sign
        return self

    def project(self, values: Floats) -> Floats:
        """Coordinates of new rows, shape (new, axes)."""
        check_is_fitted(self, "loadings_")
        return np.asarray(((values - self.mean_) * self.scale_) @ self.loadings_)


def _axes(eigenvalues: Floats, n_axes: int | None, min_explained: float) -> int:
    """How many axes to keep; at least one if there is any."""
    if n_axes is not None:
        if n_axes < 1:
            raise ValueError(f"n_axes must be at least 1, got {n_axes}")
        return min(n_axes, len(eigenvalues))
    if not 0 < min_explained <= 1:
        raise ValueError(f"min_explained must be in (0, 1], got {min_explained}")
    if not len(eigenvalues):
        return 0
    cumulative = np.cumsum(eigenvalues) / eigenvalues.sum()
    return min(int(np.searchsorted(cumulative, min_explained - 1e-12)) + 1, len(eigenvalues))


def _signs(columns: Floats) -> Floats:
    if not columns.size:
        return np.ones(columns.shape[1])
    # Of coordinates of the same size up to rounding, the first row's decides.
    size = np.abs(columns)
    largest = np.argmax(size >= size.max(axis=0) * (1 - 1e-9), axis=0)
    sign = np.sign(columns[largest, np.arange(columns.shape[1])])
    return np.where(sign == 0, 1.0, sign)


def _signed(columns: Floats) -> Floats:
    return np.asarray(columns * _signs(columns))


def axis_correlations(X: pd.DataFrame, kinds: Mapping[str, Kind], coordinates: Floats) -> list[pd.Series]:
    """Correlation of each axis with numbers, levels and single categories, strongest first.

    Parameters
    ----------
    X
        Rows as they are compared.
    coordinates : ndarray of shape (rows, axes)

    Returns
    -------
    By axis, indexed by variable and category; the category of what is no category is empty.
    """
    columns: dict[tuple[str, str], Any] = {}
    for name, kind in kinds.items():
        column = X[name]
        if kind is Kind.NOMINAL:
            for category in sorted(set(column.dropna())):
                columns[name, str(category)] = (column == category).to_numpy(np.float64)
        elif kind in SCALED and isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy(np.float64)
            columns[name, ""] = np.where(codes < 0, np.nan, codes)
        else:
            columns[name, ""] = column.to_numpy(np.float64)
    table = pd.DataFrame(columns)
    found = (table.corrwith(pd.Series(axis, index=table.index)).dropna() for axis in coordinates.T)
    return [one.sort_values(key=abs, ascending=False, kind="stable") for one in found]

"""Bootstrap EM: m models, each learned from its own resample, and draws of what is missing from each.

The resamples carry the uncertainty of the parameters, the draws that of the cells: Honaker, King
and Blackwell (2011), "Amelia II: A Program for Missing Data", Journal of Statistical Software 45(7).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from models.imputation.design import Bounds, Design
from models.imputation.discrete import Codes, draw_discrete
from models.imputation.draws import conditional_draws, conditional_means
from models.imputation.em import Convergence, EMOptions, Incomplete, Moments, run_em, workers
from models.imputation.panel import Panel
from models.imputation.preflight import inspect_columns
from models.imputation.priors import CellPrior, PriorTable
from models.imputation.report import ImputationReport
from models.imputation.threads import single_blas
from models.imputation.transforms import Transform

Floats = NDArray[np.float64]
#: What a table may be; a completed one is of the same kind.
Table = Any

#: Resamples that are tried until every column has two different values.
MAX_RESAMPLES = 100


class BootstrapEMImputer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Multiple imputation of a table of measurements.

    Parameters
    ----------
    m : int
        Completed data sets; each has a model of its own.
    ridge : float or None
        Prior rows per row of data, of unit variance and without correlation. None: none, or one in a hundred if
        there are fewer rows than parameters.
    ridge_cap : float
        Largest ridge that is taken automatically where the covariance is all but singular.
    transforms : mapping, optional
        ``log``, ``sqrt``, ``logistic``, ``ordinal`` or ``nominal`` by column.
    bounds : mapping, optional
        Lowest and highest value by numeric column, None for no bound.
    priors : sequence of CellPrior, optional
        Of cells of the table given to ``fit``.
    panel : Panel, optional
    ignore : collection
        Columns that are passed on untouched.
    max_categories, min_observed : int
        Most categories of a nominal column; fewest observed cells of any.
    tolerance, max_iter, max_seconds, max_condition
        See ``EMOptions``; the caps are of each chain.
    max_resample : int
        How often a row is drawn again whose cells fall outside their bounds.
    n_jobs : int
        Threads; the result does not depend on them.
    random_state : int

    Attributes
    ----------
    design_ : Design
    mean_, covariance_ : ndarray of shape (p,), (p, p)
        Of all rows, in model units.
    chain_means_, chain_covariances_ : ndarray of shape (m, p), (m, p, p)
    report_ : ImputationReport
    n_features_in_, feature_names_in_
    """

    def __init__(
        self,
        m: int = 5,
        *,
        ridge: float | None = None,
        ridge_cap: float = 0.05,
        transforms: Mapping[str | int, Transform] | None = None,
        bounds: Bounds | None = None,
        priors: Sequence[CellPrior] | None = None,
        panel: Panel | None = None,
        ignore: Collection[str | int] = (),
        max_categories: int = 10,
        min_observed: int = 10,
        tolerance: float = 1e-4,
        max_iter: int = 500,
        max_seconds: float | None = None,
        max_condition: float = 1e10,
        max_resample: int = 100,
        n_jobs: int = 1,
        random_state: int = 0,
    ) -> None:
        self.m = m
        self.ridge = ridge
        self.ridge_cap = ridge_cap
        self.transforms = transforms
        self.bounds = bounds
        self.priors = priors
        self.panel = panel
        self.ignore = ignore
        self.max_categories = max_categories
        self.min_observed = min_observed
        self.tolerance = tolerance
        self.max_iter = max_iter
        self.max_seconds = max_seconds
        self.max_condition = max_condition
        self.max_resample = max_resample
        self.n_jobs = n_jobs
        self.random_state = random_state

    # ------------------------------------------------------------------------------------------ fit

    def fit(self, X: Table, y: Any = None) -> Self:
        """Learn the m models.

        Parameters
        ----------
        X : DataFrame or array of shape (n, columns)
            NaN or None where missing.
        y
            Not used.

        Raises
        ------
        ValueError
            A parameter is out of range, or no column can be modelled.
        """
        began = time.perf_counter()
        self._check_parameters()
        frame = self._frame(X, reset=True)
        with single_blas():
            self._fit(frame, began)
        self._table = X
        return self

    def _fit(self, frame: pd.DataFrame, began: float) -> None:
        preflight = inspect_columns(
            frame,
            transforms=self.transforms or {},
            panel=self.panel,
            ignore=self.ignore,
            max_categories=self.max_categories,
            min_observed=self.min_observed,
        )
        self.design_ = Design().fit(frame, preflight, self.panel)
        values = self.design_.encode(frame)
        preflight = preflight.sized(values, self.ridge)
        self.design_.standardise(values, learn=True)
        self.design_.model_bounds(self.bounds or {})  # wrong ones are reported before the work
        preflight = preflight.with_collinear(values, self.design_.owner_)
        data = Incomplete.of(values, self._prior_table(values, self.priors))
        options = EMOptions(
            preflight.ridge,
            self.ridge_cap,
            self.tolerance,
            self.max_iter,
            self.max_seconds,
            self.max_condition,
        )
        with workers(self.n_jobs, data.patterns) as pool:
            (reference, first), *chains = self._fit_chains(data, options, pool)
        self.mean_, self.covariance_ = self._model_units(reference)
        self.reference_ = reference
        self.chains_ = [moments for moments, _ in chains]
        units = [self._model_units(moments) for moments in self.chains_]
        self.chain_means_ = np.array([mean for mean, _ in units])
        self.chain_covariances_ = np.array([covariance for _, covariance in units])
        self.report_ = ImputationReport(
            preflight, first, [convergence for _, convergence in chains], time.perf_counter() - began
        )

    def _fit_chains(
        self, data: Incomplete, options: EMOptions, pool: Any
    ) -> list[tuple[Moments, Convergence]]:
        names = self.design_.names_
        n, p = data.filled.shape
        reference = run_em(data, np.ones(n), Moments.start(p), options, pool=pool, names=names)
        out = [reference]
        for seed in np.random.SeedSequence(self.random_state).spawn(self.m):
            weight = _resample(data, np.random.default_rng(seed))
            # From the answer for all rows a resample's is a few steps away.
            out.append(run_em(data, weight, reference[0], options, pool=pool, names=names))
        return out

    # ------------------------------------------------------------------------------------- complete

    def iter_completed(self) -> Iterator[Table]:
        """The m completed data sets of the table given to ``fit``, one at a time.

        Raises
        ------
        ValueError
            The imputer was stored and loaded: the table is not stored with it, pass it to ``iter_complete``.
        """
        check_is_fitted(self, "chains_")
        if getattr(self, "_table", None) is None:
            raise ValueError("a stored imputer does not hold its table: call iter_complete(X) or complete(X)")
        return self.iter_complete(self._table, priors=self.priors)

    @property
    def completed_(self) -> list[Table]:
        """The m completed data sets of the table given to ``fit``; drawn anew, and equal, at each access."""
        return list(self.iter_completed())

    def complete(
        self,
        X: Table,
        m: int | None = None,
        *,
        seed: int | None = None,
        priors: Sequence[CellPrior] | None = None,
    ) -> list[Table]:
        """Completed data sets of a table, which may hold new rows; see ``iter_complete``."""
        return list(self.iter_complete(X, m, seed=seed, priors=priors))

    def iter_complete(
        self,
        X: Table,
        m: int | None = None,
        *,
        seed: int | None = None,
        priors: Sequence[CellPrior] | None = None,
    ) -> Iterator[Table]:
        """Complete a table m times by the fitted models, one data set at a time.

        Parameters
        ----------
        X : DataFrame or array
            The columns of ``fit``; a frame may have more, which are passed on.
        m : int, optional
            Data sets; more than there are chains use chains again, with draws of their own.
        seed : int, optional
            Of the draws; ``random_state`` if not given. Give each day its own.
        priors : sequence of CellPrior, optional
            Of cells of this table.
        """
        frame, values, table = self._prepare(X, priors)
        count = self.m if m is None else m
        seeds = np.random.SeedSequence([self.random_state if seed is None else seed, 1]).spawn(count)
        self.clipped_ = 0
        fixed = None if self.design_.discrete else Incomplete.of(values, table)
        for k, own in enumerate(seeds):
            rng = np.random.default_rng(own)
            moments = self.chains_[k % len(self.chains_)]
            with single_blas():
                codes: Codes = {}
                data = fixed
                if data is None:
                    drawn_in = values.copy()
                    codes = draw_discrete(drawn_in, self.design_, moments, rng=rng, priors=table)
                    data = Incomplete.of(drawn_in, table)
                with workers(self.n_jobs, data.patterns) as pool:
                    drawn, clipped = conditional_draws(
                        data,
                        moments,
                        rng,
                        bounds=self._cell_bounds(data),
                        max_resample=self.max_resample,
                        pool=pool,
                    )
            self.clipped_ += clipped
            yield self._completed(X, frame, data, drawn, codes)

    def transform(self, X: Table) -> Table:
        """The table with each missing cell at its conditional mean, averaged over the chains.

        For a first look, or a method that needs one number; it scatters too little for any statement of precision.
        Categories are the likeliest ones.
        """
        frame, values, _ = self._prepare(X, None)
        with single_blas():
            # Categories by the model of all rows; what is continuous given these, by every chain.
            codes = draw_discrete(values, self.design_, self.reference_, rng=None)
            data = Incomplete.of(values)
            with workers(self.n_jobs, data.patterns) as pool:
                mean = np.mean([conditional_means(data, chain, pool=pool) for chain in self.chains_], axis=0)
        bounds = self._cell_bounds(data)
        return self._completed(X, frame, data, mean if bounds is None else np.clip(mean, *bounds), codes)

    # -------------------------------------------------------------------------------------- plumbing

    def _prepare(
        self, X: Table, priors: Sequence[CellPrior] | None
    ) -> tuple[pd.DataFrame, Floats, PriorTable | None]:
        check_is_fitted(self, "chains_")
        frame = self._frame(X, reset=False)
        values = self.design_.standardise(self.design_.encode(frame))
        return frame, values, self._prior_table(values, priors)

    def _prior_table(self, values: Floats, priors: Sequence[CellPrior] | None) -> PriorTable | None:
        if not priors:
            return None
        return PriorTable.build(
            priors, self.design_.numeric, np.isnan(values), self.design_.center_, self.design_.scale_
        )

    def _cell_bounds(self, data: Incomplete) -> tuple[Floats, Floats] | None:
        limits = self.design_.model_bounds(self.bounds or {})
        if limits is None:
            return None
        column = data.columns_of_cells()
        return limits[0][column], limits[1][column]

    def _model_units(self, moments: Moments) -> tuple[Floats, Floats]:
        center, scale = self.design_.center_, self.design_.scale_
        return center + scale * moments.mean, moments.covariance * np.outer(scale, scale)

    def _frame(self, X: Table, *, reset: bool) -> pd.DataFrame:
        if isinstance(X, pd.DataFrame):
            if X.columns.has_duplicates:
                raise ValueError(
                    f"columns must have different names, got {list(X.columns[X.columns.duplicated()])}"
                )
            frame = X
        else:
            values = np.asarray(X, dtype=np.float64)
            if values.ndim != 2:
                raise ValueError(f"Expected 2D array, got {values.ndim}D array instead: Reshape your data")
            frame = pd.DataFrame(values, copy=False)
        if len(frame) == 0:
            raise ValueError("a table must have rows, got none")
        if reset:
            self.feature_names_in_ = np.array(list(frame.columns), dtype=object)
            self.n_features_in_ = frame.shape[1]
        lost = [name for name in self.feature_names_in_ if name not in frame.columns]
        if lost:
            raise ValueError(f"the table must have the columns of the fit, got none called {lost}")
        return frame

    def _completed(
        self, X: Table, frame: pd.DataFrame, data: Incomplete, drawn: Floats, codes: Codes
    ) -> Table:
        bounds = self.bounds or {}
        if not isinstance(X, pd.DataFrame) and self.design_.plain and not bounds:
            # A large array needs neither a frame nor a detour over its columns.
            out = np.array(X, dtype=np.float64)
            out[data.missing] = self.design_.original_units(drawn, data.columns_of_cells())
            return out
        filled = self.design_.completed(frame, data.missing, drawn, codes, bounds)
        return filled if isinstance(X, pd.DataFrame) else filled.to_numpy(dtype=np.float64)

    def _check_parameters(self) -> None:
        whole = {
            "m": self.m,
            "max_iter": self.max_iter,
            "n_jobs": self.n_jobs,
            "max_resample": self.max_resample,
        }
        for name, value in whole.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value!r}")
        shares = {"ridge": self.ridge, "ridge_cap": self.ridge_cap}
        for name, share in shares.items():
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} must be prior rows per row of data, in 0..1, got {share!r}")
        if not self.tolerance > 0:
            raise ValueError(f"tolerance must be positive, got {self.tolerance!r}")

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        # The table stays out of a stored model: it may be large, and it is the lake's.
        return {name: value for name, value in state.items() if name != "_table"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags


def _resample(data: Incomplete, rng: np.random.Generator) -> Floats:
    """How often each row is drawn; drawn again while a column is left with fewer than two observed rows."""
    rows = np.flatnonzero(data.observed_rows)
    for _ in range(MAX_RESAMPLES):
        weight = np.bincount(rows[rng.integers(0, len(rows), len(rows))], minlength=len(data.observed_rows))
        if (data.rare_rows @ (weight > 0) >= 2).all():
            break
    return weight.astype(np.float64)

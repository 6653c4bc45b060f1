"""A look at every column before the model: what it is, what is done with it, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.imputation.panel import Panel
from models.imputation.transforms import TRANSFORMS, Transform

#: ``modelled``: cells are imputed and help others. ``filled``: a constant, its missing cells are the same.
#: ``left_out``: cannot be modelled, missing cells stay missing. ``passed_on``: named so by the user, or part of
#: the panel's place and complete.
Action = Literal["modelled", "filled", "left_out", "passed_on"]
#: Columns are called collinear if they correlate so closely on rows that have both.
COLLINEAR = 1 - 1e-9
#: Most rows looked at for collinear pairs, evenly spread.
SAMPLE_ROWS = 100_000
#: Prior rows per row if there are fewer rows than parameters.
SMALL_RIDGE = 0.01


@dataclass(frozen=True)
class ColumnFinding:
    """What was found of a column.

    Attributes
    ----------
    column : str or int
    action : str
        See ``Action``.
    transform : str or None
        Of a modelled column.
    observed, missing : int
        Cells.
    problem : str or None
        ``all_missing``, ``constant``, ``few_observed``, ``too_many_categories``, ``not_a_measure`` or
        ``collinear``.
    words : str
        One sentence.
    """

    column: str | int
    action: Action
    transform: Transform | None
    observed: int
    missing: int
    problem: str | None
    words: str


@dataclass(frozen=True)
class Preflight:
    """All columns, and whether there are enough rows for the parameters.

    Attributes
    ----------
    findings : list of ColumnFinding
    rows : int
        Rows with anything observed in a modelled column.
    empty_rows : int
        Rows with nothing: they are imputed from the overall distribution and teach nothing.
    parameters : int
        Means, variances and covariances.
    ridge : float
        Prior rows per row that the model starts with.
    """

    findings: list[ColumnFinding]
    rows: int = 0
    empty_rows: int = 0
    parameters: int = 0
    ridge: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[ColumnFinding]:
        """Columns that someone should look at."""
        return [finding for finding in self.findings if finding.problem is not None]

    def table(self) -> pd.DataFrame:
        """One row per column."""
        return pd.DataFrame([vars(finding) for finding in self.findings])

    def sized(self, values: NDArray[np.float64], ridge: float | None) -> Preflight:
        """Add the number of rows and parameters of the model matrix, and the ridge they call for."""
        p = values.shape[1]
        empty = int(np.isnan(values).all(axis=1).sum())
        rows, parameters = len(values) - empty, p * (p + 3) // 2
        notes = []
        if empty:
            notes.append(f"{empty} rows have nothing observed: imputed from the overall distribution")
        if rows < parameters:
            notes.append(
                f"{rows} rows for {parameters} parameters: leave out columns, or trust the ridge, "
                "which draws correlations towards zero"
            )
        start = (SMALL_RIDGE if rows < parameters else 0.0) if ridge is None else ridge
        return replace(
            self, rows=rows, empty_rows=empty, parameters=parameters, ridge=start, notes=[*self.notes, *notes]
        )

    def with_collinear(self, values: NDArray[np.float64], owner: Sequence[str | int | None]) -> Preflight:
        """Name columns that follow from one other column.

        Parameters
        ----------
        values : ndarray of shape (n, p)
            The model matrix, standardised.
        owner : sequence of length p
            Column of the table behind each column of the matrix; None for those of a panel.
        """
        partner: dict[str | int, str | int] = {}
        for i, j in collinear_pairs(values):
            a, b = owner[i], owner[j]
            if a is not None and b is not None and a != b:
                partner.setdefault(b, a)
                partner.setdefault(a, b)
        findings = [
            replace(
                one,
                problem="collinear",
                words=f"follows from {partner[one.column]!r}: both kept, the ridge is raised as far as it must be",
            )
            if one.column in partner and one.problem is None
            else one
            for one in self.findings
        ]
        return replace(self, findings=findings)


def inspect_columns(
    frame: pd.DataFrame,
    *,
    transforms: Mapping[str | int, Transform],
    panel: Panel | None = None,
    ignore: Collection[str | int] = (),
    max_categories: int = 10,
    min_observed: int = 10,
) -> Preflight:
    """Decide on each column.

    Parameters
    ----------
    frame : DataFrame
    transforms : mapping
        By column; numbers without one are taken as they are, words as ``nominal``.
    panel : Panel, optional
        Its time and unit enter by the columns made of them.
    ignore : collection
        Columns to pass on untouched: identifiers, dates.
    max_categories : int
        Most categories of a ``nominal`` column.
    min_observed : int
        Fewest observed cells of a column.

    Raises
    ------
    ValueError
        A transform is unknown, or it or ``ignore`` names a column that is not there.
    """
    for column, transform in transforms.items():
        if transform not in TRANSFORMS:
            raise ValueError(
                f"a transform must be one of {', '.join(TRANSFORMS)}, got {transform!r} for {column!r}"
            )
    strangers = [column for column in (*transforms, *ignore) if column not in frame.columns]
    if strangers:
        raise ValueError(f"transforms and ignore must name columns of the table, got {strangers}")
    place = set() if panel is None else {panel.time, panel.unit} - {None}
    return Preflight(
        [
            _inspect(
                frame[column],
                transforms.get(column),
                passed_on=column in ignore or column in place,
                max_categories=max_categories,
                min_observed=min_observed,
            )
            for column in frame.columns
        ]
    )


def _inspect(
    values: pd.Series,
    asked: Transform | None,
    *,
    passed_on: bool,
    max_categories: int,
    min_observed: int,
) -> ColumnFinding:
    column: Any = values.name
    observed = int(values.notna().sum())
    missing = len(values) - observed

    def found(action: Action, words: str, problem: str | None = None) -> ColumnFinding:
        used = transform if action == "modelled" else None
        return ColumnFinding(column, action, used, observed, missing, problem, words)

    transform: Transform | None = asked
    if passed_on:
        return found("passed_on", "passed on untouched")
    if observed == 0:
        return found("left_out", "nothing observed: cells stay missing", "all_missing")
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric and not np.isfinite([values.min(), values.max()]).all():
        raise ValueError(f"column {column!r} must be finite or missing, got infinity")
    if values.min() == values.max() if numeric else (known := values.dropna()).eq(known.iloc[0]).all():
        return found("filled", f"constant: missing cells are {values.dropna().iloc[0]!r}", "constant")
    if observed < min_observed:
        return found(
            "left_out",
            f"only {observed} of {min_observed} cells observed: cells stay missing",
            "few_observed",
        )
    if not numeric and pd.api.types.is_datetime64_any_dtype(values):
        return found("left_out", "a date is no measurement: cells stay missing", "not_a_measure")
    if transform is None:
        transform = "identity" if numeric else "nominal"
    if transform == "nominal" and (different := int(values.nunique())) > max_categories:
        return found(
            "left_out",
            f"{different} categories, at most {max_categories}: cells stay missing",
            "too_many_categories",
        )
    if not numeric and transform not in ("nominal", "ordinal"):
        return found("left_out", f"words have no {transform}: cells stay missing", "not_a_measure")
    return found("modelled", f"modelled as {transform}" if transform != "identity" else "modelled")


def collinear_pairs(values: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of columns that correlate perfectly on the rows that have both, at least three."""
    step = max(1, -(-len(values) // SAMPLE_ROWS))
    part = values[::step]
    seen = ~np.isnan(part)
    known = seen.astype(np.float64)
    filled = np.where(seen, part, 0.0)
    both = known.T @ known
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = filled.T @ known / both  # mean of the row's column where the other is known, too
        squares = np.square(filled).T @ known / both - np.square(sums)
        products = filled.T @ filled / both - sums * sums.T
        correlation = np.abs(products) / np.sqrt(squares * squares.T)
    found = np.triu((correlation > COLLINEAR) & (both >= 3), 1)
    return [(int(i), int(j)) for i, j in zip(*np.nonzero(found), strict=True)]

"""EM against the textbook's row-by-row sums, the likelihood, and tables that cannot be inverted."""

from __future__ import annotations

import numpy as np
import pytest

from models.imputation.em import EMOptions, Incomplete, Moments, run_em, workers
from models.imputation.kernels import expect
from models.imputation.patterns import Patterns
from models.imputation.priors import CellPrior, PriorTable


def table(n: int, p: int, seed: int, share: float = 0.3) -> np.ndarray:
    """Standardised correlated normals with missing cells."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 2)) @ rng.normal(size=(2, p)) + rng.normal(size=(n, p))
    values[rng.random((n, p)) < share] = np.nan
    values -= np.nanmean(values, axis=0)
    return values / np.nanstd(values, axis=0)


def some_moments(p: int, seed: int) -> Moments:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2 * p, p))
    return Moments.of(rng.normal(size=p), rows.T @ rows / len(rows))


def textbook(values, weight, moments, priors=None):
    """Expected sums and products, one row at a time from the covariance itself."""
    p = values.shape[1]
    sums, products = np.zeros(p), np.zeros((p, p))
    for i, row in enumerate(values):
        gap = np.isnan(row)
        seen = ~gap
        gain = moments.covariance[np.ix_(gap, seen)] @ np.linalg.pinv(moments.covariance[np.ix_(seen, seen)])
        mean = moments.mean[gap] + gain @ (row[seen] - moments.mean[seen])
        rest = moments.covariance[np.ix_(gap, gap)] - gain @ moments.covariance[np.ix_(seen, gap)]
        if priors is not None and priors.row[i] >= 0:
            # A prior is one more observation of the cell, with its own error.
            extra = priors.precision[priors.row[i], gap]
            prior_mean = priors.mean[priors.row[i], gap]
            inverse = np.linalg.inv(rest)
            updated = np.linalg.inv(inverse + np.diag(extra))
            mean, rest = updated @ (inverse @ mean + extra * prior_mean), updated
        filled = row.copy()
        filled[gap] = mean
        sums += weight[i] * filled
        products += weight[i] * np.outer(filled, filled)
        products[np.ix_(gap, gap)] += weight[i] * rest
    return sums, products


def log_likelihood(values, weight, moments):
    total = 0.0
    for row, w in zip(values, weight, strict=True):
        seen = ~np.isnan(row)
        part = moments.covariance[np.ix_(seen, seen)]
        off = row[seen] - moments.mean[seen]
        total -= 0.5 * w * (np.linalg.slogdet(part)[1] + off @ np.linalg.solve(part, off))
    return total


@pytest.mark.parametrize("with_priors", [False, True])
def test_expected_sums_are_those_of_the_textbook(with_priors):
    values = table(60, 5, 1)
    values[:10, 1:3] = np.nan  # a pattern that rows share
    values[10] = np.nan
    weight = np.random.default_rng(2).integers(0, 3, 60).astype(float)
    moments = some_moments(5, 3)
    priors = None
    if with_priors:
        given = [CellPrior(0, 1, 0.5, 0.3), CellPrior(0, 2, -1.0, 1.0), CellPrior(5, 1, 2.0, 0.1)]
        priors = PriorTable.build(given, range(5), np.isnan(values), np.zeros(5), np.ones(5))
    expected = textbook(values, weight, moments, priors)
    data = Incomplete.of(values.copy(), priors)
    sums, products = np.zeros(5), np.zeros((5, 5))
    expect(
        data.filled,
        weight,
        moments.mean,
        moments.precision,
        *data.arguments(),
        0,
        len(data.patterns),
        sums,
        products,
    )
    observed = data.filled * weight[:, None]
    np.testing.assert_allclose(sums + observed.sum(axis=0), expected[0], rtol=1e-10)
    np.testing.assert_allclose(
        products + products.T + observed.T @ data.filled, expected[1], rtol=1e-9, atol=1e-9
    )


def test_likelihood_never_falls_and_ends_at_its_top():
    values, weight = table(80, 4, 4), np.random.default_rng(5).integers(0, 3, 80).astype(float)
    seen: list[Moments] = []
    found, convergence = run_em(
        Incomplete.of(values.copy()), weight, some_moments(4, 6), EMOptions(tolerance=1e-9), watch=seen.append
    )
    path = [log_likelihood(values, weight, moments) for moments in seen]
    assert len(path) == convergence.iterations + 1
    assert (np.diff(path) > -1e-9).all()
    assert path[1] - path[0] > 1
    top = log_likelihood(values, weight, found)
    rng = np.random.default_rng(7)
    for _ in range(20):
        step = rng.normal(size=4), rng.normal(size=(4, 4))
        for sign in (-1, 1):
            moved = Moments.of(
                found.mean + sign * 1e-3 * step[0], found.covariance + sign * 1e-3 * (step[1] + step[1].T)
            )
            assert log_likelihood(values, weight, moved) < top


def test_complete_table_gives_its_own_moments_at_once():
    values = table(50, 3, 8, share=0.0)
    found, convergence = run_em(Incomplete.of(values.copy()), np.ones(50), Moments.start(3), EMOptions())
    np.testing.assert_allclose(found.mean, values.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(values, rowvar=False, ddof=0), atol=1e-12)
    assert convergence.converged
    assert convergence.iterations <= 2


def test_ridge_is_prior_rows_without_correlation():
    values = table(40, 3, 9, share=0.0)
    found, _ = run_em(Incomplete.of(values.copy()), np.ones(40), Moments.start(3), EMOptions(ridge=0.25))
    plain = np.cov(values, rowvar=False, ddof=0)
    np.testing.assert_allclose(found.covariance, (plain + 0.25 * np.eye(3)) / 1.25, atol=1e-12)


def test_threads_do_not_change_a_bit():
    data, options = Incomplete.of(table(6000, 6, 10)), EMOptions()
    assert len(data.patterns.blocks) > 3
    results = []
    for n_jobs in (1, 2, 5):
        with workers(n_jobs, data.patterns) as pool:
            assert (pool is None) == (n_jobs == 1)
            results.append(run_em(data, np.ones(6000), Moments.start(6), options, pool=pool)[0])
    for other in results[1:]:
        assert other.covariance.tobytes() == results[0].covariance.tobytes()
        assert other.precision.tobytes() == results[0].precision.tobytes()


def test_rows_without_any_cell_change_nothing():
    values = table(100, 4, 11)
    alone, first = run_em(Incomplete.of(values.copy()), np.ones(100), Moments.start(4), EMOptions())
    padded = np.vstack([values, np.full((50, 4), np.nan)])
    beside, second = run_em(Incomplete.of(padded), np.ones(150), Moments.start(4), EMOptions())
    np.testing.assert_allclose(beside.covariance, alone.covariance, atol=1e-12)
    assert first.iterations == second.iterations


def test_stopping_rule_keeps_its_promise_where_convergence_is_slow():
    values = table(300, 3, 12, share=0.6)
    exact, _ = run_em(
        Incomplete.of(values.copy()),
        np.ones(300),
        Moments.start(3),
        EMOptions(tolerance=1e-10, max_iter=5000),
    )
    found, convergence = run_em(
        Incomplete.of(values.copy()), np.ones(300), Moments.start(3), EMOptions(tolerance=1e-4)
    )
    assert convergence.iterations > 20
    assert np.abs(found.covariance - exact.covariance).max() < 2e-4


@pytest.mark.parametrize("kind", ["duplicate", "sum", "more columns than rows", "never together"])
def test_singular_tables_are_survived_and_told(kind):
    values = table(60, 5, 13, share=0.15)
    if kind == "duplicate":
        values[:, 4] = values[:, 0]
    elif kind == "sum":
        values[:, 4] = values[:, 0] + values[:, 1]
    elif kind == "more columns than rows":
        values = table(12, 20, 14, share=0.1)
    else:
        values[:30, 0] = np.nan
        values[30:, 1] = np.nan
    names = [f"c{j}" for j in range(values.shape[1])]
    found, convergence = run_em(
        Incomplete.of(values.copy()),
        np.ones(len(values)),
        Moments.start(values.shape[1]),
        EMOptions(),
        names=names,
    )
    assert np.isfinite(found.covariance).all()
    assert np.isfinite(found.precision).all()
    assert convergence.condition <= 1e10
    if kind in ("duplicate", "sum"):
        assert convergence.ridge_raised
        assert set(convergence.flat_columns) == {"c0", "c4"} | ({"c1"} if kind == "sum" else set())
        assert "all but collinear: c0" in convergence.words
    if kind == "more columns than rows":
        assert convergence.ridge_raised
        assert convergence.ridge <= 0.05
        assert len(convergence.flat_columns) == 20


def test_well_conditioned_tables_are_not_touched():
    _, convergence = run_em(Incomplete.of(table(100, 4, 15)), np.ones(100), Moments.start(4), EMOptions())
    assert convergence.ridge == 0
    assert not convergence.ridge_raised
    assert convergence.flat_columns == []


def test_caps_stop_a_chain_and_say_so():
    data = Incomplete.of(table(300, 3, 16, share=0.5))
    _, capped = run_em(data, np.ones(300), Moments.start(3), EMOptions(max_iter=2))
    assert (capped.converged, capped.stopped_by, capped.iterations) == (False, "max_iter", 2)
    assert "NOT converged (max_iter)" in capped.words
    _, slow = run_em(data, np.ones(300), Moments.start(3), EMOptions(max_seconds=1e-9))
    assert (slow.converged, slow.stopped_by) == (False, "max_seconds")


def test_patterns_gather_equal_rows_and_lose_none():
    rng = np.random.default_rng(17)
    missing = rng.random((500, 70)) < 0.02  # more columns than bits of a word
    missing[100:200] = missing[0]
    found = Patterns.of(missing)
    assert sorted(found.order) == list(np.flatnonzero(missing.any(axis=1)))
    assert found.cells == missing.sum()
    kinds = set()
    for k in range(len(found)):
        rows = found.order[found.start[k] : found.start[k + 1]]
        columns = found.columns[found.column_start[k] : found.column_start[k + 1]]
        for row in rows:
            assert list(np.flatnonzero(missing[row])) == list(columns)
        kinds.add(tuple(columns))
    assert len(kinds) == len(found)
    assert found.blocks[0] == 0
    assert found.blocks[-1] == len(found)

"""Draws against the conditional normal itself, within bounds against the truncated one, and their accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from models.imputation.draws import conditional_draws, conditional_means
from models.imputation.em import Incomplete, Moments
from models.imputation.imputer import BootstrapEMImputer
from models.imputation.pooling import pool

MEAN = np.array([0.3, -0.5, 1.0, 0.0])
COVARIANCE = np.array(
    [[1.0, 0.6, 0.3, 0.0], [0.6, 1.2, 0.2, 0.3], [0.3, 0.2, 0.8, -0.4], [0.0, 0.3, -0.4, 1.0]]
)
#: The second and fourth of four columns are missing; what is left of them given the others.
SEEN, GONE = [0, 2], [1, 3]
GAIN = COVARIANCE[np.ix_(GONE, SEEN)] @ np.linalg.inv(COVARIANCE[np.ix_(SEEN, SEEN)])
LEFT = COVARIANCE[np.ix_(GONE, GONE)] - GAIN @ COVARIANCE[np.ix_(SEEN, GONE)]
ROW = np.array([1.0, np.nan, 0.2, np.nan])
EXPECTED = MEAN[GONE] + GAIN @ (ROW[SEEN] - MEAN[SEEN])


def copies(n: int) -> Incomplete:
    """The same row again and again, between other patterns that must not disturb it."""
    values = np.tile(ROW, (2 * n, 1))
    values[1::2, 3] = 0.5
    return Incomplete.of(values)


def test_means_and_covariances_of_draws():
    n = 40_000
    data, moments = copies(n), Moments.of(MEAN, COVARIANCE)
    cells, clipped = conditional_draws(data, moments, np.random.default_rng(1))
    both = np.array([cells[0::3], cells[1::3]])  # two cells, then the one of the other pattern
    assert clipped == 0
    np.testing.assert_allclose(both.mean(axis=1), EXPECTED, atol=5 / np.sqrt(n))
    np.testing.assert_allclose(np.cov(both), LEFT, atol=0.03)
    np.testing.assert_allclose(conditional_means(data, moments)[:2], EXPECTED, rtol=1e-12)


def test_bounded_draws_are_truncated_normals():
    n = 5_000
    data, moments = copies(n), Moments.of(MEAN, COVARIANCE)
    low = np.tile([EXPECTED[0] + 0.5, -np.inf, EXPECTED[0] + 0.5], n)
    cells, clipped = conditional_draws(
        data, moments, np.random.default_rng(2), bounds=(low, np.full(3 * n, np.inf))
    )
    assert clipped == 0
    assert (cells >= low).all()
    sd = np.sqrt(LEFT[0, 0])
    assert stats.kstest(cells[0::3], stats.truncnorm(0.5 / sd, np.inf, EXPECTED[0], sd).cdf).pvalue > 1e-3
    # The other cell of the row follows the one that was bounded.
    slope = LEFT[0, 1] / LEFT[0, 0]
    assert np.mean(cells[1::3]) == pytest.approx(
        EXPECTED[1] + slope * (cells[0::3].mean() - EXPECTED[0]), abs=0.05
    )


def test_cells_that_cannot_be_drawn_within_bounds_are_set_there_and_counted():
    data, moments = copies(50), Moments.of(MEAN, COVARIANCE)
    low = np.full(150, 40.0)
    cells, clipped = conditional_draws(
        data, moments, np.random.default_rng(3), bounds=(low, np.full(150, 50.0)), max_resample=3
    )
    assert clipped == 150
    assert (cells == 40.0).all()


def missing_at_random(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Three correlated columns; the second and third go missing where the first is high."""
    factor = np.linalg.cholesky(np.array([[1, 0.7, 0.4], [0.7, 1, 0.5], [0.4, 0.5, 1]]))
    values = rng.standard_normal((n, 3)) @ factor.T + np.array([0.0, 2.0, -1.0])
    holes = values.copy()
    chance = 1 / (1 + np.exp(-(1.2 * values[:, 0] - 0.8)))
    for j in (1, 2):
        holes[rng.random(n) < chance, j] = np.nan
    return values, holes


def test_pooled_intervals_cover_what_they_promise_where_data_are_missing_at_random():
    repetitions, n, m = 500, 200, 10
    hits = {"mean": 0, "second mean": 0, "slope": 0}
    naive = 0
    rng = np.random.default_rng(20261128)
    for seed in range(repetitions):
        _, holes = missing_at_random(n, rng)
        estimates, variances = [], []
        for table in BootstrapEMImputer(m, ridge=0.0, random_state=seed).fit(holes).iter_completed():
            design = np.column_stack([np.ones(n), table[:, 0]])
            inverse = np.linalg.inv(design.T @ design)
            slope = inverse @ design.T @ table[:, 1]
            rest = float(np.sum((table[:, 1] - design @ slope) ** 2)) / (n - 2)
            estimates.append([table[:, 1].mean(), table[:, 2].mean(), slope[1]])
            variances.append([table[:, 1].var(ddof=1) / n, table[:, 2].var(ddof=1) / n, rest * inverse[1, 1]])
        pooled = pool(estimates, variances, complete_df=n - 2)
        inside = (pooled.low <= [2.0, -1.0, 0.7]) & (pooled.high >= [2.0, -1.0, 0.7])
        for name, hit in zip(hits, inside, strict=True):
            hits[name] += int(hit)
        seen = holes[~np.isnan(holes[:, 1]), 1]
        naive += int(abs(seen.mean() - 2.0) <= 1.96 * seen.std(ddof=1) / np.sqrt(len(seen)))
    for name, count in hits.items():
        assert 0.93 <= count / repetitions <= 0.97, (name, count / repetitions)
    assert naive / repetitions < 0.5  # what is observed, alone, is far off: the test can fail


def test_error_is_that_of_the_conditional_normal():
    rng = np.random.default_rng(5)
    n, p, m = 30_000, 10, 5
    loadings = rng.normal(size=(p, 3))
    covariance = loadings @ loadings.T + np.eye(p)
    truth = rng.standard_normal((n, p)) @ np.linalg.cholesky(covariance).T
    holes = np.where(rng.random((n, p)) < 0.2, np.nan, truth)
    gaps = np.isnan(holes)
    imputer = BootstrapEMImputer(m, random_state=1).fit(holes)

    def rmse(cells: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(cells - truth[gaps]))))

    optimum = rmse(conditional_means(Incomplete.of(holes.copy()), Moments.of(np.zeros(p), covariance)))
    assert rmse(imputer.transform(holes)[gaps]) == pytest.approx(optimum, rel=0.01)
    # The mean of m draws carries the m-th part of a draw's own scatter.
    drawn = np.mean([table[gaps] for table in imputer.iter_completed()], axis=0)
    assert rmse(drawn) == pytest.approx(optimum * np.sqrt(1 + 1 / m), rel=0.01)
    column_means = np.broadcast_to(np.nanmean(holes, axis=0), (n, p))[gaps]
    assert rmse(column_means) > 1.3 * optimum

"""What is missing, and whether imputations can be believed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from models.imputation.density import compare_densities
from models.imputation.dispersion import disperse
from models.imputation.imputer import BootstrapEMImputer
from models.imputation.missingness import little_mcar, pattern_table
from models.imputation.overimpute import overimpute


def table(n: int = 500, seed: int = 0, *, at_random: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 4)) @ np.array(
        [[1, 0.7, 0.5, 0.2], [0, 0.7, 0.3, 0.4], [0, 0, 0.8, 0.1], [0, 0, 0, 0.9]]
    )
    frame = pd.DataFrame(values, columns=list("abcd"))
    chance = 0.25 if not at_random else 1 / (1 + np.exp(1.5 - 2 * values[:, 0]))
    for column in "bcd":
        frame.loc[rng.random(n) < chance, column] = np.nan
    return frame


def test_patterns_add_up_to_all_rows():
    frame = table(300)
    full = pattern_table(frame, top=100)
    assert full["rows"].sum() == 300
    assert full["share"].sum() == pytest.approx(1)
    assert list(full["rows"]) == sorted(full["rows"], reverse=True)
    shown = full.iloc[0]
    same = (frame.isna().to_numpy() == shown[list("abcd")].to_numpy(dtype=bool)).all(axis=1)
    assert same.sum() == shown["rows"]
    short = pattern_table(frame, top=3)
    assert short["rows"].sum() == 300
    assert short.index[-1] == f"{len(full) - 3} others"


def test_little_s_statistic_by_hand():
    """One column complete, one partly missing: EM has a closed form (Anderson 1957), and so has the test."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=80)
    b = 0.6 * a + rng.normal(size=80)
    b[a > 0.8] = np.nan
    seen = ~np.isnan(b)
    slope = np.cov(a[seen], b[seen])[0, 1] / a[seen].var(ddof=1)
    mean_b = b[seen].mean() + slope * (a.mean() - a[seen].mean())
    rest = np.mean((b[seen] - b[seen].mean() - slope * (a[seen] - a[seen].mean())) ** 2)
    var = a.var()
    covariance = np.array([[var, slope * var], [slope * var, rest + slope**2 * var]]) * 80 / 79
    off = np.array([a[seen].mean() - a.mean(), b[seen].mean() - mean_b])
    statistic = seen.sum() * off @ np.linalg.solve(covariance, off)
    statistic += (~seen).sum() * (a[~seen].mean() - a.mean()) ** 2 / covariance[0, 0]
    found = little_mcar(pd.DataFrame({"a": a, "b": b}))
    assert found.df == 1
    assert found.statistic == pytest.approx(statistic, rel=1e-3)
    assert found.p_value == pytest.approx(stats.chi2.sf(statistic, 1), rel=0.05)
    assert (found.patterns, found.rows) == (2, 80)


def test_little_s_test_keeps_its_level_and_sees_missing_at_random():
    p_values = [little_mcar(table(300, seed)).p_value for seed in range(120)]
    assert 0.005 <= np.mean(np.array(p_values) < 0.05) <= 0.12
    assert stats.kstest(p_values, "uniform").pvalue > 0.001
    seen = little_mcar(table(300, 1, at_random=True))
    assert seen.p_value < 1e-4
    assert seen.words.startswith("not completely at random")


def test_the_test_has_nothing_to_say_of_a_complete_table():
    found = little_mcar(pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) ** 2}))
    assert np.isnan(found.p_value)
    assert "one pattern only" in found.words


@pytest.fixture(scope="module")
def fitted() -> tuple[pd.DataFrame, BootstrapEMImputer]:
    frame = table(1500, 5, at_random=True)
    return frame, BootstrapEMImputer(5, random_state=2).fit(frame)


def test_overimputation_covers_as_often_as_it_says(fitted):
    _, imputer = fitted
    new = table(1500, 6, at_random=True)
    found = overimpute(imputer, new, level=0.9, cells_per_column=700)
    assert found.coverage == pytest.approx(0.9, abs=0.025)
    by = found.by_column().set_index("column")
    assert list(by.index) == list("abcd")
    assert (by["coverage"] > 0.86).all()
    cells = found.cells
    for column in "abcd":
        part = cells[cells["column"] == column]
        observed = new[column].to_numpy()[part["row"]]
        np.testing.assert_array_equal(part["observed"], observed)
    assert by.loc["b", "correlation"] > 0.4


def test_overimputation_is_the_conditional_normal_without_the_cell(fitted):
    frame, imputer = fitted
    found = overimpute(imputer, frame, draws=400, cells_per_column=30, seed=3).cells
    moments = imputer.chain_means_, imputer.chain_covariances_
    values = frame.to_numpy()
    for _, cell in found.iterrows():
        row, j = values[cell["row"]], "abcd".index(cell["column"])
        seen = ~np.isnan(row)
        seen[j] = False
        expected, variances = [], []
        for mean, covariance in zip(*moments, strict=True):
            gain = covariance[j, seen] @ np.linalg.pinv(covariance[np.ix_(seen, seen)])
            expected.append(mean[j] + gain @ (row[seen] - mean[seen]))
            variances.append(covariance[j, j] - gain @ covariance[seen, j])
        error = np.sqrt(np.mean(variances) / 400)
        assert cell["mean"] == pytest.approx(np.mean(expected), abs=5 * error)
    other = overimpute(imputer, frame, draws=400, cells_per_column=30, seed=3).cells
    pd.testing.assert_frame_equal(found, other)


def test_overimputation_sees_a_model_that_is_wrong():
    rng = np.random.default_rng(7)
    x = rng.normal(size=800)
    skewed = pd.DataFrame({"x": x, "y": np.exp(2 * x + rng.normal(size=800))})
    skewed.loc[rng.random(800) < 0.2, "y"] = np.nan
    plain = BootstrapEMImputer(3).fit(skewed)
    logs = BootstrapEMImputer(3, transforms={"y": "log"}).fit(skewed)
    wrong, right = (
        overimpute(one, skewed, cells_per_column=300).by_column().set_index("column") for one in (plain, logs)
    )
    assert abs(right.loc["y", "coverage"] - 0.9) < 0.05
    assert wrong.loc["y", "coverage"] > 0.95  # far too wide for most, far too narrow for the few


def test_densities_have_area_one_and_differ_where_they_should(fitted):
    frame, imputer = fitted
    curves, summary = compare_densities(frame, imputer.iter_completed())
    assert list(summary["column"]) == list("bcd")
    for _, part in curves.groupby("column"):
        for side in ("observed", "imputed"):
            assert np.trapezoid(part[side], part["value"]) == pytest.approx(1, abs=0.06)
    by = summary.set_index("column")
    assert by.loc["b", "imputed_mean"] > by.loc["b", "observed_mean"] + 0.3  # missing where a is high
    assert by.loc["b", "distance"] > 0.1


def test_dispersed_starts_agree_unless_the_data_do_not_tell():
    frame = table(300, 8)
    found = disperse(BootstrapEMImputer(2).fit(frame), frame, starts=4)
    assert found.agree
    assert found.spread < 1e-3
    ends = found.paths.groupby("start")["position"].last()
    starts = found.paths.groupby("start")["position"].first()
    assert np.ptp(ends) < 1e-3 < np.ptp(starts)
    # Two columns never seen together: their covariance is anything that the others allow.
    rng = np.random.default_rng(9)
    apart = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    apart.loc[:149, "a"] = np.nan
    apart.loc[150:, "b"] = np.nan
    unsure = disperse(BootstrapEMImputer(2, max_iter=200).fit(apart), apart, starts=4)
    assert not unsure.agree
    assert "different answers" in unsure.words

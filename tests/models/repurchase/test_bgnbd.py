"""BG/NBD: against its authors' parameters, numerical integration and simulation."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import beta, gamma

from models.repurchase.bgnbd import BgNbd, History, _log_likelihood

#: Fader, Hardie & Lee (2005), table 2.
PUBLISHED = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, log_likelihood=-9582.4)


def simulate(truth: BgNbd, customers: int, age: float, ahead: float) -> tuple[History, np.ndarray]:
    """Customers who buy and leave as the model says: what was seen, and purchases after it."""
    rng = np.random.default_rng(3)
    rate = rng.gamma(truth.r, 1 / truth.alpha, customers)
    leave = rng.beta(truth.a, truth.b, customers)
    now, gone = np.zeros(customers), np.zeros(customers, dtype=bool)
    repeats, recency, later = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    for _ in range(2000):
        now += rng.exponential(1 / rate)
        buys = ~gone & (now < age + ahead)
        if not buys.any():
            break
        seen = buys & (now < age)
        repeats += seen
        recency[seen] = now[seen]
        later += buys & ~seen
        gone |= rng.random(customers) < leave
    # Rounded, so that customers resemble each other as they do in days: equal ones are computed once.
    return History.of(repeats, np.round(recency), np.full(customers, age)), later


@pytest.mark.real_data
def test_published_parameters_of_cdnow(data_dir: Path) -> None:
    """On the authors' sample: r 0.243, alpha 4.414, a 0.793, b 2.426, log likelihood -9582.4."""
    golden = Path(__file__).with_name("golden") / "cdnow_sample_ids.txt"
    sample = " ".join(line for line in golden.read_text().splitlines() if not line.startswith("#")).split()
    assert len(sample) == 2357
    end = date(1997, 9, 30)
    days = (
        pl.read_csv(data_dir / "cdnow" / "cdnow.csv", schema_overrides={"customer_id": pl.String})
        .with_columns(pl.col("date").str.to_date())
        .filter(pl.col("customer_id").is_in(sample) & (pl.col("date") <= end))
        .unique(["customer_id", "date"])
        .group_by("customer_id")
        .agg(
            x=pl.len() - 1,
            t=(pl.col("date").max() - pl.col("date").min()).dt.total_days() / 7,
            T=(pl.lit(end) - pl.col("date").min()).dt.total_days() / 7,
        )
    )
    found = BgNbd.fit(History.of(days["x"].cast(pl.Float64), days["t"], days["T"]))
    for name in ("r", "alpha", "a", "b"):
        assert round(getattr(found, name), 3) == getattr(PUBLISHED, name), name
    assert found.log_likelihood == pytest.approx(PUBLISHED.log_likelihood, abs=0.05)


@pytest.mark.parametrize(("x", "t", "T"), [(0, 0.0, 30.0), (1, 5.0, 30.0), (4, 25.0, 30.0)])
def test_likelihood_is_the_integral_over_rates_and_chances_to_leave(x, t, T):
    m = BgNbd(r=1.2, alpha=10.0, a=1.5, b=3.0)

    def density(leave: np.ndarray, rate: np.ndarray) -> np.ndarray:
        stays = (1 - leave) ** x * rate**x * np.exp(-rate * T)
        left = leave * (1 - leave) ** (x - 1) * rate**x * np.exp(-rate * t) if x else 0.0
        weight = gamma.pdf(rate, m.r, scale=1 / m.alpha) * beta.pdf(leave, m.a, m.b)
        return (stays + left) * weight

    node, weight = np.polynomial.legendre.leggauss(400)
    inside, weight = (node + 1) / 2, weight / 2
    leave, rate = np.meshgrid(inside, 3 * inside)
    integral = 3 * weight @ density(leave, rate) @ weight
    found = _log_likelihood(m.r, m.alpha, m.a, m.b, np.array([x]), np.array([t]), np.array([T]))
    assert np.exp(found[0]) == pytest.approx(integral, rel=1e-4)


def test_finds_what_customers_were_simulated_with_and_foretells_them():
    truth = BgNbd(r=0.8, alpha=6.0, a=0.9, b=2.5)
    history, later = simulate(truth, 20_000, age=40.0, ahead=40.0)
    found = BgNbd.fit(history)
    assert [found.r, found.alpha, found.a, found.b] == pytest.approx([0.8, 6.0, 0.9, 2.5], rel=0.12)
    expected = found.expected_purchases(history, 40.0)
    assert expected.sum() == pytest.approx(later.sum(), rel=0.03)
    for group in (history.repeats == 0, (history.repeats > 3) & (history.recency > 30)):
        assert expected[group].mean() == pytest.approx(later[group].mean(), rel=0.07)
        returned = found.returns_within(history, 40.0)[group].mean()
        assert returned == pytest.approx((later[group] > 0).mean(), abs=0.02)


def test_the_median_wait_halves_those_who_return():
    history = History.of([0, 2, 5], [0, 10, 38], [40, 40, 40])
    median = PUBLISHED.time_to_next(history, 0.5, 40.0)
    half = PUBLISHED.returns_within(history, median)
    np.testing.assert_allclose(half, PUBLISHED.returns_within(history, 40.0) / 2, rtol=1e-9)


def test_who_bought_long_ago_has_likelier_left():
    alive = PUBLISHED.alive(History.of([3, 3, 0], [38, 10, 0], [40, 40, 40]))
    assert alive[0] > 0.8 > 0.3 > alive[1]
    assert alive[2] == 1  # nobody leaves before a second purchase


def test_what_it_refuses():
    with pytest.raises(ValueError, match="bought again"):
        BgNbd.fit(History.of([0, 0], [0, 0], [5, 6]))
    with pytest.raises(ValueError, match="between 0 and age"):
        History.of([1], [7], [6])

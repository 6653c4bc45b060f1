from __future__ import annotations

import numpy as np
import pytest

from pipelines.monitoring.drift import (
    expected_noise,
    measure_shift,
    noise_quantile,
    population_stability,
    total_variation,
)

TENTHS = np.full(10, 0.1)


def test_total_variation_is_the_share_that_changed_bin() -> None:
    reference = np.array([50, 50, 0])
    assert total_variation(np.array([50, 50, 0]), reference) == 0
    assert total_variation(np.array([500, 350, 150]), reference) == pytest.approx(0.15)
    assert total_variation(np.array([0, 0, 9]), reference) == 1


def test_stability_index_by_hand_and_finite_with_empty_bins() -> None:
    # With many rows the half row of the prior vanishes: (.6-.5)ln(.6/.5) + (.4-.5)ln(.4/.5)
    value = population_stability(np.array([600_000, 400_000]), np.array([500_000, 500_000]))
    assert value == pytest.approx(0.1 * np.log(1.2) - 0.1 * np.log(0.8), abs=1e-5)
    assert np.isfinite(population_stability(np.array([10, 0]), np.array([0, 10])))


@pytest.mark.parametrize(("rows", "reference_rows"), [(15_000, 15_000), (500, 500), (100, 15_000)])
def test_noise_agrees_with_multinomial_samples(rows: int, reference_rows: int) -> None:
    """Oracle: distances between pairs of real multinomial samples of one distribution."""
    rng = np.random.default_rng(1)
    a = rng.multinomial(rows, TENTHS, size=20_000) / rows
    b = rng.multinomial(reference_rows, TENTHS, size=20_000) / reference_rows
    distances = np.abs(a - b).sum(axis=1) / 2
    assert expected_noise(TENTHS, rows, reference_rows) == pytest.approx(distances.mean(), rel=0.02)
    quantile = noise_quantile(TENTHS, rows, reference_rows, 0.01)
    assert quantile == pytest.approx(np.quantile(distances, 0.99), rel=0.03)


def test_small_samples_need_more_than_the_limit() -> None:
    """A shift of 20 % is an alarm for 15,000 accounts and within chance for 60."""
    reference = np.full(10, 1500)
    for rows, alarm in ((15_000, True), (60, False)):
        current = np.round(np.array([0.3] + [0.7 / 9] * 9) * rows).astype(np.int64)
        shift = measure_shift(
            current, reference, reference_subjects=15_000, max_shift=0.15, false_alarm_rate=0.001
        )
        assert shift.value == pytest.approx(0.2, abs=0.02)
        assert shift.is_alarm is alarm
        assert shift.threshold >= 0.15


def test_an_unimportant_shift_is_no_alarm_however_many_rows() -> None:
    """The significance test that is not made: 5 % on a million rows is certain and of no importance."""
    current = np.array([150_000, 50_000] + [100_000] * 8)
    shift = measure_shift(
        current,
        np.full(10, 100_000),
        reference_subjects=1_000_000,
        max_shift=0.15,
        false_alarm_rate=0.01,
    )
    assert shift.value == pytest.approx(0.05)
    assert shift.value > 20 * shift.noise
    assert not shift.is_alarm


def test_empty_side_is_refused() -> None:
    with pytest.raises(ValueError, match="both sides need rows, got 0 and 10"):
        measure_shift(
            np.zeros(2, np.int64),
            np.array([5, 5]),
            reference_subjects=10,
            max_shift=0.1,
            false_alarm_rate=0.01,
        )


def test_a_large_segment_that_moved_outranks_a_small_noisy_one() -> None:
    """40 rows drawn without drift lie further away than 4,000 rows that did move, by noise alone."""
    rng = np.random.default_rng(2)

    def against(rows: int, shares: np.ndarray) -> tuple[float, float]:
        shift = measure_shift(
            rng.multinomial(rows, shares),
            np.full(10, 1500),
            reference_subjects=15_000,
            max_shift=0.15,
            false_alarm_rate=0.01,
        )
        return shift.value, shift.excess

    small = against(40, TENTHS)
    large = against(4_000, np.array([0.18] + [0.82 / 9] * 9))
    assert small[0] > large[0]
    assert small[1] < large[1]

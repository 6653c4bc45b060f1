"""Champions: the default serves unless another is surely better, and who is broken or does not compete is left out."""

import numpy as np
import pytest

from models.forecasting.competition import Backtest, compete

H = 4


def backtest(errors: dict[str, float], seconds: dict[str, float] | None = None, cells: int = 1) -> Backtest:
    rng = np.random.default_rng(3)
    actual = rng.poisson(20.0, (40 * cells, H)).astype(float) + 1
    wrong = np.where(rng.random(actual.shape) < 0.5, -1.0, 1.0)
    return Backtest(
        actual=actual,
        censored=np.zeros(actual.shape, dtype=bool),
        forecasts={name: actual + size * wrong for name, size in errors.items()},
        cells=np.repeat([f"cell {i}" for i in range(cells)], 40),
        series=np.tile(np.arange(20), 2 * cells),
        scale=np.ones(len(actual)),
        seconds=seconds or dict.fromkeys(errors, 0.01),
    )


def choose(given: Backtest, default: str = "a"):  # type: ignore[no-untyped-def]
    return compete(given, default=default, confidence=0.9, max_seconds=1)


def test_the_surely_lowest_deviance_serves_and_every_model_is_in_the_table() -> None:
    champions, table = choose(backtest({"a": 3.0, "b": 1.0, "c": 2.0}))
    assert champions["cell 0"].models == ("b",)
    assert "lower than that of a in the backtest, in 100% of the draws" in champions["cell 0"].words
    assert set(table["model"]) == {"a", "b", "c", "average"}
    assert set(table.loc[table["is_champion"], "model"]) == {"b"}
    assert sorted(table.loc[table["model"] == "a", "horizon"]) == [0, 1, 2, 3, 4]


def test_the_default_serves_where_another_is_better_by_luck_only() -> None:
    given = backtest({"a": 3.0})
    other = given.forecasts["a"].copy()
    other[0] = given.actual[0]  # of twenty series, one is forecast better; of another, a little worse
    other[25] += np.sign(other[25] - given.actual[25]) * 0.5
    lucky = Backtest(
        **{**vars(given), "forecasts": {**given.forecasts, "b": other}, "seconds": {"a": 0.1, "b": 0.1}}
    )
    champions, table = compete(lucky, default="a", confidence=0.95, max_seconds=1, averages=False)
    overall = table[table["horizon"] == 0].set_index("model")["deviance"]
    assert overall["b"] < overall["a"]
    assert champions["cell 0"].models == ("a",)
    assert "in too few of the draws" in champions["cell 0"].words
    assert compete(lucky, default="a", confidence=0.6, max_seconds=1, averages=False)[0]["cell 0"].models == (
        "b",
    )


def test_one_series_is_drawn_by_its_origins() -> None:
    """A nation is one series: better in two weeks of three is not sure, in three of three it is."""
    actual = np.full((3, H), 20.0)
    given = Backtest(
        actual=actual,
        censored=np.zeros(actual.shape, dtype=bool),
        forecasts={"a": actual + 3, "b": actual + np.array([[0.0], [0.0], [4.0]])},
        cells=np.repeat(["level:nation"], 3),
        series=np.zeros(3, dtype=int),
        scale=np.ones(3),
        seconds={"a": 0.0, "b": 0.0},
    )
    assert (
        compete(given, default="a", confidence=0.9, max_seconds=1, averages=False)[0]["level:nation"].name
        == "a"
    )
    given.forecasts["b"][2] = 20.0
    assert (
        compete(given, default="a", confidence=0.9, max_seconds=1, averages=False)[0]["level:nation"].name
        == "b"
    )


def test_a_pinned_model_serves_and_the_words_say_what_else_would() -> None:
    given = backtest({"a": 1.0, "b": 3.0})
    given.forecasts["broken"] = np.zeros_like(given.actual)
    given.seconds["broken"] = 0.01
    options = {"default": "a", "confidence": 0.9, "max_seconds": 1}
    champions, table = compete(given, pinned={"cell 0": "b"}, **options)
    assert champions["cell 0"].models == ("b",)
    assert champions["cell 0"].words.startswith("pinned by hand; else a would serve")
    assert set(table.loc[table["is_champion"], "model"]) == {"b"}
    refused, _ = compete(given, pinned={"cell 0": "broken"}, **options)
    assert refused["cell 0"].models == ("a",)
    assert "broken, pinned by hand, is broken" in refused["cell 0"].words


def test_costs_do_not_choose() -> None:
    """Measured seconds differ from one night to the next; the choice must not."""
    errors = {"a": 1.0, "b": 1.0}
    for seconds in ({"a": 0.1, "b": 0.001}, {"a": 0.001, "b": 0.1}):
        assert choose(backtest(errors, seconds), default="b")[0]["cell 0"].models == ("b",)


def test_a_model_over_the_budget_is_in_the_table_but_cannot_serve() -> None:
    champions, table = compete(
        backtest({"a": 2.0, "slow": 1.0}, {"a": 0.01, "slow": 5.0}),
        default="a",
        confidence=0.9,
        max_seconds=1,
    )
    assert champions["cell 0"].models == ("a",)
    assert "slow" in set(table["model"])


def test_two_models_that_err_opposite_ways_serve_as_their_mean() -> None:
    given = backtest({"a": 2.0})
    mirrored = 2 * given.actual - given.forecasts["a"]
    both = Backtest(
        **{**vars(given), "forecasts": {**given.forecasts, "b": mirrored}, "seconds": {"a": 0.01, "b": 0.01}}
    )
    champions, table = choose(both)
    assert set(champions["cell 0"].models) == {"a", "b"}
    assert champions["cell 0"].name == "average"
    assert champions["cell 0"].wape == pytest.approx(0)
    assert table.loc[table["model"] == "average", "seconds_per_series"].iloc[0] == pytest.approx(0.02)


def test_cells_have_champions_of_their_own_and_absent_models_are_left_out() -> None:
    given = backtest({"a": 1.0, "b": 2.0}, cells=2)
    given.forecasts["a"][given.cells == "cell 1"] = np.nan
    champions, table = choose(given)
    assert champions["cell 0"].name == "a"
    assert champions["cell 1"].name == "b"
    assert set(table.loc[table["cell"] == "cell 1", "model"]) == {"b"}


def test_a_cell_without_sales_gets_the_default() -> None:
    given = backtest({"a": 1.0, "b": 1.0})
    given.actual[:] = 0
    given.forecasts["a"][:] = given.forecasts["b"][:] = 0
    champions, _ = choose(given, default="b")
    assert champions["cell 0"].name == "b"
    assert np.isnan(champions["cell 0"].wape)
    assert np.isnan(champions["cell 0"].deviance)


def poisoned(forecasts: dict[str, float | None]) -> Backtest:
    """Slow products beside broken models; None forecasts the mean of each series."""
    rng = np.random.default_rng(5)
    mean = rng.uniform(0.05, 0.25, 60)[:, None]
    actual = rng.poisson(mean, (60, 28)).astype(float)
    return Backtest(
        actual=actual,
        censored=np.zeros(actual.shape, dtype=bool),
        forecasts={
            name: np.broadcast_to(mean, actual.shape) if value is None else np.full(actual.shape, value)
            for name, value in forecasts.items()
        },
        cells=np.repeat(["slow"], 60),
        series=np.arange(60),
        scale=np.ones(60),
        seconds=dict.fromkeys(forecasts, 0.01),
    )


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (0.0, "forecasts nothing"),
        (0.15, "forecasts the same for all series and days"),
        (1e-4, "forecasts the same"),
    ],
)
def test_a_broken_model_does_not_serve_whatever_its_error(value: float, fault: str) -> None:
    given = poisoned({"broken": value, "honest": None})
    champions, table = choose(given)
    assert champions["slow"].models == ("honest",)
    assert f"left out: broken {fault}" in champions["slow"].words
    if value == 0:
        wape = table[table["horizon"] == 0].set_index("model")["wape"]
        assert wape["broken"] < wape["honest"], "the error alone would have let it serve"


def test_a_model_that_forecasts_a_fraction_of_the_sales_does_not_serve() -> None:
    given = poisoned({"honest": None})
    given.forecasts["low"] = given.forecasts["honest"] / 10
    given.seconds["low"] = 0.01
    champions, _ = choose(given)
    assert champions["slow"].models == ("honest",)
    assert "left out: low forecasts 1" in champions["slow"].words


def test_where_all_are_broken_one_serves_all_the_same() -> None:
    champions, _ = choose(poisoned({"zero": 0.0}))
    assert champions["slow"].models == ("zero",)
    assert "left out: zero forecasts nothing" in champions["slow"].words

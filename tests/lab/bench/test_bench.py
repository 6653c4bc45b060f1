"""Benches are found by name and take their own options only."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from pipelines.errors import ConfigError
from pipelines.lab.bench import BENCHES, module_of, run_bench


@pytest.mark.parametrize("name", sorted(BENCHES))
def test_every_bench_takes_the_options_it_is_listed_with(name: str) -> None:
    parameters = inspect.signature(module_of(name).run).parameters
    assert set(BENCHES[name]) <= set(parameters)
    required = {key for key, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    assert required <= {"data"}


def test_unknown_benches_and_foreign_options_are_named() -> None:
    with pytest.raises(ConfigError, match=r"one of churn, telco, .*, got 'foo'"):
        run_bench("foo", {})
    with pytest.raises(ConfigError, match=r"bench telco takes --data, got --rows"):
        run_bench("telco", {"rows": 1, "data": Path()})
    with pytest.raises(ConfigError, match=r"bench m5 needs --data: the folder with m5_store"):
        run_bench("m5", {"data": None})

"""Benches are found by their files; their options are the parameters of their functions."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from pipelines.lab.bench import benches
from pipelines.lab.numpydoc import described


def test_helpers_of_benches_are_no_benches() -> None:
    found = set(benches())
    assert {"churn", "telco", "demand", "online-retail", "reconcile", "gower", "impute"} <= found
    assert not found & {"result", "global-models", "gower-peer", "rossmann-panel", "telco-table"}


@pytest.mark.parametrize("name", sorted(benches()))
def test_every_bench_says_what_its_options_mean(name: str) -> None:
    run = import_module(f"pipelines.lab.bench.{name.replace('-', '_')}").run
    parameters = inspect.signature(run).parameters
    assert set(described(run)) == set(parameters) - {"say"}
    needed = {key for key, each in parameters.items() if each.default is inspect.Parameter.empty}
    assert needed <= {"data"}, "everything else has a default"

"""Benches: commands that measure speed and accuracy; numbers quoted in the docs come from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.bench.result import BenchResult

Say = Callable[[str], None]


def run_bench(
    name: str, *, data: Path | None, accounts: int, seed: int, say: Say = lambda line: None
) -> BenchResult:
    """Run a bench by name.

    Raises
    ------
    ConfigError
        There is no such bench, or it needs ``--data``.
    """
    if name == "churn":
        from pipelines.bench import churn

        return churn.run(accounts=accounts, seed=seed, say=say)
    if name == "telco":
        from pipelines.bench import telco

        if data is None:
            raise ConfigError("bench telco needs --data: the folder with Telco-Customer-Churn.csv")
        return telco.run(data)
    raise ConfigError(f"bench must be churn or telco, got {name!r}")

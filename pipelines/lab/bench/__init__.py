"""Benches: commands that measure speed and accuracy; numbers quoted in the docs come from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.lab.bench.result import BenchResult

Say = Callable[[str], None]

#: Benches by name, each a module with ``run``, and the options that it takes.
BENCHES: Mapping[str, tuple[str, ...]] = {
    "churn": ("accounts", "seed"),
    "telco": ("data",),
    "demand": ("rows", "stores", "skus", "seed"),
    "rossmann": ("data",),
    "m5": ("data",),
    "reconcile": ("leaves", "horizon", "seed"),
    "gower": ("rows", "cols", "seed"),
    "clusters": ("data",),
    "impute": ("rows", "cols", "m", "seed"),
    "online-retail": ("data",),
    "cdnow": ("data",),
    "repurchase": ("customers", "seed"),
}

#: Where the public data of a bench come from.
_FILES = {
    "telco": "Telco-Customer-Churn.csv",
    "rossmann": "train.csv.gz and store.csv",
    "m5": "m5_store_dept_daily_1913.parquet",
    "clusters": "train.csv.gz and store.csv",
    "online-retail": "Online_Retail.parquet",
    "cdnow": "cdnow.csv",
}


def run_bench(name: str, options: Mapping[str, Any], *, say: Say = lambda line: None) -> BenchResult:
    """Run a bench by name.

    Parameters
    ----------
    options
        By name; None stands for the bench's own default.
    say
        Called with a line of progress.

    Raises
    ------
    ConfigError
        There is no such bench, it does not take an option, or it needs ``data``.
    """
    if name not in BENCHES:
        raise ConfigError(f"bench must be one of {', '.join(BENCHES)}, got {name!r}")
    given = {option: value for option, value in options.items() if value is not None}
    foreign = sorted(set(given) - set(BENCHES[name]))
    if foreign:
        takes = ", ".join(f"--{option}" for option in BENCHES[name])
        raise ConfigError(f"bench {name} takes {takes}, got --{foreign[0]}")
    if "data" in BENCHES[name] and "data" not in given:
        raise ConfigError(f"bench {name} needs --data: the folder with {_FILES[name]}")
    result: BenchResult = module_of(name).run(**given, say=say)
    return result


def module_of(name: str) -> Any:
    """Module of a bench."""
    return import_module(f"pipelines.lab.bench.{name.replace('-', '_')}")

"""What the demo does with each use case: a module per use case, all of one shape (:class:`Demo`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipelines.usecases import names

if TYPE_CHECKING:
    from pipelines.lab.airflow_api import AirflowApi
    from pipelines.lab.local import LocalStack
    from pipelines.settings import Settings

Say = Callable[[str], None]

#: The day of the control room, on which the simulated companies end, the retail chain apart. A Monday, and before
#: the holidays and the new year, which would raise honest alarms.
TODAY = date(2025, 12, 1)

#: Longest wait for a run to start or end: far beyond what a busy machine needs.
WAIT_SECONDS = 3_600


def _nothing_to_prepare(settings: Settings, stack: LocalStack) -> None:
    """Most use cases need nothing from the stack before their DAGs run."""


@dataclass(frozen=True)
class Demo:
    """One use case in the demo.

    Attributes
    ----------
    usecase
        Name of the use case.
    dags
        Ids of its DAGs.
    what
        What is simulated, for people; empty if the use case reads another's tables.
    size
        Options of ``millrace generate``, by name.
    until
        First day that is not simulated.
    run
        Runs the DAGs of the use case, in their order.
    check
        Compares what the users' systems hold with the lake: returns lines that say so, raises
        ``MillraceError`` if they differ.
    overrides
        Parameters, for what the small size asks for.
    prepare
        Prepares the stack for what the DAGs need, after the data are landed and before Airflow starts.
    after
        Use cases whose DAGs must have run before.
    small_size, small_overrides
        What else than ``size`` and ``overrides`` the tests take, which run the same DAGs on less data.
    """

    usecase: str
    dags: frozenset[str]
    what: str
    size: Mapping[str, int]
    until: date
    run: Callable[[AirflowApi, Say], None]
    check: Callable[[Settings, LocalStack], list[str]]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Settings, LocalStack], None] = _nothing_to_prepare
    after: tuple[str, ...] = ()
    small_size: Mapping[str, int] = field(default_factory=dict)
    small_overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def small(self) -> Demo:
        """The same on less data."""
        size, overrides = {**self.size, **self.small_size}, {**self.overrides, **self.small_overrides}
        return replace(self, size=size, overrides=overrides)


def demos() -> list[Demo]:
    """Load the demos of all use cases, each after those whose DAGs must have run before."""
    found: dict[str, Demo] = {}

    def add(usecase: str) -> None:
        demo: Demo = import_module(f"{__name__}.{usecase}").DEMO
        for earlier in demo.after:
            add(earlier)
        found.setdefault(usecase, demo)

    for usecase in names():
        add(usecase)
    return list(found.values())


def finish(api: AirflowApi, say: Say, dag_id: str, run_id: str, what: str) -> None:
    """Wait for a DAG run and say how it ended."""
    done = api.wait(dag_id, run_id, seconds=WAIT_SECONDS)
    say(f"  {dag_id:<16} {what}: {done.state} in {done.seconds:.0f} s")


def await_triggered(
    api: AirflowApi, say: Say, dag_id: str, before: Sequence[str], what: str, *, runs: int = 1
) -> None:
    """Wait for the runs of a DAG that something else triggered since ``before``, and for their ends."""
    from pipelines.lab.local import wait_until

    def new() -> list[str]:
        return sorted(set(api.runs(dag_id)) - set(before))

    wait_until(lambda: len(new()) >= runs, f"{runs} new runs of {dag_id}", WAIT_SECONDS)
    for run_id in new():
        finish(api, say, dag_id, run_id, what)


def run_dag(api: AirflowApi, say: Say, dag_id: str, day: date) -> None:
    """Trigger a DAG for a day and wait for it."""
    finish(api, say, dag_id, api.trigger(dag_id, str(day)), f"as_of {day}")

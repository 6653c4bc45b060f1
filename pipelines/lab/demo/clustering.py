"""The demo of clustering: groups of the stores of demand's chain, a month later the same stores again."""

from __future__ import annotations

from datetime import date

from pipelines.errors import MillraceError
from pipelines.lab.airflow_api import AirflowApi
from pipelines.lab.demo import Demo, Say, await_triggered, run_dag
from pipelines.lab.local import LocalStack
from pipelines.settings import Settings

#: A month apart: the second run finds what moved.
FOUND_ON = date(2025, 5, 1)
GROUPED_ON = date(2025, 6, 1)


def _run_clustering(api: AirflowApi, say: Say) -> None:
    """Group the stores of two months; each time the features trigger the clustering."""
    for day in (FOUND_ON, GROUPED_ON):
        grouped = api.runs("store_clustering")
        run_dag(api, say, "store_features", day)
        await_triggered(api, say, "store_clustering", grouped, f"as_of {day}, triggered by the features")


def _check_clustering(settings: Settings, stack: LocalStack) -> list[str]:
    """Compare the stores that have a group with those in scope.

    Raises
    ------
    MillraceError
        They differ.
    """
    import pyarrow.dataset as pa_dataset

    from pipelines.io.lake import Lake
    from pipelines.usecases.clustering.schemas import CLUSTERS, MIGRATIONS

    lake, today = Lake.of(settings), pa_dataset.field("as_of") == GROUPED_ON
    inside = lake.read(
        "features/clustering", columns=["store_id"], where=today & pa_dataset.field("in_scope")
    )
    rows = lake.read(CLUSTERS, columns=["store_id", "cluster"], where=today)
    wanted, found = set(inside["store_id"].to_pylist()), set(rows["store_id"].to_pylist())
    if wanted != found or not found:
        raise MillraceError(
            f"every store in scope on {GROUPED_ON} must have a group: missing {sorted(wanted - found)[:5]}, "
            f"not wanted {sorted(found - wanted)[:5]}"
        )
    groups = sorted(set(rows["cluster"].to_pylist()))
    moves = lake.read(MIGRATIONS, columns=["move"], where=today)["move"].to_pylist()
    return [
        f"{len(found)} stores in the groups {', '.join(groups)} on {GROUPED_ON}; since {FOUND_ON} "
        f"{moves.count('moved')} moved, {moves.count('new')} came, {moves.count('left')} left"
    ]


DEMO = Demo(
    usecase="clustering",
    dags=frozenset({"store_features", "store_clustering"}),
    what="",  # the stores are those of demand
    size={},
    until=GROUPED_ON,
    # What a chain of eight stores can show.
    overrides={
        "clusters.min_clusters": 2,
        "clusters.n_axes": 4,
        "gate.min_stores": 6,
        "gate.min_silhouette": -1.0,
        "gate.min_stability": 0.3,
        "gate.max_unstable_share": 1.0,
    },
    run=_run_clustering,
    check=_check_clustering,
    # Demand reads groups of stores where there are any: side by side, its forecasts would depend on who is first.
    after=("demand",),
)

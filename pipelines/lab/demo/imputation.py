"""The demo of imputation: train, complete two days that wait at once, compare with the features."""

from __future__ import annotations

from datetime import timedelta

from pipelines.errors import MillraceError
from pipelines.lab.airflow_api import AirflowApi
from pipelines.lab.demo import TODAY, Demo, Say, await_triggered, run_dag
from pipelines.lab.local import LocalStack
from pipelines.settings import Settings

TRAINED_ON = TODAY  # a Monday
#: Completed because its measurements arrived late, and because its morning came.
ARRIVED_ON = TODAY - timedelta(days=1)
COMPLETED_ON = TODAY


def _run_imputation(api: AirflowApi, say: Say) -> None:
    """Train; then two days are announced at once, and each is imputed by a run of its own."""
    run_dag(api, say, "imputation_train", TRAINED_ON)
    completed = api.runs("imputation_complete")
    api.asset_event("millrace://lake/raw/imputation_measurements", str(ARRIVED_ON))
    run_dag(api, say, "imputation_daily", COMPLETED_ON)
    await_triggered(api, say, "imputation_complete", completed, "triggered by its measurements", runs=2)


def _check_imputation(settings: Settings, stack: LocalStack) -> list[str]:
    """Compare the completed data sets with what was measured.

    Raises
    ------
    MillraceError
        A measured cell is not in every data set as it was measured, or a gap is left.
    """
    from pipelines.io.lake import Lake
    from pipelines.usecases.imputation.dataset import read_wide
    from pipelines.usecases.imputation.scoring import read_completed

    lake = Lake.of(settings)
    wide = read_wide(lake, COMPLETED_ON, batch=True)
    measured = wide.values.set_axis(wide.parts["part_id"], axis=0)
    tables = read_completed(lake, COMPLETED_ON)
    for number, table in enumerate(tables, start=1):
        ours = table.reindex(index=measured.index, columns=measured.columns)
        differs = int((measured.notna() & (ours != measured)).to_numpy().sum())
        gaps = int(ours.isna().to_numpy().sum())
        if differs or gaps:
            raise MillraceError(
                f"completed data set {number} of {COMPLETED_ON} must hold every measured cell and no gap, got {differs} "
                f"changed cells and {gaps} gaps"
            )
    drawn = int(measured.isna().to_numpy().sum())
    return [
        f"{len(tables)} completed data sets of {len(measured):,} parts on {COMPLETED_ON}: {drawn:,} cells drawn, all "
        f"{int(measured.notna().to_numpy().sum()):,} measured ones unchanged"
    ]


DEMO = Demo(
    usecase="imputation",
    dags=frozenset({"imputation_train", "imputation_daily", "imputation_complete"}),
    what="a factory",
    size={"parts": 6_000, "lines": 3, "stations": 5},
    until=TODAY,
    run=_run_imputation,
    check=_check_imputation,
    small_size={"parts": 1_500, "lines": 2, "stations": 3},
)

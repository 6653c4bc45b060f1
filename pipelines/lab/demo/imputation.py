"""The demo of imputation: train, complete a day by its schedule and one by an arrival, compare with the features."""

from __future__ import annotations

import time

from pipelines.errors import MillraceError
from pipelines.lab.airflow_api import AirflowApi
from pipelines.lab.demo import TODAY, Demo, Say, finish, run_dag
from pipelines.lab.local import LocalStack
from pipelines.settings import Settings

TRAINED_ON = TODAY  # a Monday
#: Completed because its measurements arrived.
ARRIVED_ON = TODAY


def _run_imputation(api: AirflowApi, say: Say) -> None:
    """Train; then tell that measurements arrived, which triggers the day's imputation."""
    run_dag(api, say, "imputation_train", TRAINED_ON)
    before = set(api.runs("imputation_complete"))
    api.asset_event("millrace://lake/raw/imputation_measurements", str(ARRIVED_ON))
    while not (new := set(api.runs("imputation_complete")) - before):
        time.sleep(0.5)
    finish(api, say, "imputation_complete", new.pop(), f"as_of {ARRIVED_ON}, triggered by the measurements")


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
    wide = read_wide(lake, ARRIVED_ON, batch=True)
    measured = wide.values.set_axis(wide.parts["part_id"], axis=0)
    tables = read_completed(lake, ARRIVED_ON)
    for number, table in enumerate(tables, start=1):
        ours = table.reindex(index=measured.index, columns=measured.columns)
        differs = int((measured.notna() & (ours != measured)).to_numpy().sum())
        gaps = int(ours.isna().to_numpy().sum())
        if differs or gaps:
            raise MillraceError(
                f"completed data set {number} of {ARRIVED_ON} must hold every measured cell and no gap, got {differs} "
                f"changed cells and {gaps} gaps"
            )
    drawn = int(measured.isna().to_numpy().sum())
    return [
        f"{len(tables)} completed data sets of {len(measured):,} parts on {ARRIVED_ON}: {drawn:,} cells drawn, all "
        f"{int(measured.notna().to_numpy().sum()):,} measured ones unchanged"
    ]


DEMO = Demo(
    usecase="imputation",
    dags=frozenset({"imputation_train", "imputation_complete"}),
    what="a factory",
    size={"parts": 6_000, "lines": 3, "stations": 5},
    until=TODAY,
    run=_run_imputation,
    check=_check_imputation,
)

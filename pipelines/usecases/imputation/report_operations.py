"""Report, last part: the day's figures, checks, what stays missing, and the tables behind the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.reporting import sections
from pipelines.reporting.control_room import Watched
from pipelines.reporting.site import Missing
from pipelines.usecases.imputation.contracts import USECASE
from pipelines.usecases.imputation.dataset import read_wide
from pipelines.usecases.imputation.schemas import COMPLETED, OUT_OF_SCOPE

#: Rows of this use case in tables that all share.
_OURS = {"usecase": USECASE}

#: Tables of imputation with how often they are renewed.
WATCHED = (
    Watched("raw/imputation_parts", "Parts", "known_at", 7, "millrace ingest imputation"),
    Watched(
        "raw/imputation_measurements",
        "Measurements",
        "known_at",
        2,
        "millrace ingest imputation",
        each_day=True,
    ),
    Watched("features/imputation_cells", "Cells", "as_of", 1, "millrace score imputation"),
    Watched("predictions/imputation_validation", "Overimputation", "as_of", 8, "millrace train imputation"),
    Watched("ops/promotions", "Promotion log", "as_of", 8, "millrace train imputation", _OURS),
    Watched(
        "predictions/imputation_completed", "Completed data sets", "as_of", 1, "millrace score imputation"
    ),
    Watched("ops/monitoring", "Monitoring", "as_of", 1, "millrace monitor imputation", _OURS),
)

#: Findings of single sensors that are within their limits and shown all the same.
_QUIET_SENSORS = 5


@dataclass(frozen=True)
class Headline:
    """The figures on top.

    Attributes
    ----------
    parts, first, last, sensors
        Parts completed, the days on which they were made, and sensors.
    missing_share, limited
        Share of cells that were not measured; those of them beyond a limit.
    imputed, open
        Cells drawn in each data set, and cells that stay missing.
    m, model_version, seed
        Data sets, and what made them.
    """

    parts: int
    first: date
    last: date
    sensors: int
    missing_share: float
    limited: int
    imputed: int
    open: int
    m: int
    model_version: str
    seed: int


def headline(lake: Lake, as_of: date) -> Headline | Missing:
    """Figures of the day's completed data sets."""
    field = pa_dataset.field
    day = field("as_of") == as_of
    columns = ["draw", "imputed", "model_version", "seed"]
    rows = lake.read(COMPLETED, columns=columns, where=day, missing_ok=True)
    if not rows.num_rows:
        return Missing(
            f"There are no completed data sets of {as_of}.", f"millrace score imputation --as-of {as_of}"
        )
    wide = read_wide(lake, as_of, batch=True)
    first = rows.filter(pc.equal(rows["draw"], 1))
    open_cells = lake.read(OUT_OF_SCOPE, columns=["cells"], where=day, missing_ok=True)
    return Headline(
        parts=len(wide.parts),
        first=wide.parts["produced_at"].min().date(),
        last=wide.parts["produced_at"].max().date(),
        sensors=wide.values.shape[1],
        missing_share=float(wide.values.isna().to_numpy().mean()),
        limited=len(wide.limited.row),
        imputed=int(pc.sum(first["imputed"]).as_py() or 0),
        open=int(pc.sum(open_cells["cells"]).as_py() or 0),
        m=int(pc.max(rows["draw"]).as_py()),
        model_version=rows["model_version"][0].as_py(),
        seed=rows["seed"][0].as_py(),
    )


def findings(lake: Lake, as_of: date) -> list[dict[str, Any]] | Missing:
    """Findings of the day's monitoring, most urgent first; of quiet sensors, those nearest to their limit."""
    rows = sections.findings(
        lake, USECASE, as_of, shares=("coverage_90", "missing_shift", "parts"), named=("missing_shift", "not_imputed"),
        counts=("not_imputed", "completed"), what="The completed data sets",
    )  # fmt: skip
    if isinstance(rows, Missing):
        return rows
    quiet = [row for row in rows if row["metric"] == "missing_shift" and row["state"] != "alarm"]
    hidden = {id(row) for row in quiet[_QUIET_SENSORS:]}
    return [row for row in rows if id(row) not in hidden]


def out_of_scope(lake: Lake, as_of: date) -> list[tuple[str, str, int]]:
    """Sensor, why its gaps stay, and how many."""
    where = pa_dataset.field("as_of") == as_of
    rows = lake.read(OUT_OF_SCOPE, where=where, missing_ok=True).to_pylist()
    rows.sort(key=lambda row: (-row["cells"], row["sensor_id"]))
    return [(row["sensor_id"], row["words"], row["cells"]) for row in rows]

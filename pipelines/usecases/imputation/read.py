"""Completed data sets for other use cases and for people: read from the lake as wide tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.usecases.imputation.schemas import COMPLETED


def read_completed(lake: Lake, as_of: date, m: int | None = None) -> list[pd.DataFrame]:
    """The completed data sets of a day; see :func:`iter_completed`."""
    return list(iter_completed(lake, as_of, m))


def iter_completed(lake: Lake, as_of: date, m: int | None = None) -> Iterator[pd.DataFrame]:
    """Completed data sets of a day, one after the other: a row per part, a column per sensor.

    Parameters
    ----------
    m
        How many; all there are if None. Run the same analysis on each and pool the answers with
        :func:`models.imputation.pooling.pool`; the mean of the tables would lose what is not known.

    Raises
    ------
    DataContractError
        The day has no completed data sets, or fewer than asked for.
    """
    day = pa_dataset.field("as_of") == as_of
    draws: list[int] = []
    if lake.exists(COMPLETED.name):
        draws = sorted(pc.unique(lake.read(COMPLETED, columns=["draw"], where=day)["draw"]).to_pylist())
    if not draws or (m is not None and m > len(draws)):
        wanted = "any" if m is None else str(m)
        raise DataContractError(
            f"{COMPLETED.name} must hold {wanted} completed data sets of {as_of}, got {len(draws)}: run `millrace score "
            f"imputation --as-of {as_of}`; their number is model.m in params.yaml"
        )
    version = lake.version(COMPLETED.name)
    for draw in draws[:m]:
        where = day & (pa_dataset.field("draw") == draw)
        columns = ["part_id", "sensor_id", "value", "label"]
        yield _pivoted(lake.read(COMPLETED, columns=columns, where=where, version=version).to_pandas())


def _pivoted(rows: pd.DataFrame) -> pd.DataFrame:
    """Wide table, ordered by part and sensor."""
    parts, row = np.unique(rows["part_id"].to_numpy(dtype=str), return_inverse=True)
    sensors, column = np.unique(rows["sensor_id"].to_numpy(dtype=str), return_inverse=True)
    numbers = np.full((len(parts), len(sensors)), np.nan)
    numbers[row, column] = rows["value"].to_numpy(dtype=np.float64)
    words = np.full(numbers.shape, None, dtype=object)
    words[row, column] = rows["label"].to_numpy(dtype=object)
    nominal = (words != None).any(axis=0)  # noqa: E711 - elementwise
    table = {
        name: words[:, position] if nominal[position] else numbers[:, position]
        for position, name in enumerate(sensors.tolist())
    }
    return pd.DataFrame(table, index=pd.Index(parts, name="part_id"))

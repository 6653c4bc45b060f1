"""What the parts of the report share: the day's groups, their profiles, and the training behind them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from features.schemas import Table
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources.landed import landed_table
from pipelines.usecases.clustering.contracts import SOURCE
from pipelines.usecases.clustering.describe import titles
from pipelines.usecases.clustering.monitor import training_of
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import AXES, CHOICES, CLUSTERS, MIGRATIONS, PROFILES, TREES
from pipelines.usecases.demand.layouts import STORES


@dataclass(frozen=True)
class DayData:
    """Tables of a day, each read when it is first asked for."""

    lake: Lake
    settings: Settings
    as_of: date
    params: ClusteringParams

    @cached_property
    def stores(self) -> pd.DataFrame:
        """Group of every store, in order of ``store_id``; empty if the day was not scored."""
        return self._on(CLUSTERS, self.as_of).sort_values("store_id", ignore_index=True)

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """What sets the groups apart."""
        return self._on(PROFILES, self.as_of)

    @cached_property
    def titles(self) -> dict[str, str]:
        """What to call the groups."""
        return titles(self.profiles) if len(self.profiles) else {}

    @cached_property
    def moves(self) -> pd.DataFrame:
        """Stores that moved, came or left."""
        return self._on(MIGRATIONS, self.as_of)

    @cached_property
    def version(self) -> str:
        """Version that grouped the stores; empty if the day was not scored."""
        return str(self.stores["model_version"].iloc[0]) if len(self.stores) else ""

    @cached_property
    def stability(self) -> pd.DataFrame:
        """Stability of the version's groups; empty if its training is not kept."""
        rows = training_of(self.lake, self.as_of, self.version)
        return rows.sort_values("cluster", ignore_index=True) if len(rows) else rows

    @cached_property
    def trained_on(self) -> date | None:
        """Day for which the version's groups were found."""
        return self.stability["as_of"].iloc[0] if len(self.stability) else None

    def training(self, table: Table, sort: str) -> pd.DataFrame:
        """Rows of the version's training in one of its tables."""
        if self.trained_on is None:
            return pd.DataFrame(columns=table.column_names)
        rows = self._on(table, self.trained_on)
        return rows[rows["model_version"] == self.version].sort_values(sort, ignore_index=True)

    @cached_property
    def choices(self) -> pd.DataFrame:
        """What each number of groups is worth."""
        return self.training(CHOICES, "n_clusters")

    @cached_property
    def merges(self) -> pd.DataFrame:
        """The tree."""
        return self.training(TREES, "step")

    @cached_property
    def axes(self) -> pd.DataFrame:
        """Axes of the map."""
        return self.training(AXES, "axis")

    @cached_property
    def names(self) -> dict[str, str]:
        """Newest name of each store known before the day."""
        table = landed_table(SOURCE, STORES)
        start = pa.scalar(datetime.combine(self.as_of, time.min))
        columns = ["store_id", "store_name", "known_at"]
        rows = self.lake.read(
            table, columns=columns, where=pa_dataset.field("known_at") < start, missing_ok=True
        ).sort_by("known_at")
        return dict(zip(rows["store_id"].to_pylist(), rows["store_name"].to_pylist(), strict=True))

    @cached_property
    def features(self) -> pd.DataFrame:
        """Features of all stores of the day, index ``store_id``."""
        if not self.lake.exists("features/clustering"):
            return pd.DataFrame()
        rows = self.lake.read(
            "features/clustering", where=pa_dataset.field("as_of") == self.as_of
        ).to_pandas()
        features: pd.DataFrame = rows.set_index("store_id").sort_index()
        return features

    def name(self, store: str) -> str:
        """Name of a store, with its id where the name does not tell it."""
        known = self.names.get(store)
        return store if not known else known if store in known.split() else f"{known} ({store})"

    def days(self) -> list[date]:
        """Days with groups up to this one."""
        days = self.lake.read(
            CLUSTERS, columns=["as_of"], where=pa_dataset.field("as_of") <= self.as_of, missing_ok=True
        )["as_of"]
        return sorted(pc.unique(days).to_pylist())

    def _on(self, table: Table, day: date) -> pd.DataFrame:
        where: Any = pa_dataset.field("as_of") == day
        rows: pd.DataFrame = self.lake.read(table, where=where, missing_ok=True).to_pandas()
        return rows

"""Page, first part: the day's tables, the groups in cards, what sets them apart, and how they were found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from features.schemas import Table
from models.clustering.profile import NOTABLE
from models.clustering.stability import DOUBTFUL, STABLE
from pipelines.io.lake import on_day
from pipelines.io.newest import newest_texts
from pipelines.reporting.figure import Figure
from pipelines.reporting.page import Missing
from pipelines.reporting.words import percent
from pipelines.usecase import Run
from pipelines.usecases.clustering import plots
from pipelines.usecases.clustering.describe import family, notable_facts, titles
from pipelines.usecases.clustering.judging import training_of
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import AXES, CHOICES, CLUSTERS, MIGRATIONS, PROFILES, TREES
from pipelines.usecases.clustering.wording import is_worth_telling, label

#: Rows of the heat map.
_ROWS = 18
#: Facts in a card.
_FACTS = 5

_STATES = {"stable": "good", "doubtful": "warn", "unstable": "bad"}


@dataclass(frozen=True)
class DayData:
    """Tables of a day, each read when it is first asked for."""

    run: Run[ClusteringParams]

    @property
    def as_of(self) -> date:
        """The day."""
        return self.run.as_of

    @cached_property
    def stores(self) -> pd.DataFrame:
        """Group of every store, in order of ``store_id``; empty if the day was not scored."""
        return self.rows(CLUSTERS).sort_values("store_id", ignore_index=True)

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """What sets the groups apart."""
        return self.rows(PROFILES)

    @cached_property
    def titles(self) -> dict[str, str]:
        """What to call the groups."""
        return titles(self.profiles) if len(self.profiles) else {}

    @cached_property
    def version(self) -> str:
        """Version that grouped the stores; empty if the day was not scored."""
        return str(self.stores["model_version"].iloc[0]) if len(self.stores) else ""

    @cached_property
    def stability(self) -> pd.DataFrame:
        """Stability of the version's groups; empty if its training is not kept."""
        rows = training_of(self.run.lake, self.as_of, self.version)
        return rows.sort_values("cluster", ignore_index=True) if len(rows) else rows

    @cached_property
    def trained_on(self) -> date | None:
        """Day for which the version's groups were found."""
        return self.stability["as_of"].iloc[0] if len(self.stability) else None

    def training(self, table: Table, sort: str) -> pd.DataFrame:
        """Rows of the version's training in one of its tables."""
        if self.trained_on is None:
            return pd.DataFrame(columns=table.column_names)
        rows = self.rows(table, self.trained_on)
        return rows[rows["model_version"] == self.version].sort_values(sort, ignore_index=True)

    @cached_property
    def names(self) -> dict[str, str]:
        """Newest name of each store known before the day."""
        return newest_texts(self.run.lake, "raw/demand_stores", "store_id", "store_name", self.as_of)

    @cached_property
    def features(self) -> pd.DataFrame:
        """Features of all stores of the day, index ``store_id``."""
        rows = self.rows(self.run.mart("ml_clustering_features").table)
        return rows.set_index("store_id").sort_index()

    def name(self, store: str) -> str:
        """Name of a store, with its id where the name does not tell it."""
        known = self.names.get(store)
        return store if not known else known if store in known.split() else f"{known} ({store})"

    @cached_property
    def day_before(self) -> date | None:
        """Newest earlier day with groups; None on the first."""
        return self.run.lake.newest_day(CLUSTERS, self.as_of - timedelta(days=1))

    def rows(self, table: Table, day: date | None = None) -> pd.DataFrame:
        """Rows of a table, of another day if one is given."""
        where = on_day(day or self.as_of)
        rows: pd.DataFrame = self.run.lake.read(table, where=where, missing_ok=True).to_pandas()
        return rows


def groups(data: DayData) -> dict[str, Any] | Missing:
    """The groups as people see them first.

    Returns ``cards`` of the groups, the ``version`` that found them and the day it was ``trained_on``, the
    number of ``stores`` and the share of them in stable groups, the stores that do not fit (``atypical``),
    and those ``moved`` since the last earlier day (``compared_with``; None on the first).
    """
    rows = data.stores
    if rows.empty:
        return Missing(f"Stores have no groups on {data.as_of}.", data.run.command("score"))
    stability = {row["cluster"]: row for row in data.stability.to_dict("records")}
    takings, names = _takings(data), sorted(rows["cluster"].unique())
    cards = [_card(data, name, names, stability, takings) for name in names]
    stable = sum(card["stores"] for card in cards if card["state"] == "stable")
    return {
        "cards": cards,
        "stores": len(rows),
        "version": data.version,
        "trained_on": data.trained_on,
        "stable_share": stable / len(rows) if len(stability) else None,
        "atypical": int(rows["is_atypical"].sum()),
        "moved": int((data.rows(MIGRATIONS)["move"] == "moved").sum()),
        "compared_with": data.day_before,
    }


def figures(data: DayData) -> list[Figure]:
    """Tree, number of groups, map and stability; those that the training left."""
    found: list[Figure] = []
    choices, merges = data.training(CHOICES, "n_clusters"), data.training(TREES, "step")
    stability = data.stability
    if len(choices):
        chosen = int(choices.loc[choices["chosen"], "n_clusters"].iloc[0])
        if len(merges):
            tree = merges[["left", "right", "height", "stores"]].to_numpy(np.float64)
            found.append(plots.tree(tree, groups=chosen))
        curve = choices.loc[choices["n_clusters"] > 1, ["n_clusters", "inertia_gain", "silhouette"]]
        counts, gain, clear = curve.to_numpy(np.float64).T
        found.append(plots.number_of_groups(counts, gain, clear, chosen))
    if len(stability):
        jaccard = stability["jaccard"].to_numpy(np.float64)
        found.append(
            plots.stability(stability["cluster"].tolist(), jaccard, stable=STABLE, doubtful=DOUBTFUL)
        )
    return found


def store_map(data: DayData) -> Figure | Missing:
    """Stores on the first two axes."""
    rows = data.stores
    if rows.empty:
        return Missing("There is no map without groups.")
    places = plots.Places(
        x=rows["axis_1"].to_numpy(np.float64),
        y=rows["axis_2"].to_numpy(np.float64),
        group=rows["cluster"].tolist(),
        label=[data.name(store) for store in rows["store_id"]],
        typical=rows["is_typical"].to_numpy(bool),
        atypical=rows["is_atypical"].to_numpy(bool),
    )
    axes = data.training(AXES, "axis")[["explained", "words"]].itertuples(index=False, name=None)
    return plots.store_map(places, list(axes) or [(float("nan"), "not kept")] * 2)


def heat_map(data: DayData) -> Figure | Missing:
    """Variables that set groups apart most, by group."""
    rows = data.profiles
    if rows.empty:
        return Missing("There are no profiles of this day.", data.run.command("score"))
    rows = rows[rows["v_test"].notna() & (rows["category"] != "missing")]
    facts = rows[["variable", "category", "inside", "overall"]].itertuples(index=False, name=None)
    told = [is_worth_telling(*fact) for fact in facts]
    rows = rows.assign(
        row=np.where(
            rows["category"].isin(["", "yes"]), rows["variable"], rows["variable"] + "=" + rows["category"]
        ),
        strength=np.where(told, rows["v_test"].abs(), 0.0),
    )
    strongest = rows.groupby("row", sort=True)["strength"].max()
    strongest = strongest[strongest >= NOTABLE].sort_values(ascending=False, kind="stable")
    # Of variables that say much the same only the strongest is shown.
    said = pd.Series([family(row) for row in strongest.index], strongest.index)
    chosen = strongest.index[~said.duplicated()][:_ROWS]
    if not len(chosen):
        return Missing("No variable sets the groups apart beyond chance.")
    wanted = rows[rows["row"].isin(chosen)]
    table = wanted.pivot_table(index="row", columns="cluster", values="v_test", aggfunc="first").loc[
        list(chosen)
    ]
    first = wanted.drop_duplicates("row").set_index("row")
    names = {row: _row_name(first.loc[row]) for row in chosen}
    overall = {row: _shown(first.loc[row], "overall") for row in chosen}
    cells = {(row["row"], row["cluster"]): _shown(row, "inside") for row in wanted.to_dict("records")}
    return plots.profile_heat_map(table, cells, overall, names)


def _card(
    data: DayData, name: str, names: list[str], stability: dict[Any, Any], takings: pd.Series | None
) -> dict[str, Any]:
    rows = data.stores[data.stores["cluster"] == name]
    known = stability.get(name, {"state": "not known", "jaccard": None})
    typical = rows[rows["is_typical"]].sort_values(["distance", "store_id"])
    regions = data.features["region"].reindex(rows["store_id"]).value_counts() if len(data.features) else None
    return {
        "name": name,
        "colour": plots.colour_of(names, name),
        "title": data.titles.get(name, ""),
        "facts": [fact["words"] for fact in notable_facts(data.profiles, name, _FACTS)],
        "stores": len(rows),
        "share": len(rows) / len(data.stores),
        "takings": None if takings is None else float(takings.get(name, 0.0)),
        "typical": [data.name(store) for store in typical["store_id"]],
        "atypical": int(rows["is_atypical"].sum()),
        "regions": [] if regions is None else [f"{place} {count}" for place, count in regions[:3].items()],
        "state": known["state"],
        "badge": _STATES.get(known["state"], ""),
        "jaccard": known["jaccard"],
    }


def _takings(data: DayData) -> pd.Series | None:
    """Share of each group in the chain's takings a day; None if they are not reported."""
    if data.features.empty or data.features["revenue_per_day"].isna().all():
        return None
    daily = data.features["revenue_per_day"].reindex(data.stores["store_id"]).to_numpy(np.float64)
    sums = pd.Series(np.nan_to_num(daily)).groupby(data.stores["cluster"].to_numpy()).sum()
    return sums / sums.sum() if sums.sum() else None


def _row_name(row: pd.Series) -> str:
    name = label(str(row["variable"])).name
    return name if row["category"] in ("", "yes") else f"{name}: {row['category']}"


def _shown(row: Any, column: str) -> str:
    value = float(row[column])
    return percent(value) if row["kind"] == "category" else label(str(row["variable"])).shown(value)

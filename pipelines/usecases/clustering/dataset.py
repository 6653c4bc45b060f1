"""Stores of a day as a model sees them: which variables take part, how they are compared, and which are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from features.contracts import Contract, Role
from features.schemas import DType
from models.clustering.clusterer import StoreClustering
from models.clustering.groups import NamedGroups
from models.clustering.kinds import Kind
from pipelines.errors import ConfigError, DataContractError, NotKeptError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import on_day
from pipelines.monitoring.subjects import Subjects
from pipelines.usecase import Run
from pipelines.usecases.clustering.params import ClusteringParams, DistanceParams

#: What is watched for drift.
SUBJECTS = Subjects("store_id", "stores")

#: Stores among which the mean difference of a variable is taken.
_COMPARED = 1000


@dataclass(frozen=True)
class Stores:
    """Stores of a day."""

    as_of: date
    #: Features of the stores in scope, index ``store_id`` in order, and rows of the others.
    inside: pd.DataFrame
    outside: pd.DataFrame
    #: Declaration of the features.
    contract: Contract
    #: Lake version of ``features/clustering``, and a hash of all rows.
    versions: dict[str, int]
    fingerprint: str

    @property
    def X(self) -> pd.DataFrame:
        """The columns that models may learn from."""
        return self.inside[[feature.name for feature in self.contract.features]]

    @property
    def regions(self) -> pd.Series:
        """Region of each store in scope; describes groups, does not make them."""
        return self.inside[self.contract.with_role(Role.SEGMENT)[0]]


@dataclass(frozen=True)
class Variables:
    """Variables that take part in the distance."""

    #: By name.
    kinds: dict[str, str]
    weights: dict[str, float]
    #: Amounts compared by their ratio.
    log_scaled: list[str]
    #: Words in order, of ordinal variables.
    levels: dict[str, list[str]]
    #: Why other variables take no part, by name.
    left_out: dict[str, str]


def read_stores(run: Run[ClusteringParams], day: date | None = None) -> Stores:
    """Read ``features/clustering`` of a day, by default that of the run.

    Raises ``NotKeptError`` if the lake has no rows of the day. Raises ``DataContractError`` if no store is in
    scope.
    """
    contract, lake, as_of = run.mart("ml_clustering_features"), run.lake, day or run.as_of
    name = contract.table.name
    version = lake.version(name) if lake.exists(name) else None
    rows: pa.Table = lake.read(contract.table, where=on_day(as_of), version=version, missing_ok=True)
    if not rows.num_rows:
        raise NotKeptError(
            f"{name} has no rows for {as_of}: run `millrace train clustering --as-of {as_of}`, which prepares them"
        )
    frame = rows.sort_by("store_id").to_pandas(date_as_object=True)
    inside = frame[frame["in_scope"]].set_index("store_id")
    if inside.empty:
        raise DataContractError(
            f"{name} of {as_of} must have stores in scope, all {len(frame)} are out of it"
        )
    content = content_hash(rows, sort_by=contract.table.key)
    return Stores(as_of, inside, frame[~frame["in_scope"]], contract, {name: version or 0}, content)


def choose_variables(stores: Stores, params: ClusteringParams) -> Variables:
    """Decide which variables take part: those that differ between stores and are known for enough of them.

    A theme has the same weight whether one variable tells of it or nine, and a variable the same influence
    whether its values are yes and no, which differ wholly or not at all, or a number that one remote store
    stretches the range of: weights are divided by the mean difference of two stores (de Bello et al. 2021),
    at least ``balance_floor``, so that a variable in which hardly any store differs does not decide alone.
    Raises ``ConfigError`` if a theme has no weight. Raises ``DataContractError`` if fewer than two variables
    are left.
    """
    themes = stores.contract.themes
    unweighted = sorted(set(themes.values()) - set(params.distance.theme_weights))
    if unweighted:
        raise ConfigError(f"distance.theme_weights must have every theme, missing {unweighted}")
    left_out: dict[str, str] = {}
    kinds: dict[str, str] = {}
    levels: dict[str, list[str]] = {}
    for feature in stores.contract.features:
        column = stores.X[feature.name]
        reason = _useless(column, params.distance)
        if reason:
            left_out[feature.name] = reason
            continue
        known, orders = set(column.dropna()), params.distance.orders.get(feature.name, [])
        order = next((words for words in orders if known <= set(words)), [])
        if order:
            levels[feature.name] = order
        kinds[feature.name] = str(_kind(feature.column.dtype, ordered=bool(order)))
    for name in [name for name in kinds if params.distance.theme_weights[themes[name]] == 0]:
        left_out[name] = f"theme {themes[name]!r} has weight 0"
        del kinds[name]
        levels.pop(name, None)
    weights = _weights(stores.X, kinds, levels, themes, params.distance)
    if len(kinds) < 2:
        raise DataContractError(
            f"stores must differ in at least 2 variables to be grouped, got {sorted(kinds)}; left out: {left_out}"
        )
    log_scaled = [name for name in params.distance.log_scaled if name in kinds]
    return Variables(kinds, weights, log_scaled, levels, left_out)


def new_groups(
    variables: Variables, params: ClusteringParams, *, stores: int, count: int | None = None
) -> NamedGroups:
    """Estimator for the variables, to be fitted on so many stores: there are at most a quarter as many groups.

    ``count`` is the number of groups; by default that of the parameters.
    """
    clusters = params.clusters
    most = max(2, min(clusters.max_clusters, stores // 4))
    clustering = StoreClustering(
        kinds=variables.kinds,
        weights=variables.weights,
        n_clusters=count or clusters.count,
        min_clusters=min(clusters.min_clusters, most),
        max_clusters=most,
        linkage=clusters.linkage,
        n_axes=min(clusters.n_axes, stores - 1),
        consolidate=clusters.consolidate,
        random_state=params.seed,
    )
    return NamedGroups(clustering, variables.log_scaled, variables.levels)


def _weights(
    X: pd.DataFrame,
    kinds: dict[str, str],
    levels: dict[str, list[str]],
    themes: Mapping[str, str],
    distance: DistanceParams,
) -> dict[str, float]:
    """Share of each variable in its theme's weight, over the mean difference of two stores in it."""
    counts = Counter(themes[name] for name in kinds)
    sample = X.iloc[np.unique(np.linspace(0, len(X) - 1, min(len(X), _COMPARED)).astype(int))]
    groups = NamedGroups(StoreClustering(kinds=kinds), distance.log_scaled, levels)
    weights = {}
    for name in kinds:
        difference = max(groups.mean_difference(sample, name), distance.balance_floor)
        weights[name] = round(distance.theme_weights[themes[name]] / counts[themes[name]] / difference, 6)
    return weights


def _useless(column: pd.Series, limits: DistanceParams) -> str:
    """Why a variable tells nothing; empty if it does."""
    known = column.dropna()
    if len(known) == 0:
        return "not known of any store"
    if (known == known.iloc[0]).all():
        value = known.iloc[0]
        return (
            f"the same for all stores: {value:g}"
            if isinstance(value, float)
            else f"the same for all stores: {value}"
        )
    alike = known.value_counts(normalize=True).iloc[0]
    if alike > limits.most_alike:
        return f"the same for {alike:.1%} of the stores"
    share = len(known) / len(column)
    if share < limits.least_known:
        return f"known of {share:.0%} of the stores only"
    return ""


def _kind(dtype: DType, *, ordered: bool) -> Kind:
    if dtype is DType.BOOLEAN:
        return Kind.ASYMMETRIC_BINARY
    if dtype is DType.STRING:
        return Kind.ORDINAL if ordered else Kind.NOMINAL
    return Kind.NUMERIC

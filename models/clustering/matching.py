"""The same names for the same groups from run to run, and why a store changed its group."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from models.clustering.clusterer import StoreClustering
from models.clustering.stability import jaccard

#: Jaccard index over common stores from which a group is the old one under its name.
SAME_GROUP = 0.3

MOVED_BY_STORE = "store changed"
MOVED_BY_GROUPS = "groups changed"
DISSOLVED = "group dissolved"


@dataclass(frozen=True)
class Matching:
    """Stable names of the groups of a new run.

    Attributes
    ----------
    names : dict
        Stable name of each new group.
    overlap : pandas.DataFrame
        A row per new group: ``cluster``, ``name``, ``size``, ``jaccard`` with the old group of its name (over
        stores of both runs; 0 for a new name) and ``is_new``.
    gone : tuple
        Old names that no group carries any more.
    """

    names: dict[int, Any]
    overlap: pd.DataFrame
    gone: tuple[Any, ...]

    def rename(self, labels: pd.Series) -> pd.Series:
        """Stable name of each store's group."""
        return labels.map(self.names)


def match_labels(
    previous: pd.Series,
    current: pd.Series,
    *,
    fresh: Iterable[Hashable] | None = None,
    same_group: float = SAME_GROUP,
) -> Matching:
    """Give new groups the names of the old ones they have most stores in common with.

    Parameters
    ----------
    previous, current : pandas.Series
        Old stable names (numbers or words) and new groups (numbers), by store.
    fresh : iterable, optional
        Names for groups that are new, in order of preference, none ever used before; if not given, numbers
        above all old ones.
    same_group : float
        Smallest Jaccard index that counts as the same group.

    Returns
    -------
    Matching
        The assignment with the largest sum of Jaccard indices. Without old names, all groups are new.

    Raises
    ------
    ValueError
        A store is listed twice or without group, or there are fewer ``fresh`` names than new groups.
    """
    for which, labels in (("previous", previous), ("current", current)):
        if labels.isna().any():
            raise ValueError(
                f"{which} must have a group for each store, got none for {labels.index[labels.isna()][:5].to_list()}"
            )
        if not labels.index.is_unique:
            raise ValueError(
                f"{which} must list each store once, got {labels.index[labels.index.duplicated()][:5]}"
            )
    new = sorted(int(label) for label in current.unique())
    old = sorted(previous.unique().tolist())
    common = previous.index.intersection(current.index)
    index = np.zeros((len(new), max(len(old), 1)))
    if len(common):
        left = np.searchsorted(new, current.loc[common].to_numpy())
        right = pd.Index(old).get_indexer(pd.Index(previous.loc[common]))
        found = jaccard(left.astype(np.intp), right.astype(np.intp), len(new))
        index[:, : found.shape[1]] = found
    pairs = zip(*linear_sum_assignment(index, maximize=True), strict=True)
    matched = {new[i]: (old[j], index[i, j]) for i, j in pairs if old and index[i, j] >= same_group}
    unused = _unused(fresh, old)
    names: dict[int, Any] = {}
    rows = []
    for label in new:
        name, similarity = matched[label] if label in matched else (next(unused), 0.0)
        names[label] = name
        size = int((current == label).sum())
        rows.append((label, name, size, similarity, label not in matched))
    overlap = pd.DataFrame(rows, columns=["cluster", "name", "size", "jaccard", "is_new"])
    return Matching(names, overlap, tuple(name for name in old if name not in names.values()))


def _unused(fresh: Iterable[Hashable] | None, old: list[Any]) -> Iterator[Any]:
    if fresh is None:
        yield from count(max((int(name) for name in old), default=-1) + 1)
        return
    yield from (name for name in fresh if name not in old)
    raise ValueError("fresh must have a name for every new group, got too few that are not in use")


def migrations(previous: pd.Series, current: pd.Series) -> pd.DataFrame:
    """What became of each store of either run, by stable names.

    Returns
    -------
    pandas.DataFrame
        ``store``, ``previous`` and ``current`` (missing where the store was not there), and ``status``:
        ``stayed``, ``moved``, ``new`` or ``left``; stores in sorted order.
    """
    table = pd.concat([previous.rename("previous"), current.rename("current")], axis=1).convert_dtypes()
    there, here = table["previous"].notna(), table["current"].notna()
    same = (table["previous"] == table["current"]).fillna(False).astype(bool)
    table["status"] = np.select([~there, ~here, same], ["new", "left", "stayed"], default="moved")
    return table.rename_axis("store").sort_index().reset_index()


def explain_moves(
    model: StoreClustering,
    matching: Matching,
    moves: pd.DataFrame,
    before: pd.DataFrame,
    now: pd.DataFrame,
    *,
    top: int = 3,
) -> pd.DataFrame:
    """Why stores moved: which of their variables changed, or that the groups did.

    A store is put into the new groups with its *old* values. If that leads to its old group, the store changed,
    and the variables that pulled it over are named; otherwise the groups changed around it.

    Parameters
    ----------
    model
        The new run's.
    moves
        By `migrations`; only rows with status ``moved`` are explained.
    before, now
        Variables of the stores in the old and the new run, by store.

    Returns
    -------
    pandas.DataFrame
        A row per move and variable, or one without variable: ``store``, ``previous``, ``current``, ``cause``
        (``store changed``, ``groups changed``, ``group dissolved``), ``rank``, ``variable``, ``before``, ``now``
        and ``pull``: by how much the variable's change brought the store nearer to the new group than to the
        old, in units of the dissimilarity; largest first.

    Raises
    ------
    ValueError
        A store that moved is not in ``before`` or ``now``.
    """
    moved = moves[moves["status"] == "moved"]
    stores = list(moved["store"])
    for which, frame in (("before", before), ("now", now)):
        absent = [store for store in stores if store not in frame.index]
        if absent:
            raise ValueError(
                f"{which} must have the stores that moved; offending: {absent[:5]} of {len(absent)}"
            )
    columns = ["store", "previous", "current", "cause", "rank", "variable", "before", "now", "pull"]
    if not stores:
        return pd.DataFrame(columns=columns)
    old, new = before.loc[stores], now.loc[stores]
    cluster_of = {name: cluster for cluster, name in matching.names.items()}
    would_be = pd.Series(model.predict(old)).map(matching.names).to_numpy()
    pulls = _pulls(model, old, new, moved, cluster_of)
    variables = list(model.gower_.kinds_)
    rows: list[tuple[object, ...]] = []
    for at, move in enumerate(moved.itertuples(index=False)):
        head = (move.store, move.previous, move.current)
        if move.previous not in cluster_of:
            rows.append((*head, DISSOLVED, 1, None, None, None, np.nan))
        elif would_be[at] != move.previous:
            rows.append((*head, MOVED_BY_GROUPS, 1, None, None, None, np.nan))
        else:
            order = [k for k in np.argsort(-pulls[at], kind="stable")[:top] if pulls[at, k] > 0]
            rows += [
                (*head, MOVED_BY_STORE, rank, variables[k], old[variables[k]].iloc[at], new[variables[k]].iloc[at],
                 pulls[at, k])
                for rank, k in enumerate(order, start=1)
            ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _pulls(
    model: StoreClustering,
    old: pd.DataFrame,
    new: pd.DataFrame,
    moved: pd.DataFrame,
    cluster_of: dict[Any, int],
) -> np.ndarray:
    """Change, by variable, of how much nearer each store is to its new than to its old group."""
    weights = np.array(list(model.gower_.weights_.values()))
    encoded = [model.gower_.encode(frame) for frame in (old, new)]
    distance = np.full((2, model.n_clusters_, len(old), len(weights)), np.nan)
    for cluster in range(model.n_clusters_):
        members = model.encoded_[:, model.labels_ == cluster]
        for at, rows in enumerate(encoded):
            distance[at, cluster] = model.gower_.mean_by_variable(rows, members)
    stores = np.arange(len(old))
    source = moved["previous"].map(lambda name: cluster_of.get(name, 0)).to_numpy(np.intp)
    target = moved["current"].map(cluster_of).to_numpy(np.intp)
    nearer = distance[:, source, stores] - distance[:, target, stores]
    pull: np.ndarray = np.nan_to_num(nearer[1] - nearer[0]) * weights / weights.sum()
    return pull

"""How many groups: what each further one explains, and how clearly the groups are separated."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree
from sklearn.metrics import silhouette_score

from models.clustering.tree import within_inertia

Floats = NDArray[np.float64]

#: Ways to choose; see `choose`.
CRITERIA = ("both", "drop", "quotient", "silhouette")

#: Numbers of groups whose silhouette is at least this share of the best are about as clear.
NEARLY_BEST = 0.9


def curve_of_cuts(tree: Floats, coordinates: Floats, dissimilarity: Floats, largest: int) -> pd.DataFrame:
    """What each cut of a tree is worth.

    Returns
    -------
    pandas.DataFrame
        A row per number of groups from 1 to ``largest``: ``n_clusters``; ``within_inertia`` and its share of
        the whole, ``within_share``; ``inertia_gain``, what the last split took away; ``quotient``, what it
        left of the inertia before it; ``drop``, its gain as a multiple of the next split's;
        ``silhouette``, mean over rows, of the dissimilarities.
    """
    counts = np.arange(1, largest + 2)  # one more, whose gain the last drop is compared with
    labels = cut_tree(tree, n_clusters=list(counts[counts <= len(coordinates)]))
    inertia = np.array([within_inertia(coordinates, column) for column in labels.T])
    inertia = np.append(inertia, np.zeros(len(counts) - len(inertia)))
    gain = np.append(np.nan, -np.diff(inertia))
    with np.errstate(divide="ignore", invalid="ignore"):
        drop = gain[:-1] / gain[1:]
        quotient = np.append(np.nan, inertia[1:] / inertia[:-1])
    silhouettes = [np.nan] + [
        silhouette_score(dissimilarity, labels[:, k - 1], metric="precomputed") for k in range(2, largest + 1)
    ]
    return pd.DataFrame(
        {
            "n_clusters": counts[:-1],
            "within_inertia": inertia[:-1],
            "within_share": inertia[:-1] / (inertia[0] or 1.0),
            "inertia_gain": gain[:-1],
            "quotient": quotient[:-1],
            "drop": drop,
            "silhouette": silhouettes,
        }
    )


def choose(curve: pd.DataFrame, criterion: str, smallest: int) -> int:
    """Number of groups that a criterion prefers; the smaller of equals.

    Parameters
    ----------
    criterion
        ``drop``: after it, the next split gains least in comparison (the bend of the curve). ``quotient``: its
        split leaves the smallest share of the inertia before it (FactoMineR's HCPC). ``silhouette``: the
        groups are most clearly separated. ``both``: of those nearly as clearly separated as the best, the largest drop.

    Raises
    ------
    ValueError
        The criterion is not known, or no number is allowed.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}, got {criterion!r}")
    allowed = curve[curve["n_clusters"] >= smallest]
    if allowed.empty:
        raise ValueError(f"there must be at least {smallest} groups, rows allow {curve['n_clusters'].max()}")
    clear = allowed["silhouette"].to_numpy(np.float64)
    score = {
        "drop": allowed["drop"].to_numpy(np.float64),
        "quotient": -allowed["quotient"].to_numpy(np.float64),
        "silhouette": clear,
        "both": np.where(clear >= NEARLY_BEST * clear.max(), allowed["drop"].to_numpy(np.float64), -np.inf),
    }[criterion]
    return int(allowed["n_clusters"].to_numpy()[np.argmax(np.nan_to_num(score, nan=-np.inf))])

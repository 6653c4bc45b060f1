"""What sets a group apart: tests of its means and of its categories, and the same in words.

The test value (*v-test*) of Lebart, Morineau & Piron: how many standard errors a group's mean lies from where
a random draw of as many rows would put it, and for a category the normal deviate of the probability that a
random draw holds so many or so few. Beyond ±2 a variable is unusual in the group; it ranks variables and
is no proof, as the groups were made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom, norm

from models.clustering.encoding import Encoder, as_text
from models.clustering.kinds import BINARY, Kind, check_kinds

Floats = NDArray[np.float64]

#: Test value from which a variable counts as unusual: 5 % of random draws.
NOTABLE = float(norm.isf(0.025))

#: The category of missing values.
MISSING = "missing"

#: Probabilities below are no longer told apart; test values end near 37.
_SMALLEST = 1e-300


def profile(X: pd.DataFrame, labels: Any, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Test every variable in every group.

    Parameters
    ----------
    X : pandas.DataFrame
        Missing numbers are left out of their variable's test; missing categories are a category.
    labels : array-like of shape (n,)
        Group of each row.
    kinds : mapping of str to Kind

    Returns
    -------
    pandas.DataFrame
        By ``cluster``, strongest first: ``variable``; ``kind``; ``category`` (None for means);
        ``v_test``, positive where the group has more; ``p_value``; ``in_cluster`` and ``overall``, means or
        shares of rows with the category; ``sd_in_cluster`` and ``sd_overall`` of means; ``share_of_category``,
        the part of its rows that are in the group. Binary variables have the category ``1`` only.

    Notes
    -----
    O(n x variables). Equal to FactoMineR's ``catdes`` for complete columns; unlike it, counts of rows
    are of known values.
    """
    checked = check_kinds(kinds, X)
    clusters, codes = np.unique(np.asarray(labels), return_inverse=True)
    member = np.eye(len(clusters))[codes]
    parts = [
        _categories(X[name], name, kind, clusters, member)
        if kind is Kind.NOMINAL or kind in BINARY
        else _means(X[[name]], name, kind, clusters, member)
        for name, kind in checked.items()
    ]
    table = pd.concat(parts, ignore_index=True).assign(strength=lambda rows: -rows["v_test"].abs())
    return table.sort_values(
        ["cluster", "strength"], kind="stable", ignore_index=True, na_position="last"
    ).drop(columns="strength")


def in_words(
    table: pd.DataFrame,
    *,
    names: Mapping[str, str] | None = None,
    formats: Mapping[str, str] | None = None,
    top: int = 5,
) -> dict[Any, str]:
    """Each group in one sentence for people who do not read test values.

    Parameters
    ----------
    table
        By `profile`.
    names
        What to call the variables.
    formats
        How to write their values, as in ``format``: ``".0%"``, ``",.0f"``; three digits if not given.
    top
        Variables to name, strongest first; each once.
    """
    names, formats = names or {}, formats or {}
    words: dict[Any, str] = {}
    for cluster, rows in table.groupby("cluster", sort=True):
        notable = rows[rows["v_test"].abs() >= NOTABLE].drop_duplicates("variable").head(top)
        facts = [
            _fact(row, names.get(row["variable"], row["variable"]), formats.get(row["variable"], ".3g"))
            for row in notable.to_dict("records")
        ]
        words[cluster] = "; ".join(facts) if facts else "like all others in every single variable"
    return words


def _fact(row: Mapping[Any, Any], name: str, written: str) -> str:
    inside, overall, more = row["in_cluster"], row["overall"], row["v_test"] > 0
    if row["category"] is None:
        level = "level " if row["kind"] == Kind.ORDINAL else ""
        return f"{name} {'high' if more else 'low'} ({level}{inside:{written}}, all {overall:{written}})"
    what = name if row["kind"] in BINARY else f"{name} {row['category']}"
    often = "always" if inside == 1 else "never" if inside == 0 else "more often" if more else "less often"
    return f"{often} {what} ({inside:.0%}, all {overall:.0%})"


def _values(column: pd.DataFrame, name: str, kind: Kind) -> Floats:
    return np.asarray(Encoder().fit(column, {name: kind}).transform(column)[0])


def _means(column: pd.DataFrame, name: str, kind: Kind, clusters: Any, member: Floats) -> pd.DataFrame:
    values = _values(column, name, kind)
    known = ~np.isnan(values)
    filled, inside = np.where(known, values, 0.0), member * known[:, None]
    n, count = known.sum(), inside.sum(axis=0)
    overall = filled.sum() / n if n else np.nan
    deviation = np.sqrt((np.where(known, values - overall, 0.0) ** 2).sum() / n) if n else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = filled @ inside / count
        spread = np.sqrt(((values - mean @ member.T) ** 2 * known) @ inside / count) if known.all() else None
        if spread is None:
            off = np.where(known, values - np.nan_to_num(mean) @ member.T, 0.0)
            spread = np.sqrt(off**2 @ inside / count)
        error = deviation * np.sqrt((n - count) / (n - 1) / count)
        v_test = np.where(error > 0, (mean - overall) / error, np.nan)
    return pd.DataFrame(
        {
            "cluster": clusters,
            "variable": name,
            "kind": str(kind),
            "category": None,
            "v_test": v_test,
            "p_value": 2 * norm.sf(np.abs(v_test)),
            "in_cluster": mean,
            "overall": overall,
            "sd_in_cluster": spread,
            "sd_overall": deviation,
            "share_of_category": np.nan,
        }
    )


def _categories(column: pd.Series, name: str, kind: Kind, clusters: Any, member: Floats) -> pd.DataFrame:
    if kind in BINARY:
        values = _values(column.to_frame(), name, kind)
        known = ~np.isnan(values)
        categories, has = ["1"], np.where(known, values, 0.0)[:, None]
        member = member * known[:, None]
    else:
        text = as_text(column).fillna(MISSING)
        categories = sorted(set(text))
        has = (text.to_numpy()[:, None] == np.array(categories, dtype=object)).astype(np.float64)
    n, size, total = member.sum(), member.sum(axis=0)[:, None], has.sum(axis=0)[None, :]
    both = member.T @ has
    law = hypergeom(int(n), np.broadcast_to(total, both.shape), np.broadcast_to(size, both.shape))
    # Twice the smaller tail, half of what was seen counted: the mid-p of a two-sided test.
    seen = law.pmf(both)
    p_value = np.minimum(np.minimum(2 * law.cdf(both - 1), 2 * law.sf(both)) + seen, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside, overall, share = both / size, np.broadcast_to(total / n, both.shape), both / total
    v_test = np.where(inside > overall, 1, -1) * norm.isf(np.maximum(p_value, _SMALLEST) / 2)
    shape = both.shape
    return pd.DataFrame(
        {
            "cluster": np.repeat(clusters, shape[1]),
            "variable": name,
            "kind": str(kind),
            "category": np.tile(np.array(categories, dtype=object), shape[0]),
            "v_test": v_test.ravel(),
            "p_value": p_value.ravel(),
            "in_cluster": inside.ravel(),
            "overall": overall.ravel(),
            "sd_in_cluster": np.nan,
            "sd_overall": np.nan,
            "share_of_category": share.ravel(),
        }
    )

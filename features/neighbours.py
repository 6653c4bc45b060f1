"""Promotions of the products that stand beside a series on its shelf: what they sell more, it sells less."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.groups import groups_of
from features.known import Known
from features.levels import LEVEL_DAYS, Floats, Levels

#: Columns of the series whose products stand beside each other.
SHELF = ("store_id", "subcategory")

#: Days before the origin that days ahead are compared with: those of the recent level, and of the usual one.
BEFORE_DAYS = {"recent": LEVEL_DAYS, "usual": 182}

#: Log uplift of a promotion where neither the series nor its neighbours ever had one.
USUAL_UPLIFT = 0.5


def neighbours_at(known: Known, levels: Levels, series: pd.DataFrame) -> dict[str, Floats]:
    """Promotions of the shelf's other products on the days ahead, (n, H) each.

    Returns
    -------
    dict of str to ndarray of float32, shape (n, H)
        ``neighbours_<recent|usual>``: the log uplifts of those promoted, summed, less the mean of the days before; empty
        where no shelf is known.
    """
    shelf = groups_of(series, {"shelf": SHELF}).get("shelf")
    if shelf is None:
        return {}
    own = levels.columns["promo_uplift"]
    known_uplift = np.isfinite(own)
    uplift = np.where(known_uplift, own, np.mean(own[known_uplift]) if known_uplift.any() else USUAL_UPLIFT)
    start = max(0, known.n_history - max(BEFORE_DAYS.values()))
    strength = (known.promo[:, start:] > 0) * np.maximum(uplift, 0).astype(np.float32)[:, None]
    others = shelf.sum(strength)[shelf.code] - strength
    past, ahead = others[:, : known.n_history - start], others[:, known.n_history - start :]
    return {
        f"neighbours_{name}": ahead - past[:, -days:].mean(axis=1, keepdims=True)
        for name, days in BEFORE_DAYS.items()
    }

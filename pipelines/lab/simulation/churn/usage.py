"""Use of the product: one row per account and active day, written month by month."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.lab.simulation.churn.calendar import season
from pipelines.lab.simulation.churn.engagement import State
from pipelines.lab.simulation.churn.population import Population
from pipelines.lab.simulation.churn.simulate import Trajectory
from pipelines.lab.simulation.days import DAY_US, Ints
from pipelines.usecases.churn.layouts import PRODUCT_FEATURES

_LATE_SHARE = 0.01


def _feature_strings() -> pa.Array:
    """``features_used`` for each of the 4096 sets of product features, by bit mask."""
    return pa.array(
        [
            "|".join(sorted(name for bit, name in enumerate(PRODUCT_FEATURES) if mask >> bit & 1))
            for mask in range(1 << len(PRODUCT_FEATURES))
        ]
    )


def usage_months(
    rng: np.random.Generator, people: Population, life: Trajectory, ids: pa.Array, *, start: int, end: int
) -> Iterator[tuple[str, pa.Table]]:
    """Rows of the layout ``usage_events``, month by month.

    Yields
    ------
    (str, pa.Table)
        Month as ``YYYY-MM`` and its rows known before ``end``, ordered by day and account. Strings
        are dictionary-encoded: a month of 15,000 accounts repeats few of them.
    """
    names = _feature_strings()
    pending: list[dict[str, NDArray[np.generic]]] = []
    month = ""
    for day_rows in _days(rng, people, life, start=start, end=end):
        this = (
            str(np.datetime64(int(day_rows["day"][0]), "D").astype("datetime64[M]"))
            if len(day_rows["day"])
            else month
        )
        if pending and this != month:
            yield month, _table(pending, ids, names, end)
            pending = []
        month = this
        pending.append(day_rows)
    if pending:
        yield month, _table(pending, ids, names, end)


def _days(
    rng: np.random.Generator, people: Population, life: Trajectory, *, start: int, end: int
) -> Iterator[dict[str, NDArray[np.generic]]]:
    for week in range((start - life.begin) // 7, life.weeks):
        monday = life.begin + 7 * week
        who = np.flatnonzero(life.last_day[week] >= life.first_day[week])
        shape = season(np.arange(monday, monday + 7))
        rate = people.habit[who] * np.exp(life.level[week, who])
        state = life.state[week, who]
        # Users who leave use less of the product as well as less often.
        narrow = np.select([state == State.LEAVING, state == State.DRIFTING], [0.75, 0.92], 1.0)
        depth = np.exp(-0.25 * np.maximum(0.0, -life.level[week, who])).clip(0.4, 1.0)
        for day in range(max(0, start - monday), min(7, end - monday)):
            here = (life.first_day[week, who] <= day) & (life.last_day[week, who] >= day)
            mean = rate * people.rhythm[who, day] * shape[people.country[who], day] * here
            # Whoever comes brings colleagues: sessions on an active day grow with engagement too.
            active = np.flatnonzero(rng.random(len(who)) < 1 - np.exp(-mean))
            count = 1 + rng.poisson(people.colleagues[who[active]] * mean[active])
            threshold = people.breadth[who[active]] * narrow[active, None].astype(np.float32)
            touched = rng.integers(0, 256, (len(active), 12), dtype=np.uint8) < threshold
            mask = touched @ (1 << np.arange(12))
            minutes = rng.gamma(1.6 + 0.7 * count, 9.0) * depth[active]
            late = rng.random(len(active)) < _LATE_SHARE
            wait = np.where(late, rng.integers(1, 6, len(active)), 0)
            yield {
                "who": who[active],
                "day": np.full(len(active), monday + day),
                "logins": count,
                "minutes": np.round(minutes, 1),
                "mask": mask,
                "known": (monday + day + 1 + wait) * DAY_US + 2 * 3_600_000_000,
            }


def _table(parts: list[dict[str, NDArray[np.generic]]], ids: pa.Array, names: pa.Array, end: int) -> pa.Table:
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    seen = rows["known"].astype(np.int64) < end * DAY_US
    rows = {name: values[seen] for name, values in rows.items()}

    def code(values: NDArray[np.generic], words: pa.Array) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int32)), words)

    logins: Ints = rows["logins"].astype(np.int64)
    return pa.table(
        {
            "account_id": code(rows["who"], ids),
            "used_on": pa.array(rows["day"].astype("datetime64[D]")),
            "logins": pa.array(logins),
            "duration_min": pa.array(rows["minutes"]),
            "features_used": code(rows["mask"], names),
            "known_at": pa.array(rows["known"].astype("datetime64[us]")),
        }
    )

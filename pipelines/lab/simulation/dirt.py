"""Rows that break the contract, planted so that quarantine has something to show.

They come on top of the clean rows and never replace one: taking them out gives the clean set. Each
breaks one rule only, and its key is otherwise unused except where the defect is the repeated key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: Rows planted: ``{table: {defect: rows}}``.
Planted = dict[str, dict[str, int]]

CONFLICT = "conflicting_duplicate"


@dataclass(frozen=True)
class Defect:
    """One way to break the contract: put ``value`` into ``column`` of a row that suits.

    Attributes
    ----------
    suits
        Condition on the clean rows, such that the value breaks one rule and not two.
    """

    name: str
    column: str
    value: object
    suits: Callable[[], pc.Expression] | None = None


def plant(
    rng: np.random.Generator,
    defects: Sequence[Defect],
    clean: pa.Table,
    *,
    rows: int,
    unused_key: Callable[[pa.Table, int], pa.Table],
    models: Callable[[pa.Table], pa.Table] = lambda rows: rows,
) -> Iterator[tuple[str, pa.Table]]:
    """Bad rows of one table, by defect.

    Parameters
    ----------
    clean
        Clean rows to imitate, with plain (not dictionary-encoded) strings.
    rows
        About how many bad rows in all; at least one of each defect if positive.
    unused_key
        Gives rows keys that no clean row has; its second argument tells the defects apart.
    models
        Picks the rows to imitate where the key is replaced.
    """
    each = max(1, rows // len(defects)) if rows > 0 else 0
    for position, defect in enumerate(defects):
        suited = clean if defect.suits is None else clean.filter(defect.suits())
        if defect.name != CONFLICT:
            suited = models(suited)
        count = min(each, len(suited))
        if count == 0:
            continue
        sample = suited.take(pa.array(np.sort(rng.choice(len(suited), count, replace=False))))
        if defect.name != CONFLICT:
            sample = unused_key(sample, position)
        field = sample.schema.field(defect.column).with_nullable(True)
        yield defect.name, put(sample, field, pa.array([defect.value] * count, type=field.type))


def put(rows: pa.Table, field: pa.Field, values: pa.Array) -> pa.Table:
    """Replace a column."""
    return rows.set_column(rows.schema.get_field_index(field.name), field, values)

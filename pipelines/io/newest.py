"""The newest of several versions of a row, as it was known on a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import pyarrow as pa
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake


def newest_known(lake: Lake, table: str, key: str, texts: Sequence[str], as_of: date) -> pa.Table:
    """Newest texts of each key that were known before a day; no rows if the table was never delivered."""
    columns = [key, *texts]
    if not lake.exists(table):
        return pa.schema([(name, pa.string()) for name in columns]).empty_table()
    before = pa.scalar(datetime.combine(as_of, datetime.min.time()), pa.timestamp("us"))
    rows = lake.read(table, columns=[*columns, "known_at"], where=pa_dataset.field("known_at") < before)
    newest = rows.sort_by("known_at").group_by(key, use_threads=False)
    found = newest.aggregate([(name, "last") for name in texts])
    return found.rename_columns({f"{name}_last": name for name in texts})


def newest_texts(lake: Lake, table: str, key: str, text: str, as_of: date) -> dict[str, str]:
    """The newest of one text, such as a name, by key."""
    rows = newest_known(lake, table, key, [text], as_of)
    return dict(zip(rows[key].to_pylist(), rows[text].to_pylist(), strict=True))

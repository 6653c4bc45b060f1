"""What the outbound rows of every sink have in common: keys that are unique, hashes, evenly spaced samples."""

from __future__ import annotations

import duckdb
import polars as pl

from pipelines.errors import DataContractError


def check_filled(keys: pl.Series, name: str, what: str) -> None:
    """Refuse keys that are null or empty; ``name`` and ``what`` word the error."""
    empty = int(keys.is_null().sum()) + int((keys == "").sum())
    if empty:
        raise DataContractError(f"{name} must not be empty, got {empty} rows without {what}")


def check_unique(keys: pl.Series, name: str) -> None:
    """Refuse keys that repeat; the error names some."""
    repeated = keys.filter(keys.is_duplicated())
    if len(repeated):
        raise DataContractError(
            f"{name} must be unique, got {len(repeated)} rows that share one; "
            f"offending: {repeated.unique().sort().head(5).to_list()}"
        )


def hashes(rows: pl.DataFrame, text: pl.Expr) -> pl.Series:
    """Hash of a text of each row, as ``payload_hash``."""
    if not rows.height:
        return pl.Series("payload_hash", dtype=pl.String)
    texts = rows.select(line=text).to_arrow()
    with duckdb.connect(config={"threads": 2}) as con:
        made = con.from_arrow(texts).project("left(sha256(line), 32) as payload_hash").to_arrow_table()
    return pl.Series("payload_hash", made["payload_hash"], dtype=pl.String)


def spread(keys: pl.Series, count: int) -> pl.Series:
    """Pick at most ``count`` evenly spaced keys: the same ones whenever the same rows are asked for."""
    return keys.gather_every(max(1, -(-len(keys) // count))) if count else keys.clear()

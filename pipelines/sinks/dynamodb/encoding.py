"""Rows as DynamoDB's JSON, encoded column-wise: numbers as exact decimals, sizes by the service's rules."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import polars as pl

from pipelines.errors import DataContractError
from pipelines.sinks.dynamodb.target import (
    EXPIRES_AT,
    MAX_ITEM_BYTES,
    MAX_KEY_BYTES,
    PARTITION_KEY,
    SORT_KEY,
    DynamoTarget,
)

#: Attributes that the sink writes itself.
RESERVED = (PARTITION_KEY, SORT_KEY, EXPIRES_AT)

#: Bytes of an item that do not depend on its values: three key and expiry attributes, a version's name.
_FRAME_BYTES = sum(len(name) for name in RESERVED) + 60 + 12

#: Digits that a number may have in all; DynamoDB keeps 38.
_DIGITS = 38


@dataclass(frozen=True)
class _Attribute:
    """One column as DynamoDB's JSON, null where the value is null, and its bytes in the table."""

    json: pl.Expr
    size: pl.Expr


def encode(frame: pl.DataFrame, target: DynamoTarget) -> pl.DataFrame:
    """Encode rows.

    Parameters
    ----------
    frame
        The key column and any others: text, whole numbers, floats, decimals, booleans, dates, and lists of
        numbers or texts. A null value is an attribute that the item does not have.

    Returns
    -------
    polars.DataFrame
        ``external_id`` (the item's key), ``body`` (JSON of the attributes, without those that the sink
        adds), ``bytes`` (size of the item, an upper bound by the service's rules); in the order of ``frame``.

    Raises
    ------
    DataContractError
        A key is null, empty or reserved, a value is not finite or has no notation, an item is too large;
        the message names key and field.
    """
    keys = frame[target.key].cast(pl.String)
    fields = [name for name in frame.columns if name != target.key]
    _check_names(fields, target)
    _check_keys(keys, target)
    attributes = {name: _attribute(frame, name, keys, target.decimals) for name in fields}
    pairs = [(pl.lit(f',"{name}":') + attribute.json).fill_null("") for name, attribute in attributes.items()]
    sizes = [(attribute.size + len(name.encode())).fill_null(0) for name, attribute in attributes.items()]
    fixed = _FRAME_BYTES + len(target.partition_key(""))
    made = frame.select(
        external_id=keys,
        body=pl.concat_str(pairs) if pairs else pl.lit(""),
        bytes=(pl.sum_horizontal([pl.lit(fixed), keys.str.len_bytes(), *sizes])).cast(pl.Int64),
    )
    large = made.filter(pl.col("bytes") > MAX_ITEM_BYTES)
    if large.height:
        raise DataContractError(
            f"an item must have at most {MAX_ITEM_BYTES} bytes, got {large['bytes'][0]}; offending: "
            f"{large['external_id'][0]!r} and {large.height - 1} more"
        )
    return made


def lines(encoded: pl.DataFrame, target: DynamoTarget, *, version: str, expires_at: int) -> pl.Series:
    """Put requests of encoded rows, as one version of them."""
    added = f'"{SORT_KEY}":{{"S":"{version}"}},"{EXPIRES_AT}":{{"N":"{expires_at}"}}'
    key = _json_text(pl.lit(target.partition_key("")) + pl.col("external_id"))
    return encoded.select(
        line=pl.concat_str(
            pl.lit(f'{{"PutRequest":{{"Item":{{"{PARTITION_KEY}":{{"S":'),
            key,
            pl.lit(f"}},{added}"),
            pl.col("body"),
            pl.lit("}}}"),
        )
    )["line"]


def hashes(encoded: pl.DataFrame) -> pl.Series:
    """Hash of every item's key and attributes."""
    text = encoded.select(line=pl.col("external_id") + "\x1f" + pl.col("body")).to_arrow()
    with duckdb.connect(config={"threads": 2}) as con:
        made = con.from_arrow(text).project("left(sha256(line), 32) as payload_hash").to_arrow_table()
    return pl.Series("payload_hash", made["payload_hash"], dtype=pl.String)


def _check_names(fields: list[str], target: DynamoTarget) -> None:
    taken = [name for name in fields if name in RESERVED]
    odd = [name for name in fields if not name.replace("_", "").isalnum() or not name.isascii()]
    if taken or odd:
        raise DataContractError(
            f"{target.object}: columns must be called by letters, digits and _, and not {list(RESERVED)}, which the "
            f"sink writes itself; offending: {taken + odd}"
        )


def _check_keys(keys: pl.Series, target: DynamoTarget) -> None:
    name = f"{target.object}.{target.key}"
    empty = int(keys.is_null().sum()) + int((keys == "").sum())
    if empty:
        raise DataContractError(f"{name} must not be empty, got {empty} rows without a key")
    reserved = keys.filter(keys.str.starts_with("@"))
    if len(reserved):
        raise DataContractError(
            f"{name} must not begin with '@', which pointers do; got {reserved.head(5).to_list()}"
        )
    room = MAX_KEY_BYTES - len(target.partition_key(""))
    long = keys.filter(keys.str.len_bytes() > room)
    if len(long):
        raise DataContractError(f"{name} must have at most {room} bytes, got {long[0][:80]!r}...")


def _attribute(frame: pl.DataFrame, name: str, keys: pl.Series, decimals: int) -> _Attribute:
    column, dtype = pl.col(name), frame.schema[name]
    if isinstance(dtype, pl.List):
        return _list(frame, name, keys, decimals)
    if dtype == pl.Boolean:
        flag = pl.when(column).then(pl.lit("true")).when(~column).then(pl.lit("false"))
        return _Attribute(_tagged("BOOL", flag), pl.when(column.is_not_null()).then(1))
    if dtype == pl.Date or dtype == pl.String:
        text = column.dt.strftime("%Y-%m-%d") if dtype == pl.Date else column
        return _Attribute(_tagged("S", _json_text(text)), text.str.len_bytes())
    if dtype.is_numeric():
        number = _number(column, dtype, decimals)
        _refuse_unwritten(frame, name, keys, number.is_null() & column.is_not_null())
        return _Attribute(_tagged("N", pl.lit('"') + number + '"'), _number_bytes(number))
    if dtype == pl.Null:
        nothing = pl.lit(None, dtype=pl.String)
        return _Attribute(nothing, pl.lit(None, dtype=pl.Int64))
    raise DataContractError(f"{name} has the type {dtype}, which has no notation in DynamoDB: cast it")


def _list(frame: pl.DataFrame, name: str, keys: pl.Series, decimals: int) -> _Attribute:
    """A list of numbers or texts: 3 bytes for the list and 1 for each element besides its own."""
    column, inner = pl.col(name), frame.schema[name].inner  # type: ignore[attr-defined]
    element = pl.element()
    if inner.is_numeric():
        text, tag = _number(element, inner, decimals), "N"
        written, size = pl.lit('"') + text + '"', _number_bytes(text)
    elif inner == pl.String:
        text, tag = element, "S"
        written, size = _json_text(element), element.str.len_bytes()
    else:
        raise DataContractError(
            f"{name} has the type {frame.schema[name]}, which has no notation in DynamoDB: cast it"
        )
    _refuse_unwritten(frame, name, keys, column.list.eval(text.is_null()).list.any().fill_null(value=False))
    elements = column.list.eval(_tagged(tag, written)).list.join(",")
    return _Attribute(
        _tagged("L", pl.lit("[") + elements + "]"),
        column.list.eval(size + 1).list.sum().cast(pl.Int64) + 3,
    )


def _refuse_unwritten(frame: pl.DataFrame, name: str, keys: pl.Series, bad: pl.Expr) -> None:
    found = frame.select(key=keys, value=pl.col(name), bad=bad).filter("bad")
    if found.height:
        value = found["value"][0]
        shown = value.to_list() if isinstance(value, pl.Series) else value
        raise DataContractError(
            f"{name} must hold finite numbers of at most {_DIGITS} digits, and lists no null; got {shown} for the key "
            f"{found['key'][0]!r} (offending rows: {found.height}). Nothing was sent"
        )


def _number(column: pl.Expr, dtype: pl.DataType, decimals: int) -> pl.Expr:
    """Number as text, null if it cannot be one.

    A float goes through its shortest decimal text, as ``Decimal(str(x)).quantize(...)`` does: 0.1 is
    0.1, not the binary neighbour. Trailing zeros go, as the service drops them too.
    """
    if dtype.is_integer():
        return column.cast(pl.String)
    text = column.cast(pl.String).cast(pl.Decimal(_DIGITS, decimals), strict=False).cast(pl.String)
    return text.str.strip_chars_end("0").str.strip_chars_end(".") if decimals else text


def _number_bytes(text: pl.Expr) -> pl.Expr:
    """Bytes of a number, at most: one per two digits, one more, one for a sign."""
    return (text.str.len_bytes() + 1) // 2 + 1


def _tagged(tag: str, value: pl.Expr) -> pl.Expr:
    return pl.lit(f'{{"{tag}":') + value + "}"


def _json_text(column: pl.Expr) -> pl.Expr:
    """Text as a JSON literal, null if null."""
    wrapped = pl.struct(a=column).struct.json_encode()  # {"a":"..."}
    literal = wrapped.str.slice(5).str.strip_suffix("}")
    return pl.when(column.is_not_null()).then(literal)

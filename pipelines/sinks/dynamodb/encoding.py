"""Rows as DynamoDB's JSON, encoded column-wise: numbers as exact decimals, sizes by the service's rules."""

from __future__ import annotations

import polars as pl

from pipelines.errors import DataContractError
from pipelines.sinks.dynamodb.target import EXPIRES_AT, PARTITION_KEY, SORT_KEY, DynamoTarget
from pipelines.sinks.outbound import check_filled, hashes

#: Limits of the service.
MAX_ITEM_BYTES, MAX_KEY_BYTES = 400 * 1024, 2048

#: Attributes that the sink writes itself.
RESERVED = (PARTITION_KEY, SORT_KEY, EXPIRES_AT)

#: Bytes of an item that do not depend on its values: three key and expiry attributes, a version's name.
_FRAME_BYTES = sum(len(name) for name in RESERVED) + 60 + 12

#: Digits that a number may have in all; DynamoDB keeps 38.
_DIGITS = 38


def encode(frame: pl.DataFrame, target: DynamoTarget) -> pl.DataFrame:
    """Encode rows, in their order: the key column and any others.

    Others hold text, whole numbers, floats, decimals, booleans, dates, or lists of numbers or texts. A null
    value is an attribute that the item does not have. Returns ``external_id`` (the item's key), ``body`` (JSON
    of the attributes, without those that the sink adds) and ``bytes`` (size of the item, an upper bound by the
    service's rules).

    Raises ``DataContractError``, which names key and field, if a key is null, empty or reserved, a value is not
    finite or has no notation, or an item is too large.
    """
    keys = frame[target.key].cast(pl.String)
    fields = [name for name in frame.columns if name != target.key]
    _check_names(fields, target)
    _check_keys(keys, target)
    texts = frame.select(**{name: _text(frame, name, target.decimals) for name in fields})
    for name in fields:
        _refuse_unwritten(frame, texts, name, keys)
    attributes = [_attribute(name, frame.schema[name]) for name in fields]
    written = [json.fill_null("") for json, _ in attributes]
    sizes = [size.fill_null(0) for _, size in attributes]
    fixed = _FRAME_BYTES + len(target.partition_key(""))
    made = texts.select(
        external_id=keys,
        body=pl.concat_str([pl.lit(""), *written]),
        bytes=pl.sum_horizontal([pl.lit(fixed), keys.str.len_bytes(), *sizes]).cast(pl.Int64),
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


def item_hashes(encoded: pl.DataFrame) -> pl.Series:
    """Hash of every item's key and attributes."""
    return hashes(encoded, pl.col("external_id") + "\x1f" + pl.col("body"))


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
    check_filled(keys, name, "a key")
    reserved = keys.filter(keys.str.starts_with("@"))
    if len(reserved):
        raise DataContractError(
            f"{name} must not begin with '@', which pointers do; got {reserved.head(5).to_list()}"
        )
    room = MAX_KEY_BYTES - len(target.partition_key(""))
    long = keys.filter(keys.str.len_bytes() > room)
    if len(long):
        raise DataContractError(f"{name} must have at most {room} bytes, got {long[0][:80]!r}...")


def _text(frame: pl.DataFrame, name: str, decimals: int) -> pl.Expr:
    """Values as texts, lists as lists of texts; null where a value cannot be written."""
    column, dtype = pl.col(name), frame.schema[name]
    if isinstance(dtype, pl.List):
        inner = dtype.inner
        if inner == pl.String:
            return column.list.eval(_json_text(pl.element()))
        if isinstance(inner, pl.DataType) and inner.is_numeric():
            return column.list.eval(_number(pl.element(), inner, decimals))
    elif dtype == pl.String:
        return _json_text(column)
    elif dtype == pl.Date:
        return pl.lit('"') + column.dt.strftime("%Y-%m-%d") + '"'
    elif dtype == pl.Boolean:
        return column.cast(pl.String)
    elif dtype.is_numeric():
        return _number(column, dtype, decimals)
    elif dtype == pl.Null:
        return column.cast(pl.String)
    raise DataContractError(f"{name} has the type {dtype}, which has no notation in DynamoDB: cast it")


def _refuse_unwritten(frame: pl.DataFrame, texts: pl.DataFrame, name: str, keys: pl.Series) -> None:
    given, text = frame[name], texts[name]
    bad = text.is_null() & given.is_not_null()
    if isinstance(given.dtype, pl.List):
        bad = bad | text.list.eval(pl.element().is_null()).list.any().fill_null(value=False)
    if bad.any():
        value = given.filter(bad)[0]
        shown = value.to_list() if isinstance(value, pl.Series) else value
        raise DataContractError(
            f"{name} must hold finite numbers of at most {_DIGITS} digits, and lists no null; got {shown} for the key "
            f"{keys.filter(bad)[0]!r} (offending rows: {bad.sum()}). Nothing was sent"
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


def _attribute(name: str, dtype: pl.DataType) -> tuple[pl.Expr, pl.Expr]:
    """Named JSON of a column of texts, see :func:`_text`, null where the item does not have it; and its size.

    The size goes by the service's rules, rounded up: a text has its bytes, a number one per two digits and one
    more, a truth value one; a list three and one for each element besides its own.
    """
    column, named = pl.col(name), len(name.encode())
    if isinstance(dtype, pl.List):
        number = dtype.inner != pl.String
        opening, closing = ('{"N":"', '"}') if number else ('{"S":', "}")
        elements, joint = column.list.join(closing + "," + opening), len(closing + "," + opening)
        count = column.list.len().cast(pl.Int64)
        letters = elements.str.len_bytes().cast(pl.Int64) - joint * (count - 1)
        written = (
            pl.when(count > 0)
            .then(pl.lit(f',"{name}":{{"L":[{opening}') + elements + f"{closing}]}}")
            .when(count == 0)
            .then(pl.lit(f',"{name}":{{"L":[]}}'))
        )
        size = (letters + 3 * count) // 2 + count if number else letters
        return (written, pl.when(count > 0).then(size + count).otherwise(0) + 3 + named)
    if dtype == pl.String or dtype == pl.Date:
        tag, text, size = "S", column, column.str.len_bytes()
    elif dtype == pl.Boolean:
        tag, text, size = "BOOL", column, column.str.len_bytes()
    else:
        tag, text, size = "N", pl.lit('"') + column + '"', (column.str.len_bytes() + 1) // 2 + 1
    return (pl.lit(f',"{name}":{{"{tag}":') + text + "}", size.cast(pl.Int64) + named)


def _json_text(column: pl.Expr) -> pl.Expr:
    """Text as a JSON literal, null if null."""
    wrapped = pl.struct(a=column).struct.json_encode()  # {"a":"..."}
    literal = wrapped.str.slice(5).str.strip_suffix("}")
    return pl.when(column.is_not_null()).then(literal)

"""How the values of a variable are compared."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype


class Kind(StrEnum):
    """What a column holds, and so how two of its values are compared."""

    NUMERIC = "numeric"
    #: Categories without order: alike or not.
    NOMINAL = "nominal"
    #: Ordered levels, compared by their number: an ordered categorical, or the numbers themselves.
    ORDINAL = "ordinal"
    #: Yes or no where two no's mean nothing (a service that few stores have): such pairs are skipped.
    ASYMMETRIC_BINARY = "asymmetric_binary"
    #: Yes or no where both answers are equally informative.
    SYMMETRIC_BINARY = "symmetric_binary"


#: Kinds whose values are numbers at distances from each other.
SCALED = (Kind.NUMERIC, Kind.ORDINAL)
BINARY = (Kind.ASYMMETRIC_BINARY, Kind.SYMMETRIC_BINARY)


def infer_kinds(X: pd.DataFrame) -> dict[str, Kind]:
    """Kinds by type: numbers numeric, booleans symmetric, ordered categoricals ordinal, all else nominal."""

    def kind(column: pd.Series) -> Kind:
        if isinstance(column.dtype, pd.CategoricalDtype):
            return Kind.ORDINAL if column.dtype.ordered else Kind.NOMINAL
        if is_bool_dtype(column.dtype):
            return Kind.SYMMETRIC_BINARY
        return Kind.NUMERIC if is_numeric_dtype(column.dtype) else Kind.NOMINAL

    return {str(name): kind(X[name]) for name in X}


def check_kinds(kinds: Mapping[str, str], X: pd.DataFrame) -> dict[str, Kind]:
    """Kind of each column of ``X``, in its order.

    Raises
    ------
    ValueError
        A kind is unknown, a column has none, or a kind has no column.
    """
    known = {kind.value for kind in Kind}
    unknown = {name: str(kind) for name, kind in kinds.items() if str(kind) not in known}
    if unknown:
        raise ValueError(f"kinds must be among {sorted(known)}, got {unknown}")
    columns = [str(name) for name in X]
    without = [name for name in columns if name not in kinds]
    absent = [name for name in kinds if name not in columns]
    if without or absent:
        raise ValueError(
            f"kinds must name exactly the columns of X; columns without a kind: {without[:5]}, "
            f"kinds without a column: {absent[:5]}"
        )
    return {name: Kind(kinds[name]) for name in columns}


def check_weights(weights: Mapping[str, float] | None, columns: list[str]) -> dict[str, float]:
    """Weight of each column, 1 where none is given.

    Raises
    ------
    ValueError
        A weight is negative or not finite, all are zero, or one belongs to no column.
    """
    found = dict.fromkeys(columns, 1.0) | {name: float(weight) for name, weight in (weights or {}).items()}
    foreign = sorted(set(found) - set(columns))
    if foreign:
        raise ValueError(f"weights must belong to columns of X, got {foreign[:5]}")
    wrong = {name: weight for name, weight in found.items() if not 0 <= weight < float("inf")}
    if wrong or not any(found.values()):
        raise ValueError(f"weights must be finite, not negative, and not all zero, got {wrong or found}")
    return found

"""Salesforce ids: 15 case-sensitive characters plus 3 that make them case-insensitive."""

from __future__ import annotations

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def make_id(key_prefix: str, number: int) -> str:
    """18-character id of the `number`-th record with that key prefix."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return with_suffix(f"{key_prefix}5f0{digits.rjust(9, '0')}")


def with_suffix(short: str) -> str:
    """18-character form of a 15-character id.

    Each suffix character encodes which of five characters are upper case, lowest bit first.
    """
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << i for i, char in enumerate(short[start : start + 5]) if "A" <= char <= "Z")
        suffix += _SUFFIX[bits]
    return short + suffix

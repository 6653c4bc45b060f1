"""Pseudonyms of natural ids: the only form in which a person or company leaves ``raw/``.

A keyed hash (HMAC) and not a plain one: account ids are short and guessable, so whoever knows
the ids could undo a plain hash by hashing them all. Without the key that is impossible, and
destroying the key makes every table anonymous at once.
"""

from __future__ import annotations

import hmac

import pyarrow as pa
import pyarrow.compute as pc

#: Hex digits kept of the 64: 96 bits, a collision among a million ids has probability 6e-18.
LENGTH = 24


def pseudonym(natural_id: str, *, key: bytes) -> str:
    """Pseudonym of one id: the first 24 hex digits of HMAC-SHA256(key, UTF-8 of the id).

    Raises
    ------
    ValueError
        The key is empty: the result would be a plain hash in disguise.
    """
    if not key:
        raise ValueError("key must be at least one byte, got b''")
    return hmac.digest(key, natural_id.encode(), "sha256").hex()[:LENGTH]


def pseudonymise(natural_ids: pa.Array | pa.ChunkedArray, *, key: bytes) -> pa.Array | pa.ChunkedArray:
    """Pseudonyms of a column of ids; the key is an argument so that this stays a pure function.

    Parameters
    ----------
    natural_ids : pyarrow.Array or pyarrow.ChunkedArray of string, or of dictionary of string
        Natural ids in any order, repeats allowed. They are taken as they are: ``" A1"`` and
        ``"A1"`` are two ids, so trim and normalise before.
    key : bytes
        Secret key, see ``Settings.load_pseudonym_key``.

    Returns
    -------
    pyarrow.Array or pyarrow.ChunkedArray of string
        Same length, order and chunking as ``natural_ids``; null stays null.

    Notes
    -----
    Hashes each distinct id once: about 1 µs per distinct id, and a gather over the rows.
    """
    names = natural_ids.unique()
    if pa.types.is_dictionary(names.type):
        names = names.cast(names.type.value_type)
        natural_ids = natural_ids.cast(names.type)
    names = names.drop_null()
    hashed = pa.array([pseudonym(name, key=key) for name in names.to_pylist()], pa.string())
    if isinstance(natural_ids, pa.ChunkedArray):
        chunks = [_gather(chunk, names, hashed) for chunk in natural_ids.chunks]
        return pa.chunked_array(chunks, type=pa.string())
    return _gather(natural_ids, names, hashed)


def _gather(ids: pa.Array, names: pa.Array, hashed: pa.Array) -> pa.Array:
    return hashed.take(pc.index_in(ids, value_set=names))

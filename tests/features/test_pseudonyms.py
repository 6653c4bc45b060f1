"""Pseudonyms: right values, one per id, none without a key."""

from __future__ import annotations

import hashlib
import hmac

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.pseudonyms import LENGTH, pseudonym, pseudonymise

KEY = b"a key for tests"


def test_value_is_the_one_other_tools_compute() -> None:
    # printf 'ACC-000001' | openssl dgst -sha256 -hmac 'a key for tests' | cut -c1-24 (after "= ")
    assert pseudonym("ACC-000001", key=KEY) == "50b13b8c7eb1825060c10d74"


@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=30))
def test_column_equals_the_definition_row_by_row(ids: list[str | None]) -> None:
    wanted = [
        None if name is None else hmac.new(KEY, name.encode(), hashlib.sha256).hexdigest()[:LENGTH]
        for name in ids
    ]
    array = pa.array(ids, pa.string())
    assert pseudonymise(array, key=KEY).to_pylist() == wanted
    assert pseudonymise(array.dictionary_encode(), key=KEY).to_pylist() == wanted
    chunked = pa.chunked_array([array[:3], array[3:]], type=pa.string())
    assert pseudonymise(chunked, key=KEY).to_pylist() == wanted
    assert pseudonymise(chunked.dictionary_encode(), key=KEY).to_pylist() == wanted


def test_another_key_gives_unrelated_pseudonyms() -> None:
    ids = pa.array([f"ACC-{i}" for i in range(1000)])
    ours, theirs = pseudonymise(ids, key=KEY), pseudonymise(ids, key=b"another")
    assert len(set(ours.to_pylist())) == 1000
    assert not set(ours.to_pylist()) & set(theirs.to_pylist())


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="key must be at least one byte"):
        pseudonymise(pa.array(["ACC-1"]), key=b"")

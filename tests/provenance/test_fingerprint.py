from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagarela_dagster.provenance.fingerprint import (
    UnstableValueError,
    canonical_json,
    code_version,
    fingerprint,
    hash_file,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON))
def test_the_order_of_keys_changes_nothing(value: dict) -> None:
    backwards = dict(reversed(list(value.items())))
    assert fingerprint(value) == fingerprint(backwards)


def test_a_known_value_keeps_its_fingerprint() -> None:
    value = {"língua": "pt", "limiar": 0.799, "reg": [1, None, True]}
    assert canonical_json(value) == '{"limiar":0.799,"língua":"pt","reg":[1,null,true]}'
    assert fingerprint(value).startswith("2f654b03b4539e12")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": math.nan}, r"\$\.a is nan"),
        ({"a": {1, 2}}, r"\$\.a is a set"),
        ({"a": [Path("x")]}, r"\$\.a\[0\] is a PosixPath"),
        ({1: "a"}, "keys must be strings"),
    ],
)
def test_unstable_values_are_refused_with_their_place(value: dict, says: str) -> None:
    with pytest.raises(UnstableValueError, match=says):
        fingerprint(value)


def test_code_version_follows_section_and_logic() -> None:
    versions = {code_version({"a": 1}, "1"), code_version({"a": 1}, "2"), code_version({}, "1")}
    assert len(versions) == 3
    assert code_version({"a": 1}, 1) == code_version({"a": 1}, "1")


def test_hash_file_reads_in_chunks(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc" * 1000)
    assert hash_file(path, chunk_bytes=7) == hash_file(path)

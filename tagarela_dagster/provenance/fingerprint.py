"""Stable identity of values and files.

A fingerprint is the SHA-256 of canonical JSON: the same value gives the same hex on every
machine and in every process. Values that have no stable form (sets, paths, NaN, objects) are
refused instead of being guessed at, so that nothing unstable can slip into a code version.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CODE_VERSION_LENGTH = 16
"""Hex digits of a fingerprint shown as a Dagster code version."""


class UnstableValueError(TypeError):
    """A value has no canonical form."""


def canonical_json(value: Any) -> str:
    """Serialise ``value`` as JSON with sorted keys, no white space and no lossy conversion.

    Raises:
        UnstableValueError: a key is not a string, a float is not finite, or a type is not one
            of None, bool, int, float, str, list, tuple, mapping.
    """
    _check_stable(value, "$")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(value: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def code_version(section: Any, logic_version: str | int) -> str:
    """Version of an asset's code: its recipe section plus the version of its logic."""
    return fingerprint({"section": section, "logic": str(logic_version)})[:CODE_VERSION_LENGTH]


def hash_file(path: Path, chunk_bytes: int = 1 << 20) -> str:
    """SHA-256 (64 hex digits) of a file's bytes, read in chunks of ``chunk_bytes``."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(chunk_bytes):
            digest.update(chunk)
    return digest.hexdigest()


def _check_stable(value: Any, where: str) -> None:
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnstableValueError(f"{where} is {value}: only finite numbers have a fingerprint")
        return
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_stable(item, f"{where}[{index}]")
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise UnstableValueError(f"{where} has the key {key!r}: keys must be strings")
            _check_stable(item, f"{where}.{key}")
        return
    raise UnstableValueError(
        f"{where} is a {type(value).__name__}: convert it to JSON types before fingerprinting"
    )

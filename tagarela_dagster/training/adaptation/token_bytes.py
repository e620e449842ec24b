"""Which bytes of text each token of a tokenizer stands for.

Two tokenizers write the same piece of text differently (``Ġcasa`` in a byte-level vocabulary,
``▁casa`` in a sentencepiece one), so tokens are compared by their bytes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Encoder

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""Sentencepiece's sign for a space."""
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def token_bytes(encoder: Encoder) -> list[bytes | None]:
    """Bytes of each token by id; None for special tokens and ids without a token.

    Raises:
        TrainingError: the vocabulary is neither byte-level nor sentencepiece-like.
    """
    settings = json.loads(encoder.to_str())
    special = {token["id"] for token in settings["added_tokens"] if token["special"]}
    added = {token["id"] for token in settings["added_tokens"]}
    read = _reader(settings)
    vocabulary = encoder.get_vocab()
    found: list[bytes | None] = [None] * (1 + max(vocabulary.values()))
    for token, number in vocabulary.items():
        if number not in special:
            found[number] = token.encode() if number in added else read(token)
    return found


def without_prefix(encoder: Encoder) -> Encoder:
    """The same tokenizer, which puts no space before a text: a piece in the middle of a word is
    encoded as it stands there."""
    from tokenizers import Tokenizer

    settings = json.loads(encoder.to_str())
    for part in _parts(settings["normalizer"]):
        if part["type"] == "Prepend":
            part["prepend"] = ""
    for part in _parts(settings["pre_tokenizer"]):
        if part["type"] == "Metaspace":
            part["prepend_scheme"] = "never"
        if part["type"] == "ByteLevel":
            part["add_prefix_space"] = False
    bare = Tokenizer.from_str(json.dumps(settings))
    bare.encode_special_tokens = True
    return bare


def _reader(settings: dict[str, Any]) -> Any:
    kinds = {part["type"] for key in ("pre_tokenizer", "decoder") for part in _parts(settings[key])}
    if "ByteLevel" in kinds:
        alphabet = _byte_level_alphabet()
        return lambda token: bytes(alphabet[c] for c in token if c in alphabet)
    if settings["model"].get("byte_fallback") or kinds & {"Metaspace", "ByteFallback"}:
        return _read_sentencepiece
    raise TrainingError(
        f"a tokenizer of kind {settings['model']['type']} is neither byte-level nor "
        "sentencepiece-like, and its tokens' text is not known: choose another base"
    )


def _read_sentencepiece(token: str) -> bytes:
    if byte := _BYTE.fullmatch(token):
        return bytes([int(byte[1], 16)])
    return token.replace(SPACE, " ").encode()


def _parts(section: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A section of tokenizer.json, or the sections of its sequence."""
    if section is None:
        return []
    for name in ("pretokenizers", "normalizers", "decoders"):
        if name in section:
            return section[name]
    return [section]


def _byte_level_alphabet() -> dict[str, int]:
    """Character -> byte, of byte-level vocabularies (openai/gpt-2, src/encoder.py)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(rest)}

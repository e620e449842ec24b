"""The tokenizer of ``training.base`` as the graph's own, unchanged (``tokenizer.kind: base``).

Its files are those of the base, byte for byte, so that whoever has the base has the tokenizer. It
must end documents with a token of its own and give Portuguese text back as it was.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.training.tokens.comparison import HARD_TEXTS, tokenizer_difference
from tagarela_dagster.training.tokens.tokenizer import (
    CONFIG_FILE,
    TOKENIZER_FILE,
    TokenizerReport,
    end_token,
    open_tokenizer,
    token_id,
)

FILES = (TOKENIZER_FILE, CONFIG_FILE, "special_tokens_map.json", "chat_template.jinja")
"""Files of a tokenizer; the first two there must be."""


def publish_base_tokenizer(writer: PartitionWriter, model: Path) -> Manifest:
    """Publish the tokenizer of the model folder ``model``.

    Raises:
        ValueError: it has no fast form, no end token, or transformers reads it otherwise than
            ``tokenizers`` does.
    """
    names = [name for name in FILES if (model / name).is_file()]
    if missing := [name for name in FILES[:2] if name not in names]:
        raise ValueError(f"{model} holds no {missing[0]}: save its tokenizer in its fast form")
    writer.data.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(model / name, writer.data / name)
    if difference := tokenizer_difference(writer.data, writer.data, HARD_TEXTS):
        raise ValueError(f"the tokenizer of {model} cannot be used: {difference}")
    encoder = open_tokenizer(writer.data)
    token_id(encoder, end_token(writer.data))
    counts: dict[str, Any] = TokenizerReport(
        kind="base",
        vocabulary=encoder.get_vocab_size(),
        training_documents=0,
        training_bytes=0,
        sha256=hash_file(writer.data / TOKENIZER_FILE),
    ).as_json()
    return writer.publish([Shard.of(writer.data, name, 0) for name in names], counts)

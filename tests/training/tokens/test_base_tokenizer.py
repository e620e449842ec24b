from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.tokens.base_tokenizer import publish_base_tokenizer
from tagarela_dagster.training.tokens.comparison import (
    HARD_TEXTS,
    tokenizer_difference,
    tokenizer_equal,
)
from tagarela_dagster.training.tokens.encoding import encode_documents
from tagarela_dagster.training.tokens.tokenizer import (
    end_token,
    open_tokenizer,
    token_id,
    train_tokenizer,
)
from tests.training.adaptation.parents import make_parent, portuguese_tokenizer
from tests.training.tiny_run import TEXTS


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parent(tmp_path_factory.mktemp("base")) / "model"


def test_the_bases_tokenizer_is_published_unchanged(base: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.write("tokenizer", code_version="1", section={}, inputs={}) as writer:
        manifest = publish_base_tokenizer(writer, base)
    assert manifest.counts["kind"] == "base"
    assert manifest.counts["vocabulary"] == 768
    published = lake.data("tokenizer")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert hash_file(published / name) == hash_file(base / name)
    assert end_token(published) == "</s>"
    assert tokenizer_equal(published, base, HARD_TEXTS)


def test_documents_end_with_the_bases_own_token_and_are_not_cut(base: Path) -> None:
    encoder = open_tokenizer(base)
    eos = token_id(encoder, end_token(base))
    text = " ".join(TEXTS * 20) + "\n"
    rows = [Document(native_id="1", text=text).row("rio", "1")]
    batch = pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)
    (found,) = encode_documents(encoder, [batch], eos)
    assert found.ids.tolist() == [*encoder.encode(text).ids, eos]
    assert found.lengths.dtype == np.int64


def test_a_tokenizer_without_an_end_token_is_refused(base: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(base, tmp_path / "copy")
    (copy / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ValueError, match="names no eos_token"):
        end_token(copy)
    with pytest.raises(ValueError, match="kind base is not trained"):
        train_tokenizer(TEXTS, Tokenizer(kind="base"), tmp_path / "out")


def test_a_tokenizer_that_transformers_reads_otherwise_is_told(tmp_path: Path) -> None:
    one = portuguese_tokenizer(tmp_path / "one")
    assert tokenizer_equal(one, one, [*HARD_TEXTS, *TEXTS])
    other = shutil.copytree(one, tmp_path / "other")
    settings = json.loads((other / "tokenizer.json").read_text())
    settings["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = True
    (other / "tokenizer.json").write_text(json.dumps(settings))
    said = tokenizer_difference(one, other, TEXTS)
    assert said is not None
    assert "tokenizers on other encodes" in said
    shutil.copyfile(one / "tokenizer.json", other / "tokenizer.json")
    settings = json.loads((other / "tokenizer_config.json").read_text())
    settings["eos_token"] = "<|pad|>"
    (other / "tokenizer_config.json").write_text(json.dumps(settings))
    assert tokenizer_difference(one, other, TEXTS) == "eos_token_id is 0 in one and 1 in other"

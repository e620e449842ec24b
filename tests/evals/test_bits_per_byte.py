from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tagarela_dagster.evals.bits_per_byte import score_documents
from tagarela_dagster.evals.documents import HeldOutDocument, read_documents
from tagarela_dagster.evals.items import ItemsError
from tagarela_dagster.evals.model import LoadedModel, ModelError, load_model, model_revision
from tests.evals.tiny_model import TEXTS, write_model


@pytest.fixture(scope="module", params=["llama", "gpt_neo"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp(request.param)
    return load_model(write_model(folder, request.param, context=16))


def slow_bits(loaded: LoadedModel, text: str, context: int) -> float:
    """The same sum, a token at a time."""
    import torch

    ids = loaded.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    tokens = [loaded.prefix, *ids]
    total = 0.0
    for at in range(1, len(tokens)):
        # The window that scores this token starts at the last multiple of half a context that
        # leaves the token inside.
        start = 0 if at < context else (at - context // 2) // (context // 2) * (context // 2)
        with torch.inference_mode():
            logits = loaded.model(torch.tensor([tokens[start:at]])).logits[0, -1].double()
        total -= float(torch.log_softmax(logits, -1)[tokens[at]])
    return total / math.log(2)


def test_short_and_long_documents_have_the_bits_of_every_token(loaded: LoadedModel) -> None:
    texts = [TEXTS[0][:20], "é", TEXTS[1], "um <|fim|> escrito"]
    documents = [HeldOutDocument(str(n), text) for n, text in enumerate(texts)]
    scored = list(score_documents(loaded, documents))
    assert [s.id for s in scored] == ["0", "1", "2", "3"]
    assert [s.bytes for s in scored] == [len(text.encode()) for text in texts]
    assert scored[2].tokens > 2 * loaded.context
    for text, score in zip(texts, scored, strict=True):
        assert score.bits == pytest.approx(slow_bits(loaded, text, loaded.context), rel=1e-5)


def test_a_document_scores_the_same_alone_and_among_others(loaded: LoadedModel) -> None:
    documents = [HeldOutDocument(str(n), text * (n + 1)) for n, text in enumerate(TEXTS)]
    together = {s.id: s.bits for s in score_documents(loaded, documents)}
    for document in documents:
        (alone,) = score_documents(loaded, [document])
        assert alone.bits == pytest.approx(together[document.id], rel=1e-6)


def test_documents_are_cut_at_their_first_characters(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    rows = [{"id": 7, "text": "ação"}, {"text": ""}, {"text": "pão", "source": "a"}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert list(read_documents(path, 3)) == [
        HeldOutDocument("7", "açã"),
        HeldOutDocument("3", "pão", "a"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("docs.jsonl", '{"texto": "x"}', "row 1: there is no `text`"),
        ("docs.jsonl", '{"text": "x"}\n{mau', "line 2: not JSON"),
        ("docs.csv", "text\nx", "is neither .parquet nor .jsonl"),
    ],
)
def test_unusable_documents_are_an_error(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ItemsError, match=message):
        list(read_documents(tmp_path / name, 10))


def test_the_revision_names_weights_configuration_and_tokenizer(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    revision = model_revision(folder)
    assert len(revision) == 16
    (folder / "notes.txt").write_text("nada")
    assert model_revision(folder) == revision
    (folder / "tokenizer.json").write_text("{}")
    assert model_revision(folder) != revision


def test_a_folder_with_pickled_weights_only_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled weights"):
        load_model(folder)
    with pytest.raises(ModelError, match="no config.json"):
        model_revision(tmp_path)

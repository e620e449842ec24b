from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.evals.command import COLUMNS, evaluate_model
from tagarela_dagster.evals.generation import harness_model, predict_last_words
from tagarela_dagster.evals.items import Item, ItemsError, write_items
from tagarela_dagster.evals.last_word import data_path, load_items
from tagarela_dagster.evals.model import ModelError, load_model
from tagarela_dagster.evals.protocols import PROTOCOLS
from tagarela_dagster.evals.publish import EvaluationFailedError, publish_scores, run_suite
from tagarela_dagster.evals.score import score_suite
from tagarela_dagster.evals.suite import LastWordTask, Suite, build_suite
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.evals import Evals, HeldOut, LastWord
from tests.evals.test_last_word import LONG, SHORT
from tests.evals.tiny_model import TEXTS, write_model

SAMPLE = "sample:benchmarks/ultima_palavra.jsonl"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"), context=160)


@pytest.fixture
def items() -> list[Item]:
    return load_items(LastWord(data=SAMPLE)).items[:5]


def write_held_out(path: Path) -> Path:
    rows = [
        {"id": "a", "text": LONG, "source": "jornal", "variety": "pt-PT"},
        {"id": "b", "text": LONG.replace("barco", "navio"), "source": "blog", "variety": "pt-BR"},
        {"id": "c", "text": TEXTS[0], "source": "blog", "variety": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("protocol", ["gloria", "tucano"])
@pytest.mark.parametrize("architecture", ["llama", "gpt_neo"])
def test_the_harness_gives_each_item_the_protocols_own_generation(
    protocol: str, architecture: str, items: list[Item], tmp_path: Path
) -> None:
    import torch

    loaded = load_model(write_model(tmp_path / "m", architecture, context=160))
    (tmp_path / "s").mkdir()
    results = predict_last_words(harness_model(loaded), items, protocol, tmp_path / "s")
    penalty = {"gloria": 2.0, "tucano": 1.0}[protocol]
    for item, result in zip(items, results, strict=True):
        tokens = loaded.tokenizer(item.sentence)["input_ids"]
        seen = list(tokens)
        for _ in range(PROTOCOLS[protocol].tokens):
            with torch.no_grad():
                logits = loaded.model(torch.tensor([seen])).logits[0, -1].clone()
            used = torch.tensor(sorted(set(seen)))
            scores = logits[used]
            # The repetition penalty of CTRL (arXiv 1909.05858).
            logits[used] = torch.where(scores < 0, scores * penalty, scores / penalty)
            seen.append(int(logits.argmax()))
            if seen[-1] == 0:
                break
        expected = loaded.tokenizer.decode(seen[len(tokens) :], skip_special_tokens=True)
        assert result.generation == expected
        assert result.item == item
        assert result.correct is PROTOCOLS[protocol].score(expected, item.last_word)
        assert not result.truncated


def test_a_right_answer_counts_and_a_cut_prompt_is_told(tmp_path: Path, items: list[Item]) -> None:
    loaded = load_model(write_model(tmp_path / "m", context=160))
    lm = harness_model(loaded)
    (tmp_path / "s").mkdir()
    (first, *_) = predict_last_words(lm, items[:1], "gloria", tmp_path / "s")
    told = Item("x", items[0].sentence, first.answer or "nada")
    long = Item("y", " ".join([items[0].sentence] * 9), "nada")
    (tmp_path / "t").mkdir()
    again = predict_last_words(lm, [long, told], "gloria", tmp_path / "t")
    assert [r.item.id for r in again] == ["y", "x"]
    assert again[1].correct is bool(first.answer)
    assert [r.truncated for r in again] == [True, False]


def test_a_suite_is_scored_with_intervals_and_every_items_result(
    model: Path, tmp_path: Path
) -> None:
    section = Evals(
        held_out=HeldOut(max_characters=100),
        last_word={
            "amostra": LastWord(data=SAMPLE, max_items=4),
            "retidos": LastWord(data="held_out", protocols=["tucano"]),
        },
    )
    lake = Lake(tmp_path)
    source = data_path(SAMPLE)
    assert source is not None
    with lake.write("scores", "run-1", code_version="1", section={}, inputs={}) as writer:
        manifest = publish_scores(
            writer,
            model=model,
            section=section,
            benchmarks={"amostra": source},
            held_out=write_held_out(tmp_path / "held_out.parquet"),
        )
    rows = json.loads(lake.paths(manifest, "scores.json")[0].read_text(encoding="utf-8"))
    assert [(r["task"], r["protocol"], r["items"]) for r in rows] == [
        ("bits_per_byte", "strided", 3),
        ("bits_per_byte_blog", "strided", 2),
        ("amostra", "gloria", 4),
        ("amostra", "tucano", 4),
        ("retidos", "tucano", 2),
    ]
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"]
        assert row["suite"] == manifest.counts["suite"]
        assert row["model"] == manifest.counts["model"]
    assert [(s.path, s.rows) for s in manifest.shards] == [
        ("items/amostra.gloria.parquet", 4),
        ("items/amostra.tucano.parquet", 4),
        ("items/bits_per_byte.parquet", 3),
        ("items/retidos.tucano.parquet", 2),
        ("scores.json", 5),
    ]
    results = pq.read_table(lake.paths(manifest, "items/retidos")[0]).to_pylist()
    assert [(r["id"], r["target"], r["group"]) for r in results] == [
        ("a/0", "barco", "a"),
        ("b/0", "navio", "b"),
    ]
    value = next(r["value"] for r in rows if r["task"] == "retidos")
    assert value == sum(r["correct"] for r in results) / 2
    documents = pq.read_table(lake.paths(manifest, "items/bits")[0]).to_pylist()
    whole = sum(d["bits"] for d in documents) / sum(d["bytes"] for d in documents)
    assert rows[0]["value"] == pytest.approx(whole)


def test_the_suite_hash_follows_what_is_asked_and_not_where_it_lies(tmp_path: Path) -> None:
    held_out = write_held_out(tmp_path / "held_out.parquet")
    section = Evals(last_word={"retidos": LastWord(data="held_out")})
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    one = build_suite(section, {}, held_out, tmp_path / "a")
    two = build_suite(section, {}, held_out, tmp_path / "b")
    fewer = Evals(last_word={"retidos": LastWord(data="held_out", max_items=1)})
    three = build_suite(fewer, {}, held_out, tmp_path / "c")
    assert one.hash == two.hash == Suite.from_json(json.loads(json.dumps(one.as_json()))).hash
    assert one.hash != three.hash


def test_held_out_documents_without_a_passage_are_an_error(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": SHORT, "source": "s", "variety": None}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "held_out.parquet")
    section = Evals(last_word={"retidos": LastWord(data="held_out")})
    with pytest.raises(ItemsError, match="raise evals.held_out.share"):
        build_suite(section, {}, tmp_path / "held_out.parquet", tmp_path)


def test_the_command_gives_exactly_its_columns(model: Path, tmp_path: Path) -> None:
    rows = evaluate_model(model, protocols=["tucano"], data=SAMPLE, limit=3)
    assert [tuple(row) for row in rows] == [COLUMNS]
    assert (rows[0]["task"], rows[0]["protocol"], rows[0]["items"]) == ("last_word", "tucano", 3)
    documents = str(write_held_out(tmp_path / "docs.parquet"))
    rows = evaluate_model(model, tasks=["bits_per_byte"], data=documents)
    assert rows[0]["metric"] == "bits_per_byte"
    # A random model over 320 tokens: some 8.3 bits a token, less than one token a byte.
    assert 2 < rows[0]["value"] < 8.4


def test_the_same_model_and_suite_give_the_same_bytes(
    model: Path, items: list[Item], tmp_path: Path
) -> None:
    write_items(items, tmp_path / "itens.jsonl")
    task = LastWordTask("t", tmp_path / "itens.jsonl", ("gloria",))
    suite = Suite((task,), write_held_out(tmp_path / "d.parquet"), 100, 0.95)
    files = []
    for name in ("one", "two"):
        score_suite(model, suite, tmp_path / name)
        found = sorted((tmp_path / name).rglob("*.*"))
        files.append([path.read_bytes() for path in found])
    assert len(files[0]) == 3
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ["enem"]}, "no task enem; tasks: last_word, bits_per_byte"),
        ({"protocols": ["manaca"]}, "no protocol manaca; protocols: gloria, tucano"),
        ({"data": "nada.jsonl"}, "nada.jsonl does not exist"),
    ],
)
def test_a_wrong_word_on_the_command_line_says_what_exists(
    model: Path, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_model(model, **options)


def test_a_folder_without_a_model_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no model folder"):
        evaluate_model(tmp_path)


def test_a_failed_evaluation_shows_the_end_of_its_log_and_leaves_no_scores(
    model: Path, items: list[Item], tmp_path: Path
) -> None:
    write_items(items, tmp_path / "itens.jsonl")
    task = LastWordTask("t", tmp_path / "itens.jsonl", ("gloria",))
    suite = Suite((task,), None, 100, 0.95)
    (tmp_path / "itens.jsonl").unlink()
    with pytest.raises(EvaluationFailedError, match="itens.jsonl does not exist"):
        run_suite(model, suite, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evaluation.log", "suite.json"]

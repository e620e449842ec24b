from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.recipe.alignment import Grpo
from tagarela_dagster.sample.prose import SAMPLE
from tagarela_dagster.training.alignment.pairs import check_pair, check_prompt, part_of, prompt_id
from tagarela_dagster.training.alignment.rows import InvalidRowError, lines, screen
from tagarela_dagster.training.alignment.samples import compare, is_degenerate
from tagarela_dagster.training.launching.failure import TrainingError
from tests.training.alignment.tiny_chat import PAIRS, PROMPTS, ask, say, write_rows

MARKS = ("<|fim|>",)
PAIR = PAIRS[0]


def words(messages: list[dict[str, str]]) -> int:
    return sum(len(message["content"].split()) for message in messages)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompt": []}, "no_messages"),
        ({"prompt": [say("Olá.")]}, "turns_out_of_order"),
        ({"prompt": [ask("Itália"), say("É Roma.")]}, "turns_out_of_order"),
        ({"chosen": [ask("Itália")]}, "chosen_is_no_answer"),
        ({"rejected": [say("Sim."), say("Não.")]}, "rejected_is_no_answer"),
        ({"rejected": None}, "no_messages"),
        ({"rejected": PAIR["chosen"]}, "equal_answers"),
        ({"chosen": [say("É <|fim|> isso.")]}, "special_token"),
        ({"chosen": [say("palavra " * 50)]}, "too_long"),
    ],
)
def test_what_is_no_pair_is_named(changes: dict[str, Any], reason: str) -> None:
    line = json.dumps({**PAIR, **changes}).encode()
    with pytest.raises(InvalidRowError, match=f"^{reason}$"):
        check_pair(line, MARKS, 20, words)


def test_a_prompt_says_what_its_answer_is_checked_by() -> None:
    row = check_prompt(json.dumps(PROMPTS[0]).encode(), MARKS, 20, words)
    assert json.loads(row["wanted"]) == {"answer": "Lisboa", "variety": "pt-PT"}
    for change, reason in (({"answer": None, "variety": None}, "nothing_to_check"),):
        line = json.dumps({**PROMPTS[0], **change}).encode()
        with pytest.raises(InvalidRowError, match=reason):
            check_prompt(line, MARKS, 20, words)


def test_bad_rows_are_quarantined_and_a_prompt_lies_on_one_side(tmp_path: Path) -> None:
    same = {**PAIR, "chosen": [say("Lisboa.")]}
    data = write_rows(tmp_path / "p.jsonl", [*PAIRS, same, {"prompt": 1}])
    outs = {name: tmp_path / f"{name}.jsonl" for name in ("train", "held_out")}

    def check(line: bytes) -> dict[str, Any]:
        return check_pair(line, MARKS, 100, words)

    counts = screen(data, outs, tmp_path / "bad.jsonl", check, part_of(0.3)).as_json()
    assert counts["rows_read"] == 10
    assert counts["rows_kept"] + counts["rows_held_out"] == 9
    assert counts["rows_quarantined"] == {"no_messages": 1}
    (bad,) = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    assert data.read_bytes()[bad["offset"] :] == b'{"prompt": 1}\n'
    sides = [{json.loads(line)["id"] for _, line in lines(path)} for path in outs.values()]
    assert not sides[0] & sides[1]
    with pytest.raises(TrainingError, match="no usable row to held out among 10 lines"):
        screen(data, outs, tmp_path / "bad.jsonl", check, part_of(1e-9))


@pytest.mark.parametrize(("name", "count"), [("preferencias", 44), ("verificaveis", 50)])
def test_the_bundled_rows_are_usable_varied_and_of_both_varieties(name: str, count: int) -> None:
    found = list(lines(SAMPLE / "instruct" / f"{name}.jsonl"))
    check = check_pair if name == "preferencias" else check_prompt
    rows = [check(line, MARKS, 10_000, words) for _, line in found]
    assert len(rows) == len({row["id"] for row in rows}) == count
    parts = Counter(map(part_of(Grpo().held_out), rows))
    assert parts["held_out"] >= 5
    if name == "preferencias":
        raw = [json.loads(line) for _, line in found]
        assert Counter(r["variety"] for r in raw) == {"pt-PT": 22, "pt-BR": 22}
        assert len({r["kind"] for r in raw}) == 10


@pytest.mark.parametrize(
    ("text", "degenerate"),
    [
        ("", True),
        (" \n", True),
        ("É Lisboa.", False),
        ("Podes fazer massa com molho. " * 4, True),
        ("não " * 12, True),
        ("O mel é feito pelas abelhas a partir do néctar que trazem das flores do campo.", False),
    ],
)
def test_empty_and_repeating_answers_are_degenerate(text: str, degenerate: bool) -> None:
    assert is_degenerate(text) == degenerate


def test_answers_are_compared_one_by_one(tmp_path: Path) -> None:
    rows = [{"id": prompt_id([ask(c)]), "prompt": [ask(c)]} for c in ("Itália", "França")]
    before, after = ["É Roma.", "É Paris."], ["É Roma.", "the the the the"]
    found = compare(rows, before, after, ([1.0, 1.0], [1.0, 0.0]), tmp_path)
    assert found["generations_changed"] == 0.5
    assert (found["score_before"], found["score_after"]) == (1.0, 0.5)
    first, second = map(json.loads, (tmp_path / "samples.jsonl").read_text().splitlines())
    assert (first["before"], first["after"]) == ("É Roma.", "É Roma.")
    assert second["after"] == "the the the the"

"""The pipeline of docs/datatrove.md, run as it stands there."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.filtering.filter_prose import BUS, MARKET, REPORT
from tests.corpus.filtering.test_language import GALICIAN

DOCS = Path(__file__).parents[3] / "docs" / "datatrove.md"
EXAM = "O autor descreve uma aldeia em que o sino toca sozinho todas as noites de lua cheia."
INPUT = {
    "mercado": f"Menu\n{MARKET}\nReservas em rui@sapo.pt, ao balcão ou à porta do mercado.",
    "copia": MARKET,
    "onibus": BUS,
    "galego": GALICIAN * 2,
    "eco": "Ele disse que sim. " * 40,
    "curto": MARKET[:150],
    "prova": f"{REPORT}\n{EXAM}",
}


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    lines = [
        line
        for file in sorted(folder.glob("*.jsonl.gz"))
        for line in gzip.decompress(file.read_bytes()).decode().splitlines()
    ]
    return {row["id"]: row for row in map(json.loads, lines)}


def test_it_runs_and_keeps_and_drops_what_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, keys in enumerate([list(INPUT)[:4], list(INPUT)[4:]]):
        (tmp_path / "entrada").mkdir(exist_ok=True)
        lines = (json.dumps({"id": key, "text": INPUT[key]}) + "\n" for key in keys)
        (tmp_path / "entrada" / f"{number}.jsonl").write_text("".join(lines))
    (tmp_path / "provas").mkdir()
    (tmp_path / "provas" / "exame.jsonl").write_text(json.dumps({"text": EXAM}) + "\n")
    [code] = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, str(DOCS), "exec"), {"__name__": "pipeline"})
    out = tmp_path / "saida"
    clean = rows(out / "limpos")
    assert sorted(clean) == ["mercado", "onibus"]
    assert clean["mercado"]["text"].startswith(MARKET)
    assert "[e-mail]" in clean["mercado"]["text"]
    reasons = {
        (folder.name, key, row["metadata"].get("filter_reason"))
        for folder in (out / "fora").iterdir()
        for key, row in rows(folder).items()
    }
    assert reasons == {
        ("lingua", "galego", "language"),
        ("repeticao", "eco", "top_2_gram"),
        ("qualidade", "curto", "gopher_short_doc"),
        ("provas", "prova", "contaminated"),
        ("copias", "copia", None),
    }

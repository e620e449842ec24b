"""Benchmark sets of the mirror (``benchmarks/…``) as items to search a corpus for."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from tagarela_dagster.corpus.decontamination.items import BenchmarkItem

Parts = Iterator[tuple[str, ...]]


def benchmark_items(folder: Path) -> Iterator[BenchmarkItem]:
    """Items of every set below ``folder``; an item's parts are what a document may contain."""
    for task, read in SETS.items():
        for number, parts in enumerate(read(folder)):
            yield BenchmarkItem(task, str(number), parts)


def _assin2(folder: Path) -> Parts:
    for name in ("train-only", "dev", "test"):
        for pair in ET.parse(folder / f"assin2/assin2-{name}.xml").getroot():
            yield pair.findtext("t", ""), pair.findtext("h", "")


def _faquad(folder: Path) -> Parts:
    for name in ("train", "dev"):
        content = json.loads((folder / f"faquad/{name}.json").read_text(encoding="utf-8"))
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield paragraph["context"], question["question"]


def _oab(folder: Path) -> Parts:
    for path in sorted((folder / "oab-exams").glob("*.txt")):
        for question in re.split(r"(?m)^Quest[ãa]o \d+\s*$", path.read_text(encoding="utf-8"))[1:]:
            asked, _, options = re.sub(r"(?m)^AREA.*$", "", question).partition("OPTIONS")
            choices = re.split(r"(?m)^[A-E](?::CORRECT)?\) ", options.partition("---")[0])
            yield tuple(part.strip() for part in (asked, *choices) if part.strip())


def _winograd(folder: Path) -> Parts:
    rows = json.loads((folder / "winograd-pt/portuguese_wsc.json").read_text(encoding="utf-8"))
    for row in rows:
        yield (row["correct_sentence"],)


def _sib(folder: Path) -> Parts:
    for name in ("train", "dev", "test"):
        with (folder / f"sib-200-por/{name}.tsv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                yield (row["text"],)


def _told(folder: Path) -> Parts:
    with (folder / "told-br/ToLD-BR.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield (row["text"],)


def _vicuna(folder: Path) -> Parts:
    path = folder / "vicuna_bench/questions_Portuguese.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        yield (json.loads(line)["text"],)


def _mt_bench(folder: Path) -> Parts:
    path = folder / "mt_bench/question.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        yield tuple(json.loads(line)["turns"])


def _bbh(folder: Path) -> Parts:
    for path in sorted((folder / "big-bench-hard/bbh").glob("*.json")):
        for example in json.loads(path.read_text(encoding="utf-8"))["examples"]:
            yield (example["input"],)


SETS = {
    "assin2": _assin2,
    "faquad": _faquad,
    "oab_exams": _oab,
    "winograd_pt": _winograd,
    "sib_200_por": _sib,
    "told_br": _told,
    "vicuna_pt": _vicuna,
    "mt_bench": _mt_bench,
    "big_bench_hard": _bbh,
}

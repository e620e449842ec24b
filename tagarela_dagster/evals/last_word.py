"""Last-word prediction: where a set comes from, and the rule that makes one of held-out text.

A recipe names ``sample:FILE`` (bundled), a path, ``hub:NAME`` (through ``datasets``) or
``held_out``. The rule for held-out documents:

1. paragraphs are split into sentences at ``.``, ``!``, ``?`` or ``…`` (closing quotes included)
   followed by white space and an opening letter, quote or dash; a paragraph is one line;
2. a passage is a sentence, together with as many sentences right before it in the paragraph as
   it needs to have at least ``MIN_WORDS`` words; it has at most ``MAX_WORDS``;
3. its last word is at least ``MIN_LETTERS`` letters, all lower case (no name, number, acronym or
   hyphen), and ends the passage before the final mark;
4. of each document the ``PER_DOCUMENT`` passages with the lowest hash are taken, no two of which
   share a sentence.

Nobody has checked that a reader can infer these words, so scores on such a set compare models
with each other on this corpus, not with published CALAME-PT figures. Items of one document share
its topic: ``group`` names the document, and the interval takes it into account.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from tagarela_dagster.evals.items import Item, ItemsError, ItemSet, Row, collect_items, read_items
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.recipe.evals import LastWord

SAMPLE, HUB, HELD_OUT = "sample:", "hub:", "held_out"
SAMPLE_FOLDER = Path(__file__).parents[1] / "sample"
MIN_WORDS, MAX_WORDS = 20, 45
"""Words of a passage with its last word: the range of most CALAME-PT items."""
MIN_LETTERS = 4
PER_DOCUMENT = 5

_BOUNDARY = re.compile(r"(?<=[.!?…])[\"»”’)]*\s+(?=[\"«“‘(–—-]*\s*[^\W\d_])")
_LAST = re.compile(r"^(?P<sentence>.*\S)\s+(?P<word>[^\W\d_]+)[.!?…]+[\"»”’)]*$", re.DOTALL)


def data_path(data: str) -> Path | None:
    """The file behind a recipe's ``data``; None for ``hub:`` and ``held_out``."""
    if data == HELD_OUT or data.startswith(HUB):
        return None
    if data.startswith(SAMPLE):
        return SAMPLE_FOLDER / data.removeprefix(SAMPLE)
    return Path(data)


def data_hash(data: str) -> str:
    """What identifies the content behind ``data``: the file's SHA-256, else ``data`` itself.

    Raises:
        ItemsError: there is no such file.
    """
    path = data_path(data)
    if path is None:
        return data
    if not path.is_file():
        raise ItemsError(f"{path} does not exist: give a JSONL, CSV or Parquet file")
    return hash_file(path)


def load_items(section: LastWord) -> ItemSet:
    """Items of a set that is not built from held-out documents. Raises ItemsError."""
    path = data_path(section.data)
    if path is not None:
        return read_items(path, section.sha256)
    if section.data == HELD_OUT:
        raise ItemsError("a held_out set is built from documents: use items_of_documents")
    return collect_items(_hub_rows(section.data.removeprefix(HUB)), section.data)


def items_of_documents(path: Path) -> list[Item]:
    """Items of the documents of a shard (DOCUMENT_SCHEMA), by the rule above."""
    items: list[Item] = []
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(256, columns=["id", "text", "variety"]):
            for row in batch.to_pylist():
                items += items_of_text(row["id"], row["text"], row["variety"])
    return items


def items_of_text(identifier: str, text: str, variety: str | None = None) -> list[Item]:
    """Items of one document, in the order of the text."""
    passages = list(_passages(text))
    ranked = sorted(passages, key=lambda p: hashlib.sha256(p[2].encode()).digest())
    taken: set[int] = set()
    chosen: list[tuple[int, str]] = []
    for first, last, passage in ranked:
        sentences = set(range(first, last))
        if len(chosen) < PER_DOCUMENT and not sentences & taken:
            taken |= sentences
            chosen.append((first, passage))
    items = []
    for first, passage in sorted(chosen):
        match = _LAST.match(passage)
        assert match is not None
        items.append(
            Item(f"{identifier}/{first}", match["sentence"], match["word"], variety, identifier)
        )
    return items


def _passages(text: str) -> Iterator[tuple[int, int, str]]:
    """(number of the first sentence, number after the last one, passage)."""
    number = 0
    for line in text.splitlines():
        bounds = [0, *(m.end() for m in _BOUNDARY.finditer(line)), len(line)]
        for last in range(1, len(bounds)):
            first = last - 1
            while first > 0 and len(line[bounds[first] : bounds[last]].split()) < MIN_WORDS:
                first -= 1
            passage = line[bounds[first] : bounds[last]].strip()
            if MIN_WORDS <= len(passage.split()) <= MAX_WORDS and _has_target(passage):
                yield number + first, number + last, passage
        number += len(bounds) - 1


def _has_target(passage: str) -> bool:
    match = _LAST.match(passage)
    return match is not None and len(match["word"]) >= MIN_LETTERS and match["word"].islower()


def _hub_rows(name: str) -> Iterator[Row]:
    import datasets

    try:
        splits = datasets.load_dataset(name)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ItemsError(f"hub:{name} cannot be loaded: {error}") from None
    for split in sorted(splits):
        for number, row in enumerate(splits[split], 1):
            yield f"{split} {number}", row, ""

"""Partitions of texts for ``repeats``, what is left of them, and the same by brute force."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.dedup.cuts import find_repeats
from tagarela_dagster.corpus.dedup.cuts_apply import Cuts
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.kernels.decon_words import REMOVED, SEPARATOR, fold_table
from tagarela_dagster.corpus.stage import Outcome
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Dedup, ExactSubstrings, RepeatedLines, Repeats

Texts = Mapping[str, str]
"""Id -> text. Filters drop what begins with "!", deduplication what begins with "="."""
Corpus = Mapping[str, Sequence[Texts]]
"""Partition -> its shards -> their documents."""


def section(
    min_words: int = 0, max_documents: int = 0, min_letters: int = 3, left: int = 0, **lines: object
) -> Dedup:
    """Substrings of ``min_words``, lines of more than ``max_documents``; 0: neither."""
    more = {"max_documents": max_documents, "min_letters": min_letters, **lines}
    return Dedup(
        repeats=Repeats(
            lines=RepeatedLines(enabled=True, **more) if max_documents else RepeatedLines(),
            substrings=ExactSubstrings(enabled=bool(min_words), min_words=min_words or 50),
            min_words_left=left,
        )
    )


def write_texts(folder: Path, corpus: Corpus, group: int = 2) -> dict[str, list[ShardInput]]:
    """Signature, filtered, measured and deduped shards; ``group`` rows in a row group."""
    inputs: dict[str, list[ShardInput]] = {}
    for partition, shards in corpus.items():
        inputs[partition] = []
        for number, texts in enumerate(shards):
            name = f"{number:05d}"
            ids = pa.array(list(texts), pa.string())
            passed = [None if text[:1] != "!" else "short" for text in texts.values()]
            alone = [
                r or (t[:1] == "=" and "exact_duplicate") or None
                for r, t in zip(passed, texts.values(), strict=True)
            ]
            tables = {
                "signatures": pa.table({"id": ids}),
                "filtered": pa.table({"id": ids, "reason": pa.array(passed, pa.string())}),
                "measured": documents(partition, texts),
                "deduped": pa.table({"id": ids, "reason": pa.array(alone, pa.string())}),
            }
            paths = []
            for kind, table in tables.items():
                path = folder / kind / partition / f"{name}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(table, path, row_group_size=group)
                paths.append(path)
            hashes = tuple(hash_file(path) for path in paths)
            inputs[partition].append(ShardInput(name, tuple(paths), hashes))
    return inputs


def documents(partition: str, texts: Texts) -> pa.Table:
    source, _, snapshot = partition.partition("@")
    rows = [{**Document(i, text).row(source, snapshot), "id": i} for i, text in texts.items()]
    return pa.Table.from_pylist(rows, DOCUMENT_SCHEMA)


def repeats(
    lake: Lake,
    inputs: Mapping[str, Sequence[ShardInput]],
    rules: Dedup,
    ranks: Mapping[str, int] | None = None,
    told: dict[str, str] | None = None,
    **more: float,
) -> Manifest:
    """Repeats of partitions; ``told`` gets what became of each index."""
    ranks = ranks or {partition.partition("@")[0]: 1 for partition in inputs}
    hashes = {p: "".join("".join(s.hashes) for s in shards) for p, shards in inputs.items()}
    arguments = {"code_version": "c", "section": rules.repeats.as_json(), "inputs": hashes}
    note = told.__setitem__ if told is not None else None
    with lake.write("repeats", **arguments) as writer:
        return find_repeats(writer, inputs, rules, ranks, told=note, **more)


def left(lake: Lake, manifest: Manifest, corpus: Corpus) -> dict[str, dict[str, str | None]]:
    """What is left of the documents that take part; None for one that is dropped."""
    found: dict[str, dict[str, str | None]] = {}
    for partition, shards in corpus.items():
        found[partition] = {}
        for number, texts in enumerate(shards):
            living = [row for row, t in enumerate(texts.values()) if t[:1] not in ("!", "=")]
            cuts = Cuts(lake.paths(manifest, f"cuts/{partition}.parquet"), f"{number:05d}")
            batch = documents(partition, texts).combine_chunks()
            for part in batch.take(pa.array(living, pa.int64())).to_batches():
                cut = cuts.apply(part, np.array(living, np.int64))
                outcome = cut.judge(keep_all(cut.documents))
                ids, after = part.column("id"), outcome.documents.column("text")
                for i, text, reason in zip(
                    *map(pa.Array.to_pylist, (ids, after, outcome.reasons)), strict=True
                ):
                    assert reason in (None, "repeats")
                    found[partition][i] = None if reason else text
    return found


def keep_all(batch: pa.RecordBatch) -> Outcome:
    return Outcome(batch, pa.nulls(batch.num_rows, pa.string()), {})


def words(text: str) -> list[str]:
    """Words as they are compared."""
    folded = [int(fold_table()[ord(c)]) for c in text]
    return "".join(" " if f == SEPARATOR else chr(f) for f in folded if f != REMOVED).split()


def line_key(line: str) -> str:
    """A line as it is compared."""
    folded = ("0" if c.isdecimal() else c for c in line)
    return " ".join(
        "".join(c for i, c in enumerate(word) if c != "0" or word[i - 1 : i] != "0")
        for word in words("".join(folded))
    )


def expected_words(
    corpus: Corpus, rules: Dedup, ranks: Mapping[str, int]
) -> dict[str, dict[str, list[str] | None]]:
    """Words that are left of each document, by definition."""
    lines, length = rules.repeats.lines, rules.repeats.substrings.min_words
    placed = [
        (ranks[p.partition("@")[0]], *p.split("@"), i, number, row, p, text)
        for p, shards in corpus.items()
        for number, texts in enumerate(shards)
        for row, (i, text) in enumerate(texts.items())
        if text[:1] not in ("!", "=")
    ]
    placed.sort()
    holders: dict[object, list[int]] = defaultdict(list)
    first: dict[tuple[str, ...], int] = {}
    taken: list[list[bool]] = []
    texts_words = []
    owners: set[int] = set()
    for number, document in enumerate(placed):
        for key in {scoped(line, document, rules) for line in document[-1].split("\n")}:
            holders[key].append(number)
        found = words(document[-1])
        cut = [False] * len(found)
        for at in range(len(found) - length + 1 if rules.repeats.substrings.enabled else 0):
            owner = first.setdefault(tuple(found[at : at + length]), number)
            if owner != number:
                owners.add(owner)
                cut[at : at + length] = [True] * length
        taken.append(cut)
        texts_words.append(found)
    result: dict[str, dict[str, list[str] | None]] = defaultdict(dict)
    for number, document in enumerate(placed):
        at = 0
        for line in document[-1].split("\n"):
            count = len(words(line))
            holding = holders[scoped(line, document, rules)]
            repeated = lines.enabled and letters(line) >= lines.min_letters
            if repeated and len(holding) > lines.max_documents:
                if not lines.keep_first or holding[0] != number:
                    taken[number][at : at + count] = [True] * count
                else:
                    owners.add(number)
            at += count
        kept = [w for w, cut in zip(texts_words[number], taken[number], strict=True) if not cut]
        few = len(kept) < rules.repeats.min_words_left
        dropped = any(taken[number]) and few and number not in owners
        result[document[-2]][document[3]] = None if dropped else kept
    return result


def scoped(line: str, document: tuple, rules: Dedup) -> tuple[str, str]:
    return (document[1] if rules.repeats.lines.scope == "source" else "", line_key(line))


def letters(line: str) -> int:
    return sum(len(word.replace("0", "")) for word in line_key(line).split())

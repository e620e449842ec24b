"""Any amount of text with a realistic spread of lengths and duplicates, from real documents.

The first pass over the real text gives it as it stands, cut at paragraphs into documents whose
lengths follow a log-normal distribution (median 2.4 kB, as on the web). Later passes put other
words of the same text in place of 35% of the words, so that the documents are new to
deduplication and still have the text's words. Of the documents, 8% are copies and 10% near copies
(every fiftieth word left out) of earlier ones, some of them many times.
"""

from __future__ import annotations

import itertools
import lzma
import os
import random
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.shards import ShardWriter, text_bytes
from tagarela_dagster.corpus.stage import publish_parts, write_part
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest

ROOT = Path(__file__).parents[1]
MIRROR = Path(os.environ.get("TAGARELA_MIRROR") or ROOT.parent / "shared" / "data")
ARCHIVES = (
    "politics/programas-eleitorais-pt",
    "literature/machado-de-assis",
    "legal/lener-br-raw",
    "legal/legislacao-portugal-md",
    "legal/leis-brasil-md",
    "tech/tensorflow-docs-pt-br",
    "tech/mdn-pt-br",
)
WIKIPEDIA = ("wikipedia/pt-wiki-lm-valid.txt.xz", "wikipedia/pt-wiki-lm-bkp-test.txt.xz")
MEDIAN_CHARACTERS, SPREAD, SHORTEST, LONGEST = 2_400, 1.0, 40, 200_000
COPIES, NEAR_COPIES, REPLACED = 0.08, 0.10, 0.35
SHARD_BYTES = 16_000_000
_WORD = re.compile(r"\w+")


def real_paragraphs() -> list[str]:
    """Paragraphs of the mirror's text, source after source; the sample's prose without a mirror."""
    corpus = MIRROR / "corpus"
    if not corpus.is_dir():
        prose = sorted((ROOT / "tagarela_dagster" / "sample" / "prose").glob("*.md"))
        return [p for path in prose for p in path.read_text(encoding="utf-8").split("\n\n")]
    texts = itertools.chain.from_iterable(_members(corpus / f"{n}.tar.xz") for n in ARCHIVES)
    wiki = (lzma.decompress((corpus / name).read_bytes()).decode() for name in WIKIPEDIA)
    return [p for text in itertools.chain(texts, wiki) for p in text.split("\n\n") if p.strip()]


def documents(seed: int = 1) -> Iterator[str]:
    """Texts without end; the same for the same seed."""
    paragraphs = real_paragraphs()
    draw = random.Random(seed)
    earlier: list[str] = []
    for text in _originals(paragraphs, draw):
        yield text
        earlier.append(text)
        if len(earlier) > 20_000:
            del earlier[:10_000]
        while (kind := draw.random()) < COPIES + NEAR_COPIES:
            # Squared, so that a few documents have many copies.
            other = earlier[int(len(earlier) * draw.random() ** 2)]
            yield other if kind < COPIES else _near(other, draw)


def write_documents(
    lake: Lake, partition: str, megabytes: float, seed: int = 1, skip: int = 0
) -> Manifest:
    """Publish ``documents`` of a partition with this much text.

    Args:
        skip: texts of the stream to leave out first, so that two partitions differ.
    """
    source, _, snapshot = partition.partition("@")
    ledger = Ledger("documents", source, snapshot)
    stream = itertools.islice(documents(seed), skip, None)
    with lake.write("documents", partition, code_version="b", section={}, inputs={}) as writer:
        folder = writer.data / "kept"
        with ShardWriter(folder, "00000", DOCUMENT_SCHEMA, SHARD_BYTES) as out:
            number = skip
            while ledger.bytes_kept < megabytes * 1e6:
                rows = []
                for text in itertools.islice(stream, 256):
                    rows.append(
                        Document(f"{seed}-{number}", text, license="CC0-1.0").row(source, snapshot)
                    )
                    number += 1
                batch = pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)
                out.write(batch)
                ledger.documents_in += batch.num_rows
                ledger.documents_kept += batch.num_rows
                ledger.bytes_in += text_bytes(batch)
                ledger.bytes_kept += text_bytes(batch)
        write_part(writer.staging, 0, ledger, {"kept": out.written})
        return publish_parts(writer, 1)


def _originals(paragraphs: list[str], draw: random.Random) -> Iterator[str]:
    words: list[str] = []

    def other(match: re.Match[str]) -> str:
        return draw.choice(words) if draw.random() < REPLACED else match[0]

    for turn in itertools.count():
        place = 0
        while place < len(paragraphs):
            wanted = draw.lognormvariate(0, SPREAD) * MEDIAN_CHARACTERS
            wanted = min(max(wanted, SHORTEST), LONGEST)
            taken: list[str] = []
            size = 0
            while size < wanted and place < len(paragraphs):
                taken.append(paragraphs[place][:LONGEST])
                size += len(taken[-1])
                place += 1
            text = "\n\n".join(taken)
            if turn == 0:
                if len(words) < 2_000_000:
                    words += _WORD.findall(text)
                yield text
            else:
                yield _WORD.sub(other, text)


def _near(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    start = draw.randrange(50)
    return " ".join(word for index, word in enumerate(words) if (index + start) % 50)


def _members(path: Path) -> Iterator[str]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith((".txt", ".md")):
                file = archive.extractfile(member)
                assert file is not None
                yield file.read().decode("utf-8", "replace")

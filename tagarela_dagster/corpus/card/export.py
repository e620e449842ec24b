"""Export: the clean corpus as a folder of Parquet shards that any peer reads.

``data/SOURCE/SNAPSHOT-SHARD.parquet``, ``README.md`` and ``LEIAME.md``, ``croissant.json`` and
``SHA256SUMS``. ``datasets.load_dataset(FOLDER)``, polars, pandas and datatrove's ParquetReader
read it. The folder appears whole, by a rename, and its bytes depend on the lake and the recipe
alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.card.croissant import NAME as CROISSANT
from tagarela_dagster.corpus.card.croissant import write_croissant
from tagarela_dagster.corpus.card.facts import CorpusFacts, FileFacts, describe_corpus, export_path
from tagarela_dagster.corpus.card.text import write_card
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA
from tagarela_dagster.provenance.files import atomic_write, replace_folder
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.model import Recipe

SUMS = "SHA256SUMS"


class ExportError(ValueError):
    """A folder cannot be exported to."""


def export(
    lake: Lake, recipe: Recipe, out: Path, manifests: Sequence[Manifest] | None = None
) -> CorpusFacts:
    """Write the corpus below ``out``; an export that is there is replaced.

    Args:
        manifests: partitions of ``clean``; by default all of the recipe's sources.

    Raises:
        ExportError: ``out`` holds something else than an export.
        MissingPartitionError: no partition of ``clean`` is published.
    """
    out = out.absolute()
    if out.exists() and not (out / SUMS).is_file() and (out.is_file() or any(out.iterdir())):
        raise ExportError(f"{out} holds something else than an export: name another folder")
    facts = describe_corpus(lake, recipe, manifests)
    staged = out.with_name(f".{out.name}.partial")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        files = [_put(recipe, file, staged, where) for file, where in _shards(lake, facts)]
        write_croissant(facts, staged, files)
        write_card(facts, staged, "en")
        write_card(facts, staged, "pt")
        _write_sums(staged, files)
        replace_folder(staged, out)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return facts


def _shards(lake: Lake, facts: CorpusFacts) -> list[tuple[FileFacts, Path]]:
    """Every exported file and the shard of the lake that it is made of."""
    places: dict[str, Path] = {}
    for source in facts.sources:
        for snapshot in source.snapshots:
            manifest = lake.require("clean", f"{source.name}@{snapshot}")
            paths = zip(manifest.select("kept/"), lake.paths(manifest, "kept/"), strict=True)
            places |= {export_path(manifest.partition or "", s.path): path for s, path in paths}
    return [(file, places[file.path]) for file in facts.files]


def _put(recipe: Recipe, file: FileFacts, folder: Path, shard: Path) -> FileFacts:
    """Link a shard into the export, or write it again without the columns left out."""
    columns = [n for n in DOCUMENT_SCHEMA.names if n in recipe.corpus.card.columns]
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if columns == DOCUMENT_SCHEMA.names:
        _link(shard, target)
        return file
    with pq.ParquetFile(shard) as read:
        picked = pa.schema([DOCUMENT_SCHEMA.field(name) for name in columns])
        with pq.ParquetWriter(target, picked, compression="zstd") as written:
            for group in range(read.num_row_groups):
                table = read.read_row_group(group, columns=columns).select(columns).cast(picked)
                written.write_table(table, row_group_size=max(1, table.num_rows))
    size = target.stat().st_size
    return FileFacts(file.path, file.source, size, file.rows, hash_file(target))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def _write_sums(folder: Path, files: Sequence[FileFacts]) -> None:
    """``SHA256SUMS`` as ``sha256sum -c`` reads it."""
    sums = {file.path: file.sha256 for file in files}
    sums |= {name: hash_file(folder / name) for name in (CROISSANT, "README.md", "LEIAME.md")}
    with atomic_write(folder / SUMS) as file:
        file.writelines(f"{digest}  {path}\n" for path, digest in sorted(sums.items()))

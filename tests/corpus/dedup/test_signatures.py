from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from xxhash import xxh3_128_digest, xxh64_intdigest

from tagarela_dagster.corpus.dedup.minhash import Signer
from tagarela_dagster.corpus.dedup.signatures import (
    SignatureError,
    band_name,
    check_signatures,
    sign_partition,
    signature_schema,
)
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.dedup import Minhash
from tests.corpus.dedup.texts import ARGUMENTS, LIGHTHOUSE, MARKET, RIVER, SHORT

DAY = datetime.date(2024, 4, 25)
DOCUMENTS = [
    Document("a", RIVER, url="http://www.rio.pt/cheia/", date=DAY, quality={"words": 78.0}),
    Document("b", SHORT, quality={"top_2_gram": 0.5}),
    Document("c", "", url=""),
]


def measured(folder: Path, *shards: list[Document]) -> list[ShardInput]:
    found = []
    for number, documents in enumerate(shards):
        rows = [document.row("livros", "2026") for document in documents]
        path = folder / f"{number:05d}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, DOCUMENT_SCHEMA), path)
        found.append(ShardInput(path.stem, (path,), (hash_file(path),)))
    return found


def sign(lake: Lake, shards: list[ShardInput], **options: object) -> list[Path]:
    with lake.write("signatures", "livros@2026", **ARGUMENTS) as writer:
        return lake.paths(sign_partition(writer, shards, Minhash(), **options), "signatures/")


def test_a_shard_has_a_row_for_each_document_with_all_that_clusters_need(tmp_path: Path) -> None:
    (path,) = sign(Lake(tmp_path), measured(tmp_path, DOCUMENTS), quality_signal="words")
    table = pq.read_table(path)
    assert path.stem == "00000"
    assert table.schema.equals(signature_schema(Minhash()), check_metadata=True)
    assert check_signatures(path, Minhash()) == 3
    columns = table.to_pydict()
    assert columns["id"] == [d.row("livros", "2026")["id"] for d in DOCUMENTS]
    assert columns["exact"] == [xxh3_128_digest(d.text) for d in DOCUMENTS]
    assert columns["normalized"][1:] == [xxh3_128_digest("fim da historia"), xxh3_128_digest("")]
    assert columns["words"] == [84, 3, 0]
    assert columns["bytes"] == [len(d.text.encode()) for d in DOCUMENTS]
    assert columns["url_key"] == [xxh64_intdigest("rio.pt/cheia"), None, None]
    assert columns["date"] == [DAY, None, None]
    assert columns["quality"] == [78.0, None, None]
    bands = [columns[band_name(band)] for band in range(14)]
    (expected,) = Signer(Minhash()).sign([RIVER]).bands.tolist()
    assert bands == [[value, None, None] for value in expected]


def test_without_a_signal_there_is_no_quality(tmp_path: Path) -> None:
    (path,) = sign(Lake(tmp_path), measured(tmp_path, DOCUMENTS))
    assert pq.read_table(path)["quality"].to_pylist() == [None] * 3


def test_a_signal_that_is_not_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="'beleza', which is not measured: name one of words"):
        sign(Lake(tmp_path), [], quality_signal="beleza")


def test_signatures_of_other_settings_are_refused(tmp_path: Path) -> None:
    (path,) = sign(Lake(tmp_path), measured(tmp_path, DOCUMENTS))
    with pytest.raises(SignatureError, match="materialize its signatures again"):
        check_signatures(path, Minhash(seed=2))


def test_counts_tell_how_much_was_signed(tmp_path: Path) -> None:
    lake, shards = Lake(tmp_path), measured(tmp_path, DOCUMENTS, [Document("d", "Σ" + MARKET)])
    with lake.write("signatures", "livros@2026", **ARGUMENTS) as writer:
        counts = dict(sign_partition(writer, shards, Minhash()).counts)
    counts.pop("ledger")
    size = sum(len(text.encode()) for text in (RIVER, SHORT, "Σ", MARKET))
    words = {"documents": 4, "signed": 2, "words": 160, "bytes": size, "normalized_by_python": 1}
    assert counts == words


def test_a_shard_that_is_known_is_not_signed_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    first = sign(lake, measured(tmp_path, DOCUMENTS))
    both = sign(lake, measured(tmp_path, DOCUMENTS, [Document("d", LIGHTHOUSE)]))
    assert both[0].stat().st_ino == first[0].stat().st_ino
    assert pq.read_metadata(both[1]).num_rows == 1
    (other,) = sign(lake, measured(tmp_path, DOCUMENTS), quality_signal="words")
    assert pq.read_table(other)["quality"].to_pylist() == [78.0, None, None]


def test_an_empty_partition_signs_to_nothing(tmp_path: Path) -> None:
    assert sign(Lake(tmp_path), []) == []

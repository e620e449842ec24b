from __future__ import annotations

import json
from pathlib import Path

import pytest
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
)
from datatrove.pipeline.dedup.minhash import MinhashDedupSignature as PeerSignature
from datatrove.pipeline.writers.jsonl import JsonlWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import TextNormConfig

from tagarela_dagster.corpus.datatrove import MinhashDedupSignature
from tests.corpus.datatrove.side_by_side import Texts, texts

RANKS = 2


def execute(folder: Path, *steps: PipelineStep, tasks: int = RANKS) -> None:
    LocalPipelineExecutor(list(steps), tasks=tasks, workers=1, logging_dir=str(folder)).run()


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    "config",
    [MinhashConfig(), MinhashConfig(n_grams=3, num_buckets=4, hashes_per_bucket=5, seed=7)],
)
def test_signature_files_are_datatroves_to_the_byte(tmp_path: Path, config: MinhashConfig) -> None:
    given = [*texts(), "duas palavras", *texts()[:20]]
    peer = PeerSignature(str(tmp_path / "peer"), config, language="por")
    own = MinhashDedupSignature(str(tmp_path / "own"), config, batch_size=16)
    execute(tmp_path / "a", Texts(given), peer)
    execute(tmp_path / "b", Texts(given), own)
    expected = files(tmp_path / "peer")
    assert len(expected) == RANKS * config.num_buckets
    assert min(map(len, expected.values())) > 1000
    assert files(tmp_path / "own") == expected


def test_datatroves_other_stages_go_on_from_them(tmp_path: Path) -> None:
    books = [text for text in texts()[:15] if len(text) > 1000]
    given = [*books, "Nada.", *(text + " E mais nada." for text in books)]
    signatures, buckets, clusters = (str(tmp_path / name) for name in ("s", "b", "c"))
    config = MinhashConfig()
    execute(tmp_path / "l1", Texts(given), MinhashDedupSignature(signatures, config))
    peer = MinhashDedupBuckets(signatures, buckets, config=config, only_dedup_in_index=False)
    execute(tmp_path / "l2", peer, tasks=config.num_buckets)
    execute(tmp_path / "l3", MinhashDedupCluster(buckets, clusters, config), tasks=1)
    kept = JsonlWriter(str(tmp_path / "kept"), compression=None)
    execute(tmp_path / "l4", Texts(given), MinhashDedupFilter(clusters), kept)
    rows = [
        json.loads(line)
        for file in sorted((tmp_path / "kept").glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    # One of each pair stays, and what is too short to be signed.
    assert len({row["text"][:500] for row in rows}) == len(rows) == len(books) + 1


def test_no_document_gives_empty_files_and_short_ones_none(tmp_path: Path) -> None:
    execute(tmp_path / "l", Texts(["Olá.", ""]), MinhashDedupSignature(str(tmp_path / "s")))
    assert set(files(tmp_path / "s").values()) == {b""}


def test_settings_that_give_other_signatures_are_refused(tmp_path: Path) -> None:
    for config, says in (
        (MinhashConfig(hash_config=HashConfig(precision=32)), "hash_config is"),
        (MinhashConfig(norm_config=TextNormConfig(lowercase=False)), "norm_config is"),
    ):
        with pytest.raises(ValueError, match=says):
            MinhashDedupSignature(str(tmp_path), config)
    with pytest.raises(ValueError, match="language is 'eng'"):
        MinhashDedupSignature(str(tmp_path), language="eng")

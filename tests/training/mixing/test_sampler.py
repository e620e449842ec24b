from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.mixture import Mixture, Weight
from tagarela_dagster.training.mixing import sampler as sampler_module
from tagarela_dagster.training.mixing import streams
from tagarela_dagster.training.mixing.mixture import write_mixture
from tagarela_dagster.training.mixing.sampler import Sampler, SamplerError, open_sampler
from tests.training.token_lake import EOS, folder_of, numbered_documents, write_tokens

CONTEXT = 16
DOCUMENTS = {
    "a@1": [[5, 40, 1, 0, 9], [3, 3, 30]],
    "a@2": [[12, 8]],
    "b@1": [[2, 2, 2, 2, 50], [], [17]],
}


def make(lake: Lake, sequences: int = 60) -> tuple[Manifest, dict[str, list[list[int]]]]:
    """A mixture of two sources, and the documents of each."""
    manifests, documents, first = [], defaultdict(list), 1
    for partition, shards in DOCUMENTS.items():
        numbered = []
        for lengths in shards:
            numbered.append(numbered_documents(lengths, first))
            first += sum(lengths)
        documents[partition.split("@")[0]] += [d for shard in numbered for d in shard]
        manifests.append(write_tokens(lake, partition, numbered))
    section = Mixture(sources={"a": Weight(max_epochs=9), "b": Weight(weight=1.5, max_epochs=9)})
    with lake.write("mixture", code_version="1", section={}, inputs={}) as writer:
        manifest = write_mixture(
            writer, lake, manifests, section, context=CONTEXT, sequences=sequences, seed=3
        )
    return manifest, documents


@pytest.fixture
def opened(tmp_path: Path) -> tuple[Sampler, dict[str, list[list[int]]]]:
    lake = Lake(tmp_path)
    manifest, documents = make(lake)
    return open_sampler(folder_of(lake, manifest), tmp_path), documents


def test_consumption_reconciles_with_the_plan_token_by_token(
    opened: tuple[Sampler, dict[str, list[list[int]]]],
) -> None:
    sampler, documents = opened
    consumed: dict[str, list[int]] = defaultdict(list)
    for k in range(sampler.sequences):
        sequence = sampler.sequence(k)
        assert sequence.tokens.shape == sequence.positions.shape == (CONTEXT,)
        assert sequence.tokens.dtype == sequence.positions.dtype == np.int64
        consumed[sequence.source] += sequence.tokens.tolist()
    for source in sampler.plan["sources"]:
        name, size = source["name"], source["tokens"]
        stream = consumed[name]
        assert len(stream) == source["planned_tokens"]
        everything = Counter(t for d in documents[name] for t in [EOS, *d])
        for epoch in range(len(stream) // size):
            assert Counter(stream[epoch * size : (epoch + 1) * size]) == everything
        rest = Counter(stream[len(stream) // size * size :])
        assert not rest - everything
    assert sum(map(len, consumed.values())) == sampler.plan["planned_tokens"]


def test_every_document_is_used_once_before_any_is_repeated(
    opened: tuple[Sampler, dict[str, list[list[int]]]],
) -> None:
    sampler, documents = opened
    seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for k in range(sampler.sequences):
        spans = sampler.spans(k)
        assert sum(span.count for span in spans) == CONTEXT
        for span in spans:
            if span.first == 0:
                seen[sampler.sequence(k).source].append((span.epoch, span.document))
    for source, visits in seen.items():
        assert len(set(visits)) == len(visits)
        assert [epoch for epoch, _ in visits] == sorted(epoch for epoch, _ in visits)
        for epoch in range(visits[-1][0]):
            found = {document for e, document in visits if e == epoch}
            assert found == set(range(len(documents[source])))
        orders = [[d for e, d in visits if e == epoch] for epoch in (0, 1)]
        assert orders[0] != orders[1]


def test_a_sequence_is_documents_each_opened_by_the_end_token(
    opened: tuple[Sampler, dict[str, list[list[int]]]],
) -> None:
    sampler, documents = opened
    for k in range(sampler.sequences):
        sequence, at = sampler.sequence(k), 0
        for span in sampler.spans(k):
            whole = [EOS, *documents[sequence.source][span.document]]
            expected = whole[span.first : span.first + span.count]
            assert sequence.tokens[at : at + span.count].tolist() == expected
            assert sequence.positions[at : at + span.count].tolist() == list(range(span.count))
            at += span.count
        starts = np.flatnonzero(sequence.positions == 0)
        assert set(np.flatnonzero(sequence.tokens == EOS)) <= set(starts.tolist())


def test_a_sequence_does_not_depend_on_what_was_asked_before(
    opened: tuple[Sampler, dict[str, list[list[int]]]],
) -> None:
    sampler, _ = opened
    forwards = [sampler.sequence(k).tokens.tolist() for k in range(sampler.sequences)]
    for k in reversed(range(sampler.sequences)):
        fresh = open_sampler(sampler.folder, sampler.lake_root)
        assert fresh.sequence(k).tokens.tolist() == forwards[k]


def test_a_sampler_travels_to_another_process_by_its_place_only(
    opened: tuple[Sampler, dict[str, list[list[int]]]],
) -> None:
    sampler, _ = opened
    sampler.sequence(0)
    packed = pickle.dumps(sampler)
    assert len(packed) < 1000
    again = pickle.loads(packed)
    assert again.sequence(5).tokens.tolist() == sampler.sequence(5).tokens.tolist()


def test_blocks_change_nothing_but_where_counting_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "COUNT_BLOCK", 7)
    monkeypatch.setattr(streams, "ORDER_BLOCK", 20)
    monkeypatch.setattr(sampler_module, "COUNT_BLOCK", 7)
    lake = Lake(tmp_path)
    manifest, _ = make(lake)
    sampler = open_sampler(folder_of(lake, manifest), tmp_path)
    ranks: dict[str, list[int]] = defaultdict(list)
    for k in range(sampler.sequences):
        source, rank = sampler._place(k)
        ranks[sampler.sources[source]].append(rank)
    planned = {s["name"]: s["sequences"] for s in sampler.plan["sources"]}
    assert ranks == {name: list(range(count)) for name, count in planned.items()}
    for first in range(0, 60, 20):
        share = sum(sampler._order[first : first + 20] == 0) / 20
        assert share == pytest.approx(planned["a"] / 60, abs=0.05)


def test_a_document_is_found_again_by_its_number(
    opened: tuple[Sampler, dict[str, list[list[int]]]],
) -> None:
    sampler, _ = opened
    assert sampler.document("a", 0) == ("a@1", "documents/00000.parquet", 0)
    assert sampler.document("a", 6) == ("a@1", "documents/00001.parquet", 1)
    assert sampler.document("b", 5) == ("b@1", "documents/00002.parquet", 0)


def test_a_sequence_outside_the_plan_is_an_index_error(
    opened: tuple[Sampler, dict[str, list[list[int]]]],
) -> None:
    sampler, _ = opened
    for k in (-1, sampler.sequences):
        with pytest.raises(IndexError, match="is not among the 60"):
            sampler.sequence(k)


def test_a_replaced_token_shard_is_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    manifest, _ = make(lake)
    for path in (tmp_path / "tokens").rglob("*.tokens"):
        path.write_bytes(path.read_bytes()[:-2])
    sampler = open_sampler(folder_of(lake, manifest), tmp_path)
    with pytest.raises(SamplerError, match="materialize mixture again"):
        sampler.sequence(0)


def test_a_folder_without_a_plan_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SamplerError, match="materialize mixture"):
        open_sampler(tmp_path, tmp_path)

from __future__ import annotations

from pathlib import Path

import pytest

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Shard
from tagarela_dagster.resources.gates_training import STAGE_GATES


@pytest.mark.parametrize(
    ("before", "after", "passed"), [(1.93, 1.51, True), (1.51, 1.93, False), (1.51, 1.51, False)]
)
def test_a_tokenizer_that_saves_nothing_shuts_the_gate(
    tmp_path: Path, before: float, after: float, passed: bool
) -> None:
    lake = Lake(tmp_path)
    counts = {"fertility_before": before, "fertility_after": after, "nats_per_byte_after": 2.4}
    with lake.write("portuguese", code_version="1", section={}, inputs={}) as writer:
        (writer.data / "x").write_text("x")
        manifest = writer.publish([Shard.of(writer.data, "x", 0)], counts)
    verdict = STAGE_GATES["surgery"]["portuguese_costs_less"](lake, manifest)
    assert verdict.passed == passed
    assert verdict.sentence.startswith(f"{before:.2f} tokens a word became {after:.2f}")

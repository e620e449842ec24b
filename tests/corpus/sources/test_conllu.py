"""Treebanks joined to documents again."""

from __future__ import annotations

from pathlib import Path

from tests.corpus.sources.reading import read_folder


def word(number: str, form: str, misc: str = "_") -> str:
    return "\t".join([number, form, form.lower(), "X", "_", "_", "0", "root", "_", misc])


def sentence(text: str, *comments: str) -> str:
    words = "\n".join(word(str(n), form) for n, form in enumerate(text.split(), 1))
    return "\n".join([*comments, f"# text = {text}", words, "", ""])


def test_documents_and_paragraphs_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(
        sentence("Um dia.", "# newdoc id = CF1", "# newpar", "# sent_id = 1")
        + sentence("Choveu.", "# sent_id = 2")
        + sentence("Depois não.", "# newpar", "# sent_id = 3")
        + sentence("Outro.", "# newdoc id = CF2", "# sent_id = 4"),
        encoding="utf-8",
    )
    outcome = read_folder("files", tmp_path)
    assert outcome.texts == {
        "a.conllu:1": "Um dia. Choveu.\n\nDepois não.",
        "a.conllu:18": "Outro.",
    }
    assert [d.meta for d in outcome.documents] == [
        {"document": "CF1", "sentences": 3},
        {"document": "CF2", "sentences": 1},
    ]


def test_without_marks_the_sentence_names_tell(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(
        sentence("Um.", "# sent_id = FOLHA_DOC1_SENT001")
        + sentence("Dois.", "# sent_id = FOLHA_DOC1_SENT002")
        + sentence("Três.", "# sent_id = FOLHA_DOC2_SENT001")
        + sentence("Quatro.", "# sent_id = dev-s4")
        + sentence("Cinco.", "# sent_id = dev-s5"),
        encoding="utf-8",
    )
    found = read_folder("files", tmp_path).documents
    assert [d.text for d in found] == ["Um.\nDois.", "Três.", "Quatro.\nCinco."]
    assert [d.meta["document"] for d in found] == ["FOLHA_DOC1", "FOLHA_DOC2", "dev"]


def test_a_sentence_without_text_is_put_together_from_its_words(tmp_path: Path) -> None:
    lines = [
        word("1", "Gosto"),
        word("2-3", "da"),
        word("2", "de"),
        word("3", "a"),
        word("4", "casa", "SpaceAfter=No"),
        word("4.1", "vazio"),
        word("5", "."),
    ]
    (tmp_path / "a.conllu").write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    assert read_folder("files", tmp_path).texts == {"a.conllu:1": "Gosto da casa."}


def test_a_broken_sentence_costs_itself_alone(tmp_path: Path) -> None:
    broken = sentence("Dois.", "# sent_id = d-2").replace("\tX", " X")
    empty = "# sent_id = d-3\n\n"
    (tmp_path / "a.conllu").write_text(
        sentence("Um.", "# sent_id = d-1") + broken + empty + sentence("Três.", "# sent_id = d-4"),
        encoding="utf-8",
    )
    outcome = read_folder("files", tmp_path)
    assert list(outcome.texts.values()) == ["Um.\nTrês."]
    assert [r.reason if r.quarantined else f"-{r.reason}" for r in outcome.rejected] == [
        "bad_row",
        "-no_text",
    ]
    assert outcome.rejected[0].detail == "line 7: 9 columns instead of 10"

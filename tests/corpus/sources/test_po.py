"""gettext catalogues of translated manuals."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagarela_dagster.corpus.sources.formats.po import plain_text
from tests.corpus.sources.reading import read_folder

CATALOGUE = r"""# Translators:
# Ana, 2026
#, fuzzy
msgid ""
msgstr ""
"Project-Id-Version: Python 3.14\n"
"Language: pt_BR\n"
"Content-Type: text/plain; charset=UTF-8\n"

#: ../../tutorial.rst:9
msgid "Modules"
msgstr "Módulos"

#: ../../tutorial.rst:11
msgid ""
"If you quit from the interpreter, the definitions you have made (functions) "
"are lost. See :ref:`more <x>`."
msgstr ""
"Ao sair do interpretador, as definições (funções) são perdidas. Veja "
":ref:`mais detalhes <x>`, ``sys.path`` e :func:`~os.getcwd`."

#, fuzzy
msgid "Old"
msgstr "Velho"

msgctxt "verb"
msgid "Open \"it\""
msgstr "Abra \"isto\"\ta seguir::"

msgid ""
"import os\n"
"print(os.getcwd())"
msgstr ""
"import os\n"
"print(os.getcwd())  # mostra a pasta"

msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d ficheiro"
msgstr[1] "%d ficheiros"

msgid "True"
msgstr "True"

msgid "Later"
msgstr ""

#~ msgid "Gone"
#~ msgstr "Foi-se"
"""


def test_translations_are_the_paragraphs(tmp_path: Path) -> None:
    (tmp_path / "tutorial.po").write_text(CATALOGUE, encoding="utf-8")
    (document,) = read_folder("files", tmp_path).documents
    assert document.text == (
        "Módulos\n\nAo sair do interpretador, as definições (funções) são perdidas. Veja mais"
        ' detalhes, sys.path e os.getcwd.\n\nAbra "isto" a seguir:\n\n%d ficheiro\n\n%d ficheiros'
    )
    assert document.variety == "pt-BR"
    assert document.meta == {"entries": 8, "fuzzy": 1, "untranslated": 2, "listings": 1}


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("O `guia <https://exemplo.pt>`_ e o `outro`__.", "O guia e o outro."),
        ("Isto é **muito** *bom*, e 2 * 3 * 4.", "Isto é muito bom, e 2 * 3 * 4."),
        ("Como em [1]_ e |versão|.", "Como em e."),
        ("Use :py:meth:`!str.join` já.", "Use str.join já."),
        ("Um <b>forte</b> <br/>aqui, se a < b.", "Um forte aqui, se a < b."),
    ],
)
def test_marks_of_restructured_text_are_taken_out(marked: str, plain: str) -> None:
    assert plain_text(marked) == plain


def test_bad_catalogues_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.po").write_text('msgid "One"\nmsgstr "Um\n', encoding="utf-8")
    (tmp_path / "b.po").write_text('msgid "One"\nmsgstr ""\n', encoding="utf-8")
    (tmp_path / "c.po").write_text("", encoding="utf-8")
    (tmp_path / "d.po").write_text('msgid "a"\nmsgstr "A"\nnada\n', encoding="utf-8")
    (tmp_path / "e.po").write_text('"solto"\n', encoding="utf-8")
    outcome = read_folder("files", tmp_path)
    assert outcome.documents == []
    assert outcome.reasons == {
        "a.po line 2": "bad_po",
        "b.po byte 0": "-no_text",
        "c.po byte 0": "-no_text",
        "d.po line 3": "bad_po",
        "e.po line 1": "bad_po",
    }


def test_line_ends_of_other_kinds_stand_inside_strings(tmp_path: Path) -> None:
    text = 'msgid "a"\nmsgstr "Uma\u2028linha\x85e outra."\r\n'
    (tmp_path / "a.po").write_text(text, encoding="utf-8", newline="")
    assert read_folder("files", tmp_path).texts == {"a.po": "Uma\nlinha\ne outra."}

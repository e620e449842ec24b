"""XML from anywhere: safe, forgiving, and counted."""

from __future__ import annotations

import pytest

from tagarela_dagster.corpus.sources.decoding import EncodingError
from tagarela_dagster.corpus.sources.markup_xml import XmlError, parse_xml, style, text_of

STYLE = style(skip="note", block="p", heading="head")


def test_blocks_are_lines_and_headings_stand_apart() -> None:
    xml = "<d><head>Um</head><p>a <b>bc</b>d\n e</p> <p>f<note>x</note>g</p><head>Dois</head>h</d>"
    assert text_of(parse_xml(xml.encode()).root, STYLE) == "Um\na bcd e\nfg\n\nDois\nh"


def test_sound_xml_has_no_errors() -> None:
    parsed = parse_xml('<?xml version="1.0" encoding="utf-8"?><p>Olá &amp; adeus</p>'.encode())
    assert (parsed.errors, parsed.meta, parsed.root.text) == (0, {}, "Olá & adeus")


@pytest.mark.parametrize("xml", ["<p>um<b>dois</p>", "<p>a & b</p>", "<p>um"])
def test_errors_are_gone_over_and_counted(xml: str) -> None:
    parsed = parse_xml(xml.encode())
    assert parsed.errors >= 1
    assert parsed.meta["recovered"] is True


def test_entities_are_known_given_or_counted() -> None:
    xml = "<p>&eacute; &reftitle.notes; &nada; &lt; &nada;</p>"
    parsed = parse_xml(xml.encode(), {"reftitle.notes": "Notas"})
    assert text_of(parsed.root, STYLE) == "é Notas <"
    assert parsed.entities == {"nada": 2}


def test_entities_that_the_file_defines_itself_are_not_expanded() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    xml = f'<!DOCTYPE p [<!ENTITY l0 "ha">{laughs}<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    parsed = parse_xml(f"{xml}<p>riso: &l11; &f;</p>".encode())
    assert text_of(parsed.root, STYLE) == "riso:"


def test_the_declared_encoding_is_a_hint() -> None:
    declared = '<?xml version="1.0" encoding="utf-8"?><p>Não é só isso, é também o coração.</p>'
    parsed = parse_xml(declared.encode("cp1252"))
    assert parsed.root.text == "Não é só isso, é também o coração."
    assert parsed.meta == {"encoding": "cp1252"}


def test_what_is_no_xml_is_refused() -> None:
    for payload in (b"apenas texto", b"", b"   "):
        with pytest.raises(XmlError):
            parse_xml(payload)
    with pytest.raises(EncodingError):
        parse_xml(bytes(range(256)) * 10)

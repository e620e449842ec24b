"""TEI novels and plays."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from tests.corpus.sources.reading import read_folder

NOVEL = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-model href="eltec-1.rng"?>
<TEI xmlns="http://www.tei-c.org/ns/1.0" xml:lang="pt">
<teiHeader><fileDesc>
<titleStmt><title>A Quinta dos Ventos : Edição para o ELTeC</title>
<title level="s">Crónica</title><author>Sousa, Ana (1839-1871)</author></titleStmt>
<publicationStmt><date when="2021-04-09"/>
<availability><licence target="https://creativecommons.org/licenses/by/4.0/"/></availability>
</publicationStmt>
<sourceDesc><bibl type="printSource"><date>1920</date></bibl>
<bibl type="firstEdition"><date>1868</date></bibl></sourceDesc>
</fileDesc><profileDesc><p>Nada disto é texto.</p></profileDesc></teiHeader>
<text xml:lang="pt-PT">
<front><div type="titlepage"><p>LISBOA, 1868</p></div></front>
<body>
<div type="chapter"><head>I</head>
<p>Ao cair de uma <hi rend="italic">tarde</hi> de
   dezembro,<pb n="5"/> subiam dois
   vian<lb break="no"/>dantes.<note place="foot">Uma nota.</note></p>
<p>Era <choice><sic>tardi</sic><corr>tarde</corr></choice> e fazia
<choice><orig>frio</orig><reg>gelo</reg></choice>.</p>
<quote><lg><l>Ó mar salgado,</l><l>quanto do teu sal</l></lg></quote>
</div>
<div type="chapter"><head>II</head><sp><speaker>Ana</speaker><p>Quem &amp; quando?</p></sp></div>
</body>
<back><div><p>Índice.</p></div></back>
</text></TEI>
"""

PLAIN = """I
Ao cair de uma tarde de dezembro, subiam dois viandantes.
Era tarde e fazia frio.
Ó mar salgado,
quanto do teu sal

II
Ana
Quem & quando?"""


def test_the_body_is_the_text_and_the_header_its_labels(tmp_path: Path) -> None:
    (tmp_path / "quinta.xml").write_text(NOVEL, encoding="utf-8")
    (document,) = read_folder("files", tmp_path).documents
    assert document.text == PLAIN
    assert document.native_id == "quinta.xml"
    assert document.title == "A Quinta dos Ventos"
    assert document.date == date(1868, 1, 1)
    assert document.license == "CC-BY-4.0"
    assert document.variety == "pt-PT"
    assert document.meta == {"author": "Sousa, Ana (1839-1871)"}


def test_a_declared_encoding_is_believed(tmp_path: Path) -> None:
    tei = "<TEI><text><body><p>Ação.</p></body></text></TEI>"
    tei = f"<?xml version='1.0' encoding='ISO-8859-1'?>{tei}"
    (tmp_path / "a.tei").write_bytes(tei.encode("latin-1"))
    (document,) = read_folder("files", tmp_path).documents
    assert document.text == "Ação."
    assert document.meta == {"encoding": "cp1252"}


def test_a_group_of_texts_is_one_document(tmp_path: Path) -> None:
    texts = "".join(f"<text><body><p>{n}.</p></body></text>" for n in ("Um", "Dois"))
    (tmp_path / "a.tei").write_text(f"<TEI><text><group>{texts}</group></text></TEI>")
    assert read_folder("files", tmp_path).texts == {"a.tei": "Um.\n\nDois."}


def test_bad_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.tei").write_text("<TEI><teiHeader/><text><body/></text></TEI>")
    (tmp_path / "b.tei").write_text("isto não é XML", encoding="utf-8")
    (tmp_path / "c.tei").write_bytes(b"")
    (tmp_path / "d.tei").write_bytes(bytes(range(128, 256)) * 40)
    (tmp_path / "e.tei").write_text("<TEI><text><body><p>Fica.<p>Aberto", encoding="utf-8")
    outcome = read_folder("files", tmp_path)
    assert outcome.texts == {"e.tei": "Fica.\nAberto"}
    assert outcome.documents[0].meta["recovered"] is True
    assert outcome.reasons == {
        "a.tei byte 0": "-no_text",
        "b.tei byte 0": "bad_xml",
        "c.tei byte 0": "-no_text",
        "d.tei byte 0": "encoding",
    }


def test_entities_of_the_file_are_never_expanded(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    secret = tmp_path / "segredo"
    secret.write_text("SEGREDO")
    doctype = f'<!DOCTYPE TEI [<!ENTITY a0 "ha">{levels}<!ENTITY s SYSTEM "{secret.as_uri()}">]>'
    body = "<TEI><text><body><p n='&a9;'>Antes &a9;&s; depois.</p></body></text></TEI>"
    (tmp_path / "a.tei").write_text(f"{doctype}{body}")
    (document,) = read_folder("files", tmp_path).documents
    assert document.text == "Antes depois."

"""ParlaMint TEI: a sitting is a document; what nobody said is left out."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tests.corpus.sources.reading import read_folder

SITTING = """<?xml version="1.0" encoding="UTF-8"?>
<TEI xmlns="http://www.tei-c.org/ns/1.0" xml:lang="pt" xml:id="ParlaMint-PT_2022-03-15">
 <teiHeader><fileDesc>
  <titleStmt>
   <title type="main" xml:lang="pt">Corpus parlamentar português ParlaMint-PT</title>
   <title type="sub" xml:lang="en">Minutes, Session 3, Number 36</title>
   <title type="sub" xml:lang="pt">Minutas da Assembleia da República, Número 36</title>
  </titleStmt>
  <publicationStmt>
   <idno type="URI" subtype="handle">http://hdl.handle.net/11356/1859</idno>
   <availability><licence>http://creativecommons.org/licenses/by/4.0/</licence></availability>
   <date when="2024-01-23">2024-01-23</date>
  </publicationStmt>
  <sourceDesc><bibl>
   <idno type="URI" subtype="parliament">https://debates.parlamento.pt/1</idno>
   <date when="2022-03-15">15.03.2022</date>
  </bibl></sourceDesc>
 </fileDesc></teiHeader>
 <text><body>
  <div type="commentSection"><head>REUNIÃO</head><note type="summary">SUMÁRIO</note></div>
  <div type="debateSection">
   <note type="speaker">O Sr. Presidente:</note>
   <u xml:id="u1" who="#FerroRodrigues" ana="#chair">
    <seg>Boa tarde, Sr.<hi>as</hi> e Srs. Deputados.</seg>
    <note type="time">Eram 15 horas e 3 minutos.</note>
    <seg>Vamos dar <note>Pausa.</note> início aos
      trabalhos.</seg>
   </u>
   <u xml:id="u2" who="#SantosSilva" ana="#regular">
    <seg>Sr. Presidente, <vocal type="noise"><desc>Protestos do PSD.</desc></vocal>obrigado.</seg>
    <kinesic type="applause"><desc>Aplausos do PS.</desc></kinesic>
   </u>
   <gap reason="editorial"><desc xml:lang="en">SAMPLING</desc></gap>
  </div>
 </body></text>
</TEI>
"""


def test_a_sitting_is_what_was_said(tmp_path: Path) -> None:
    (tmp_path / "ParlaMint-PT_2022-03-15.xml").write_text(SITTING, encoding="utf-8")
    outcome = read_folder("parlamint", tmp_path)
    (document,) = outcome.documents
    assert document.text == (
        "Boa tarde, Sr.as e Srs. Deputados.\n"
        "Vamos dar início aos trabalhos.\n"
        "\n"
        "Sr. Presidente, obrigado."
    )
    assert document.native_id == "ParlaMint-PT_2022-03-15"
    assert document.title == "Minutas da Assembleia da República, Número 36"
    assert document.license == "CC-BY-4.0"
    assert document.url == "https://debates.parlamento.pt/1"
    assert str(document.date) == "2022-03-15"
    assert document.meta == {"speeches": 2, "speakers": ["FerroRodrigues", "SantosSilva"]}
    assert outcome.rejected == []


def test_the_corpus_root_and_annotated_copies_are_no_documents(tmp_path: Path) -> None:
    root = (
        '<teiCorpus xmlns="http://www.tei-c.org/ns/1.0" xml:lang="pt"><teiHeader/>'
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="a.xml"/></teiCorpus>'
    )
    (tmp_path / "ParlaMint-PT.xml").write_text(root, encoding="utf-8")
    (tmp_path / "ParlaMint-PT_2022-03-15.ana.xml").write_text(SITTING, encoding="utf-8")
    (tmp_path / "ParlaMint-PT-en.xml").write_text(
        SITTING.replace('xml:lang="pt" xml:id', 'xml:lang="en" xml:id'), encoding="utf-8"
    )
    (tmp_path / "00README.txt").write_text("Leia-me.", encoding="utf-8")
    outcome = read_folder("parlamint", tmp_path)
    assert outcome.documents == []
    assert outcome.reasons == {
        "00README.txt byte 0": "-other_file",
        "ParlaMint-PT.xml byte 0": "-corpus_root",
        "ParlaMint-PT-en.xml byte 0": "-other_language",
        "ParlaMint-PT_2022-03-15.ana.xml byte 0": "-annotated_copy",
    }


def test_bad_files_are_told_and_a_broken_one_is_recovered(tmp_path: Path) -> None:
    (tmp_path / "a_quebrado.xml").write_text(SITTING.replace("</div>", ""), encoding="utf-8")
    (tmp_path / "b_html.xml").write_text("<html><body>Não.</body></html>", encoding="utf-8")
    (tmp_path / "c_nada.xml").write_text("Isto não é XML.", encoding="utf-8")
    (tmp_path / "d_mudo.xml").write_text(
        SITTING.split("<body>")[0] + "<body/></text></TEI>", encoding="utf-8"
    )
    (tmp_path / "e_cortado.xml.gz").write_bytes(gzip.compress(SITTING.encode())[:-40])
    bomb = '<!DOCTYPE TEI [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>\n<TEI>&b;</TEI>'
    (tmp_path / "f_bomba.xml").write_text(bomb, encoding="utf-8")
    outcome = read_folder("parlamint", tmp_path)
    (document,) = outcome.documents
    assert document.meta["recovered"] is True
    assert document.text.startswith("Boa tarde")
    reasons = {key.split(" ")[0]: reason for key, reason in outcome.reasons.items()}
    assert reasons == {
        "b_html.xml": "malformed",
        "c_nada.xml": "malformed",
        "d_mudo.xml": "-no_text",
        "e_cortado.xml.gz": "truncated",
        "f_bomba.xml": "malformed",
    }


@pytest.mark.mirror
def test_the_real_sample_sitting_is_read() -> None:
    project = Path(__file__).parents[3]
    mirror = Path(os.environ.get("TAGARELA_MIRROR", project.parent / "shared" / "data"))
    folder = mirror / "corpus" / "parliament" / "parlamint-pt"
    if not folder.is_dir():
        pytest.skip(f"no real data in {mirror}: set TAGARELA_MIRROR to the mirror's folder")
    (document,) = read_folder("parlamint", folder).documents
    assert document.meta["speeches"] == 4
    assert len(document.text) == 7068

"""DocBook manuals, with the undefined entities that real ones have."""

from __future__ import annotations

from pathlib import Path

from tests.corpus.sources.reading import read_folder

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<!-- EN-Revision: 214519 Maintainer: ana Status: ready -->
<refentry xml:id="function.x" xmlns="http://docbook.org/ns/docbook" xml:lang="pt-BR">
 <refnamediv><refname>array_chunk</refname><refpurpose>Divide um array</refpurpose></refnamediv>
 <refsect1 role="description">
  &reftitle.description;
  <methodsynopsis><type>array</type><methodname>array_chunk</methodname></methodsynopsis>
  <para>
   Divide um array em pedaços com o tamanho de <parameter>length</parameter>.
   Devolve &null; ou <quote>nada</quote>&nbsp;mais.
  </para>
  <note><simpara>Não há nota.<footnote><para>Há.</para></footnote></simpara></note>
  <informaltable><tgroup cols="2"><tbody>
   <row><entry>8.0.0</entry><entry>Lança um <classname>ValueError</classname>.</entry></row>
  </tbody></tgroup></informaltable>
  <example><title>Exemplo de array_chunk</title><programlisting role="php">
<![CDATA[<?php print_r(array_chunk($a, 2)); ?>]]></programlisting>
   &example.outputs;
   <screen>Array</screen></example>
  <itemizedlist><listitem><para>um</para></listitem><listitem><para>dois</para></listitem></itemizedlist>
 </refsect1>
</refentry>
"""

PLAIN = """array_chunk
Divide um array
Divide um array em pedaços com o tamanho de length. Devolve null ou “nada” mais.
Não há nota.
8.0.0; Lança um ValueError.
um
dois"""


def test_prose_is_kept_and_code_is_not(tmp_path: Path) -> None:
    (tmp_path / "array-chunk.xml").write_text(PAGE, encoding="utf-8")
    (document,) = read_folder("files", tmp_path).documents
    assert document.text == PLAIN
    assert document.title == "array_chunk"
    assert document.variety == "pt-BR"
    assert document.meta == {"entities_left_out": 2}


def test_a_page_of_code_alone_has_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.dbk").write_text("<section><programlisting>x</programlisting></section>")
    (tmp_path / "b.dbk").write_text("sem marcas")
    assert read_folder("files", tmp_path).reasons == {
        "a.dbk byte 0": "-no_text",
        "b.dbk byte 0": "bad_xml",
    }


def test_a_part_of_a_manual_is_known_by_its_namespace(tmp_path: Path) -> None:
    for name, root in (("a.xml", "variablelist"), ("b.xml", "chapter"), ("c.xml", "outra")):
        (tmp_path / name).write_text(
            f'<{root} xmlns="http://docbook.org/ns/docbook"><para>Texto.</para></{root}>'
        )
    assert list(read_folder("files", tmp_path).texts) == ["a.xml", "b.xml", "c.xml"]

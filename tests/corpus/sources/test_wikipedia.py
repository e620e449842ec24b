"""Wikipedia dumps in their true format, with and without an index, sound and damaged."""

from __future__ import annotations

import bz2
from collections import Counter
from datetime import date
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources import mediawiki_dump, wikipedia
from tagarela_dagster.corpus.sources.unit import RawFile, Unit
from tagarela_dagster.recipe.sources import Source

DUMP = "ptwiki-20240101-pages-articles-multistream.xml.bz2"
INDEX = "ptwiki-20240101-pages-articles-multistream-index.txt.bz2"
HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="pt">
  <siteinfo><sitename>Wikipédia</sitename><dbname>ptwiki</dbname></siteinfo>
"""
PROSE = "'''{0}''' é uma [[cidade]] de [[Portugal]], banhada por um rio largo & manso."


def page(number: int, title: str, text: str, ns: int = 0, extra: str = "") -> str:
    return f"""  <page>
    <title>{escape(title)}</title>
    <ns>{ns}</ns>
    <id>{number}</id>{extra}
    <revision>
      <id>{number + 1000}</id>
      <timestamp>2023-11-2{number % 10}T01:02:03Z</timestamp>
      <contributor><username>Ana</username><id>7</id></contributor>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text bytes="{len(text)}" xml:space="preserve">{escape(text)}</text>
      <sha1>abc</sha1>
    </revision>
  </page>
"""


def cities(first: int, count: int) -> list[str]:
    return [
        page(n, f"Cidade {n}", PROSE.format(f"Cidade {n}")) for n in range(first, first + count)
    ]


def write_dump(folder: Path, streams: list[list[str]], index: bool = True) -> list[int]:
    """A multistream dump: head, streams of pages, foot; offsets of all streams and the end."""
    pieces = [HEAD, *("".join(pages) for pages in streams), "</mediawiki>\n"]
    data, offsets, rows, number = b"", [], [], 0
    for piece in pieces:
        offsets.append(len(data))
        for _ in range(piece.count("<page>")):
            number += 1
            rows.append(f"{len(data)}:{number}:Cidade: {number}\n")
        data += bz2.compress(piece.encode())
    (folder / DUMP).write_bytes(data)
    if index:
        (folder / INDEX).write_bytes(bz2.compress("".join(rows).encode()))
    return [*offsets, len(data)]


def source(**options: object) -> Source:
    return Source(reader="wikipedia", path="x", license="CC-BY-SA-4.0", options=options)


def raw(folder: Path) -> list[RawFile]:
    return [RawFile(p, p.name, p.stat().st_size) for p in sorted(folder.iterdir())]


def read(folder: Path, **options: object) -> tuple[list[Unit], list[Document], list[Rejected]]:
    chosen = source(**options)
    units = wikipedia.plan(raw(folder), chosen)
    records = [record for unit in units for record in wikipedia.read(unit, chosen)]
    return (
        units,
        [record for record in records if isinstance(record, Document)],
        [record for record in records if isinstance(record, Rejected)],
    )


def test_streams_of_an_indexed_dump_are_units_that_cover_it_once(tmp_path: Path) -> None:
    offsets = write_dump(tmp_path, [cities(1, 3), cities(4, 3), cities(7, 2)])
    units, documents, rejected = read(tmp_path, unit_bytes=1)
    assert [unit.part for unit in units] == [
        (0, offsets[2]),
        (offsets[2], offsets[3]),
        (offsets[3], offsets[5]),
    ]
    assert rejected == []
    assert [d.native_id for d in documents] == [str(n) for n in range(1, 9)]


def test_a_page_becomes_a_document(tmp_path: Path) -> None:
    write_dump(tmp_path, [cities(1, 3), cities(4, 3)])
    units, documents, rejected = read(tmp_path)
    assert [unit.name for unit in units] == [f"{DUMP}#0-{(tmp_path / DUMP).stat().st_size}"]
    assert (len(documents), rejected) == (6, [])
    first = documents[0]
    assert first.text == "Cidade 1 é uma cidade de Portugal, banhada por um rio largo & manso."
    assert (first.title, first.native_id, first.date) == ("Cidade 1", "1", date(2023, 11, 21))
    assert first.url == "https://pt.wikipedia.org/wiki/Cidade_1"
    assert first.meta == {"page": "1", "revision": "1001"}


def test_pages_that_are_no_articles_are_left_out_by_name(tmp_path: Path) -> None:
    prose = PROSE.format("X")
    css = page(9, "X.css", "a {}").replace("<model>wikitext", "<model>css")
    pages = [
        page(1, "Discussão:X", prose, ns=1),
        page(2, "Y", "#REDIRECT [[X]]", extra='\n    <redirect title="X" />'),
        page(3, "Z", "#Redirecionamento [[X]]"),
        page(4, "Mercúrio (desambiguação)", prose),
        page(5, "Marte", prose + "\n{{Desambiguação}}"),
        page(6, "Vénus", "{{desambig|planeta}}\n" + prose),
        page(7, "Só quadros", "{{Info|a=b}}"),
        page(8, "Lisboa", "{{Ver desambiguação}}\n" + prose),
        css,
    ]
    write_dump(tmp_path, [pages])
    _, documents, rejected = read(tmp_path)
    assert [d.title for d in documents] == ["Lisboa"]
    assert Counter(r.reason for r in rejected) == {
        "namespace": 1,
        "redirect": 2,
        "disambiguation": 3,
        "no_text": 1,
        "not_wikitext": 1,
    }
    assert not any(r.quarantined for r in rejected)
    assert {r.offset.split(",")[1] for r in rejected} == {
        f" page {n}" for n in (1, 2, 3, 4, 5, 6, 7, 9)
    }


def test_a_damaged_stream_is_quarantined_with_its_byte_range(tmp_path: Path) -> None:
    offsets = write_dump(tmp_path, [cities(1, 3), cities(4, 3), cities(7, 3)])
    data = bytearray((tmp_path / DUMP).read_bytes())
    data[offsets[2] + 60] ^= 0xFF
    (tmp_path / DUMP).write_bytes(data)
    for options in ({}, {"unit_bytes": 1}):
        _, documents, (rejected,) = read(tmp_path, **options)
        assert [d.native_id for d in documents] == ["1", "2", "3", "7", "8", "9"]
        assert (rejected.reason, rejected.offset) == ("corrupt", f"byte {offsets[2]}")
        assert rejected.bytes == offsets[3] - offsets[2]
        assert f"{offsets[2]} to {offsets[3]}" in rejected.detail
        assert rejected.quarantined


def test_a_dump_that_is_cut_keeps_its_whole_streams(tmp_path: Path) -> None:
    offsets = write_dump(tmp_path, [cities(1, 3), cities(4, 3)], index=False)
    data = (tmp_path / DUMP).read_bytes()
    (tmp_path / DUMP).write_bytes(data[: offsets[2] + 80])
    units, documents, (rejected,) = read(tmp_path)
    assert [unit.part for unit in units] == [None]
    assert len(documents) == 3
    assert (rejected.reason, rejected.offset) == ("truncated", f"byte {offsets[2]}")
    assert rejected.bytes == 80


def test_one_stream_for_the_whole_dump_and_a_plain_dump_are_read_too(tmp_path: Path) -> None:
    xml = (HEAD + "".join(cities(1, 5)) + "</mediawiki>").encode()
    (tmp_path / "ptwiki-20240101-pages-articles.xml.bz2").write_bytes(bz2.compress(xml))
    (tmp_path / "ptwiki-20240101-pages-meta.xml").write_bytes(xml)
    _, documents, rejected = read(tmp_path)
    assert (len(documents), rejected) == (10, [])


def test_streams_that_end_inside_a_page_are_read_as_one_text(tmp_path: Path) -> None:
    xml = (HEAD + "".join(cities(1, 5)) + "</mediawiki>").encode()
    cut = [xml[:700], xml[700:1500], xml[1500:]]
    (tmp_path / "ptwiki.xml.bz2").write_bytes(b"".join(bz2.compress(part) for part in cut))
    _, documents, rejected = read(tmp_path)
    assert (len(documents), rejected) == (5, [])


@pytest.mark.parametrize(
    "rows",
    [
        "0:1:A\nnonsense\n",
        "900:1:A\n100:2:B\n",
        "100:1:A\n99999999:2:B\n",
        "100:1:A\n103:2:B\n",
        "",
    ],
)
def test_a_damaged_index_is_quarantined_and_the_dump_read_without_it(
    tmp_path: Path, rows: str
) -> None:
    write_dump(tmp_path, [cities(1, 3), cities(4, 3)])
    (tmp_path / INDEX).write_bytes(bz2.compress(rows.encode()))
    units, documents, (rejected,) = read(tmp_path, unit_bytes=1)
    assert [unit.part for unit in units] == [None, None]
    assert len(documents) == 6
    assert (rejected.file, rejected.reason, rejected.quarantined) == (INDEX, "bad_index", True)


def test_a_truncated_index_is_quarantined(tmp_path: Path) -> None:
    write_dump(tmp_path, [cities(1, 3)])
    (tmp_path / INDEX).write_bytes((tmp_path / INDEX).read_bytes()[:-9])
    _, documents, (rejected,) = read(tmp_path)
    assert len(documents) == 3
    assert rejected.reason == "bad_index"


def test_bad_pages_cost_themselves_only(tmp_path: Path) -> None:
    good = cities(1, 6)
    no_end = good[1].replace("</page>", "")
    wrong = good[2].replace("</title>", "</titel>")
    no_id = good[3].replace("<id>4</id>", "")
    bomb = good[4].replace("Cidade 5", "&lol;")
    write_dump(tmp_path, [[good[0], no_end, wrong, no_id, bomb, good[5]]])
    _, documents, rejected = read(tmp_path)
    assert [d.native_id for d in documents] == ["1", "6"]
    assert [r.reason for r in rejected] == ["bad_xml", "bad_xml", "bad_page", "bad_xml"]
    assert [r.offset.split(", ")[1] for r in rejected] == [f"page {n}" for n in (2, 3, 4, 5)]
    assert all(r.quarantined and r.bytes > 0 for r in rejected)


def test_a_wrongly_encoded_page_is_named_as_such(tmp_path: Path) -> None:
    pages = "".join(cities(1, 2)).encode().replace(b"rio largo", b"rio l\xe1rgo", 1)
    (tmp_path / "ptwiki.xml.bz2").write_bytes(bz2.compress(HEAD.encode() + pages))
    _, documents, (rejected,) = read(tmp_path)
    assert [d.native_id for d in documents] == ["2"]
    assert (rejected.reason, rejected.quarantined) == ("encoding", True)


def test_a_page_too_large_to_hold_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mediawiki_dump, "MAX_PAGE", 5_000)
    monkeypatch.setattr(mediawiki_dump, "BLOCK", 1_000)
    huge = page(2, "Lista", "* item [[x]]\n" * 5_000)
    write_dump(tmp_path, [[*cities(1, 1), huge, *cities(3, 1)]])
    _, documents, (rejected,) = read(tmp_path)
    assert [d.native_id for d in documents] == ["1", "3"]
    assert (rejected.reason, rejected.quarantined) == ("too_large", True)


def test_a_bzip2_bomb_is_left_before_it_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mediawiki_dump, "BOMB_BYTES", 1_000_000)
    bomb = bz2.compress(bytes(20_000_000))
    good = bz2.compress("".join(cities(1, 2)).encode())
    (tmp_path / "ptwiki.xml.bz2").write_bytes(bomb + good)
    _, documents, (rejected,) = read(tmp_path)
    assert len(documents) == 2
    assert (rejected.reason, rejected.bytes) == ("bomb", len(bomb))


def test_files_that_are_no_dump_are_left_out_and_empty_dumps_quarantined(tmp_path: Path) -> None:
    (tmp_path / "ptwiki-20240101-md5sums.txt").write_text("abc")
    (tmp_path / "ptwiki.xml").write_text("<html>não é um dump</html>")
    _, documents, rejected = read(tmp_path)
    assert documents == []
    assert [(r.reason, r.quarantined) for r in rejected] == [
        ("not_a_dump", False),
        ("no_pages", True),
    ]


def test_parts_of_a_dump_have_their_own_index() -> None:
    part = "ptwiki-20240101-pages-articles-multistream3.xml-p1p99.bz2"
    index = "ptwiki-20240101-pages-articles-multistream-index3.txt-p1p99.bz2"
    assert wikipedia.index_name(part) == index
    assert wikipedia.index_name("ptwiki-20240101-pages-articles.xml.bz2") == ""


def test_the_cut_into_units_changes_no_document(tmp_path: Path) -> None:
    write_dump(tmp_path, [cities(n, 2) for n in range(1, 19, 2)])
    _, whole, _ = read(tmp_path)
    for unit_bytes in (1, 500, 1000):
        units, documents, rejected = read(tmp_path, unit_bytes=unit_bytes)
        assert len(units) > 1
        assert (documents, rejected) == (whole, [])


def test_wikitext_that_breaks_or_hangs_the_parser_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def difficult(wikitext: str) -> str:
        while "Cidade 2" in wikitext:
            pass
        if "Cidade 3" in wikitext:
            raise RecursionError("too deep")
        return wikitext

    monkeypatch.setattr(wikipedia, "plain_text", difficult)
    write_dump(tmp_path, [cities(1, 4)])
    _, documents, rejected = read(tmp_path, deadline_s=0.1)
    assert [d.native_id for d in documents] == ["1", "4"]
    assert [r.reason for r in rejected] == ["deadline", "bad_wikitext"]
    assert all(r.quarantined for r in rejected)

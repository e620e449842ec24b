"""Small sound files of every native format, and what can be done to their bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from tagarela_dagster.corpus.sources.compressed import compression
from tagarela_dagster.corpus.sources.discover import snapshots
from tagarela_dagster.recipe.load import load_recipe
from tagarela_dagster.recipe.sources import Source
from tests.corpus.sources.test_senado import listed, senator
from tests.resources.two_sources import PARAGRAPHS

Change = tuple[str, float, int]
"""What is done, where (as a share of the file) and how much."""


@dataclass(frozen=True)
class Native:
    """A snapshot of a source: its section of a recipe, and its files."""

    source: Source
    files: dict[str, bytes] = field(repr=False)


def _source(reader: str, **more: Any) -> Source:
    section = {"reader": reader, "path": "pasta", "license": "CC0-1.0", **more}
    return Source.model_validate(section)


def _parquet() -> bytes:
    out = io.BytesIO()
    rows = [{"text": text, "id": str(n), "data": "2020-01-02"} for n, text in enumerate(PARAGRAPHS)]
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=4)
    return out.getvalue()


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


ONE, TWO = PARAGRAPHS[:2]
TEI = f"""<?xml version="1.0" encoding="UTF-8"?>
<TEI xmlns="http://www.tei-c.org/ns/1.0" xml:lang="pt"><teiHeader><fileDesc><titleStmt>
<title>Ecos</title><author>Ana</author></titleStmt><publicationStmt><availability>
<licence target="https://creativecommons.org/licenses/by/4.0/">CC</licence></availability>
<date when="1899">1899</date></publicationStmt></fileDesc></teiHeader>
<text><body><p>{ONE}</p><p>{TWO[:40]}<lb break="no"/>{TWO[40:]}</p></body></text></TEI>"""
JATS = f"""<article article-type="research-article" xml:lang="pt"><front><article-meta>
<title-group><article-title>Ninhos</article-title></title-group><abstract><p>{ONE}</p></abstract>
</article-meta></front><body><sec><title>Método</title><p>{TWO}</p></sec></body></article>"""
DOCBOOK = f"""<book xmlns="http://docbook.org/ns/docbook" xml:lang="pt"><title>Guia</title>
<chapter><title>Um</title><para>{ONE}</para><programlisting>x = 1</programlisting></chapter>
<chapter><para>{TWO} &null;</para></chapter></book>"""
PO = f"""msgid ""
msgstr ""
"Language: pt_BR\\n"

msgid "a"
msgstr "{ONE}"

msgid "b"
msgstr ""
"""
CONLLU = (
    "# newdoc id = d1\n# sent_id = 1\n# text = O gato dorme.\n1\tO\to\tDET\t_\t_\t2\tdet\t_\t_\n"
    "2-3\tdo\t_\t_\t_\t_\t_\t_\t_\t_\n2\tgato\tgato\tNOUN\t_\t_\t3\tnsubj\t_\t_\n"
    "3\tdorme\tdormir\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No\n4\t.\t.\tPUNCT\t_\t_\t3\tp\t_\t_\n\n"
)
HTML = f"<html lang=pt><title>T</title><body><nav>a</nav><p>{ONE}</p><p>{TWO}</p></body></html>"
SRT = "1\n00:00:01,000 --> 00:00:03,500\n<i>Olá!</i>\n\n2\n00:00:04,000 --> 00:00:05,000\n- Sim.\n"
RECORDS = f"<r><item id='1'><t>{ONE}</t><d>2020</d></item><item id='2'><t>{TWO}</t></item></r>"
JSONL = "".join(
    json.dumps({"text": text, "id": n, "meta": {"url": "https://a.pt"}}, ensure_ascii=False) + "\n"
    for n, text in enumerate(PARAGRAPHS)
)
CSV = f'id,text,date\n1,"{ONE}",2020-01-02\n2,"{TWO} ""sim""",x\n'
MARKDOWN = f"---\ntitle: Ecos\n---\n# Um\n\n{ONE}\n\n```py\nx\n```\n\n* {TWO}\n\n[a](b) <b>c</b>\n"
TEXTS = {"contos/um.txt": ONE.encode(), "dois.md": MARKDOWN.encode(), "três.jsonl": JSONL.encode()}


@cache
def native() -> dict[str, Native]:
    """Every reader with sound files: the sample's own, and one for each other format."""
    found = {}
    for name, source in load_recipe("sample").sources.items():
        first = next(iter(snapshots(source).values()))
        found[name] = Native(source, {file.name: file.path.read_bytes() for file in first})
    files = _source("files", mapping={"id": "id", "date": "data"})
    formats: dict[str, str | bytes] = {
        "a.tei": TEI,
        "a.nxml": JATS,
        "a.dbk": DOCBOOK,
        "a.po": PO,
        "a.conllu": CONLLU,
        "a.html": HTML,
        "a.srt": SRT,
        "a.csv": CSV,
        "a.tsv": CSV.replace(",", "\t"),
        "a.md": MARKDOWN,
        "a.jsonl": JSONL,
        "a.txt": ONE,
        "a.parquet": _parquet(),
        "a.zip": _zip(TEXTS),
        "a.tar": _tar(TEXTS),
        "a.tar.gz": gzip.compress(_tar(TEXTS)),
        "a.txt.bz2": bz2.compress(ONE.encode()),
        "a.jsonl.xz": lzma.compress(JSONL.encode()),
        "a.jsonl.zst": zstandard.compress(JSONL.encode()),
        "latin.txt": f"{ONE}\n{TWO}".encode("cp1252"),
        "wide.txt": ONE.encode("utf-16"),
    }
    for name, data in formats.items():
        raw = data.encode() if isinstance(data, str) else data
        found[f"files/{name}"] = Native(files, {name: raw})
    xml = _source("files", format="xml", mapping={"record": "item", "text": "t", "date": "d"})
    found["files/xml"] = Native(xml, {"a.xml": RECORDS.encode()})
    lines = _source("files", options={"document_per": "line", "tokenised": True, "unwrap": True})
    found["files/lines"] = Native(lines, {"a.txt": f"{ONE}\n{TWO}\n".encode()})
    grouped = _source("files", mapping={"group_by": "id", "where": {"lang": "pt"}})
    rows = "".join(f'{{"id": {n // 2}, "lang": "pt", "text": "frase {n}."}}\n' for n in range(8))
    found["files/grouped"] = Native(grouped, {"a.jsonl": rows.encode()})
    found["srt"] = Native(_source("srt"), {"filme (1999).srt": SRT.encode()})
    speech = listed("1")
    found["senado"] = Native(
        _source("senado"),
        {
            "senadores/5012.json": senator(speech, listed("2")).encode(),
            "textos/1.txt": ONE.encode(),
            "textos/2.txt": TWO.encode(),
        },
    )
    return found


PIECES = (
    b"\xff\xfe\x80",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\0",
    b"\0" * 300,
    b"\xef\xbb\xbf",
    b"9" * 5000,
    b"-1e999",
    b"NaN",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"<a>" * 3000,
    b"&lol;" * 50,
    b"\\ud800",
    b"\\u0000",
    b'"',
    b"'",
    b"<",
    b">",
    b"]]>",
    b"<!--",
    b"<![CDATA[",
    b"\r",
    b"\n\n",
    b"\n---\n",
    b"%PDF",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"{{{{[[[[",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xae",
    b"0000-00-00",
    b"99999999999-12-31",
    b"xml:lang='\xff'",
    b"null",
    b"true",
    b"\t" * 40,
    b"," * 400,
)
"""What is put into files: broken encodings, great numbers, deep nests, marks of other formats."""
KINDS = ("flip", "cut", "insert", "repeat", "zero", "piece", "end", "swap")


def damaged(data: bytes, changes: list[Change]) -> bytes:
    """``data`` after the changes."""
    for kind, place, size in changes:
        at = int(place * len(data))
        piece = data[at : at + size]
        if kind == "flip" and piece:
            data = data[:at] + bytes([piece[0] ^ (size % 255 + 1)]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at] + data[at + size :]
        elif kind == "insert":
            data = data[:at] + random.Random(size).randbytes(size) + data[at:]
        elif kind == "repeat":
            data = data[:at] + piece * 3 + data[at + size :]
        elif kind == "zero":
            data = data[:at] + bytes(len(piece)) + data[at + size :]
        elif kind == "piece":
            data = data[:at] + PIECES[size % len(PIECES)] + data[at:]
        elif kind == "end":
            data = data[:at]
        elif kind == "swap":
            data = data[at : at + size] + data[:at] + data[at + size :]
    return data


PACKED: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gz": (gzip.decompress, gzip.compress),
    "bz2": (bz2.decompress, bz2.compress),
    "xz": (lzma.decompress, lzma.compress),
    "zst": (
        lambda data: zstandard.ZstdDecompressor().stream_reader(data).read(),
        zstandard.compress,
    ),
}


def damaged_inside(data: bytes, changes: list[Change]) -> bytes:
    """The same below a compression or inside the members of a zip archive, which stay sound."""
    kind = compression(data[:6])
    if kind:
        unpack, pack = PACKED[kind]
        try:
            return pack(damaged(unpack(data), changes))
        except (OSError, EOFError):  # the sample has damaged files of its own
            return damaged(data, changes)
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _zip({n: damaged(archive.read(n), changes) for n in archive.namelist()})
    return damaged(data, changes)

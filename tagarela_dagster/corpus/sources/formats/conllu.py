"""CoNLL-U treebanks (universaldependencies.org/format): sentences joined to documents again.

Documents are told apart by ``# newdoc``; a file without it by the part of ``sent_id`` before its
last number (``FOLHA_DOC000097_SENT054``), as long as consecutive sentences share it. Sentences of
a ``# newpar`` paragraph stand on one line, else each has its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.part import Part
from tagarela_dagster.corpus.sources.formats.text_lines import Line, read_lines
from tagarela_dagster.corpus.sources.prose import tidy

_COMMENT = re.compile(r"#\s*([\w-]+(?: id)?)\s*(?:=\s*(.*))?$")
_NUMBER = re.compile(r"[-_.:]?(?:s|sent)?[-_]?\d+$", re.IGNORECASE)
_COLUMNS = 10


@dataclass
class _Sentence:
    line: Line
    comments: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    covered: int = 0
    """Last word of the multiword token that is being read: its surface form stands already."""
    damage: str = ""

    @property
    def text(self) -> str:
        return self.comments.get("text") or "".join(self.words).strip()

    def add(self, columns: list[str]) -> None:
        number, form, misc = columns[0], columns[1], columns[9]
        if re.fullmatch(r"\d+-\d+", number):
            self.covered = int(number.partition("-")[2])
        elif not number.isdigit() or int(number) <= self.covered:
            return
        self.words.append(form + ("" if "SpaceAfter=No" in misc else " "))


@dataclass
class _Group:
    name: str
    line: int
    text: str
    sentences: int = 1

    def add(self, sentence: str, paragraph: bool, has_paragraphs: bool) -> None:
        self.text += ("\n\n" if paragraph else " " if has_paragraphs else "\n") + sentence
        self.sentences += 1

    def document(self, part: Part) -> Document:
        meta = {"document": self.name, "sentences": self.sentences}
        native_id = f"{part.native_id}:{self.line}"
        return Document(native_id, tidy(self.text), meta={k: v for k, v in meta.items() if v})


def read(part: Part) -> Iterator[Document | Rejected]:
    """Documents of a treebank.

    ``bad_row`` for a sentence with a line that has not ten columns; ``no_text`` for one without
    words.
    """
    group: _Group | None = None
    marked = has_paragraphs = False
    for sentence in _sentences(part):
        if isinstance(sentence, Rejected):
            yield sentence
            continue
        comments, line = sentence.comments, sentence.line
        if sentence.damage or not sentence.text:
            reason = "bad_row" if sentence.damage else "no_text"
            detail = sentence.damage or "a sentence without words"
            yield Rejected(part.name, line.where, reason, detail, line.bytes, bool(sentence.damage))
            continue
        starts = "newdoc" in comments or "newdoc id" in comments
        marked = marked or starts
        paragraph = "newpar" in comments or "newpar id" in comments
        has_paragraphs = has_paragraphs or paragraph
        name = comments.get("newdoc id") or ""
        if not marked:
            name = _NUMBER.sub("", comments.get("sent_id", ""))
            starts = group is None or group.name != name
        if group is None or starts:
            if group is not None:
                yield group.document(part)
            group = _Group(name, line.number, sentence.text)
        else:
            group.add(sentence.text, paragraph, has_paragraphs)
    if group is not None:
        yield group.document(part)


def _sentences(part: Part) -> Iterator[_Sentence | Rejected]:
    sentence: _Sentence | None = None
    for line in read_lines(part):
        if isinstance(line, Rejected):
            yield line
            continue
        if not line.text.strip():
            if sentence is not None:
                yield sentence
            sentence = None
            continue
        sentence = sentence or _Sentence(line)
        if line.text.startswith("#"):
            if match := _COMMENT.match(line.text):
                sentence.comments[match[1]] = (match[2] or "").strip()
            continue
        columns = line.text.split("\t")
        if len(columns) == _COLUMNS:
            sentence.add(columns)
        else:
            sentence.damage = f"line {line.number}: {len(columns)} columns instead of {_COLUMNS}"
    if sentence is not None:
        yield sentence

"""SubRip subtitles among other files."""

from __future__ import annotations

from collections.abc import Iterator

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part, no_text
from tagarela_dagster.corpus.sources.subtitle_text import srt_dialogue


def read(part: Part) -> Iterator[Document | Rejected]:
    """The document of a subtitle file; ``not_srt`` without a timing line, ``no_text``."""
    dialogue = srt_dialogue(part.text())
    if not dialogue.cues:
        raise FormatError("not_srt", "there is no timing line in it", size=part.stream.delivered)
    if not dialogue.text:
        raise no_text(part.stream.delivered, "nothing is spoken in it")
    meta = {"cues": dialogue.cues}
    if dialogue.credits:
        meta["credits_removed"] = dialogue.credits
    yield Document(part.native_id, dialogue.text, meta=meta)

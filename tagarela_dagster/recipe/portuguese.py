"""Portuguese section: what pages, subtitles, scans and wikis leave in Portuguese text."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.sources import SourceName


class Unicode(Section):
    """Characters that nobody sees, and one form for accented letters."""

    enabled: bool = True
    compose: bool = True
    """NFC: letters with combining accents, as PDFs have them, become one character each."""
    remove_invisible: bool = True
    """Soft hyphens, zero-width spaces and non-joiners, byte order marks inside text."""
    remove_directions: bool = True
    """Marks that turn the writing direction, which Portuguese has no use for."""
    rejoin_hyphenated: list[SourceName] = []
    """Sources (scans, PDFs) whose words cut at line ends are made whole."""


class Boilerplate(Section):
    """Lines of web pages that say nothing: cookies, sharing, log-in, shop, menus."""

    enabled: bool = True
    remove: bool = True
    """False: lines are counted, not removed."""
    exempt_sources: list[SourceName] = []
    """Sources whose lines are counted, not removed."""


class Limits(Section):
    """Documents dropped by these signals; 0 turns a rule off, and all are off by default."""

    boilerplate_ratio: float = Field(default=0, ge=0, le=1)
    """Largest share of a document's bytes in boilerplate lines."""
    adult_hits: float = Field(default=0, ge=0)
    """Most hits a thousand words on pornography; likewise slurs and spam."""
    slur_hits: float = Field(default=0, ge=0)
    spam_hits: float = Field(default=0, ge=0)
    ocr_ratio: float = Field(default=0, ge=0, le=1)
    """Largest share of words that look damaged by a scan."""
    replacement_chars: float = Field(default=0, ge=0)
    """Most U+FFFD a thousand characters."""


class Transcripts(Section):
    """Credits, sound tags and speaker tags of subtitles and records of debates."""

    enabled: bool = True
    sources: list[SourceName] = ["opensubtitles", "subtitles"]
    """Sources that lose these; elsewhere they are counted: "(risos)" in a novel is text."""
    remove_credits: bool = True
    remove_sounds: bool = True
    """Stage directions and sounds: (Aplausos.), [música], (risos), ♪."""
    remove_speakers: bool = False
    """Speaker tags: O SR. PRESIDENTE (Fulano):, JOÃO:."""


class Wiki(Section):
    """Mark-up that is left of wiki pages."""

    enabled: bool = True
    remove: bool = True


class Portuguese(Section):
    """Rules for Portuguese text."""

    unicode: Unicode = Unicode()
    boilerplate: Boilerplate = Boilerplate()
    transcripts: Transcripts = Transcripts()
    wiki: Wiki = Wiki()
    limits: Limits = Limits()
    """Thresholds of decisions; everything else here changes what is measured."""

    def measured(self) -> dict[str, Any]:
        """What decides the measured text and signals."""
        return {name: part for name, part in self.as_json().items() if name != "limits"}

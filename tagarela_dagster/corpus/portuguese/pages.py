"""Lines of pages, subtitles and wikis found by phrases; harmful phrases in the same pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, texts_from_buffers
from tagarela_dagster.corpus.kernels.phrase_lines import Lines, lines_of, without_lines
from tagarela_dagster.corpus.kernels.phrases import Hits
from tagarela_dagster.corpus.kernels.scan import may_be_wiki
from tagarela_dagster.corpus.kernels.scan_speakers import speaker_tags
from tagarela_dagster.corpus.kernels.splice import splice
from tagarela_dagster.corpus.portuguese.characters import edit_rows, from_sources
from tagarela_dagster.corpus.portuguese.lists import Lists, all_lists
from tagarela_dagster.corpus.portuguese.marks import without_sounds, without_wiki
from tagarela_dagster.recipe.portuguese import Portuguese

Flags = NDArray[np.bool_]

POLICY = ("cookies", "policy", "rights", "script", "newsletter", "captcha")
"""Classes whose lines ``policy_lines`` counts where they stay."""

HARMFUL = {"adult": "adult_hits", "slur": "slur_hits", "spam": "spam_hits"}


class Pages:
    """Step: edits ``wiki``, ``transcript`` and ``boilerplate``, and the signals of phrases.

    ``boilerplate_lines``, ``boilerplate_ratio`` (share of bytes), ``policy_lines`` (that stay),
    ``credit_lines``, ``transcript_tags``, ``wiki_remains``: counts of a document;
    ``adult_hits``, ``slur_hits``, ``spam_hits``: a thousand words.
    """

    def __init__(self, section: Portuguese) -> None:
        self.section = section
        self.lists = all_lists()

    def __call__(self, work: Work) -> None:
        """Marks inside lines first, then one pass for all phrases, then lines."""
        is_transcript = from_sources(work, self.section.transcripts.sources)
        wiki = self._wiki_marks(work, ~is_transcript)
        hits = self._tags(work, is_transcript)
        data, offsets = work.buffers()
        found = _Found(data, offsets, hits, self.lists)
        self._harmful(work, found)
        boilerplate = found.lines_by_rule("boilerplate") & ~found.headings()
        credit_lines = found.lines_by_rule("transcripts")
        hints = found.lines_by_rule("wiki", but="headings")
        work.signal("boilerplate_lines", found.per_row(boilerplate))
        sizes = np.bincount(found.lines.row, found.sizes * boilerplate, work.rows)
        whole = np.diff(offsets)
        ratio = np.divide(sizes, whole, out=np.full(work.rows, np.nan), where=whole > 0)
        work.signal("boilerplate_ratio", ratio)
        work.signal("policy_lines", found.per_row(found.with_class(*POLICY) & ~boilerplate))
        work.signal("credit_lines", found.per_row(credit_lines))
        section = self.section
        goes = boilerplate & section.boilerplate.remove & section.boilerplate.enabled
        goes &= ~from_sources(work, section.boilerplate.exempt_sources)[found.lines.row]
        transcripts = section.transcripts.enabled and section.transcripts.remove_credits
        credits_go = credit_lines & is_transcript[found.lines.row] & transcripts
        wiki_goes = hints & section.wiki.remove & section.wiki.enabled
        if section.wiki.enabled and section.wiki.remove:
            wiki_goes |= found.empty_headings(goes | credits_go | wiki_goes)
        work.signal("wiki_remains", wiki + found.per_row(hints))
        removed = np.zeros(len(goes), np.bool_)
        # Each edit takes its lines from the text as scanned, so that nothing need be found again.
        for edit, lines in (("boilerplate", goes), ("transcript", credits_go), ("wiki", wiki_goes)):
            lines = lines & ~removed
            if lines.any():
                removed |= lines
                texts = without_lines(data, offsets, found.lines, removed)
                work.edit(edit, texts_from_buffers(*texts))

    def _wiki_marks(self, work: Work, may_have: Flags) -> NDArray[np.int64]:
        count = np.zeros(work.rows, np.int64)
        if not self.section.wiki.enabled:
            return count
        asked = may_be_wiki(*work.buffers()) & may_have
        found: list[int] = []

        def change(text: str) -> str:
            made, marks = without_wiki(text)
            found.append(marks)
            return made if self.section.wiki.remove else text

        edit_rows(work, "wiki", asked, change)
        count[asked] = found
        return count

    def _tags(self, work: Work, is_transcript: Flags) -> Hits:
        """Count speaker tags and sounds, and remove them; phrases of the text that is left."""
        section = self.section.transcripts
        data, offsets = work.buffers()
        hits = self.lists.table.find(data, offsets)
        sounds = hits.row[_in_brackets(data, offsets, hits, self.lists)]
        tags = speaker_tags(data, offsets)
        count = np.bincount(tags[0], minlength=work.rows)
        work.signal("transcript_tags", count + np.bincount(sounds, minlength=work.rows))
        before = work.texts
        if section.enabled and section.remove_sounds:
            edit_rows(work, "transcript", is_transcript, without_sounds)
        if section.enabled and section.remove_speakers:
            data, offsets = work.buffers()
            spans = speaker_tags(data, offsets)
            cuts = [(r, start, end, b"") for r, start, end in spans.T.tolist() if is_transcript[r]]
            if cuts:
                work.edit("transcript", splice(data, offsets, cuts))
        return hits if work.texts is before else self.lists.table.find(*work.buffers())

    def _harmful(self, work: Work, found: _Found) -> None:
        for name, signal in HARMFUL.items():
            # A shorter phrase that ends with a longer one is the same hit.
            own = found.hit_class == self.lists.names.index(name)
            ends = np.flatnonzero(own)
            ends = ends[np.diff(found.hits.end[ends], prepend=-1) != 0]
            count = np.bincount(found.hits.row[ends], minlength=work.rows)
            words = found.hits.words
            rate = np.divide(1000 * count, words, out=np.full(work.rows, np.nan), where=words > 0)
            work.signal(signal, rate)


class _Found:
    """What one pass found: hits, their lines and classes."""

    def __init__(self, data: Bytes, offsets: Offsets, hits: Hits, lists: Lists) -> None:
        self.data, self.offsets, self.hits, self.lists = data, offsets, hits, lists
        self.lines: Lines = lines_of(data, offsets, hits)
        self.sizes = self.lines.end - self.lines.start
        self.hit_class = lists.class_of[hits.phrase]
        self.rows = len(offsets) - 1

    def per_row(self, lines: Flags) -> NDArray[np.int64]:
        """(rows,) how many of the flagged lines each text has."""
        return np.bincount(self.lines.row[lines], minlength=self.rows)

    def with_class(self, *names: str) -> Flags:
        """(lines,) whether a phrase of these classes stands in the line."""
        own = np.isin(self.hit_class, [self.lists.names.index(name) for name in names])
        return self._any(own)

    def lines_by_rule(self, file: str, but: str = "") -> Flags:
        """(lines,) whether a class of the file says that the line goes."""
        classes = self.lists.classes
        chosen = np.array([c.file == file and c.name != but for c in classes])[self.hit_class]
        covered = self.lines.covered(self.hits, self.lists.table.lengths, chosen)
        stand = np.bincount(self.lines.of[chosen], minlength=len(covered))
        of = self.lines.of
        share = np.array([c.share for c in classes])[self.hit_class]
        longest = np.array([c.words for c in classes])[self.hit_class]
        least = np.array([c.hits for c in classes])[self.hit_class]
        words = self.lines.words[of]
        return self._any(
            chosen & (words <= longest) & (stand[of] >= least) & (covered[of] >= share * words)
        )

    def headings(self) -> Flags:
        """(lines,) whether the line is marked as a heading: Markdown's #, MediaWiki's =."""
        if not len(self.data):
            return np.zeros(len(self.lines.row), np.bool_)
        first = self.data[np.minimum(self.lines.start, len(self.data) - 1)]
        return (first == ord("#")) | (first == ord("="))

    def empty_headings(self, removed: Flags) -> Flags:
        """(lines,) headings with nothing below but removed lines, before another or the end."""
        headings = np.flatnonzero(self.with_class("headings") & self.lines_by_rule("wiki"))
        empty = np.zeros(len(removed), np.bool_)
        starts = {int(self.lines.start[line]): int(line) for line in np.flatnonzero(removed)}
        stops = {int(self.lines.start[line]) for line in headings}
        for line in headings.tolist():
            place, end = int(self.lines.end[line]), int(self.offsets[self.lines.row[line] + 1])
            while place < end:
                if self.data[place] <= 32:
                    place += 1
                elif place in starts:
                    place = int(self.lines.end[starts[place]])
                else:
                    break
            empty[line] = place >= end or place in stops
        return empty & ~removed

    def _any(self, hits: Flags) -> Flags:
        flags = np.zeros(len(self.lines.row), np.bool_)
        flags[self.lines.of[hits]] = True
        return flags


def _in_brackets(data: Bytes, offsets: Offsets, hits: Hits, lists: Lists) -> Flags:
    """(hits,) sounds right behind a bracket."""
    own = lists.class_of[hits.phrase] == lists.names.index("sounds")
    own &= hits.start > offsets[hits.row]
    before = data[np.where(own, hits.start - 1, 0)] if len(data) else np.zeros(len(own), np.uint8)
    return own & ((before == ord("(")) | (before == ord("[")))

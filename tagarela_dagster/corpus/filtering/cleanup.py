"""Line clean-up before any filter: repair mojibake, drop lines of few letters and repeated lines.

Menus, page numbers, rules of dashes and repeated headers are lines, and what a filter would drop a
whole document for. Fine PT-PT Web (arXiv 2609.07699) drops them first and keeps 19% more
documents. Kernels do it on the buffers of a column; Python sees only the lines that ftfy may want
to repair.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from ftfy import TextFixerConfig, fix_encoding
from numpy.typing import NDArray

from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.kernels.buffers import (
    Bytes,
    Offsets,
    read_only,
    text_buffers,
    texts_from_buffers,
)
from tagarela_dagster.corpus.kernels.characters import character_classes
from tagarela_dagster.corpus.kernels.clean_lines import clean_rows, most_lines, suspect_lines
from tagarela_dagster.corpus.kernels.repetition import table_size
from tagarela_dagster.recipe.filtering import Cleanup

_FTFY = TextFixerConfig(explain=False)

LONG_LINE = 10_000
"""Bytes of a line beyond which it is repaired in stretches, cut behind spaces. ftfy takes 0.6 s a
megabyte of a line that is damaged in one place."""


class Cleaned(NamedTuple):
    """Texts after clean-up.

    Attributes:
        texts: (rows,) as they are now; None when no text changed.
        lines_removed: (rows,) lines that were dropped.
        mojibake_lines: (rows,) lines that ftfy repaired.
    """

    texts: pa.LargeStringArray | None
    lines_removed: NDArray[np.int64]
    mojibake_lines: NDArray[np.int64]


class Repair:
    """Step of measuring: edit ``encoding``, signal ``mojibake_lines``.

    It comes before every other edit, which might take away what a repair needs ("Ã" with a soft
    hyphen is an í).
    """

    def __init__(self, section: Cleanup) -> None:
        self.section = section.model_copy(update={"min_letters": 0, "drop_duplicate_lines": False})

    def __call__(self, work: Work) -> None:
        """Undo mojibake in the texts of a batch."""
        cleaned = clean_buffers(*work.buffers(), self.section)
        if cleaned.texts is not None:
            work.edit("encoding", cleaned.texts)
        work.signal("mojibake_lines", cleaned.mojibake_lines)


class Clean:
    """Step of measuring: edit ``cleanup``, signal ``lines_removed``."""

    def __init__(self, section: Cleanup) -> None:
        self.section = section.model_copy(update={"fix_encoding": False})

    def __call__(self, work: Work) -> None:
        """Drop lines of the texts of a batch."""
        cleaned = clean_buffers(*work.buffers(), self.section)
        if cleaned.texts is not None:
            work.edit("cleanup", cleaned.texts)
        work.signal("lines_removed", cleaned.lines_removed)


def clean_buffers(data: Bytes, offsets: Offsets, section: Cleanup) -> Cleaned:
    """Clean texts ``data[offsets[i]:offsets[i + 1]]``.

    Lines are split at newlines. Of two runs of blank lines that a removal brings together only
    the first stays; otherwise blank lines are untouched, and so is a text without a line to
    remove.
    """
    rows = len(offsets) - 1
    removed, repaired = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    changed = False
    if section.enabled and section.fix_encoding:
        data, offsets, repaired = _repair(data, offsets)
        changed = bool(repaired.any())
    if section.enabled and (section.min_letters or section.drop_duplicate_lines):
        lines = most_lines(data, offsets)
        out, out_offsets = np.empty(offsets[-1] - offsets[0], np.uint8), np.empty_like(offsets)
        clean_rows(
            data, offsets, section.min_letters, section.drop_duplicate_lines, character_classes(),
            np.empty(table_size(lines + 1), np.uint64), np.empty((lines, 2), np.int64),
            out, out_offsets, removed,
        )  # fmt: skip
        if removed.any():
            data, offsets, changed = out[: out_offsets[-1]], out_offsets, True
    return Cleaned(texts_from_buffers(data, offsets) if changed else None, removed, repaired)


def clean(text: str, section: Cleanup) -> tuple[str, int]:
    """One text after clean-up, and how many lines were removed."""
    cleaned = clean_buffers(*text_buffers(pa.array([text], pa.large_string())), section)
    texts = cleaned.texts
    return (text if texts is None else texts[0].as_py()), int(cleaned.lines_removed[0])


def _repair(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets, NDArray[np.int64]]:
    """Undo mojibake with ftfy, line by line, so that one line cannot block another's repair.

    A long line is repaired in stretches, each as if it were a line.

    Returns:
        Bytes and offsets afterwards (those that came in when nothing changed), and how many lines
        of each text were repaired.
    """
    repaired = np.zeros(len(offsets) - 1, np.int64)
    pieces: list[Bytes] = []
    sizes, at = np.diff(offsets), int(offsets[0])
    for row, first, last in _suspects(data, offsets).tolist():
        was = at
        for start, end in _stretches(data, first, last):
            damaged = data[start:end].tobytes()
            fixed = _fixed(damaged)
            if fixed == damaged:
                continue
            pieces += [data[at:start], np.frombuffer(fixed, np.uint8)]
            at = end
            sizes[row] += len(fixed) - len(damaged)
        repaired[row] += at != was
    if not pieces:
        return data, offsets, repaired
    pieces.append(data[at : int(offsets[-1])])
    places = np.concatenate([[0], np.cumsum(sizes)])
    return read_only(np.concatenate(pieces)), read_only(places), repaired


def _suspects(data: Bytes, offsets: Offsets) -> NDArray[np.int64]:
    """(lines, 3) row, start and end of the lines that ftfy may want to repair."""
    room = 256
    while True:
        found = np.empty((room, 3), np.int64)
        count = suspect_lines(data, offsets, found)
        if count <= room:
            return found[:count]
        room = count


def _stretches(data: Bytes, start: int, end: int) -> list[tuple[int, int]]:
    """Where ftfy may want to repair a line: all of it, or some stretches of a long one."""
    if end - start <= LONG_LINE:
        return [(start, end)]
    borders = [start]
    while end - borders[-1] > LONG_LINE:
        stop = borders[-1] + LONG_LINE
        spaces = np.flatnonzero(data[borders[-1] : stop] == ord(" "))
        if spaces.size:
            stop = borders[-1] + int(spaces[-1]) + 1
        else:
            stop -= int((data[stop - 2 : stop + 1] & 0xC0 == 0x80)[::-1].cumprod().sum())
        borders.append(stop)
    places = read_only(np.array([*borders, end], np.int64))
    return [tuple(found) for found in _suspects(data, places)[:, 1:].tolist()]


def _fixed(line: bytes) -> bytes:
    try:
        return fix_encoding(line.decode(), _FTFY).encode()
    except UnicodeError:
        # Not from an Arrow string: nothing is known about such bytes.
        return line

"""Cut matching runs out of a text, each with the whole sentence or line that it stands in."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

_BOUNDARY = re.compile(
    # A line's end; or a sentence's mark with the quotes and brackets that close after it and the
    # white space that must follow: "1.500" and "etc.)," end nothing.
    rb"\n|(?:[.!?]|\xe2\x80\xa6)+(?:[\"')\]]|\xc2\xbb|\xe2\x80[\x99\x9d])*(?=\n|[ \t\r]+)[ \t\r]*"
)


def cut_out(text: bytes, spans: NDArray[np.int64]) -> bytes:
    """The text without the sentences or lines that hold ``spans``.

    Args:
        text: UTF-8.
        spans: (spans, 2) first byte and byte after the last, in order, apart from each other.

    Returns:
        What is left: a line loses its end only if the whole of it goes.
    """
    ends = np.fromiter((m.end() for m in _BOUNDARY.finditer(text)), np.int64)
    bounds = np.unique(np.concatenate([[0], ends, [len(text)]]))
    firsts = bounds[np.searchsorted(bounds, spans[:, 0], side="right") - 1]
    lasts = bounds[np.searchsorted(bounds, spans[:, 1], side="left")]
    cuts: list[list[int]] = []
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        if cuts and first <= cuts[-1][1]:
            cuts[-1][1] = max(cuts[-1][1], last)
        else:
            cuts.append([first, last])
    left: list[bytes] = []
    at = 0
    for first, last in cuts:
        head = text[at:first]
        at = last
        begins_line = first == 0 or text[first - 1 : first] == b"\n"
        if begins_line:
            at += text[at : at + 1] == b"\n"
        elif text[at - 1 : at] == b"\n" or text[at : at + 1] in (b"\n", b""):
            # The end of a line whose beginning stays belongs to that beginning.
            head = head.rstrip(b" \t\r")
            at -= text[at - 1 : at] == b"\n"
        left.append(head)
    left.append(text[at:])
    return b"".join(left)

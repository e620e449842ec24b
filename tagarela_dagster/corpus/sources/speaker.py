"""How Brazilian parliamentary records name who speaks, at the head of a speech."""

from __future__ import annotations

import re

_HEADING = re.compile(
    r"^\s*(?P<name>(?:O SR\.|A SRA\.)\s+[^a-z\n(:–—]{2,80}?)\s*"
    r"(?:\((?P<about>[^()\n]{1,200})\))?\s*[.:]?\s*(?:[-–—:]\s*|$)"
)


def speaker_heading(text: str) -> tuple[str, str]:
    """The heading of a speech and the speech without it; an empty heading when there is none.

    ``O SR. OLÍVIO DUTRA (PT – RS. Sem revisão do orador): – Sr. Presidente, …``
    """
    match = _HEADING.match(text)
    if not match or match.end() == len(text):
        return "", text
    about = f" ({match['about'].strip()})" if match["about"] else ""
    return match["name"].strip() + about, text[match.end() :].lstrip()

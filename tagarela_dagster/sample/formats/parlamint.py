"""ParlaMint-PT 4.1: one TEI file a sitting.

The one item of a file is a sitting, its texts are speeches, and the chair gives the floor before
each. Settings: ``vocal``, ``kinesic`` (text -> what is heard or seen after its second paragraph).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from string import Template
from xml.sax.saxutils import escape

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.sample.formats.context import TEMPLATES, Context
from tagarela_dagster.sample.plan import Item

TAIL = """         </div>
      </body>
   </text>
</TEI>
"""


def write(path: Path, items: Sequence[Item], context: Context) -> dict[str, str]:
    """Write one sitting; ``ParlaMint-PT_DAY.xml``."""
    day = path.stem.partition("_")[2]
    sitting = path.stem
    turns: list[tuple[str, list[str]]] = []
    (item,) = items
    for prose in context.proses(item):
        turns.append(("#chair", [_seg(_floor(prose.title))]))
        segments = [_seg(paragraph) for paragraph in prose.paragraphs]
        for kind in _TYPES:
            heard = item.has.get(kind, {}).get(prose.slug)
            if heard:
                segments.insert(2, f'<{kind} type="{_TYPES[kind]}"><desc>{heard}</desc></{kind}>')
        turns.append(("#regular", segments))
    head = Template((TEMPLATES / "parlamint.xml").read_text(encoding="utf-8"))
    number = 1 + context.number(day, 90)
    xml = head.substitute(id=sitting, day=day, number=number, speeches=len(turns))
    for number, (role, segments) in enumerate(turns, 1):
        who = "#Presidente" if role == "#chair" else f"#Orador{number}"
        xml += f'            <u xml:id="{sitting}.u{number}" who="{who}" ana="{role}">\n'
        for place, segment in enumerate(segments, 1):
            named = segment.replace("<seg>", f'<seg xml:id="{sitting}.seg{number}.{place}">')
            xml += f"               {named}\n"
        xml += "            </u>\n"
    with atomic_write(path) as file:
        file.write(xml + TAIL)
    return {item.label: sitting}


_TYPES = {"kinesic": "applause", "vocal": "speaking"}


def _floor(title: str) -> str:
    """What the chair says before a speech with this title."""
    match = re.search(r"d([oa] Sr\.ª? .+?)(?= sobre | no voto |$)", title)
    if not match:
        raise ValueError(f"'{title}' names no speaker")
    return f"Tem a palavra, para usar do tempo que lhe cabe, {match[1]}."


def _seg(text: str) -> str:
    return f"<seg>{escape(text)}</seg>"

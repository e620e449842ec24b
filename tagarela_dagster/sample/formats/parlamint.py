"""ParlaMint-PT 4.1: one TEI file a sitting.

The chair opens the sitting and gives the floor before each speech. Settings of an item:
``vocal``, ``kinesic`` (what is heard and seen after its second paragraph).
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
    for item in items:
        prose = context.prose(item)
        turns.append(("#chair", [_seg(_floor(prose.title))]))
        segments = [_seg(paragraph) for paragraph in prose.paragraphs]
        for kind, text in (("kinesic", item.has.get("kinesic")), ("vocal", item.has.get("vocal"))):
            if text:
                segments.insert(2, f'<{kind} type="{_TYPES[kind]}"><desc>{text}</desc></{kind}>')
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
    return {item.label: sitting for item in items}


_TYPES = {"kinesic": "applause", "vocal": "speaking"}


def _floor(title: str) -> str:
    """What the chair says before a speech with this title."""
    match = re.search(r"d([oa] Sr\.ª? .+?)(?= sobre | no voto |$)", title)
    if not match:
        raise ValueError(f"'{title}' names no speaker")
    return f"Tem a palavra, para usar do tempo que lhe cabe, {match[1]}."


def _seg(text: str) -> str:
    return f"<seg>{escape(text)}</seg>"

"""Câmara dos Deputados: pages of ``/api/v2/deputados/{id}/discursos`` as the API answers.

Settings of an item: ``empty`` (the API has no transcript of it).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.sample.formats.context import Context
from tagarela_dagster.sample.plan import Item

API = "https://dadosabertos.camara.leg.br/api/v2"


def write(path: Path, items: Sequence[Item], context: Context) -> dict[str, str]:
    """Write one page of a deputy's speeches; ``deputado-ID-pagina-N.json``."""
    _, deputy, _, page = path.stem.split("-")
    address = f"{API}/deputados/{deputy}/discursos?dataInicio=2026-05-01&dataFim=2026-05-31"
    links = [
        {"rel": rel, "href": f"{address}&ordenarPor=dataHoraInicio&ordem=ASC&pagina={n}&itens=100"}
        for rel, n in (("self", page), ("first", "1"), ("last", page))
    ]
    speeches = [_speech(item, context) for item in items]
    with atomic_write(path) as file:
        json.dump({"dados": speeches, "links": links}, file, ensure_ascii=False, indent=1)
    return {
        item.label: f"{deputy}/{speech['dataHoraInicio']}"
        for item, speech in zip(items, speeches, strict=True)
    }


def _speech(item: Item, context: Context) -> dict[str, Any]:
    day, minute = 4 + context.number(item.label, 24), context.number(item.label + "m", 300)
    event = 70_000 + context.number(item.label + "e", 9_000)
    prose = context.prose(item) if item.text else None
    return {
        "dataHoraInicio": f"2026-05-{day:02d}T{14 + minute // 60:02d}:{minute % 60:02d}",
        "dataHoraFim": None,
        "uriEvento": f"{API}/eventos/{event}",
        "faseEvento": {
            "titulo": "Breves Comunicações",
            "dataHoraInicio": None,
            "dataHoraFim": None,
        },
        "tipoDiscurso": "DISCURSO ENCAMINHADO" if item.has.get("empty") else "BREVES COMUNICAÇÕES",
        "urlTexto": f"https://www.camara.leg.br/internet/sitaqweb/TextoHTML.asp?sessao={event}",
        "urlAudio": None,
        "urlVideo": None,
        "keywords": "POLÍTICAS PÚBLICAS, MUNICÍPIO.",
        "sumario": prose.title if prose else "Discurso encaminhado para publicação.",
        "transcricao": " ".join(prose.paragraphs) if prose else None,
    }

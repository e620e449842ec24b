"""Câmara dos Deputados: speeches out of JSON pages."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.corpus.sources.speaker import speaker_heading
from tests.corpus.sources.reading import read_folder

API = "https://dadosabertos.camara.leg.br/api/v2"


def speech(hour: str, text: str | None, **fields: Any) -> dict[str, Any]:
    return {
        "dataHoraInicio": f"2024-05-12T{hour}",
        "dataHoraFim": None,
        "uriEvento": f"{API}/eventos/76778",
        "faseEvento": {"titulo": "Breves Comunicações", "dataHoraInicio": None},
        "tipoDiscurso": "BREVES COMUNICAÇÕES",
        "urlTexto": "https://www.camara.leg.br/texto?sessao=1",
        "keywords": "MERENDA ESCOLAR.",
        "sumario": "Defesa da merenda escolar.",
        "transcricao": text,
    } | fields


def page(*speeches: Any, deputy: int = 204501) -> bytes:
    links = [{"rel": "self", "href": f"{API}/deputados/{deputy}/discursos?pagina=1"}]
    return json.dumps({"dados": list(speeches), "links": links}, ensure_ascii=False).encode()


def test_a_speech_is_a_document(tmp_path: Path) -> None:
    text = (
        "O SR. JOÃO DA SILVA (PT - CE. Sem revisão do orador.) - Sr. Presidente,\r\nfalo da fome."
    )
    (tmp_path / "pagina-1.json").write_bytes(page(speech("16:33", text)))
    outcome = read_folder("camara", tmp_path)
    (document,) = outcome.documents
    assert document.text == "Sr. Presidente,\nfalo da fome."
    assert document.native_id == "204501/2024-05-12T16:33"
    assert (str(document.date), document.variety) == ("2024-05-12", "pt-BR")
    assert document.title == "Defesa da merenda escolar."
    assert document.url == "https://www.camara.leg.br/texto?sessao=1"
    assert document.meta == {
        "deputado": "204501",
        "fase": "Breves Comunicações",
        "keywords": "MERENDA ESCOLAR.",
        "speaker": "O SR. JOÃO DA SILVA (PT - CE. Sem revisão do orador.)",
        "sumario": "Defesa da merenda escolar.",
        "tipoDiscurso": "BREVES COMUNICAÇÕES",
        "uriEvento": f"{API}/eventos/76778",
    }


def test_speeches_of_one_hour_stay_apart_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    data = page(speech("14:00", "Um."), speech("14:00", "Dois."), speech("15:00", None))
    (tmp_path / "p.json.gz").write_bytes(gzip.compress(data))
    outcome = read_folder("camara", tmp_path)
    assert outcome.texts == {
        "204501/2024-05-12T14:00": "Um.",
        "204501/2024-05-12T14:00#2": "Dois.",
    }
    assert outcome.reasons == {"p.json.gz dados[2]": "-no_text"}


def test_a_page_without_links_takes_the_deputy_from_its_name(tmp_path: Path) -> None:
    data = json.dumps({"dados": [speech("14:00", "Um.")]}).encode()
    (tmp_path / "deputado-178842-pagina-2.json").write_bytes(data)
    assert list(read_folder("camara", tmp_path).texts) == ["178842/2024-05-12T14:00"]


def test_bad_pages_are_told_and_good_speeches_go_on(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(page("texto solto", speech("14:00", "Um.")))
    (tmp_path / "b.json").write_bytes(page(speech("14:00", "Dois."))[:-30])
    (tmp_path / "c.json").write_bytes(b'{"erro": "limite"}')
    (tmp_path / "d.json.gz").write_bytes(gzip.compress(page(speech("14:00", "Três.")))[:-20])
    (tmp_path / "e.json").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "f.txt").write_bytes(b"nota")
    (tmp_path / "g.json").write_bytes(
        page(speech("17:00", "Não é só isso.")).decode().encode("cp1252")
    )
    outcome = read_folder("camara", tmp_path)
    assert list(outcome.texts.values()) == ["Um.", "Não é só isso."]
    reasons = {key.split(" ")[0]: reason for key, reason in outcome.reasons.items()}
    assert reasons == {
        "a.json": "bad_record",
        "b.json": "bad_json",
        "c.json": "bad_json",
        "d.json.gz": "truncated",
        "e.json": "encoding",
        "f.txt": "-other_file",
    }


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("O SR. OLÍVIO DUTRA (PT – RS): – Sr. Presidente.", "O SR. OLÍVIO DUTRA (PT – RS)"),
        ("A SRA. PRESIDENTE - Está aberta a sessão.", "A SRA. PRESIDENTE"),
        ("O Sr. ministro disse: - Não.", ""),
        ("O SR. PRESIDENTE não veio ontem.", ""),
    ],
)
def test_the_heading_of_a_speech_is_told_from_its_text(text: str, heading: str) -> None:
    found, rest = speaker_heading(text)
    assert found == heading
    assert rest == (text if not heading else text.split("– ")[-1].split("- ")[-1])

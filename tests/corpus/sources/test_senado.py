"""Senado Federal: lists in JSON, texts beside them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from tests.corpus.sources.reading import read_folder


def listed(code: str, **fields: Any) -> dict[str, Any]:
    return {
        "CodigoPronunciamento": code,
        "TipoUsoPalavra": {"Codigo": "3", "Sigla": "DIS", "Descricao": "Discurso"},
        "DataPronunciamento": "2023-03-14",
        "SiglaPartidoParlamentarNaData": "PSD",
        "UfParlamentarNaData": "MG",
        "SiglaCasaPronunciamento": "SF",
        "TextoResumo": "Comentários sobre a seca.",
        "Indexacao": "SECA, NORDESTE.",
        "UrlTexto": f"https://www25.senado.leg.br/-/pronunciamento/{code}",
    } | fields


def senator(*speeches: Any) -> str:
    """The answer of ``/senador/{code}/discursos``."""
    found: Any = list(speeches) if len(speeches) != 1 else speeches[0]
    person = {"CodigoParlamentar": "5012", "NomeParlamentar": "Fulana de Tal"}
    inner = {"IdentificacaoParlamentar": person, "Pronunciamentos": {"Pronunciamento": found}}
    return json.dumps({"DiscursosParlamentar": {"Parlamentar": inner}}, ensure_ascii=False)


def write(folder: Path, name: str, data: str | bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def test_a_text_gets_the_data_of_its_list(tmp_path: Path) -> None:
    write(tmp_path, "senador-5012.json", senator(listed("491001")))
    text = "A SRA. FULANA DE TAL (PSD - MG. Para discursar.) - Sr. Presidente, a seca voltou."
    write(tmp_path, "texto-integral/491001.txt", text)
    outcome = read_folder("senado", tmp_path)
    (document,) = outcome.documents
    assert document.native_id == "491001"
    assert document.text == "Sr. Presidente, a seca voltou."
    assert (str(document.date), document.variety) == ("2023-03-14", "pt-BR")
    assert document.title == "Comentários sobre a seca."
    assert document.url == (
        "https://legis.senado.leg.br/dadosabertos/discurso/texto-integral/491001"
    )
    assert document.meta == {
        "autor": "Fulana de Tal",
        "casa": "SF",
        "indexacao": "SECA, NORDESTE.",
        "partido": "PSD",
        "speaker": "A SRA. FULANA DE TAL (PSD - MG. Para discursar.)",
        "tipo": "Discurso",
        "uf": "MG",
    }
    assert outcome.rejected == []


def test_lists_of_the_plenary_and_embedded_texts_are_read(tmp_path: Path) -> None:
    session = {
        "DataSessao": "2022-08-01",
        "Pronunciamentos": {
            "Pronunciamento": [
                {
                    "CodigoPronunciamento": "7",
                    "NomeAutor": "Beltrano",
                    "TextoIntegral": "<p>Um.</p>",
                },
                {"CodigoPronunciamento": "8", "NomeAutor": "Sicrano"},
            ]
        },
    }
    tree = {"DiscursosSessao": {"Sessoes": {"Sessao": session}}}
    write(tmp_path, "plenario.json", json.dumps(tree))
    write(tmp_path, "texto-integral/8.txt.gz", gzip.compress("Dois.<br>Três.".encode()))
    outcome = read_folder("senado", tmp_path)
    assert outcome.texts == {"7": "Um.", "8": "Dois.\nTrês."}
    assert [str(d.date) for d in outcome.documents] == ["2022-08-01"] * 2
    assert [d.meta["autor"] for d in outcome.documents] == ["Beltrano", "Sicrano"]


def test_what_is_missing_bad_or_doubled_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a.json", senator(listed("1"), listed("2"), listed("3"), listed("4")))
    write(tmp_path, "b.json", senator(listed("1")))
    write(tmp_path, "c.json", senator(listed("9"))[:-20])
    write(tmp_path, "d.json", '{"Metadados": {"Versao": "1"}}')
    write(tmp_path, "texto-integral/1.txt", "Primeiro.")
    write(tmp_path, "texto-integral/2.txt", bytes(range(256)) * 10)
    write(tmp_path, "texto-integral/3.txt.gz", gzip.compress(b"Terceiro discurso." * 9)[:-12])
    write(tmp_path, "texto-integral/5.txt", "Sem lista.")
    write(tmp_path, "texto-integral/6.txt", " \n")
    write(tmp_path, "outra/1.txt", "Primeiro, de novo.")
    write(tmp_path, "LEIA-ME", "nota")
    outcome = read_folder("senado", tmp_path)
    assert outcome.texts == {"1": "Primeiro, de novo.", "5": "Sem lista."}
    assert {k: v for k, v in outcome.reasons.items() if "3.txt" not in k} == {
        "LEIA-ME byte 0": "-other_file",
        "a.json CodigoPronunciamento 4": "-no_text",
        "b.json CodigoPronunciamento 1": "-repeated",
        "c.json byte 0": "bad_json",
        "d.json byte 0": "-no_text",
        "texto-integral/1.txt byte 0": "-repeated",
        "texto-integral/2.txt byte 0": "encoding",
        "texto-integral/6.txt byte 0": "-no_text",
    }
    assert [r.reason for r in outcome.rejected if "3.txt" in r.file] == ["truncated"]

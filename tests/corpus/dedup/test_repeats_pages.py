"""Pages of a Portuguese newspaper: what a template repeats goes, what people wrote stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.dedup.cuts_apply import Cuts
from tagarela_dagster.corpus.dedup.cuts_index import repeats_identity
from tagarela_dagster.provenance.alignment import AlignmentError
from tagarela_dagster.provenance.lake import Lake
from tests.corpus.dedup.repeated import documents, left, repeats, section, write_texts

FLOOD = "O rio subiu durante a noite e de manhã já cobria os campos junto à ponte velha."
MARKET = "A feira de sábado começa antes de o dia clarear, com mandioca, milho verde e laranja."
LIGHT = "O faroleiro sobe os cento e doze degraus duas vezes por dia, faça sol ou faça chuva."
NOTICE = (
    "As declarações constantes deste comunicado são da inteira responsabilidade da entidade que "
    "o enviou e não vinculam a redação."
)
FOOTER = "Assine já a nossa newsletter e receba as notícias da região todas as manhãs."


def page(title: str, body: str, readers: int) -> str:
    return (
        f"{title}\n\nJá é assinante? Entre na sua conta\n\n{body}\n\n"
        f"{readers} leitores gostaram deste artigo\n\n{FOOTER}"
    )


PAGES = {
    "gazeta@2024": [
        {"cheia": page("Cheia", FLOOD, 12), "feira": page("Feira", MARKET, 3)},
        {"farol": page("Farol", LIGHT, 1_250)},
    ]
}


def test_the_lines_of_a_template_stay_in_the_first_page_alone(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    manifest = repeats(lake, write_texts(tmp_path, PAGES), section(max_documents=2, min_letters=20))
    texts = left(lake, manifest, PAGES)["gazeta@2024"]
    assert texts == {
        "cheia": PAGES["gazeta@2024"][0]["cheia"],
        "feira": f"Feira\n\n{MARKET}",
        "farol": f"Farol\n\n{LIGHT}",
    }
    assert manifest.counts == {
        "documents": 3,
        "line_documents": 2,
        "line_bytes": 311,
        "substring_documents": 0,
        "substring_bytes": 0,
        "document_documents": 0,
        "document_bytes": 0,
        "collisions": 0,
    }


def test_nobody_keeps_a_line_when_the_recipe_says_so(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    rules = section(max_documents=2, min_letters=20, keep_first=False)
    texts = left(lake, repeats(lake, write_texts(tmp_path, PAGES), rules), PAGES)["gazeta@2024"]
    assert texts["cheia"] == f"Cheia\n\n{FLOOD}"


def test_as_many_documents_as_allowed_may_share_a_line(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    manifest = repeats(lake, write_texts(tmp_path, PAGES), section(max_documents=3, min_letters=20))
    assert [shard.path for shard in manifest.shards] == ["state/gazeta@2024.index"]


QUOTED = {
    "agencia@2024": [{"original": f"{FLOOD}\n{NOTICE}"}],
    "blogue@2024": [
        {
            "inteiro": f"{NOTICE.upper()}\n",
            "no_meio": f"{MARKET} «{NOTICE}» {LIGHT}",
            "quase": NOTICE.replace("inteira responsabilidade", "total responsabilidade"),
        }
    ],
}
RANKS = {"agencia": 1, "blogue": 2}


def test_a_substring_goes_with_the_marks_around_it(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    manifest = repeats(lake, write_texts(tmp_path, QUOTED), section(min_words=15, left=5), RANKS)
    assert left(lake, manifest, QUOTED)["blogue@2024"] == {
        "inteiro": None,
        "no_meio": f"{MARKET} «{LIGHT}",
        "quase": QUOTED["blogue@2024"][0]["quase"],
    }
    (path,) = lake.paths(manifest, "cuts/")
    assert pq.read_table(path).to_pylist() == [
        {"shard": "00000", "row": 0, "id": "inteiro", "start": 0, "end": 132, "kind": "document"},
        {"shard": "00000", "row": 1, "id": "no_meio", "start": 90, "end": 224, "kind": "substring"},
    ]


def test_a_document_that_others_rely_on_stays_however_short(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    short = "Nota da redação sobre a cheia de ontem."
    corpus = {"a@1": [{"1": FLOOD}], "b@1": [{"2": f"{short}\n{FLOOD}", "3": f"{short}\n{LIGHT}"}]}
    ranks = {"a": 1, "b": 2}
    manifest = repeats(lake, write_texts(tmp_path, corpus), section(min_words=8, left=20), ranks)
    found = left(lake, manifest, corpus)
    assert found["b@1"] == {"2": short, "3": None}


def test_the_order_of_the_recipe_decides_who_keeps_it(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    ranks = {"agencia": 2, "blogue": 1}
    manifest = repeats(lake, write_texts(tmp_path, QUOTED), section(min_words=15), ranks)
    assert left(lake, manifest, QUOTED)["agencia@2024"] == {"original": FLOOD}


def test_a_new_snapshot_reads_itself_and_leaves_the_other_cuts(tmp_path: Path) -> None:
    lake, told = Lake(tmp_path / "lake"), {}
    rules = section(min_words=15, max_documents=2, min_letters=20)
    old = write_texts(tmp_path, QUOTED | PAGES)
    ranks = RANKS | {"gazeta": 3}
    before = repeats(lake, old, rules, ranks, told)
    assert set(told.values()) == {"sorted"}
    more = {"gazeta@2025": [{"mercado": page("Mercado", MARKET.replace("sábado", "domingo"), 4)}]}
    after = repeats(lake, old | write_texts(tmp_path, more), rules, ranks, told)
    assert {p for p, what in told.items() if what == "sorted"} == {"gazeta@2025"}
    known = {shard.path: shard for shard in after.shards}
    assert all(known[shard.path] == shard for shard in before.shards)
    assert left(lake, after, more)["gazeta@2025"] == {
        "mercado": f"Mercado\n\n{MARKET.replace('sábado', 'domingo')}"
    }


def test_what_deduplication_drops_changes_no_index(tmp_path: Path) -> None:
    texts, gone = ({"a@1": [{"x": FLOOD, "y": f"{mark}{FLOOD}"}]} for mark in ("", "="))
    rules = section(min_words=5)
    one, two = (write_texts(tmp_path / n, c)["a@1"] for n, c in (("1", texts), ("2", gone)))
    assert repeats_identity(one, rules.repeats) != repeats_identity(two, rules.repeats)
    lake = Lake(tmp_path / "lake")
    manifest = repeats(lake, {"a@1": two}, rules)
    assert manifest.counts["documents"] == 1
    assert not lake.paths(manifest, "cuts/")
    swapped = [
        type(s)(s.name, s.paths[:3] + t.paths[3:], s.hashes[:3] + ("other",))
        for s, t in zip(two, one, strict=True)
    ]
    assert repeats_identity(swapped, rules.repeats) == repeats_identity(two, rules.repeats)


def test_cuts_of_other_documents_are_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    manifest = repeats(lake, write_texts(tmp_path, QUOTED), section(min_words=15), RANKS)
    cuts = Cuts(lake.paths(manifest, "cuts/blogue@2024.parquet"), "00000")
    batch = documents("blogue@2024", {"um": FLOOD, "dois": FLOOD}).combine_chunks().to_batches()[0]
    with pytest.raises(AlignmentError, match="materialize repeats"):
        cuts.apply(batch, np.array([0, 1]))


def test_hard_texts_change_no_other_documents_cuts(tmp_path: Path) -> None:
    hard = {
        "litania": "amém " * 200_000,
        "linhas": "amém\n" * 200_000,
        "uma": "ação" * 500_000,
        "nul": "\0" * 1000,
        "direita": "\u200f" * 1000 + NOTICE,
        "emoji": "😀" * 10_000,
        "nfd": "a\u0303" * 10_000,
        "vazio": "",
    }
    lake = Lake(tmp_path / "lake")
    corpus = QUOTED | {"lixo@1": [hard], "lixo@2": [hard]}
    rules = section(min_words=15, max_documents=2, min_letters=20)
    ranks = RANKS | {"lixo": 3}
    found = left(lake, repeats(lake, write_texts(tmp_path, corpus), rules, ranks), corpus)
    assert found["blogue@2024"]["no_meio"] == f"{MARKET} «{LIGHT}"
    # The notice is the agency's, and the litany stands line by line in a document before it.
    assert found["lixo@1"] == hard | {"direita": "\u200f" * 1000 + "As", "litania": ""}
    assert found["lixo@2"]["linhas"] == ""

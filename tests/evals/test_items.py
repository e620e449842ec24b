from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.evals.benchmarks import pin_benchmarks
from tagarela_dagster.evals.items import Item, ItemsError, choose_items, read_items, write_items
from tagarela_dagster.evals.last_word import data_hash, load_items
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.evals import LastWord

GOOD = {"id": "a", "sentence": "Às sete já cheirava a", "last_word": "pão"}


def jsonl(path: Path, *lines: object) -> Path:
    raw = [
        line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode()
        for line in lines
    ]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


def test_bad_rows_are_set_aside_with_their_place_and_reason(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "itens.jsonl",
        GOOD,
        {"id": "b", "sentence": "Sem resposta"},
        {"id": "c", "sentence": "Resposta vazia", "last_word": "  "},
        {"id": "d", "last_word": "órfã"},
        {"id": "a", "sentence": "Outra com o mesmo nome", "last_word": "casa"},
        {"id": "e", "sentence": "Duas palavras", "last_word": "pão quente"},
        '{"id": "f", "sentence": "Latim um", "last_word": "p\xe3o"}'.encode("latin-1"),
        b"{truncado",
        ["lista"],
        {"id": "g", "sentence": "mojibake p\ufffdo", "last_word": "casa"},
        {"id": "h", "sentence": "x " * 20_000, "last_word": "casa"},
        {"id": "i", "sentence": 3, "last_word": "casa"},
        {"sentence": "  Sem nome, com espaços ", "last_word": " casa\n"},
    )
    found = read_items(path)
    assert found.items == [
        Item("a", "Às sete já cheirava a", "pão"),
        Item("line 13", "Sem nome, com espaços", "casa"),
    ]
    assert [(row.place, row.reason) for row in found.rejected] == [
        ("line 2", "no_last_word"),
        ("line 3", "no_last_word"),
        ("line 4", "no_sentence"),
        ("line 5", "duplicate_id"),
        ("line 6", "several_words"),
        ("line 7", "encoding"),
        ("line 8", "not_json"),
        ("line 9", "no_object"),
        ("line 10", "encoding"),
        ("line 11", "too_long"),
        ("line 12", "no_sentence"),
    ]
    assert found.reasons["no_last_word"] == 2


def test_the_three_formats_give_the_same_items(tmp_path: Path) -> None:
    rows = [GOOD, {"id": "b", "sentence": 'Disse: "vem, já', "last_word": "tarde"}]
    text = "id,sentence,last_word\n"
    for row in rows:
        quoted = row["sentence"].replace('"', '""')
        text += f'{row["id"]},"{quoted}",{row["last_word"]}\n'
    (tmp_path / "itens.csv").write_bytes("\ufeff".encode() + text.encode())
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "itens.parquet")
    expected = read_items(jsonl(tmp_path / "itens.jsonl", *rows)).items
    assert len(expected) == 2
    assert read_items(tmp_path / "itens.csv").items == expected
    assert read_items(tmp_path / "itens.parquet").items == expected


def test_a_csv_row_in_another_encoding_is_set_aside_alone(tmp_path: Path) -> None:
    path = tmp_path / "itens.csv"
    path.write_bytes("sentence,last_word\nEra uma,ação\n".encode("latin-1") + b"Era um,dia\n")
    found = read_items(path)
    assert [item.last_word for item in found.items] == ["dia"]
    assert found.reasons == {"encoding": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vazio.jsonl", b"", "no sound item .it is empty"),
        ("outro.jsonl", b'{"text": "x"}\n', "1 no_sentence"),
        ("outro.csv", b"texto,palavra\na,b\n", "no column last_word and sentence"),
        ("itens.txt", b"x", "is none of .jsonl, .csv, .parquet"),
        ("itens.parquet", b"PAR1 lixo", "is not a Parquet file"),
    ],
)
def test_an_unusable_file_is_an_error_that_says_why(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ItemsError, match=message):
        read_items(tmp_path / name)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ItemsError, match="does not exist"):
        read_items(tmp_path / "nada.jsonl")
    with pytest.raises(ItemsError, match="does not exist"):
        data_hash(str(tmp_path / "nada.jsonl"))


def test_a_pinned_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "itens.jsonl", GOOD)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(load_items(LastWord(data=str(path), sha256=right)).items) == 1
    with pytest.raises(ItemsError, match="the recipe pins 0000"):
        load_items(LastWord(data=str(path), sha256="0" * 64))


def test_the_bundled_set_is_whole() -> None:
    found = load_items(LastWord(data="sample:benchmarks/ultima_palavra.jsonl"))
    assert (len(found.items), found.rejected) == (150, [])
    assert {item.variety for item in found.items} == {"pt-PT", "pt-BR"}


def test_a_part_of_a_set_is_chosen_by_hash_and_keeps_its_order(tmp_path: Path) -> None:
    items = [Item(f"i{n}", "Era uma", "vez") for n in range(50)]
    chosen = choose_items(items, 10)
    assert len(chosen) == 10
    assert chosen == [item for item in items if item in chosen] != items[:10]
    assert set(choose_items(items[::-1], 10)) == set(chosen)
    assert set(choose_items(items, 5)) < set(chosen)
    write_items(chosen, tmp_path / "itens.jsonl")
    assert read_items(tmp_path / "itens.jsonl").items == chosen


def test_benchmarks_are_pinned_and_their_bad_rows_published_beside_them(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "itens.jsonl", GOOD, {"id": "b", "sentence": "Sem resposta"})
    tasks = {"meus": LastWord(data=str(path)), "retidos": LastWord(data="held_out")}
    lake = Lake(tmp_path / "lake")
    with lake.write("benchmarks", code_version="1", section={}, inputs={}) as writer:
        manifest = pin_benchmarks(writer, tasks)
    assert [(s.path, s.rows) for s in manifest.shards] == [
        ("items/meus.jsonl", 1),
        ("quarantine/meus.jsonl", 1),
    ]
    assert manifest.counts["tasks"]["meus"]["rejected"] == {"no_last_word": 1}
    (items,) = lake.paths(manifest, "items/")
    assert read_items(items).items == [Item("a", "Às sete já cheirava a", "pão")]

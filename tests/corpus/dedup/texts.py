"""Portuguese texts with known duplicates, and signed partitions of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.dedup.clusters import cluster_partitions
from tagarela_dagster.corpus.dedup.signatures import sign_partition
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Dedup, Minhash

ARGUMENTS = {"code_version": "c", "section": {}, "inputs": {}}

RIVER = (
    "O rio subiu durante a noite e de manhã já cobria os campos junto à ponte velha. Os vizinhos "
    "levaram os animais para o monte e ficaram a ver a água correr, castanha e rápida, entre os "
    "troncos dos salgueiros. Ninguém se lembrava de uma cheia assim em março, nem o moleiro, que "
    "guardava na parede do moinho as marcas de todas as enchentes do século. Ao terceiro dia a "
    "chuva parou, o sol voltou e as crianças encontraram peixes nas poças da estrada."
)
RIVER_LATER = RIVER.replace("terceiro dia a chuva parou", "quarto dia a chuva parou")
"""Jaccard similarity of word 5-grams .88: caught with probability .998."""
MARKET = (
    "A feira de sábado começa antes de o dia clarear, quando os caminhões chegam carregados de "
    "mandioca, milho verde e laranja. Dona Zulmira arruma as pimentas por cor, do amarelo ao "
    "vermelho escuro, e conversa com todo freguês que passa. Quem chega cedo leva o melhor queijo; "
    "quem chega tarde leva o melhor preço. No fim da manhã sobram folhas de couve pelo chão e um "
    "cheiro bom de pastel frito na hora."
)
MARKET_SHOUTED = MARKET.upper().replace(",", " –")
"""The same words after normalisation."""
LIGHTHOUSE = (
    "O faroleiro sobe os cento e doze degraus duas vezes por dia, embora a lâmpada se acenda "
    "sozinha há mais de vinte anos. Diz que é pelo exercício, mas limpa as lentes com um pano de "
    "linho e anota num caderno a direção do vento, a cor do mar e os barcos que reconhece pela "
    "vela."
)
SHORT = "Fim da história."
SHORT_SHOUTED = "FIM DA HISTÓRIA!"

HARD = (
    "D. Inês pagou R$ 1.234,56 (ou 12 €) às 10h30; «vê-lo-ás», disse-lhe o Sr. Sá d'Orey, na "
    "pág. 3.\n\nE-mail: ze@exemplo.pt — 50% off!!! :-) ½ ﬁm Ǆ ﷺ 한국 日本 🙂👍🏽 i\u0307 "
    "x\u0301\u0302 \u00a0 fim"
)
"""Characters of every kind."""

PARTITIONS: dict[str, list[list[str]]] = {
    "blogues@2026": [[MARKET_SHOUTED, "", SHORT_SHOUTED], [RIVER_LATER, LIGHTHOUSE, RIVER_LATER]],
    "livros@2025": [[RIVER, MARKET, SHORT, ""]],
    "livros@2026": [[LIGHTHOUSE], [MARKET, SHORT, "Outra coisa qualquer."]],
}
"""Partition -> its shards -> texts. ``livros`` has rank 1, ``blogues`` 2."""
RANKS = {"blogues": 2, "livros": 1}


def write_partitions(folder: Path) -> dict[str, list[ShardInput]]:
    """Document shards of every partition."""
    written: dict[str, list[ShardInput]] = {}
    for partition, shards in PARTITIONS.items():
        source, _, snapshot = partition.partition("@")
        number = 0
        for index, texts in enumerate(shards):
            rows = []
            for text in texts:
                rows.append(Document(f"{snapshot}/{number}", text).row(source, snapshot))
                number += 1
            path = folder / partition / f"{index:05d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows, DOCUMENT_SCHEMA), path)
            shard = ShardInput(path.stem, (path,), (hash_file(path),))
            written.setdefault(partition, []).append(shard)
    return written


def sign(
    lake: Lake, shards: dict[str, list[ShardInput]], workers: int = 1
) -> dict[str, list[Path]]:
    """Signature shards of every partition."""
    signed = {}
    for partition, paths in shards.items():
        with lake.write("signatures", partition, **ARGUMENTS) as writer:
            manifest = sign_partition(writer, paths, Minhash(), workers=workers)
        signed[partition] = lake.paths(manifest, "signatures/")
    return signed


def cluster(lake: Lake, signed: dict[str, list[Path]], section: Dedup | None = None) -> Manifest:
    """Clusters of the signed partitions."""
    shards = {
        partition: [ShardInput(path.stem, (path,), (hash_file(path),)) for path in paths]
        for partition, paths in signed.items()
    }
    with lake.write("clusters", **ARGUMENTS) as writer:
        return cluster_partitions(writer, shards, section or Dedup(), RANKS)

"""A recipe with two small sources of JSON Lines, and documents for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tagarela_dagster.recipe.load import load_recipe
from tagarela_dagster.resources.home import Home
from tagarela_dagster.resources.road import Road

PARAGRAPHS = (
    "O comboio das sete para o Porto saiu atrasado, como sai quase sempre às segundas-feiras, e "
    "ninguém na gare pareceu estranhar. Uma rapariga lia em pé, encostada à coluna, um senhor de "
    "boina dobrava o jornal com muito cuidado, e dois estudantes discutiam se ainda valia a pena "
    "apanhar o autocarro. Quando as portas se abriram, entraram todos sem uma palavra e cada um "
    "foi para o seu lugar do costume.",
    "A biblioteca da vila reabre em outubro, depois de dois anos de obras no telhado e na sala de "
    "leitura. A vereadora explicou que os livros ficaram guardados no antigo quartel dos "
    "bombeiros, dentro de caixas numeradas, e que nenhum se perdeu. Vai haver uma mesa comprida "
    "para os deveres das crianças, um canto com jornais do dia e um horário mais largo durante a "
    "época de exames.",
    "Para fazer o caldo, a avó punha primeiro as batatas e a cebola, e só quando a água fervia é "
    "que juntava a couve cortada muito fina. Dizia que o segredo estava no azeite, que se deita "
    "no fim e em cru, e numa rodela de chouriço por cada pessoa da casa. Comíamos em silêncio, "
    "com broa de milho, enquanto a chuva batia na janela pequena da cozinha.",
    "O ônibus da linha quatorze passou lotado e não parou no ponto da padaria. Seu Joaquim "
    "acenou, reclamou um pouco com o cachorro e resolveu ir a pé até a feira, que naquele dia "
    "tinha peixe fresco e banana barata. No caminho encontrou a vizinha, que contou a história "
    "do neto aprovado em medicina, e os dois riram muito antes de chegar à barraca do caldo de "
    "cana.",
    "A pesquisadora passou três verões na serra contando os ninhos de uma ave que todos julgavam "
    "desaparecida. Ela caminhava antes de o sol nascer, anotava o canto em um caderno impermeável "
    "e voltava ao acampamento quando o calor apertava. No fim, o relatório mostrou que a "
    "população é pequena, mas está crescendo, e que basta proteger duas nascentes para que ela "
    "continue ali.",
    "O farol deixou de ter faroleiro no inverno em que puseram a lâmpada automática, e a casa ao "
    "lado ficou fechada durante muito tempo. Agora vive lá um casal que conserta redes e aluga "
    "dois quartos a quem caminha pela costa. À noite, contam os hóspedes, o feixe de luz entra "
    "pelas frinchas da portada de quinze em quinze segundos, e há quem só adormeça depois de o "
    "contar cem vezes.",
    "Na assembleia de ontem, os moradores do bairro votaram a favor da horta comunitária no "
    "terreno da antiga fábrica de cerâmica. Cada família terá um canteiro de vinte metros, a "
    "água virá de um poço que já existe e as ferramentas serão guardadas em um galpão comum. Um "
    "professor aposentado se ofereceu para ensinar a fazer compostagem, e as crianças pediram "
    "morangos.",
    "O relojoeiro recebia os clientes sem levantar os olhos da bancada, onde dezenas de peças "
    "minúsculas brilhavam sobre um pano preto. Perguntava sempre de quem tinha sido o relógio "
    "antes, porque achava que os mecanismos guardam o ritmo de quem lhes dá corda. Nunca "
    "prometia prazos, mas entregava tudo a tempo, embrulhado em papel de seda e com o preço "
    "escrito a lápis.",
    "A greve dos estivadores terminou ao fim de nove dias, depois de uma noite inteira de "
    "negociações no ministério. O acordo prevê um aumento faseado, a contratação de sessenta "
    "trabalhadores e uma comissão que vai estudar os turnos da madrugada. No porto, os primeiros "
    "navios começaram a ser descarregados ainda antes do meio-dia, com uma fila de camiões que "
    "chegava à estrada nacional.",
    "Quando a lagoa secou, apareceu no fundo uma ponte de pedra de que só os mais velhos tinham "
    "ouvido falar. Vieram arqueólogos com fitas e baldes, veio a televisão, e durante um mês o "
    "café da aldeia não teve mesa livre. Depois choveu, a água subiu devagar e a ponte voltou a "
    "ser uma história que se conta aos netos, agora com fotografias penduradas atrás do balcão.",
)
"""Paragraphs of 60 words or more, in both varieties, that every filter lets through."""

DAMAGED = tuple(f'{{"codigo": "x{i}", "corpo": "linha cortada' for i in range(6))
"""Lines that are no JSON."""

NAME = "par"
RECIPE = """\
name: {name}
description: Two newspapers, in JSON Lines.
sources:
  jornal: {{reader: files, path: "{folder}/jornal", license: CC-BY-4.0, rank: 1,
           mapping: {{text: corpo, id: codigo}}}}
  diario: {{reader: files, path: "{folder}/diario", license: CC-BY-4.0,
           mapping: {{text: corpo, id: codigo}}}}
"""


def write_recipe(folder: Path, more: str = "") -> Path:
    """Write the recipe of the two sources below ``folder``."""
    path = folder / f"{NAME}.yaml"
    path.write_text(RECIPE.format(name=NAME, folder=folder) + more, encoding="utf-8")
    return path


def write_snapshot(
    folder: Path, partition: str, texts: Sequence[str], damaged: Sequence[str] = ()
) -> Path:
    """Write the raw file of a snapshot: one record a text, then the damaged lines."""
    source, _, snapshot = partition.partition("@")
    path = folder / source / snapshot / "textos.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (
        json.dumps({"codigo": f"{snapshot}-{i}", "corpo": text}, ensure_ascii=False)
        for i, text in enumerate(texts)
    )
    path.write_text("".join(f"{line}\n" for line in (*rows, *damaged)), encoding="utf-8")
    return path


def open_road(folder: Path, more: str = "") -> Road:
    """The road of the two sources as a new process sees it, with TAGARELA_HOME ``folder/home``."""
    return Road(load_recipe(write_recipe(folder, more), "full"), Home(folder / "home" / NAME))

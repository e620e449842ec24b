from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.portuguese.characters import Characters
from tagarela_dagster.corpus.portuguese.lists import all_lists
from tagarela_dagster.corpus.portuguese.pages import Pages
from tagarela_dagster.recipe.portuguese import Boilerplate, Portuguese, Transcripts, Unicode, Wiki
from tests.corpus.portuguese.measuring import Measured

BODY = "O comboio para o Porto parte às nove e meia da manhã."


def measured(*texts: str, section: Portuguese | None = None, source: str = "paginas") -> Measured:
    return Measured([Pages(section or Portuguese())], *texts, source=source)


@pytest.mark.parametrize(
    "line",
    [
        "Este site utiliza cookies para melhorar a sua experiência de navegação.",
        "Usamos cookies. Ao continuar a navegar, concorda com a utilização.",
        "Aceitar todos os cookies",
        "Política de Privacidade | Termos de Uso | Contato",
        "© 2021 Jornal da Vila. Todos os direitos reservados.",
        "Por favor, active o JavaScript no seu browser.",
        "Faça login ou registe-se",
        "Subscreva a nossa newsletter",
        "Compartilhar no Facebook",
        "Clique para partilhar no WhatsApp (Abre numa nova janela)",
        "Leia também:",
        "LER MAIS »",
        "Página 2 de 14",
        "Deixe um comentário",
        "12 comentários",
        "Adicionar ao carrinho",
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit.",
        "Continua depois da publicidade",
        "Não sou um robô",
        "Página não encontrada",
        "Início | Sobre nós | Serviços | Notícias | Contactos",
    ],
)
def test_boilerplate_lines_go(line: str) -> None:
    made = measured(f"{BODY}\n\n{line}\n\n{BODY}")
    assert made.texts == [f"{BODY}\n\n{BODY}"]
    assert made.signals[0]["boilerplate_lines"] == 1
    made.assert_balanced()


@pytest.mark.parametrize(
    "line",
    [
        "Junte a manteiga ao açúcar e leve os cookies ao forno quente durante doze minutos.",
        "A lei obriga cada empresa a publicar a sua política de privacidade em linguagem clara.",
        "— Leia mais devagar, que não percebo nada do que diz — pediu a avó.",
        "O jornal perdeu metade das receitas de publicidade em dez anos.",
        "Quem somos nós para julgar os serviços que ele prestou à cidade?",
        "O autor declara que todos os direitos reservados ao povo na Constituição foram violados"
        " pelo governo, e que nenhum comentário do ministro o fará mudar de opinião sobre isso.",
        "## Veja também\nO guia de horários.",
    ],
)
def test_sentences_that_speak_of_such_things_stay(line: str) -> None:
    assert measured(f"{BODY}\n{line}").texts == [f"{BODY}\n{line}"]


def test_policy_lines_that_stay_are_counted() -> None:
    law = (
        "A política de privacidade deve ser aprovada pela autoridade de controlo do Estado-Membro."
    )
    assert measured(law).signals[0]["policy_lines"] == 1


def test_lines_are_only_counted_where_the_recipe_says_so() -> None:
    text = f"{BODY}\nLeia também"
    for section in (Boilerplate(remove=False), Boilerplate(exempt_sources=["paginas"])):
        made = measured(text, section=Portuguese(boilerplate=section))
        assert made.texts == [text] and made.signals[0]["boilerplate_lines"] == 1
    assert made.signals[0]["boilerplate_ratio"] == pytest.approx(12 / len(text.encode()))


def test_harmful_phrases_are_counted_a_thousand_words() -> None:
    made = measured("vai tomar no cu, seu babaca", "casino online com bónus sem depósito", BODY, "")
    assert [row["slur_hits"] for row in made.signals] == [pytest.approx(2000 / 6), 0, 0, None]
    assert made.signals[1]["spam_hits"] == pytest.approx(2000 / 6)
    assert made.signals[0]["adult_hits"] == 0


@pytest.mark.parametrize(
    "line",
    [
        "A rapariga estava na bicha do pão com um puto pela mão.",
        "O Sr. Pinto Rabo subiu ao pau de sebo com a pica na mão.",
        "A cabra trepando pela serra, e as vadias ondas.",
    ],
)
def test_words_that_one_variety_uses_harmlessly_are_no_hits(line: str) -> None:
    signals = measured(line).signals[0]
    assert signals["adult_hits"] == signals["slur_hits"] == 0


FILM = (
    "Legendas por JoaoSubs\n- Olá! (risos)\n[música tensa]\n♪ La la ♪\n(um nome) Vamos.\nJOÃO: Sim."
)


def test_credits_and_sounds_go_from_subtitles_only() -> None:
    made = measured(FILM, source="opensubtitles")
    assert made.texts == ["- Olá!\nLa la\n(um nome) Vamos.\nJOÃO: Sim."]
    assert made.signals[0]["credit_lines"] == 1
    assert made.signals[0]["transcript_tags"] == 3
    made.assert_balanced()
    elsewhere = measured(FILM)
    assert elsewhere.texts == [FILM]
    assert elsewhere.signals[0]["transcript_tags"] == 3


def test_speaker_tags_go_when_the_recipe_says_so() -> None:
    section = Transcripts(sources=["debates"], remove_speakers=True)
    text = "O SR. PRESIDENTE (Ulysses Guimarães): – Há número legal.\nTem a palavra."
    made = measured(text, section=Portuguese(transcripts=section), source="debates")
    assert made.texts == ["Há número legal.\nTem a palavra."]


def test_wiki_marks_go_and_are_counted() -> None:
    page = (
        "[[Ficheiro:Porto.jpg|thumb|Vista do [[Douro]]]]\nO Porto [editar | editar código-fonte] é"
        " uma [[cidade|cidade grande]]<ref>Silva 2010</ref> de {{PT|x}}Portugal.\n\n"
        "== Ver também ==\n\n== Ligações externas ==\n[[Categoria:Porto]]"
    )
    made = measured(page)
    assert made.texts == ["O Porto é uma cidade grande de Portugal."]
    assert made.signals[0]["wiki_remains"] == 6
    made.assert_balanced()
    kept = measured(page, section=Portuguese(wiki=Wiki(remove=False)))
    assert kept.texts == [page] and kept.signals[0]["wiki_remains"] == 6


def test_braces_of_programming_stay() -> None:
    text = "Escreva {{ mensagem }} no modelo, e use a[[0]] ou {| x |}."
    assert measured(text).texts == [text]


def test_a_section_with_text_keeps_its_heading() -> None:
    text = "Referências\n\nSilva, J. (2010).\n\nNotas"
    assert measured(text).texts == ["Referências\n\nSilva, J. (2010)."]


def test_a_document_does_not_depend_on_its_neighbours() -> None:
    texts = (FILM, BODY, f"Leia também\n{BODY}", "", "[[Categoria:A]]", "12 comentários")
    whole = measured(*texts, source="opensubtitles")
    for row, text in enumerate(texts):
        alone = measured(text, source="opensubtitles")
        assert (alone.texts[0], alone.signals[0]) == (whole.texts[row], whole.signals[row])


MARKS = (
    "\n~\n\n~ ~(risos)~[música]~((~)~[[~]]~[[Ficheiro:a~♪~JOÃO: ~{{~}}~|~<ref>~</ref>~[editar]~- "
    "~Ver também~12 comentários~Legendas por x~Este site utiliza cookies~menu~contacto~e\u0301"
    "~\u00ad~\u200d~\u202e~\ufeff~desen-\nvolver~😀"
)
PIECES = [*MARKS.split("~"), BODY]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=25).map("".join),
        min_size=1,
        max_size=4,
    )
)
def test_a_second_pass_changes_nothing_and_bytes_balance(texts: list[str]) -> None:
    section = Portuguese(
        unicode=Unicode(rejoin_hyphenated=["filmes"]),
        transcripts=Transcripts(sources=["filmes"], remove_speakers=True),
    )
    for source in ("filmes", "paginas"):
        for step in (Characters(section.unicode), Pages(section)):
            once = Measured([step], *texts, source=source)
            once.assert_balanced()
            assert Measured([step], *once.texts, source=source).texts == once.texts


def test_hostile_texts_take_linear_time() -> None:
    texts = (
        "[editar]" + " " * 300_000 + "[[Ficheiro:" * 30_000 + "{{" * 100_000 + "{|" * 50_000,
        "(" * 200_000 + "risos" + ")" * 200_000,
        "JOÃO: " * 100_000,
        "menu " * 200_000,
        "Notas\n" * 50_000,
        "<ref" * 100_000 + "\x00\u202e" * 1_000,
    )
    made = measured(*texts, source="opensubtitles")
    made.assert_balanced()
    assert [len(text) for text in made.texts][2:4] == [600_000, 1_000_000]
    assert measured(*texts).texts[4] == ""


def test_every_phrase_of_the_lists_is_found_in_itself() -> None:
    lists = all_lists()
    phrases = [p for item in lists.classes for p in item.phrases[:: 1 + len(item.phrases) // 20]]
    texts = pa.array([phrase.replace("<n>", "7").upper() for phrase in phrases], pa.large_string())
    hits = lists.table.find(*text_buffers(texts))
    whole = hits.words[hits.row] == lists.table.lengths[hits.phrase]
    assert set(hits.row[whole]) == set(range(len(phrases)))

"""Portuguese prose written for these tests, and datatrove's own filters to compare with."""

from __future__ import annotations

from functools import cache

from datatrove.data import Document
from datatrove.pipeline.filters import (
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from hypothesis import strategies as st

from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.filtering.rules import decide, quality_rules, repetition_rules
from tagarela_dagster.corpus.filtering.signals import text_signals
from tagarela_dagster.recipe.filtering import Quality, Repetition

MARKET = """O mercado da vila abre às sete da manhã, quando o nevoeiro ainda cobre o rio.
As vendedoras chegam com cestos de figos, de couves e de pão de milho, e arrumam tudo em silêncio.
Quem compra cedo leva o melhor peixe; quem chega tarde contenta-se com o que sobrou da lota.
A dona Amélia, que vende queijo há quarenta anos, conhece os fregueses pelo nome e pelo passo.
— Hoje não há requeijão — avisa ela —, mas guardei-lhe um pedaço do curado, como prometi.
Ao meio-dia os toldos recolhem-se, a praça esvazia-se e só ficam os pombos a debicar migalhas."""

BUS = """O ônibus quebrou na subida da serra e todo mundo desceu para esperar o socorro.
Um rapaz tirou o violão da capa e começou a tocar baixinho, só para passar o tempo.
A moça do banco da frente ofereceu biscoito de polvilho, e uma senhora contou que ia visitar a neta.
Quando o mecânico chegou, às 15h40, já estava todo mundo conversando como se fosse família.
O motorista, sem graça, pediu desculpas umas dez vezes; ninguém estava com raiva.
Chegamos a Petrópolis com duas horas de atraso e um convite para almoçar no domingo."""

REPORT = """A câmara municipal aprovou na quinta-feira o orçamento de 2024, de 12,4 milhões.
O documento prevê obras em três escolas, a limpeza dos caminhos rurais e uma nova biblioteca.
"É um orçamento possível", disse o presidente, mas não é o orçamento de que o concelho precisa.
A oposição votou contra e lembrou que a dívida cresceu 7,2% desde o ano passado.
O vereador da cultura anunciou ainda que o teatro Dr. Nuno Falcão reabre em março.
As contas serão enviadas ao Tribunal de Contas até ao fim de abril como a lei determina."""

PROSE = {"market": MARKET, "bus": BUS, "report": REPORT}

_PIECES = (
    "a o de que não para com uma casa rio João comboio ônibus Sra. Dr. etc. sexta-feira disse-lhe "
    "d'água R$ 10 3,14 2024 # ## ... … • - — – « » “ ” ( ) [ ] , . ; : ! ? :) ;-) '' ' \" * ** | "
    "e/ou a@b.pt http://exemplo.pt/x?y=1 C++ 1.º 50% x² à À É ção \u200b ª"
).split(" ")

generated_texts = st.lists(
    st.one_of(
        st.sampled_from(_PIECES),
        st.sampled_from([" ", " ", " ", " ", "\n", "\n\n", "\t", "\u00a0", "\r\n", "\x1c"]),
        st.text(st.characters(codec="utf-8"), max_size=4),
    ),
    max_size=120,
).map("".join)
"""Texts of Portuguese words, marks, white space and a few arbitrary characters."""

repetitive_texts = st.tuples(
    st.lists(
        st.sampled_from(["o rio", "a", "ab", "b", "casa. ", "o", "\n", "- ", "ele disse", "..."]),
        max_size=150,
    ),
    st.sampled_from([" ", "", "\n"]),
).map(lambda drawn: drawn[1].join(drawn[0]))
"""Texts of few words, in which every rule about repetition has something to find."""


def ours(text: str, repetition: Repetition | None, quality: Quality | None) -> str | None:
    """Drop reason by this project's rules; None as a section leaves its rules out."""
    rules = repetition_rules(repetition) if repetition else []
    rules += quality_rules(quality) if quality else []
    lexicon = lexicon_of(*(quality.stop_words if quality else ()))
    return decide(text_signals([text], lexicon), rules)[0]


@cache
def lexicon_of(*marked: str) -> Lexicon:
    """A lexicon that the tests of a process share: spaCy takes a while to start."""
    return Lexicon(marked)


def repetition_filter(section: Repetition) -> GopherRepetitionFilter:
    """datatrove's filter as FineWeb-2 configures it."""
    return GopherRepetitionFilter(
        dup_line_frac=section.dup_line_frac,
        dup_para_frac=0,
        dup_line_char_frac=0,
        dup_para_char_frac=0,
        top_n_grams=tuple(section.top_n_grams.items()),
        dup_n_grams=tuple(section.dup_n_grams.items()),
        language="por",
    )


def fineweb_filter(section: Quality) -> FineWebQualityFilter:
    """datatrove's filter as FineWeb-2 configures it."""
    return FineWebQualityFilter(
        line_punct_thr=section.line_punct_ratio,
        line_punct_exclude_zero=section.line_punct_exclude_zero,
        short_line_thr=999,
        char_duplicates_ratio=section.char_duplicates_ratio,
        new_line_ratio=section.new_line_ratio,
        language="por",
    )


def gopher_filter(section: Quality) -> GopherQualityFilter:
    """datatrove's filter as FineWeb-2 configures it."""
    return GopherQualityFilter(
        min_doc_words=section.min_words,
        max_doc_words=section.max_words,
        min_avg_word_length=section.min_avg_word_length,
        max_avg_word_length=section.max_avg_word_length,
        max_symbol_word_ratio=section.max_symbol_ratio,
        max_bullet_lines_ratio=section.max_bullet_lines,
        max_ellipsis_lines_ratio=section.max_ellipsis_lines,
        max_non_alpha_words_ratio=section.min_alpha_words,
        min_stop_words=section.min_stop_words,
        stop_words=section.stop_words,
        language="por",
    )


def theirs(text: str, *filters: BaseFilter) -> str | None:
    """Drop reason of the first of datatrove's filters that drops the text."""
    for filter_ in filters:
        result = filter_.filter(Document(text=text, id="0"))
        if result is not True:
            return result[1]
    return None

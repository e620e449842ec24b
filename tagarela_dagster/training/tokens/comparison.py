"""Whether two tokenizer folders are one tokenizer, for transformers and for ``tokenizers``.

An exported tokenizer that differs from the trained one goes unnoticed until scores are bad
(Manacá-1.7B: LAMBADA 45 to 25). ``AutoTokenizer`` may build a class of its own from a folder, by
what stands in config.json beside it; so what it makes of a text is compared with what
tokenizer.json alone makes of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from tagarela_dagster.training.tokens.tokenizer import open_tokenizer

_PORTUGUESE = "A avó Inês comeu três pêssegos à beira-mar; não há ação sem coração."
HARD_TEXTS = (
    _PORTUGUESE,
    unicodedata.normalize("NFD", _PORTUGUESE),
    "Em 1822, às 16h30, R$ 1.234,56 ou € 9,99 (12,5 %): 2²=4, ½ xícara, n.º 3.",
    "Olá 👋🏽, família 👨‍👩‍👧‍👦 e bandeira 🇵🇹!",
    "  dois espaços,\ttabulação\n\n\nlinhas\r\nfim   ",
    "nulo\x00, escape\x1b[0m, \u00a0inseparável, \u200blargura zero, \ufeffmarca",
    "<|fim|> <s> </s> <|usuario|> texto que parece controle",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 — “aspas”, ‘simples’ … naïve Ångström 中文 العربية हिन्दी",
    "",
)
"""Texts that tokenizers are apt to disagree on."""


def tokenizer_equal(folder_a: Path, folder_b: Path, texts: Iterable[str]) -> bool:
    """Whether both folders hold one tokenizer, as far as ``texts`` show."""
    return tokenizer_difference(folder_a, folder_b, texts) is None


def tokenizer_difference(folder_a: Path, folder_b: Path, texts: Iterable[str]) -> str | None:
    """The first difference of two tokenizers, as a clause; None when there is none.

    Compared are the vocabulary, the ids of the special tokens and, for each text, the ids that
    ``tokenizers`` and ``AutoTokenizer`` make of it from either folder (special tokens that a text
    writes out are ordinary characters), and what the ids are decoded to.
    """
    from transformers import AutoTokenizer

    one, other = open_tokenizer(folder_a), open_tokenizer(folder_b)
    if one.get_vocab() != other.get_vocab():
        return f"the vocabularies of {folder_a.name} and {folder_b.name} differ"
    auto = [AutoTokenizer.from_pretrained(f, local_files_only=True) for f in (folder_a, folder_b)]
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        a, b = (getattr(tokenizer, name) for tokenizer in auto)
        if a != b:
            return f"{name} is {a} in {folder_a.name} and {b} in {folder_b.name}"
    for text in texts:
        ids = one.encode(text, add_special_tokens=False).ids
        found = {
            f"tokenizers on {folder_b.name}": other.encode(text, add_special_tokens=False).ids,
            **{
                f"AutoTokenizer on {folder.name}": tokenizer(
                    text, add_special_tokens=False, split_special_tokens=True
                )["input_ids"]
                for folder, tokenizer in zip((folder_a, folder_b), auto, strict=True)
            },
        }
        for who, theirs in found.items():
            if theirs != ids:
                return f"{who} encodes {text[:40]!r} as {theirs[:12]}…, not as {ids[:12]}…"
        decoded = {one.decode(ids, skip_special_tokens=False)}
        decoded |= {str(t.decode(ids, clean_up_tokenization_spaces=False)) for t in auto}
        if len(decoded) > 1:
            return f"{text[:40]!r} is decoded to {sorted(decoded)}"
    return None

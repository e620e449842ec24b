"""Portuguese numbers in a text: digits as they are written here, and numerals in words.

A comma is the decimal sign; points and (narrow) spaces stand between groups of three digits.
Both norms' words are known: ``dezasseis`` and ``dezesseis``, ``mil milhões`` and ``um bilhão``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

_UNITS = (
    "zero|um|dois|três|quatro|cinco|seis|sete|oito|nove|dez|onze|doze|treze|catorze|quinze|"
    "dezasseis|dezassete|dezoito|dezanove"
)
_TENS = "vinte|trinta|quarenta|cinquenta|sessenta|setenta|oitenta|noventa"
_HUNDREDS = (
    "cento|duzentos|trezentos|quatrocentos|quinhentos|seiscentos|setecentos|oitocentos|novecentos"
)
WORDS: dict[str, int] = {
    **{word: value for value, word in enumerate(_UNITS.split("|"))},
    **{word: 10 * value for value, word in enumerate(_TENS.split("|"), 2)},
    **{word: 100 * value for value, word in enumerate(_HUNDREDS.split("|"), 1)},
    **{"uma": 1, "duas": 2, "quatorze": 14, "dezesseis": 16, "dezessete": 17, "dezenove": 19},
    **{"cem": 100, "cinqüenta": 50},
}
WORDS |= {w.removesuffix("os") + "as": v for w, v in WORDS.items() if v >= 200}
SCALES = {
    "mil": 10**3,
    "milhão": 10**6,
    "milhões": 10**6,
    "bilhão": 10**9,
    "bilhões": 10**9,
}
DIGITS = frozenset("0123456789")
_GROUPED = r"[0-9]{1,3}(?:[.\u00a0\u202f ][0-9]{3})+(?![0-9])"
_NUMBER = re.compile(
    rf"(?<![\w.,])[-\u2212]?(?:{_GROUPED}|[0-9]+)(?:,[0-9]+|\.[0-9]{{1,2}}(?![0-9]))?"
)
_PIECE = re.compile(rf"{_NUMBER.pattern}|[^\W\d_]+|[^\s\w]")


def numbers(text: str) -> list[Decimal]:
    """Numbers of a text, in order."""
    return list(_numbers(text))


def digits(text: str) -> list[Decimal]:
    """Numbers of a text that are written in digits, in order."""
    return [_value(found) for found in _NUMBER.findall(text)]


def number(text: str) -> Decimal | None:
    """The number that a text is, and nothing else; None when it is none."""
    bare = text.strip().strip(".!").strip()
    found = numbers(bare)
    if len(found) != 1:
        return None
    rest = _NUMBER.sub("", bare)
    words = {piece.casefold() for piece in re.findall(r"[^\W\d_]+", rest)}
    return found[0] if words <= {*WORDS, *SCALES, "e"} and not re.search(r"[^\w\s]", rest) else None


def _numbers(text: str) -> Iterator[Decimal]:
    run: list[str] = []
    for piece in [*_PIECE.findall(text), ""]:
        word = piece.casefold()
        if word in WORDS or word in SCALES or (word == "e" and run):
            run.append(word)
            continue
        if run:
            yield from _spelled(run)
            run = []
        if piece[-1:] in DIGITS:
            yield _value(piece)


def _value(written: str) -> Decimal:
    plain = written.replace("\u2212", "-")
    if re.fullmatch(r"-?[0-9]+\.[0-9]{1,2}", plain):
        return Decimal(plain)  # 3.5, as programs write it
    return Decimal(re.sub(r"[.\s]", "", plain).replace(",", "."))


def _spelled(words: list[str]) -> Iterator[Decimal]:
    """Numbers that a run of numerals makes: ``dois mil e cinco`` is one, ``um, dois`` are two."""
    total = group = 0
    last = 10**12
    seen = False
    for word in words:
        if word == "e":
            continue
        if word in SCALES:
            scale = SCALES[word]
            if scale == 10**6 and 0 < total < 10**6:
                total = (total + group) * scale  # mil milhões, dois mil milhões
            else:
                total += max(1, group) * scale
            group, last, seen = 0, 10**12, True
            continue
        value = WORDS[word]
        size = 100 if value >= 100 else 10 if value >= 20 else 1
        if seen and (size >= last or value == 0):
            yield Decimal(total + group)
            total = group = 0
        group += value
        last, seen = size, True
    if seen:
        yield Decimal(total + group)

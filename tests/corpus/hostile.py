"""Documents that nobody wrote for people: what the engine must pass through without harm.

Each is a function of its size in bytes of UTF-8 (roughly), so that a test can take kilobytes and
a fuzz run fifty megabytes.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable

from tests.resources.two_sources import PARAGRAPHS

PROSE = "\n\n".join(PARAGRAPHS)
WORDS = PROSE.split()
CONTROLS = "".join(chr(c) for c in (*range(0x0A), *range(0x0E, 0x20), *range(0x7F, 0xA0)))
MARKS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c"
BLANKS = " \t\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2028\u2029\u202f\u3000"


def repeated(piece: str) -> Callable[[int], str]:
    """``piece`` again and again."""
    return lambda size: piece * max(1, size // len(piece.encode()))


def between_words(piece: str) -> Callable[[int], str]:
    """Prose with ``piece`` after every word."""
    return repeated(" ".join(word + piece for word in WORDS) + "\n")


def numbered(form: str) -> Callable[[int], str]:
    """``form`` with a number in it, again and again."""
    return lambda size: "".join(form.format(i) for i in range(max(1, size // (len(form) + 4))))


def noise(size: int) -> str:
    """Any characters at all, surrogates left out."""
    draw = random.Random(size)
    planes = ((0, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF))
    return "".join(chr(draw.randint(*draw.choice(planes))) for _ in range(size // 3))


HOSTILE: dict[str, Callable[[int], str]] = {
    "one_line": repeated(" ".join(WORDS) + " "),
    "one_word": repeated("a"),
    "one_accented_word": repeated("ã"),
    "one_capital_word": repeated("Á"),
    "one_hyphenated_word": repeated("a-"),
    "one_number": repeated("1234567890"),
    "one_word_lines": numbered("palavra{}\n"),
    "equal_lines": repeated("A mesma linha com algumas palavras, outra vez.\n"),
    "equal_words": repeated("de "),
    "two_words": repeated("o que o a "),
    "empty_lines": repeated("\n"),
    "carriage_returns": repeated("linha\r"),
    "blanks": repeated(BLANKS),
    "emoji": repeated("😀👩‍👩‍👧🇵🇹❤️"),
    "controls": repeated(CONTROLS),
    "nul_bytes": repeated("\0"),
    "nul_between_words": between_words("\0"),
    "marks": repeated(MARKS),
    "marks_between_words": between_words(MARKS),
    "zero_width": repeated("\u200b\u200c\u200d\ufeff\u00ad"),
    "combining_alone": repeated("\u0301\u0303"),
    "combining_tower": lambda size: "e" + "\u0301" * (size // 2),
    "combining_unordered": lambda size: "a" + "\u0323\u0301" * (size // 4),
    "decomposed": repeated(unicodedata.normalize("NFD", PROSE) + "\n"),
    "composed": repeated(unicodedata.normalize("NFC", PROSE) + "\n"),
    "hangul_parts": repeated("\u1112\u1161\u11ab"),
    "growing_under_nfc": repeated("\u0958\U0001d15e\u2adc"),
    "growing_under_lower_case": repeated("İ"),
    "other_scripts": repeated("这是一个句子。 это предложение. هذه جملة. "),
    "right_to_left": repeated("שלום עולם "),
    "unassigned": repeated("\ufffe\uffff\U0010ffff\ue000\u0378"),
    "replaced": repeated("\ufffd"),
    "noise": noise,
    "misread": repeated("Ã£ Ã© Ã\xa7 "),
    "misread_twice": repeated("ÃƒÂ£o Ãƒâ€°poca "),
    "misread_word": repeated("Ã£"),
    "punctuation": repeated("!?.,;:"),
    "ellipses": repeated("… ... "),
    "quotes": repeated("«\"'“"),
    "brackets": repeated("([{<"),
    "closed_brackets": lambda size: "(" * (size // 2) + ")" * (size // 2),
    "wiki_links": repeated("[[a|"),
    "wiki_templates": repeated("{{a|{{"),
    "tags": repeated("<a href="),
    "entities": repeated("&amp;"),
    "curly_lines": repeated("função { return; }\n"),
    "bullets": repeated("• "),
    "bullet_lines": repeated("- item\n"),
    "cut_words": repeated("pala-\nvra "),
    "cut_letters": repeated("a-\n"),
    "sound_tags": repeated("(risos) [música] ♪ "),
    "open_sounds": repeated("(risos "),
    "speakers": repeated("O SR. PRESIDENTE (Fulano): — Sim.\n"),
    "capital_speakers": repeated("JOÃO: "),
    "credits": repeated("Legendas: fulano\n"),
    "emails": repeated("nome@exemplo.pt "),
    "email_of_dots": repeated("a.a@"),
    "email_of_domains": lambda size: "a@" + "b." * (size // 2),
    "addresses": repeated("192.168.100.200."),
    "address_parts": repeated("1."),
    "colons": repeated("ab:"),
    "tax_numbers": repeated("123.456.789-09 "),
    "ibans": repeated("PT50 0002 0123 1234 5678 9015 4 "),
    "cards": repeated("4111 1111 1111 1111 "),
    "card_digits": repeated("4111111111111111"),
    "phones": repeated("+351 912 345 678 "),
    "pluses": repeated("+3"),
    "urls": repeated("https://exemplo.pt/a?b=c "),
    "one_url": repeated("https://"),
    "url_path": lambda size: "https://exemplo.pt" + "/a.b" * (size // 4),
    "dates": repeated("01/02/2023 12:34 "),
    "javascript": repeated("javascript política de privacidade lorem ipsum "),
    "menus": repeated("Início | Contactos | Entrar\n"),
    "apostrophes": repeated("d'água "),
    "mixed_case": repeated("aBcDe"),
    "long_tokens": numbered("x" * 3000 + "{} "),
    "spaces": repeated(" "),
    "tabs_in_lines": repeated("a\tb\t\n"),
}
"""Name -> text of about so many bytes."""

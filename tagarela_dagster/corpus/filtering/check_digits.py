"""Check digits of personal and company numbers, so that only real ones count as personal data.

Sources: CPF and CNPJ, Receita Federal (CNPJ alphanumeric since July 2026: Instrução Normativa RFB
2.229/2024); NIF, Autoridade Tributária; IBAN, ISO 13616 and ISO 7064 mod 97-10; cards, ISO/IEC
7812-1 annex B (Luhn).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

NIF_PREFIXES = tuple("1235689") + ("45", "70", "71", "72", "74", "75", "77", "79")

IBAN_LENGTHS = {
    code: length
    for length, codes in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "AO CV GW LY MZ PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL",
        29: "BR EG PS QA UA",
        30: "JO KW MU",
        31: "MT SC",
    }.items()
    for code in codes.split()
}
"""Characters of an IBAN by country (ISO 13616 registry, and the Portuguese-speaking countries of
Africa, which use the form without being registered)."""

BRAZILIAN_AREA_CODES = frozenset(
    "11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 41 42 43 44 45 46 47 48 49 51"
    " 53 54 55 61 62 63 64 65 66 67 68 69 71 73 74 75 77 79 81 82 83 84 85 86 87 88 89 91 92 93"
    " 94 95 96 97 98 99".split()
)
"""Area codes in use (Anatel, Plano Geral de Códigos Nacionais)."""


def _modulo_11(values: Iterable[int], weights: Iterable[int]) -> int:
    rest = sum(v * w for v, w in zip(values, weights, strict=True)) % 11
    return 0 if rest < 2 else 11 - rest


def is_cpf(digits: str) -> bool:
    """Eleven digits with both check digits right; eleven equal digits are none."""
    if len(digits) != 11 or not digits.isdigit() or len(set(digits)) == 1:
        return False
    values = [int(d) for d in digits]
    return values[9] == _modulo_11(values[:9], range(10, 1, -1)) and values[10] == _modulo_11(
        values[:10], range(11, 1, -1)
    )


def is_cnpj(characters: str) -> bool:
    """Twelve digits or capital letters and two check digits (value of a character: ord - 48)."""
    if len(characters) != 14 or not characters.isascii() or len(set(characters)) == 1:
        return False
    if not (characters[:12].isalnum() and characters.upper() == characters):
        return False
    if not characters[12:].isdigit():
        return False
    values = [ord(c) - 48 for c in characters]
    weights = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]
    return values[12] == _modulo_11(values[:12], weights[1:]) and values[13] == _modulo_11(
        values[:13], weights
    )


def is_nif(digits: str) -> bool:
    """Nine digits with a prefix in use and the check digit right."""
    if len(digits) != 9 or not digits.isdigit() or not digits.startswith(NIF_PREFIXES):
        return False
    values = [int(d) for d in digits]
    return values[8] == _modulo_11(values[:8], range(9, 1, -1))


def is_iban(characters: str) -> bool:
    """Country, two check digits and the country's length, modulo 97 equal to 1."""
    if IBAN_LENGTHS.get(characters[:2]) != len(characters):
        return False
    if not (characters.isascii() and characters.isalnum() and characters[2:4].isdigit()):
        return False
    return int("".join(str(int(c, 36)) for c in characters[4:] + characters[:4])) % 97 == 1


def is_luhn(digits: str) -> bool:
    """Whether the Luhn sum is a multiple of ten."""
    return _luhn([int(d) for d in reversed(digits)]) % 10 == 0


def _luhn(values: Sequence[int]) -> int:
    return sum(values[::2]) + sum(sum(divmod(2 * v, 10)) for v in values[1::2])


def is_card(digits: str) -> bool:
    """A Luhn number with the length and first digits of a network in use.

    Visa, Mastercard, American Express, Diners, Discover, JCB, Elo, Hipercard. Luhn alone would
    take one in ten numbers of that length.
    """
    if not digits.isdigit() or len(set(digits)) == 1 or not is_luhn(digits):
        return False
    first4 = int(digits[:4])
    if len(digits) == 16:
        return (
            digits[0] == "4"
            or 5100 <= first4 <= 5599
            or 2221 <= first4 <= 2720
            or digits.startswith(("6011", "65", "636297", "636368", "606282", "5067", "509"))
            or 3528 <= first4 <= 3589
        )
    if len(digits) == 15:
        return digits.startswith(("34", "37"))
    return len(digits) == 14 and (300 <= first4 // 10 <= 305 or digits.startswith(("36", "38")))


def is_public_ip(address: str) -> bool:
    """A routable IPv4 or IPv6 address; private, local and documentation ranges are nobody's."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def is_phone(digits: str) -> bool:
    """National number of Portugal (9 digits) or Brazil (area code and 8 or 9 digits)."""
    if len(digits) == 9:
        return digits[0] in "23789" and len(set(digits)) > 2
    if len(digits) not in (10, 11) or digits[:2] not in BRAZILIAN_AREA_CODES:
        return False
    return digits[2] == "9" if len(digits) == 11 else digits[2] in "2345"

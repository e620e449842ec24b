from __future__ import annotations

import pytest

from tagarela_dagster.corpus.filtering.check_digits import (
    IBAN_LENGTHS,
    is_card,
    is_cnpj,
    is_cpf,
    is_iban,
    is_luhn,
    is_nif,
    is_phone,
    is_public_ip,
)


def one_digit_changed(number: str) -> list[str]:
    """Every number that differs in one digit."""
    return [
        number[:place] + other + number[place + 1 :]
        for place, digit in enumerate(number)
        if digit.isdigit()
        for other in "0123456789"
        if other != digit
    ]


def test_cpf_check_digits_catch_every_single_wrong_digit() -> None:
    assert is_cpf("52998224725")
    assert not any(map(is_cpf, one_digit_changed("52998224725")))


@pytest.mark.parametrize("number", ["11111111111", "5299822472", "529982247255", "5299822472a", ""])
def test_what_is_no_cpf(number: str) -> None:
    assert not is_cpf(number)


@pytest.mark.parametrize("number", ["11222333000181", "12ABC34501DE35"])
def test_cnpj_numeric_and_alphanumeric(number: str) -> None:
    assert is_cnpj(number)
    assert not is_cnpj(number[:-1] + str((int(number[-1]) + 1) % 10))
    assert not is_cnpj(number.lower() + " ")


@pytest.mark.parametrize(
    "number",
    ["00000000000000", "12abc34501de35", "12ABC34501DEA5", "1122233300018", "1122233300018é"],
)
def test_what_is_no_cnpj(number: str) -> None:
    assert not is_cnpj(number)


def test_nif_needs_a_prefix_in_use_and_its_check_digit() -> None:
    assert is_nif("123456789") and is_nif("501964843")
    assert not any(map(is_nif, one_digit_changed("501964843")))
    # 4 alone is no prefix, 45 (non-resident) is.
    weights = range(9, 1, -1)
    for start, valid in (("4", False), ("45", True)):
        body = start.ljust(8, "3")
        rest = sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11
        assert is_nif(body + str(0 if rest < 2 else 11 - rest)) is valid


def test_iban_needs_its_countrys_length_and_modulo_97() -> None:
    assert is_iban("PT50000201231234567890154")
    assert is_iban("BR1800360305000010009795493C1")
    assert not is_iban("PT50000201231234567890155")
    assert not is_iban("PT5000020123123456789015")
    assert not is_iban("XX50000201231234567890154")
    assert IBAN_LENGTHS["PT"] == 25 and IBAN_LENGTHS["BR"] == 29 and IBAN_LENGTHS["NO"] == 15


def test_cards_need_luhn_and_a_network() -> None:
    for number in ("4111111111111111", "5555555555554444", "378282246310005", "30569309025904"):
        assert is_card(number)
    assert is_luhn("1234567812345670") and not is_card("1234567812345670")
    assert not is_card("4111111111111112")
    assert not is_card("0000000000000000")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("193.136.128.1", True),
        ("192.168.1.1", False),
        ("127.0.0.1", False),
        ("256.1.1.1", False),
        ("2606:4700:4700::1111", True),
        ("2001:db8::1", False),
        ("fe80::1", False),
    ],
)
def test_only_routable_addresses_are_somebodys(address: str, public: bool) -> None:
    assert is_public_ip(address) is public


@pytest.mark.parametrize(
    ("digits", "phone"),
    [
        ("912345678", True),
        ("213456789", True),
        ("512345678", False),
        ("11912345678", True),
        ("1132345678", True),
        ("10912345678", False),
        ("11812345678", False),
        ("12345", False),
    ],
)
def test_national_numbers_of_portugal_and_brazil(digits: str, phone: bool) -> None:
    assert is_phone(digits) is phone

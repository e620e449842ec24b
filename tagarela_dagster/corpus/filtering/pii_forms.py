"""Forms of personal data: where to look, what it looks like there, and what makes it valid."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tagarela_dagster.corpus.filtering.check_digits import (
    is_card,
    is_cnpj,
    is_cpf,
    is_nif,
    is_phone,
    is_public_ip,
)

_FILES = ("png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "pdf", "html", "php")
"""Endings of file names such as ``logo@2x.png``: no mail domain ends so."""


@dataclass(frozen=True)
class Form:
    """A pattern, of whose group 1 the characters without separators must satisfy ``valid``."""

    pattern: re.Pattern[str]
    valid: Callable[[str], bool]
    separators: str = " .-/()"


def _form(pattern: str, valid: Callable[[str], bool], separators: str = " .-/()") -> Form:
    return Form(re.compile(pattern), valid, separators)


_NOBODYS = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org)|example|test|invalid|localhost)$")
"""Domains that RFC 2606 reserves for documentation."""


def _is_mail(address: str) -> bool:
    local, _, domain = address.lower().rpartition("@")
    if local.startswith(".") or ".." in local or _NOBODYS.search(domain):
        return False
    return domain.rpartition(".")[2] not in _FILES


def _phone(digits: str) -> bool:
    return is_phone(digits.removeprefix("0") if len(digits) in (11, 12) else digits)


def _portuguese_phone(digits: str) -> bool:
    return len(digits) == 9 and is_phone(digits)


def _looks_numbered(address: str) -> bool:
    """Four numbers under 100 are a section or version number at least as often as an address."""
    return all(len(octet) < 3 for octet in address.split("."))


# A keyword, then up to 24 characters without digits or line end ("n.º", ": ", " do titular ").
_AFTER = r"\b[^\d\n]{0,24}?(?<![\d.,/-])"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}(?![\w/-]|\.\w)"
_CALL = r"(?i:\b(?:tel|telef|telefone|telefones|telem|telemóvel|tlm|tlf|fone|fones|fax|celular|"
_CALL += r"cel|contacto|contato|whatsapp|whats|zap|ligue|ligar))"
_GROUPED = r"\d{2,4}(?:[ .-]?\d{2,4}){1,3}"

FORMS: dict[str, tuple[Form, ...]] = {
    "email": (
        _form(
            r"(?<![\w.%+-])([\w.%+-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}[a-zA-Z]{2,24})"
            r"(?![\w-])",
            _is_mail,
            "",
        ),
    ),
    "card": (
        _form(r"(?<![\w.,/-])(\d{4}([ -])\d{4}\2\d{4}\2\d{4})(?![\w/-]|[.,]\d)", is_card),
        _form(r"(?<![\w.,/-])(3\d{3}([ -])\d{6}\2\d{4,5})(?![\w/-]|[.,]\d)", is_card),
        _form(r"(?<![\w.,/-])(\d{14,16})(?![\w/-]|[.,]\d)", is_card),
    ),
    "cnpj": (
        _form(
            r"(?<!\w)([0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-\d{2})(?!\w)",
            is_cnpj,
        ),
        _form(rf"\bCNPJ{_AFTER}([0-9A-Z]{{12}}-?\d{{2}})(?!\w)", is_cnpj),
    ),
    "cpf": (
        _form(r"(?<![\w.-])(\d{3}\.\d{3}\.\d{3}-\d{2})(?![\w-])", is_cpf),
        _form(
            rf"(?i:\bCPF){_AFTER}(\d{{9}}[-/ ]?\d{{2}}|\d{{3}} \d{{3}} \d{{3}} \d{{2}})(?!\w)",
            is_cpf,
        ),
    ),
    "nif": (
        _form(
            r"(?i:\b(?:NIF|NIPC|contribuinte|identificação fiscal|n\.?º fiscal|número fiscal))"
            rf"{_AFTER}((?:PT ?)?\d{{3}}([ .]?)\d{{3}}\2\d{{3}})(?!\w)",
            lambda number: is_nif(number.removeprefix("PT")),
        ),
        _form(r"(?<!\w)(PT ?\d{9})(?!\w)", lambda number: is_nif(number.removeprefix("PT"))),
    ),
    "phone": (
        _form(
            r"(?<![\w+])((?:\+|00)351[ .-]?(?:\(0\))?\d{2,3}(?:[ .-]?\d{2,4}){2,3})(?![\w-])",
            lambda number: _portuguese_phone(number.lstrip("+0")[3:]),
        ),
        _form(
            r"(?<![\w+])((?:\+|00)55[ .-]?(?:\(0?\d{2}\)|0?\d{2})[ .-]?9?[ .-]?\d{4}[ .-]?\d{4})"
            r"(?![\w-])",
            lambda number: _phone(number.lstrip("+0")[2:]),
        ),
        _form(r"(?<![\w+])(\(0?\d{2}\) ?(?:9[ .-]?)?\d{4}[ .-]?\d{4})(?![\w-])", _phone),
        _form(rf"{_CALL}{_AFTER}(\(?{_GROUPED})(?![\w-])", _phone),
    ),
    "ip": (
        _form(
            rf"(?<![\w.-])({_IPV4})",
            lambda address: is_public_ip(address) and not _looks_numbered(address),
            "",
        ),
        _form(rf"\bIP{_AFTER}({_IPV4})", is_public_ip, ""),
        # Addresses in use begin with 2 or 3 (2000::/3); "::" elsewhere is source code.
        _form(
            r"(?<![\w:.])([23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:])", is_public_ip, ""
        ),
    ),
    "cep": (
        _form(rf"(?i:\bCEP){_AFTER}(\d{{2}}\.?\d{{3}}-?\d{{3}})(?!\w)", lambda _: True),
        _form(r"(?<![\w.,-])(\d{2}\.\d{3}-\d{3})(?![\w-])", lambda _: True),
    ),
}

IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?=[ ]?[A-Z0-9])")
"""Where an IBAN may start; how long it is depends on its country."""

DIGITS = 9
"""Fewest digits of a card, CNPJ, CPF, NIF or phone; a CEP has DIGITS_CEP."""
DIGITS_CEP = 8

_DIGITS = re.compile(rf"[0-9](?:[ .\-/()]{{0,3}}[0-9]){{{DIGITS - 1},}}")
_DIGITS_CEP = re.compile(rf"[0-9](?:[ .\-/()]{{0,3}}[0-9]){{{DIGITS_CEP - 1},}}")

NEAR: dict[str, tuple[re.Pattern[str], int]] = {
    "email": (re.compile(r"@[^\W_]"), 400),
    "iban": (re.compile(r"[A-Z]{2}[0-9]{2} ?[A-Z0-9]"), 80),
    "card": (_DIGITS, 8),
    "cnpj": (re.compile(r"/[0-9A-Z]{4}-[0-9]{2}|[0-9A-Z]{12}-?[0-9]{2}"), 16),
    "cpf": (_DIGITS, 8),
    "nif": (_DIGITS, 8),
    "phone": (_DIGITS, 8),
    "ip": (
        re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]"),
        40,
    ),
    "cep": (_DIGITS_CEP, 8),
}
"""Where each kind is looked for: BEFORE characters before a match of this pattern to so many
behind it. Scanning whole texts for every form would cost more than all other filters; the places
themselves are found on bytes by kernels/scan_numbers.py, which must see all that these see."""

BEFORE = 80
"""Room for a keyword, what stands between, and the number's own beginning."""

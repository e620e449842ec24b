"""Personal data: found by form, context and check digits, and replaced by plain placeholders.

A placeholder names what stood there in brackets (``[CPF]``). Substitutes that look valid, as
FineWeb uses, would teach a model to write addresses, may belong to somebody, and would be found
again by a second pass. A number whose check digit is wrong is left: it identifies nobody.

Forms that are common for other things need context. A CPF with its dots and hyphen counts as it
stands; bare digits count only next to their keyword (CPF, NIF, contribuinte, telefone, CEP).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.filtering import pii_forms
from tagarela_dagster.corpus.filtering.check_digits import IBAN_LENGTHS, is_iban
from tagarela_dagster.corpus.filtering.pii_forms import BEFORE, FORMS, IBAN, NEAR
from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.kernels import scan_numbers
from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.scan_numbers import DIGITS, stretches
from tagarela_dagster.corpus.kernels.splice import splice
from tagarela_dagster.recipe.filtering import Pii

PLACEHOLDERS = {
    "email": "[e-mail]",
    "iban": "[IBAN]",
    "card": "[cartão]",
    "cnpj": "[CNPJ]",
    "cpf": "[CPF]",
    "nif": "[NIF]",
    "phone": "[telefone]",
    "ip": "[IP]",
    "cep": "[CEP]",
}
"""What each kind is replaced by. Of two finds that overlap, the kind named first here counts."""

_WANTED = {
    "email": scan_numbers.MAIL,
    "iban": scan_numbers.IBAN,
    "cnpj": scan_numbers.COMPANY,
    "ip": scan_numbers.IP,
}
"""What the byte scan looks for by kind; runs of digits for the others."""


@dataclass(frozen=True, slots=True)
class Find:
    """Personal data at ``text[start:end]``."""

    start: int
    end: int
    kind: str


def find(text: str, kinds: frozenset[str]) -> list[Find]:
    """Personal data of ``kinds`` in ``text``, in order, without overlaps."""
    found: list[Find] = []
    taken = bytearray()
    windows: dict[str, list[tuple[int, int]]] = {}
    for kind in PLACEHOLDERS:
        if kind not in kinds:
            continue
        near, after = NEAR[kind]
        if near.pattern not in windows:
            windows[near.pattern] = list(_windows(text, near, after))
        for start, end in windows[near.pattern]:
            candidates = (
                _ibans(text, start, end) if kind == "iban" else _forms(text, kind, start, end)
            )
            for candidate in candidates:
                taken = taken or bytearray(len(text))
                if not any(taken[candidate.start : candidate.end]):
                    taken[candidate.start : candidate.end] = b"1" * (
                        candidate.end - candidate.start
                    )
                    found.append(candidate)
    return sorted(found, key=lambda item: item.start)


def _windows(text: str, near: re.Pattern[str], after: int) -> Iterator[tuple[int, int]]:
    """Stretches of the text around matches of ``near``; two that touch are one."""
    start, end = 0, -1
    for match in near.finditer(text):
        if match.start() - BEFORE > end:
            if end > 0:
                yield start, end
            start = max(0, match.start() - BEFORE)
        end = match.end() + after
    if end > 0:
        yield start, end


def _forms(text: str, kind: str, start: int, end: int) -> Iterator[Find]:
    for form in FORMS[kind]:
        for match in form.pattern.finditer(text, start, end):
            if form.valid("".join(c for c in match[1] if c not in form.separators)):
                yield Find(*match.span(1), kind)


def _ibans(text: str, start: int, end: int) -> Iterator[Find]:
    """IBANs, with single spaces anywhere; the country says how long one must be."""
    for match in IBAN.finditer(text, start, end):
        wanted = IBAN_LENGTHS.get(match[0][:2])
        if not wanted:
            continue
        place, characters = match.start(), ""
        while len(characters) < wanted and place < len(text):
            if text[place] != " ":
                characters += text[place]
            elif text[place - 1] == " ":
                break
            place += 1
        if not text[place : place + 1].isalnum() and is_iban(characters):
            yield Find(match.start(), place, "iban")


def replaced(text: str, kinds: frozenset[str]) -> tuple[str, list[Find]]:
    """Text with personal data replaced, and what was found.

    A placeholder may open the view to what an overlapping find hid, so the text is looked at
    until nothing is found; a second pass over the result changes nothing.
    """
    everything: list[Find] = []
    while found := find(text, kinds):
        parts: list[str] = []
        last = 0
        for item in found:
            parts += [text[last : item.start], PLACEHOLDERS[item.kind]]
            last = item.end
        text = "".join([*parts, text[last:]])
        everything += found
    return text, everything


def protect(
    data: Bytes, offsets: Offsets, kinds: frozenset[str]
) -> tuple[pa.LargeStringArray | None, NDArray[np.int64]]:
    """Texts with personal data of ``kinds`` replaced, as ``replaced`` would one by one.

    Returns:
        (rows,) texts, None when nothing was found; (rows,) how much was found.
    """
    count = np.zeros(len(offsets) - 1, np.int64)
    edits: list[tuple[int, int, int, bytes]] = []
    wanted = sum({_WANTED.get(kind, DIGITS) for kind in kinds})
    least = pii_forms.DIGITS_CEP if "cep" in kinds else pii_forms.DIGITS
    for row, start, end in stretches(data, offsets, wanted, least).T.tolist():
        text = data[start:end].tobytes().decode()
        made, found = replaced(text, kinds)
        if found:
            count[row] += len(found)
            edits.append((row, start, end, made.encode()))
    return (splice(data, offsets, edits) if edits else None), count


class Protect:
    """Step: replace personal data (edit ``pii``) and count it (signal ``pii_found``).

    Whether documents with personal data are dropped instead is a decision over the signal.
    """

    def __init__(self, section: Pii) -> None:
        self.kinds = frozenset(section.kinds)

    def __call__(self, work: Work) -> None:
        """Only stretches that may hold personal data become Python text."""
        texts, found = protect(*work.buffers(), self.kinds)
        if texts is not None:
            work.edit("pii", texts)
        work.signal("pii_found", found)

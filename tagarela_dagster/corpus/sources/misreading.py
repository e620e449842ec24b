"""Text that was read in a wrong one-byte encoding and saved as UTF-8 since.

Portuguese pages shown as Central European (``Constituiçăo``, ``Lei nş``, ``disposiçőes``) are no
mojibake that ftfy knows, because every character is a plausible letter; only that none of them is
Portuguese gives it away.
"""

from __future__ import annotations

from functools import cache

MIN_SIGNS = 10
"""Foreign letters that a document must show before anything is changed in it."""


def undo_misreading(text: str, misread_as: str, really: str = "cp1252") -> str:
    """``text`` with its bytes in ``misread_as`` read as ``really``.

    Left as it is unless it holds at least ``MIN_SIGNS`` letters that differ between the two and
    more of those than of the Portuguese letters that they stand for.

    Raises:
        ValueError: an encoding is unknown, or has more than one byte a character.
    """
    table = _table(misread_as, really)
    foreign = sum(text.count(chr(code)) for code in table)
    native = sum(text.count(right) for right in table.values())
    return text.translate(table) if foreign >= MIN_SIGNS and foreign > native else text


@cache
def _table(misread_as: str, really: str) -> dict[int, str]:
    table: dict[int, str] = {}
    for byte in range(0x80, 0x100):
        try:
            wrong, right = (bytes([byte]).decode(name) for name in (misread_as, really))
        except UnicodeDecodeError:
            continue
        except LookupError:
            raise ValueError(f"options.misread_as: '{misread_as}' is no encoding") from None
        if wrong != right:
            table[ord(wrong)] = right
    return table

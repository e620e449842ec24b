from __future__ import annotations

import pytest

from tagarela_dagster.corpus.ledger import Ledger, LedgerError, total


def account(kept: int = 3, size: int = 30) -> Ledger:
    ledger = Ledger("filtered", "oscar", "2023", 5, 60, kept, size)
    ledger.drop("language", 1, 10)
    ledger.drop("quarantined_encoding", 1, 15)
    ledger.edit("cleanup", 7)
    ledger.edit("pii", -2)
    return ledger


def test_what_comes_in_is_kept_dropped_or_edited_away() -> None:
    account().check()
    assert account().quarantined == 1


@pytest.mark.parametrize(
    ("kept", "size", "says"),
    [(4, 30, "5 documents in, 6 accounted for"), (3, 29, "60 bytes in, 59 accounted for")],
)
def test_an_account_that_does_not_balance_says_both_sums(kept: int, size: int, says: str) -> None:
    with pytest.raises(LedgerError, match=f"filtered of oscar@2023: {says}"):
        account(kept, size).check()


def test_json_gives_the_same_account_back() -> None:
    assert Ledger.from_json(account().as_json()) == account()


def test_a_sum_holds_every_reason_of_every_part() -> None:
    whole = total("filtered", "oscar", "2023", [account(), account()])
    assert whole.documents_in == 10
    assert whole.dropped["language"].documents == 2
    assert whole.edits == {"cleanup": 14, "pii": -4}
    with pytest.raises(LedgerError):
        total("filtered", "oscar", "2023", [account(), account(kept=2)])

from __future__ import annotations

from pathlib import Path

import pytest
from datatrove.pipeline.formatters import PIIFormatter as PeerFormatter

from tagarela_dagster.corpus.datatrove import (
    BoilerplateFormatter,
    CleanupFormatter,
    PIIFormatter,
)
from tagarela_dagster.recipe.portuguese import Boilerplate, Portuguese
from tests.corpus.datatrove.side_by_side import counted, run_steps, texts
from tests.corpus.filtering.filter_prose import BUS, MARKET

ADDRESSES = f"{MARKET}\nEscreva para rui.costa@sapo.pt ou veja 93.184.216.34 no mapa."


def test_addresses_are_found_as_by_datatrove(tmp_path: Path) -> None:
    given = [*texts(), ADDRESSES]
    peer = PeerFormatter(email_replacement="[e-mail]", ip_replacement="[IP]")
    expected = run_steps(tmp_path / "peer", peer, given=given)
    formatter = PIIFormatter(["email", "ip"], batch_size=7)
    assert run_steps(tmp_path / "own", formatter, given=given) == expected
    counts = counted(formatter, given)
    assert (counts["edited"], counts["total"]) == (1, len(given))
    # Addresses that belong to nobody, and versions, stay.
    for text in ("Escreva a alice@example.com.", "Use a versão 1.3.31.2 do sistema."):
        assert formatter.format(text) == text != peer.format(text)
    assert "Escreva para [e-mail] ou veja [IP] no mapa." in formatter.format(ADDRESSES)


def test_numbers_with_check_digits_are_replaced_and_others_stay() -> None:
    formatter = PIIFormatter()
    assert formatter.format("CPF 529.982.247-25, pedido 529.982.247-26.") == (
        "CPF [CPF], pedido 529.982.247-26."
    )
    assert formatter.format("CEP 20040-020") == "CEP 20040-020"
    assert PIIFormatter(["cep"]).format("CEP 20040-020") == "CEP [CEP]"
    with pytest.raises(ValueError, match="passaporte"):
        PIIFormatter(["passaporte"])


def test_lines_of_pages_go_and_prose_stays() -> None:
    page = f"Este site utiliza cookies. Saiba mais.\n{BUS}\nPartilhar no Facebook"
    formatter = BoilerplateFormatter()
    assert formatter.format(page).strip() == BUS
    assert formatter.format(MARKET) == MARKET
    counted = BoilerplateFormatter(Portuguese(boilerplate=Boilerplate(remove=False)))
    assert counted.format(page) == page


def test_menus_go_and_mojibake_is_repaired() -> None:
    assert CleanupFormatter().format(f"Menu\n{MARKET}\nMenu") == MARKET
    broken = "A informaÃ§Ã£o chegou à redação."
    assert CleanupFormatter().format(broken) == "A informação chegou à redação."

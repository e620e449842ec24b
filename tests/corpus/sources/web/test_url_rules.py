"""What an address gives away, and what it must not be taken for."""

from __future__ import annotations

import pytest

from tagarela_dagster.corpus.sources.web.url_rules import UrlOptions, UrlRules

RULES = UrlRules(UrlOptions())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://www.videosporno.exemplo.pt/", "url_adult"),
        ("https://exemplo.pt/porno/1", "url_adult"),
        ("https://exemplo.pt/fotos-nua-sexy/", "url_adult"),
        ("https://melhorcasino.pt/", "url_gambling"),
        ("https://exemplo.pt/casinos/slots-novas", "url_gambling"),
        ("https://exemplo.pt/a/foto.JPG", "url_asset"),
        ("https://exemplo.pt/feed/", "url_machine"),
        ("https://exemplo.pt/wp-login.php", "url_machine"),
        ("https://exemplo.pt/artigo?replytocom=9", "url_machine"),
        ("https://pt.exemplo.org/w/index.php?title=Lua&action=edit", "url_machine"),
        ("https://exemplo.pt/eventos/2019-04-30/", "url_trap"),
        ("https://exemplo.pt/a/b/a/b/a/b/a/", "url_trap"),
        ("https://exemplo.pt/?" + "&".join(f"f{n}=1" for n in range(14)), "url_trap"),
        ("https://exemplo.pt/" + "a" * 3000, "url_trap"),
    ],
)
def test_an_address_is_left_out_by_name(url: str, reason: str) -> None:
    assert RULES.reason(url) == reason


@pytest.mark.parametrize(
    "url",
    [
        "https://exemplo.pt/sexta-feira/educacao-sexual-nas-escolas",
        "https://www.essex.ac.uk/sussex",
        "https://exemplo.pt/noticias/casino-do-estoril-recebe-concerto",
        "https://exemplo.pt/noticias/governo-regula-apostas",
        "https://exemplo.pt/2019/04/30/artigo.html",
        "https://exemplo.pt/docs/guia.pdf.html",
        "https://exemplo.pt/login-unico-do-governo",
        "https://exemplo.pt/ler.asp?id=3&pagina=2",
        "http://[::1/quebrado",
        "",
    ],
)
def test_an_ordinary_page_is_not(url: str) -> None:
    assert RULES.reason(url) is None


def test_a_recipe_drops_addresses_of_another_country() -> None:
    # Fine PT-PT Web's patterns (arXiv 2609.07699).
    patterns = (r"^https?://[^/]*\.br(?:[:/]|$)", r"/pt[-_]br(?:/|$)", r"\.com/br(?:/|$)", r"/br/")
    rules = UrlRules(UrlOptions(drop_url=patterns))
    brazilian = "http://a.com.br http://a.br/x http://a.org/PT-BR/ http://a.com/br http://a.eu/br/x"
    assert {rules.reason(url) for url in brazilian.split()} == {"url_dropped"}
    assert rules.reason("http://braga.pt/breve/") is None


def test_each_family_of_rules_can_be_switched_off() -> None:
    off = UrlRules(
        UrlOptions(adult=False, gambling=False, assets=False, machine=False, traps=False)
    )
    assert off.reason("https://casino.pt/porno/feed/") is None
    with pytest.raises(ValueError, match="no regular expression"):
        UrlOptions(drop_url=("(",))

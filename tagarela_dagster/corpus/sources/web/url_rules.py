"""Pages that their address alone gives away: nothing is read of them.

Reasons: ``url_dropped`` (a pattern of the recipe's ``drop_url``), ``url_adult``, ``url_gambling``,
``url_asset`` (an image, a script, a download served as HTML), ``url_machine`` (feeds, interfaces,
log-in, carts, edit forms) and ``url_trap`` (addresses that a crawler makes up without end:
calendars, endless filters, paths that repeat themselves).

Words are compared as whole words of the host and path (``sexta-feira`` and ``Essex`` are none),
strong ones also inside a host's name, where words are written together. Weak words count when two
different ones meet. The lists were written for this project.
"""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator

from tagarela_dagster.recipe.base import Section

ADULT_STRONG = frozenset(
    "porn porno pornos pornhub xvideos xhamster redtube youporn xnxx hentai putaria bucetas buceta"
    " xoxota xoxotas peitudas punheta sexolandia camgirls camgirl sexcam sexcams webcamsex"
    " livejasmin brazzers milf milfs blowjob gangbang bukkake shemale shemales".split()
)
ADULT_WEAK = frozenset(
    "sex sexo sexy xxx nude nudes nua nuas pelada peladas amador amadora novinha novinhas gostosa"
    " gostosas safadas gozando transando foda fodendo anal swingers acompanhantes escorts erotico"
    " eroticos eroticas tube cams fetiche bdsm onlyfans pornografico pornografia rabudas".split()
)
GAMBLING_STRONG = frozenset(
    "casino cassino bet365 betano 1xbet 22bet betfair betway sportingbet pokerstars fortunetiger"
    " jogodobicho freespins apostasonline sitesdeapostas".split()
)
GAMBLING_WEAK = frozenset(
    "casino casinos cassino cassinos apostas aposta bets betting poker slot slots roleta roulette"
    " blackjack jackpot baccarat sportsbook odds freespins tigrinho".split()
)
_ASSET = re.compile(
    r"\.(?:jpe?g|png|gif|webp|svg|ico|bmp|tiff?|css|js|mjs|json|woff2?|ttf|eot|mp[34]|avi|mov|wmv|flv|"
    r"webm|ogg|wav|swf|zip|rar|7z|gz|tar|exe|msi|dmg|apk|iso|bin|docx?|xlsx?|pptx?|pdf|epub)$",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"/(?:feed|rss|atom|wp-json|wp-login\.php|wp-admin|xmlrpc\.php|oembed|trackback|cgi-bin/count|"
    r"login|signin|sign-in|logout|register|registar|iniciar-sessao|recuperar-senha|lost-?password|"
    r"cart|carrinho|checkout|add-to-cart|captcha|autodiscover)(?:\.(?:php|aspx?|jsp|xml|html?))?/?$",
    re.IGNORECASE,
)
_MACHINE_QUERY = re.compile(
    r"(?:^|&)(?:replytocom=|action=(?:edit|history|login|submit)\b|oldid=|diff=|add-to-cart=|"
    r"share=|feed=|format=(?:xml|json|rss|ical|pdf)\b|redirect_to=|returnurl=)",
    re.IGNORECASE,
)
_CALENDAR = re.compile(
    r"/(?:calendar|calendario|agenda|eventos|events)(?:/[a-z]+)?/\d{4}(?:[-/]\d{1,2}){1,2}/?$"
    r"|(?:^|[?&])(?:month|mes|ano|year|week|semana|tribe-bar-date|ical)=[^&]*"
    r"(?:&|.*?&)(?:month|mes|ano|year|day|dia|view|calendar)=",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z0-9]+")
MAX_LENGTH = 2_000
"""Characters of an address; browsers and search engines stop near here."""
MAX_PARAMETERS = 12
MAX_REPEATS = 3
"""So often may one path segment stand in an address."""


class UrlOptions(Section):
    """Which addresses are left out unread (``urls:`` of a web source)."""

    drop_url: tuple[str, ...] = ()
    r"""Regular expressions searched in the address, in lower case. Fine PT-PT Web's, for European
    Portuguese: ``['^https?://[^/]*\.br(?:[:/]|$)', '/pt[-_]br(?:/|$)', '\.com/br(?:/|$)',
    '/br/']`` (arXiv 2609.07699)."""
    adult: bool = True
    gambling: bool = True
    assets: bool = True
    machine: bool = True
    traps: bool = True
    max_length: int = Field(default=MAX_LENGTH, ge=100)

    @field_validator("drop_url")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"'{pattern}' is no regular expression: {error}") from error
        return patterns


class UrlRules:
    """The rules of one source, asked for each address."""

    def __init__(self, options: UrlOptions) -> None:
        self._options = options
        self._drop = [re.compile(pattern) for pattern in options.drop_url]

    def reason(self, url: str) -> str | None:
        """Why the address is left out, None when it is not."""
        options = self._options
        lower = url.lower()
        if any(pattern.search(lower) for pattern in self._drop):
            return "url_dropped"
        try:
            parts = urlsplit(lower)
            host, path, query = parts.hostname or "", parts.path, parts.query
        except ValueError:
            return None
        if options.assets and _ASSET.search(path):
            return "url_asset"
        if options.machine and (_MACHINE.search(path) or _MACHINE_QUERY.search(query)):
            return "url_machine"
        if options.traps and self._is_trap(lower, path, query):
            return "url_trap"
        words = set(_WORD.findall(f"{host} {unquote(path)}"))
        if options.adult and (words & ADULT_STRONG or _is_about(host, ADULT_STRONG)):
            return "url_adult"
        if options.adult and len(words & ADULT_WEAK) > 1:
            return "url_adult"
        # One word in a path is news about the trade more often than the trade itself.
        if options.gambling and _is_about(host, GAMBLING_STRONG):
            return "url_gambling"
        if options.gambling and len(words & GAMBLING_WEAK) > 1:
            return "url_gambling"
        return None

    def _is_trap(self, url: str, path: str, query: str) -> bool:
        if len(url) > self._options.max_length or query.count("&") >= MAX_PARAMETERS:
            return True
        if _CALENDAR.search(f"{path}?{query}" if query else path):
            return True
        segments = Counter(segment for segment in path.split("/") if segment)
        return any(count > MAX_REPEATS for count in segments.values())


def _is_about(host: str, strong: frozenset[str]) -> bool:
    """Whether a strong word stands in the host's name, alone or written together with others."""
    return any(word in host for word in strong if len(word) > 4)

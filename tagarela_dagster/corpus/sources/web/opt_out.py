"""Who does not want a page to train a model: every machine-readable signal that a crawl holds.

In the order in which they are asked, with the reason that a page is left out under:

``opt_out_robots``: robots.txt (in the archive itself, or the ``robots_file`` of today's rules that
Apertus applies to old crawls, arXiv 2509.14233) disallows one of ``user_agents``.
``opt_out_usage``: ``Content-Usage`` in robots.txt or in the response's header
(draft-ietf-aipref-attach-05, -vocab-08), or ``Content-Signal``.
``opt_out_robots_tag``: ``X-Robots-Tag`` or ``<meta name="robots">`` with one of ``robots_tags``.
``opt_out_tdm``: ``tdm-reservation: 1`` as header or ``<meta>`` (W3C TDM Reservation Protocol,
final community group report of 10 May 2024).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from tagarela_dagster.corpus.sources.web.robots import MAX_BYTES, Robots, host_of, no_training
from tagarela_dagster.recipe.base import Section

HEAD_BYTES = 65_536
"""``<meta>`` elements are looked for in so much of a page."""
USER_AGENTS = (
    "*",
    "AI2Bot",
    "Amazonbot",
    "anthropic-ai",
    "Applebot-Extended",
    "Bytespider",
    "CCBot",
    "ClaudeBot",
    "cohere-ai",
    "Diffbot",
    "Google-Extended",
    "GPTBot",
    "ia_archiver",
    "meta-externalagent",
    "omgili",
)
"""Crawlers that collect text for training, and everybody (``*``), as HPLT and Apertus honour."""

_META = re.compile(rb"<meta\s[^>]{1,1000}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"([a-zA-Z-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))")
_AGENT = re.compile(r"^\s*([A-Za-z][A-Za-z0-9_.-]+)\s*:\s*(.*)$")
_DIRECTIVES = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")


class OptOutOptions(Section):
    """How the wish not to be used for training is treated (``opt_out:`` of a web source)."""

    policy: Literal["honour", "record", "ignore"] = "honour"
    """``honour`` leaves pages out, ``record`` keeps them with the signal in ``meta``."""
    user_agents: tuple[str, ...] = USER_AGENTS
    robots_tags: tuple[str, ...] = ("noai", "noimageai", "noindex", "none")
    robots_file: str | None = None
    """JSON lines ``{"host": "exemplo.pt", "robots": "User-agent: *\\n..."}``: robots.txt files of
    another day than the crawl's. They come on top of those in the archive."""
    robots_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Hash of ``robots_file``: stands for it in fingerprints, where its path does not belong."""

    @model_validator(mode="after")
    def _is_pinned(self) -> OptOutOptions:
        if self.robots_file is not None and self.robots_sha256 is None:
            raise ValueError("robots_file needs robots_sha256 (what 'sha256sum FILE' prints)")
        return self


class OptOut:
    """The signals of one crawl's pages."""

    def __init__(self, options: OptOutOptions) -> None:
        self.options = options
        self._agents = options.user_agents
        self._listed = frozenset(agent.lower() for agent in options.user_agents)
        self._meta_names = self._listed | {"robots"}
        self._archived: dict[str, Robots] = {}
        self._today = dict(_robots_file(options))

    @property
    def ignored(self) -> bool:
        """Whether signals need not be looked for."""
        return self.options.policy == "ignore"

    def add_robots(self, url: str, body: bytes) -> None:
        """Take a robots.txt that stands in the archive; the last one of a host counts."""
        self._archived[host_of(url)] = Robots(body[:MAX_BYTES].decode("utf-8", "replace"))

    def signal(self, url: str, http: Mapping[str, str], html: bytes) -> str | None:
        """The reason for which the page must not be used, None when nobody objects."""
        host = host_of(url)
        files = [rules[host] for rules in (self._archived, self._today) if host in rules]
        if any(robots.disallows(self._agents, url) for robots in files):
            return "opt_out_robots"
        if any(robots.reserves_training(self._agents, url) for robots in files):
            return "opt_out_usage"
        if no_training(http.get("content-usage", "") + "," + http.get("content-signal", "")):
            return "opt_out_usage"
        if self._is_tagged(http.get("x-robots-tag", "")):
            return "opt_out_robots_tag"
        if http.get("tdm-reservation", "").strip() == "1":
            return "opt_out_tdm"
        for name, content in _metas(html):
            if name in self._meta_names and self._is_tagged(content):
                return "opt_out_robots_tag"
            if name == "tdm-reservation" and content.strip() == "1":
                return "opt_out_tdm"
        return None

    def _is_tagged(self, value: str) -> bool:
        """Whether directives hold one of ``robots_tags``, to everybody or a listed agent."""
        concerned = True
        for part in value.split(","):
            match = _AGENT.match(part)
            directive = part
            if match and match.group(1).lower() not in _DIRECTIVES:
                concerned = match.group(1).lower() in self._listed
                directive = match.group(2)
            if concerned and directive.strip().lower() in self.options.robots_tags:
                return True
        return False


def _metas(html: bytes) -> Iterator[tuple[str, str]]:
    """Name in lower case and content of the page's ``<meta name>`` elements."""
    for tag in _META.findall(html[:HEAD_BYTES]):
        values = {
            match[0].lower(): (match[1] or match[2] or match[3]).decode("utf-8", "replace")
            for match in _ATTRIBUTE.findall(tag)
        }
        if b"name" in values:
            yield values[b"name"].strip().lower(), values.get(b"content", "")


def _robots_file(options: OptOutOptions) -> Iterator[tuple[str, Robots]]:
    if options.robots_file is None:
        return
    data = Path(options.robots_file).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if options.robots_sha256 != found:
        raise ValueError(
            f"opt_out.robots_file: {options.robots_file} has SHA-256 {found},"
            f" the recipe says {options.robots_sha256}"
        )
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            yield host_of(f"//{row['host'].lower()}"), Robots(row["robots"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{options.robots_file}, line {number}: not an object with 'host' and 'robots'"
            ) from error

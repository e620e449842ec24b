"""robots.txt: what a site asks of crawlers, and how it wants its content used.

Groups, ``Allow`` and ``Disallow`` by RFC 9309 (the longest matching rule counts, ``Allow`` on a
tie); ``Content-Usage`` lines by draft-ietf-aipref-attach-05 with the labels of
draft-ietf-aipref-vocab-08 and of its earlier versions; ``Content-Signal`` lines by
draft-romm-aipref-contentsignals-00, which is what the largest content network writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

MAX_BYTES = 512_000
"""RFC 9309 asks for at least 500 KiB; what follows is not read."""
MAX_RULES = 10_000
TRAINING = ("train-ai", "ai", "train-genai", "genai", "tdm", "bots", "all", "ai-train")
"""Labels under which training a language model falls: ``train-ai`` today, the others earlier
drafts' and (the last one) Content Signals'."""

_LINE = re.compile(r"[ \t]*([A-Za-z-]+)[ \t]*:[ \t]*([^#\r\n]*)")
_PAIR = re.compile(r"^\s*([a-z-]+)\s*=\s*\"?\??([a-z0-9]+)", re.IGNORECASE)
_NO = ("n", "no", "0")


@dataclass(slots=True)
class _Group:
    agents: list[str]
    rules: list[tuple[str, bool]] = field(default_factory=list)
    usage: list[tuple[str, str]] = field(default_factory=list)


class Robots:
    """One robots.txt."""

    def __init__(self, text: str) -> None:
        self._groups: list[_Group] = []
        group: _Group | None = None
        in_agents = False
        for number, line in enumerate(text.splitlines()):
            match = _LINE.match(line)
            if not match or number > MAX_RULES:
                continue
            key, value = match.group(1).lower(), match.group(2).strip()
            if key == "user-agent":
                if group is None or not in_agents:
                    group = _Group([])
                    self._groups.append(group)
                group.agents.append(value.lower().partition("/")[0].strip())
                in_agents = True
                continue
            if key in ("content-usage", "content-signal"):
                if group is None:
                    # Lines before any group are said to everybody.
                    group = _Group(["*"])
                    self._groups.append(group)
                path, _, preference = value.partition(" ") if value[:1] == "/" else ("/", "", value)
                group.usage.append((path, preference))
                in_agents = False
            elif key in ("allow", "disallow") and group is not None:
                in_agents = False
                if value:
                    group.rules.append((value, key == "allow"))

    def disallows(self, agents: Sequence[str], url: str) -> str | None:
        """The first of ``agents`` that must not fetch ``url``, None when all may.

        An agent follows the groups that name it and, without one, those of ``*``; ``*`` in
        ``agents`` stands for a crawler that nobody names.
        """
        path = path_of(url)
        for agent, groups in self._distinct(agents):
            rules = (rule for group in groups for rule in group.rules)
            if path != "/robots.txt" and not _allowed(rules, path):
                return agent
        return None

    def reserves_training(self, agents: Sequence[str], url: str) -> bool:
        """Whether a usage line that applies to one of ``agents`` disallows training on ``url``."""
        path = path_of(url)
        for _, groups in self._distinct(agents):
            lines = [line for group in groups for line in group.usage]
            longest = max(
                (len(pattern) for pattern, _ in lines if _matches(pattern, path)), default=-1
            )
            for pattern, preference in lines:
                if len(pattern) == longest and _matches(pattern, path) and no_training(preference):
                    return True
        return False

    def _distinct(self, agents: Sequence[str]) -> Iterator[tuple[str, list[_Group]]]:
        """Agents with the groups that they follow, the first of those that follow the same: most
        follow those of everybody, and a large site has thousands of rules."""
        seen: set[tuple[int, ...]] = set()
        for agent in agents:
            groups = self._of(agent)
            place = tuple(map(id, groups))
            if place not in seen:
                seen.add(place)
                yield agent, groups

    def _of(self, agent: str) -> list[_Group]:
        name = agent.lower()
        named = [group for group in self._groups if name in group.agents]
        return named or [group for group in self._groups if "*" in group.agents]


def no_training(preference: str) -> bool:
    """Whether a usage expression (``train-ai=n, search=y``) disallows training.

    Any ``n`` counts (draft-ietf-aipref-vocab-08: the most restrictive statement wins).
    """
    pairs = (_PAIR.match(part) for part in preference.split(","))
    return any(
        match.group(1).lower() in TRAINING and match.group(2).lower() in _NO
        for match in pairs
        if match
    )


def path_of(url: str) -> str:
    """Path and query of an address, percent-encoded as rules are."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _encoded(path)


def host_of(url: str) -> str:
    """Host name in lower case without ``www.`` and port, "" when the address has none."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.").rstrip(".")


def _encoded(path: str) -> str:
    return quote(unquote(path, errors="replace"), safe="/?&=*$!'(),;:@+~%-._[]")


def _allowed(rules: Iterable[tuple[str, bool]], path: str) -> bool:
    best, allowed = -1, True
    for pattern, allow in rules:
        length = len(pattern)
        if length >= best and _matches(pattern, path):
            allowed = (allow or allowed) if length == best else allow
            best = length
    return allowed


def _matches(pattern: str, path: str) -> bool:
    """Prefix match with ``*`` for anything and ``$`` for the end, in time linear in the path."""
    anchored = pattern.endswith("$")
    parts = _encoded(pattern.removesuffix("$")).split("*")
    if not path.startswith(parts[0]):
        return False
    at = len(parts[0])
    for part in parts[1:-1] if anchored else parts[1:]:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    if not anchored:
        return True
    if len(parts) == 1:
        return at == len(path)
    return len(path) - at >= len(parts[-1]) and path.endswith(parts[-1])

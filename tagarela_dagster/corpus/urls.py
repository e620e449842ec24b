"""One form of a URL, so that captures and takedowns of one page meet."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def normal_url(url: str) -> str:
    """URL without scheme, ``www.``, default port, fragment and last slash; host in lower case.

    What cannot be parsed as a URL with a host comes back as it is, without surrounding space.
    """
    url = url.strip()
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return url
    if not host:
        return url
    place = host.removeprefix("www.")
    if port and port != _DEFAULT_PORTS.get(parts.scheme):
        place += f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    return place + parts.path.rstrip("/") + query


def host_of(url: str) -> str | None:
    """Host of a URL in lower case; None where it has none."""
    try:
        return urlsplit(url.strip() if "://" in url else f"//{url.strip()}").hostname
    except ValueError:
        return None


def domains(host: str) -> Iterator[str]:
    """The host and every domain that it lies in, of two labels at least: a.b.pt, b.pt."""
    labels = host.rstrip(".").lower().split(".")
    for start in range(len(labels) - 1):
        yield ".".join(labels[start:])

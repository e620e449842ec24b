"""Who does not want to be used: robots.txt, headers and elements of the page."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.corpus.sources.web.opt_out import OptOut, OptOutOptions
from tagarela_dagster.corpus.sources.web.robots import Robots
from tagarela_dagster.recipe.sources import Source
from tests.corpus.sources.web_pages import PAGE, members, read

ROBOTS = """
User-agent: GPTBot
User-agent: CCBot
Disallow: /privado
Allow: /privado/aberto

User-agent: *   # todos
Disallow: /*.php$
Disallow: /admin/
Allow: /
"""


def test_the_longest_rule_of_the_agents_group_counts() -> None:
    robots = Robots(ROBOTS)
    assert robots.disallows(["gptbot"], "http://a.pt/privado/x") == "gptbot"
    assert robots.disallows(["CCBot"], "http://a.pt/privado/aberto/x") is None
    assert robots.disallows(["CCBot"], "http://a.pt/admin/") is None
    assert robots.disallows(["Bytespider", "*"], "http://a.pt/admin/") == "Bytespider"
    assert robots.disallows(["*"], "http://a.pt/x.php") == "*"
    assert robots.disallows(["*"], "http://a.pt/x.php?id=1") is None
    assert Robots("User-agent: *\nDisallow:").disallows(["*"], "http://a.pt/") is None
    assert Robots("Disallow: /\nnada").disallows(["*"], "http://a.pt/") is None
    assert Robots("User-agent: *\nDisallow: /ação").disallows(["*"], "http://a.pt/a%C3%A7%C3%A3o/")


def test_usage_lines_follow_paths_and_the_strictest_wins() -> None:
    robots = Robots(
        "User-Agent: *\nAllow: /\nContent-Usage: / train-ai=n\nContent-Usage: /ok/ train-ai=y\n"
        "Content-Usage: /both/ train-ai=y\nContent-Usage: /both/ search=y, train-ai=n\n"
    )
    urls = ("http://a.pt/x", "http://a.pt/ok/x", "http://a.pt/both/x")
    assert [robots.reserves_training(["*"], url) for url in urls] == [True, False, True]
    assert Robots("Content-Signal: search=yes,ai-train=no").reserves_training(["*"], urls[0])
    assert not Robots("User-agent: *\nContent-Usage: search=n").reserves_training(["*"], urls[0])


@pytest.mark.parametrize(
    ("http", "head", "reason"),
    [
        ({}, "", None),
        ({"content-usage": "train-ai=n"}, "", "opt_out_usage"),
        ({"content-usage": "train-ai=y, search=n"}, "", None),
        ({"content-signal": "ai-train=no"}, "", "opt_out_usage"),
        ({"x-robots-tag": "noai, noimageai"}, "", "opt_out_robots_tag"),
        ({"x-robots-tag": "nofollow, max-snippet: 3"}, "", None),
        ({"x-robots-tag": "googlebot: noindex, nofollow"}, "", None),
        ({"x-robots-tag": "googlebot: nofollow, CCBot: noindex"}, "", "opt_out_robots_tag"),
        ({"tdm-reservation": "1"}, "", "opt_out_tdm"),
        ({"tdm-reservation": "0"}, "", None),
        ({}, '<meta content="NoAI" name="robots">', "opt_out_robots_tag"),
        ({}, "<meta name=robots content=noindex>", "opt_out_robots_tag"),
        ({}, "<meta name='gptbot' content='noindex'>", "opt_out_robots_tag"),
        ({}, '<meta name="googlebot" content="noindex">', None),
        ({}, '<meta name="tdm-reservation" content="1"/>', "opt_out_tdm"),
    ],
)
def test_a_page_says_so_itself(http: dict[str, str], head: str, reason: str | None) -> None:
    opt_out = OptOut(OptOutOptions())
    assert opt_out.signal("http://a.pt/x", http, f"<head>{head}".encode()) == reason


def archive(path: Path) -> None:
    members(
        path,
        {"url": "http://www.a.pt/livre"},
        {"url": "http://www.a.pt/privado/1", "http": [("X-Robots-Tag", "all")]},
        {"url": "http://b.pt/", "http": [("X-Robots-Tag", "nofollow"), ("X-Robots-Tag", "noai")]},
        {
            "url": "http://a.pt/robots.txt",
            "type": "text/plain",
            "body": "User-agent: GPTBot\nDisallow: /privado\n",
        },
        {"url": "http://c.pt/artigo", "body": PAGE},
    )


def source(**opt_out: Any) -> Source:
    return Source(reader="arquivo_pt", path="x", license="x", options={"opt_out": opt_out})


def test_the_archives_own_robots_files_count_for_pages_before_them(tmp_path: Path) -> None:
    archive(tmp_path / "a.warc.gz")
    documents, rejected = read(tmp_path / "a.warc.gz", source())
    assert [d.url for d in documents] == ["http://www.a.pt/livre", "http://c.pt/artigo"]
    assert Counter(r.reason for r in rejected) == {
        "opt_out_robots": 1,
        "opt_out_robots_tag": 1,
        "not_html": 1,
    }
    assert not any(r.quarantined for r in rejected)


def test_signals_are_recorded_or_ignored_as_the_recipe_says(tmp_path: Path) -> None:
    archive(tmp_path / "a.warc.gz")
    recorded, _ = read(tmp_path / "a.warc.gz", source(policy="record"))
    assert [d.meta.get("opt_out") for d in recorded] == [
        None,
        "opt_out_robots",
        "opt_out_robots_tag",
        None,
    ]
    ignored, _ = read(tmp_path / "a.warc.gz", source(policy="ignore"))
    assert [d.meta.get("opt_out") for d in ignored] == [None] * 4


def test_todays_robots_files_apply_to_an_old_crawl(tmp_path: Path) -> None:
    archive(tmp_path / "a.warc.gz")
    rows = [{"host": "www.C.pt", "robots": "User-agent: CCBot\nDisallow: /"}]
    file = tmp_path / "robots.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    good = hashlib.sha256(file.read_bytes()).hexdigest()
    documents, _ = read(tmp_path / "a.warc.gz", source(robots_file=str(file), robots_sha256=good))
    assert [d.url for d in documents] == ["http://www.a.pt/livre"]
    with pytest.raises(ValueError, match="has SHA-256"):
        read(tmp_path / "a.warc.gz", source(robots_file=str(file), robots_sha256="0" * 64))
    with pytest.raises(ValueError, match="needs robots_sha256"):
        read(tmp_path / "a.warc.gz", source(robots_file=str(file)))
    file.write_text('{"host": "c.pt"}\n')
    bad = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match="line 1: not an object"):
        read(tmp_path / "a.warc.gz", source(robots_file=str(file), robots_sha256=bad))


def test_where_a_robots_file_lies_is_no_part_of_a_fingerprint() -> None:
    def options(path: str, sha256: str) -> str:
        return json.dumps(source(robots_file=path, robots_sha256=sha256 * 64).as_json())

    assert options("here", "a") == options("there", "a") != options("here", "b")

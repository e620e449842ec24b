"""The data card: README.md in English, LEIAME.md in Portuguese, of the same facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from tagarela_dagster.corpus.card.facts import CorpusFacts, SourceFacts, Tallies
from tagarela_dagster.corpus.card.front_matter import front_matter
from tagarela_dagster.corpus.card.words import WORDS
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.recipe.card import CardLanguage

NAMES: dict[CardLanguage, str] = {"en": "README.md", "pt": "LEIAME.md"}
MANY_YEARS = 25
"""More years than this are told by decade."""
READING = """```python
from datasets import load_dataset

load_dataset("FOLDER", split="train")
```"""
LARGE_SHARE = 0.5
"""A variety or source with more than this is named among the gaps."""


def write_card(facts: CorpusFacts, folder: Path, language: CardLanguage) -> Path:
    """Write the card in one language; returns its path."""
    path = folder / NAMES[language]
    text = card_text(facts, language)
    with atomic_write(path) as file:
        file.write(f"{front_matter(facts)}\n{text}" if language == "en" else text)
    return path


def card_text(facts: CorpusFacts, language: CardLanguage) -> str:
    """The card without its front matter, Markdown."""
    return "\n\n".join(_Card(facts, language).blocks()) + "\n"


class _Card:
    def __init__(self, facts: CorpusFacts, language: CardLanguage) -> None:
        self.facts = facts
        self.language = language
        self.words = WORDS[language]

    def blocks(self) -> Iterable[str]:
        facts, words = self.facts, self.words
        yield f"# {_plain(facts.title)}"
        yield words["other_language"]
        if facts.description:
            yield _plain(facts.description)
        yield words["generated"].format(lineage=facts.lineage[:16])
        yield f"## {words['size']}"
        sizes = [
            (words["documents"], self.number(facts.documents)),
            (words["megabytes"], self.megabytes(facts.bytes)),
        ]
        if facts.tokens is not None:
            sizes.append((words["tokens"], self.number(facts.tokens)))
        yield "\n".join(f"- {name}: {value}" for name, value in sizes)
        yield f"## {words['sources']}"
        yield self.sources()
        yield f"## {words['licenses']}"
        card = facts.card
        yield words["license_whole" if card.license else "license_each"].format(
            license=card.license
        )
        yield self.tallies("license", facts.licenses)
        yield f"## {words['varieties']}"
        yield self.tallies("variety", facts.varieties)
        yield f"## {words['languages']}"
        yield self.tallies("language", facts.languages)
        yield f"## {words['years']}"
        yield self.tallies("year", _decades(facts.years))
        if facts.hosts:
            yield f"## {words['hosts']}"
            yield self.hosts_sentence()
            yield self.tallies("host", facts.hosts)
        yield f"## {words['dropped']}"
        yield self.dropped()
        yield f"### {words['edits']}"
        yield self.edits()
        yield f"## {words['process']}"
        yield "\n".join(f"- {sentence}" for sentence in self.process())
        yield f"## {words['settings']}"
        yield f"```yaml\n{yaml.safe_dump(dict(facts.settings), allow_unicode=True)}```"
        yield f"## {words['gaps']}"
        yield "\n".join(f"- {sentence}" for sentence in self.gaps())
        yield f"## {words['takedown']}"
        yield words["contact" if card.contact else "no_contact"].format(
            contact=_plain(card.contact)
        )
        yield f"## {words['reading']}"
        yield READING

    def number(self, value: int) -> str:
        return f"{value:,}".replace(",", self.words["thousands"])

    def megabytes(self, value: int) -> str:
        marks = self.words["thousands"] + self.words["decimal"]
        return f"{value / 1e6:,.2f}".translate(str.maketrans(",.", marks))

    def share(self, part: float) -> str:
        return f"{100 * part:.1f}%".replace(".", self.words["decimal"])

    def table(self, names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        lines = [" | ".join(self.words[name] for name in names)]
        lines.append(" | ".join("---" for _ in names))
        lines += [" | ".join(_plain(cell) for cell in row) for row in rows]
        if len(lines) == 2:
            lines.append(" | ".join([self.words["none"]] + [""] * (len(names) - 1)))
        return "\n".join(f"| {line} |" for line in lines)

    def tallies(self, name: str, tallies: Tallies) -> str:
        rows = [
            (value or self.words["unknown"], self.number(count), self.share(count / whole))
            for whole in [max(1, self.facts.documents)]
            for value, count in tallies
        ]
        return self.table((name, "documents", "share"), rows)

    def sources(self) -> str:
        names = ["source", "reader", "snapshots", "documents", "megabytes", "tokens", "license"]
        return self.table(names, (self.source(source) for source in self.facts.sources))

    def source(self, source: SourceFacts) -> Sequence[str]:
        licenses = ", ".join(name or self.words["unknown"] for name, _ in source.licenses)
        tokens = "" if source.tokens is None else self.number(source.tokens)
        return (
            source.name,
            source.reader,
            ", ".join(source.snapshots),
            self.number(source.documents),
            self.megabytes(source.bytes),
            tokens,
            licenses,
        )

    def hosts_sentence(self) -> str:
        known = self.facts.hosts_known
        many = self.words["hosts_many"].format(known=self.number(len(self.facts.hosts)))
        return self.words["hosts_shown"].format(
            shown=len(self.facts.hosts),
            known=many if known is None else self.number(known),
            without=self.share(self.facts.share_without_url),
        )

    def dropped(self) -> str:
        rows = [
            (stage.name, reason, self.number(documents), self.megabytes(size))
            for stage in self.facts.stages
            for reason, documents, size in stage.dropped
        ]
        return self.table(("stage", "reason", "documents", "megabytes"), rows)

    def edits(self) -> str:
        rows = [
            (stage.name, name, self.megabytes(removed))
            for stage in self.facts.stages
            for name, removed in stage.edits
        ]
        return self.table(("stage", "edit", "megabytes"), rows)

    def process(self) -> Iterable[str]:
        words, settings = self.words, self.facts.settings
        dedup = settings.get("clusters", {}).get("dedup", {})
        minhash = dedup.get("minhash", {})
        yield words["dedup" if dedup.get("enabled") else "no_dedup"].format(
            n=minhash.get("n_grams"), bands=minhash.get("bands"), rows=minhash.get("rows")
        )
        pii = settings.get("filtered", {}).get("pii", {})
        yield words["pii" if pii.get("enabled") else "no_pii"].format(
            kinds=", ".join(pii.get("kinds", [])), action=pii.get("action")
        )
        decon = settings.get("clean", {}).get("decontamination", {})
        yield words["decontamination" if decon.get("enabled") else "no_decontamination"].format(
            n=decon.get("n_grams"),
            least=decon.get("min_item_words"),
            action=decon.get("action", "drop"),
            tasks=", ".join(self.facts.benchmarks) or words["tasks"],
        )
        yield words["held_out"].format(share=self.share(self.facts.held_out_share))

    def gaps(self) -> Iterable[str]:
        facts, words = self.facts, self.words
        without = {
            "license": facts.share_without(facts.licenses),
            "variety": facts.share_without(facts.varieties),
            "date": facts.share_without(facts.years),
            "url": facts.share_without_url,
        }
        for name, share in without.items():
            if share > 0:
                yield words["gap_without"].format(share=self.share(share), what=words[name])
        for name, count in facts.varieties:
            if name and count > LARGE_SHARE * facts.documents:
                part = self.share(count / facts.documents)
                yield words["gap_variety"].format(share=part, variety=name)
        for source in facts.sources:
            if source.bytes > LARGE_SHARE * facts.bytes and len(facts.sources) > 1:
                part = self.share(source.bytes / facts.bytes)
                yield words["gap_source"].format(share=part, source=source.name)
        yield words["gap_language"]
        yield from map(_plain, facts.card.gaps.get(self.language, []))


def _plain(text: str) -> str:
    """Text from sources or the recipe on one line, without what Markdown or HTML would act on."""
    escaped = "".join(f"\\{c}" if c in "\\`*_[]<>|" else c for c in text)
    return " ".join(escaped.split())


def _decades(years: Tallies) -> Tallies:
    if len(years) <= MANY_YEARS:
        return years
    decades: dict[str, int] = {}
    for year, count in years:
        name = f"{year[:-1]}0–{year[:-1]}9" if year else ""
        decades[name] = decades.get(name, 0) + count
    return tuple(decades.items())

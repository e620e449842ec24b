"""Formatters of batches: personal data, lines of Portuguese pages, line clean-up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.formatters.base import BaseFormatter
from datatrove.utils.batching import batched
from datatrove.utils.typeshelper import StatHints

from tagarela_dagster.corpus.datatrove.batch import edited_texts
from tagarela_dagster.corpus.datatrove.rules import BATCH
from tagarela_dagster.corpus.filtering.cleanup import Clean, Repair
from tagarela_dagster.corpus.filtering.pii import Protect
from tagarela_dagster.corpus.filtering.work import Step
from tagarela_dagster.corpus.portuguese.characters import Characters
from tagarela_dagster.corpus.portuguese.pages import Pages
from tagarela_dagster.recipe.filtering import Cleanup, Pii
from tagarela_dagster.recipe.portuguese import Portuguese


class StepFormatter(BaseFormatter):
    """A formatter made of measuring steps; counts the documents that it changed (``edited``)."""

    def __init__(self, batch_size: int = BATCH) -> None:
        super().__init__()
        self.batch_size = batch_size
        self._steps: list[Step] | None = None

    @abstractmethod
    def steps(self) -> list[Step]:
        """The steps; asked for once, in the process that runs them."""

    def format(self, text: str) -> str:
        """Format one text; ``run`` does it in batches."""
        return self.format_batch([Document(text=text, id="")])[0]

    def format_batch(self, batch: Sequence[Document]) -> list[str]:
        """The documents' texts, formatted; the documents stay as they are."""
        if self._steps is None:
            self._steps = self.steps()
        return edited_texts(batch, self._steps)

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Format documents in batches, in place."""
        for batch in batched(data, self.batch_size):
            with self.track_time("batch"):
                texts = self.format_batch(batch)
            for document, text in zip(batch, texts, strict=True):
                self.stat_update(StatHints.total)
                if text != document.text:
                    self.stat_update("edited")
                    document.text = text
                yield document


class PIIFormatter(StepFormatter):
    """Replace personal data by what it is: ``[e-mail]``, ``[CPF]``, ``[telefone]``, ...

    datatrove's replaces e-mail addresses and IPv4 by invented ones; here numbers with check digits
    (CPF, CNPJ, NIF, IBAN, cards) and phones are found too.

    Args:
        kinds: of ``email ip cpf cnpj nif iban card phone cep``; default all but ``cep``.
    """

    name = "📞 PII"

    def __init__(self, kinds: Sequence[str] | None = None, batch_size: int = BATCH) -> None:
        super().__init__(batch_size)
        self.section = Pii() if kinds is None else Pii.model_validate({"kinds": list(kinds)})

    def steps(self) -> list[Step]:
        """Personal data."""
        return [Protect(self.section)]


class BoilerplateFormatter(StepFormatter):
    """Take out lines of Portuguese pages that say nothing, and what wikis and subtitles leave.

    Args:
        section: what is taken out; lines of transcripts only where ``metadata["source"]`` is one
            of ``section.transcripts.sources``.
    """

    name = "🇵🇹 Boilerplate"

    def __init__(self, section: Portuguese | None = None, batch_size: int = BATCH) -> None:
        super().__init__(batch_size)
        self.section = section or Portuguese()

    def steps(self) -> list[Step]:
        """Characters first: a phrase with an invisible mark inside is not found."""
        return [Characters(self.section.unicode), Pages(self.section)]


class CleanupFormatter(StepFormatter):
    """Repair mojibake, and take out lines of few letters and later copies of a line."""

    name = "🧹 Clean-up"

    def __init__(self, section: Cleanup | None = None, batch_size: int = BATCH) -> None:
        super().__init__(batch_size)
        self.section = section or Cleanup()

    def steps(self) -> list[Step]:
        """As in the graph."""
        return [Repair(self.section), Clean(self.section)]

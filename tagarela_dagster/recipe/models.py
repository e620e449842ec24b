"""Model sections: variety, perplexity and quality classifiers, trained by the graph.

A model is off until its recipe names what it is trained on. A source gives the documents of its
first snapshot (or of one that is named, ``source@snapshot``): later snapshots are scored with the
model and never make it stale.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tagarela_dagster.recipe.base import Section

MODEL_ASSETS = ("variety_model", "perplexity_model", "classifiers")
TIERS = ("head", "middle", "tail")
MAX_CLASSIFIERS = 4
"""Signals ``score_1`` to ``score_4`` are kept for classifiers."""

TrainingSource = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}(@[A-Za-z0-9._-]{1,64})?$")]
ClassifierName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")]


class Features(Section):
    """What a linear classifier looks at (as fastText: hashed n-grams of words and characters)."""

    bits: int = Field(default=20, ge=8, le=24)
    """Buckets are 2**bits."""
    word_ngrams: Literal[1, 2] = 2
    min_characters: int = Field(default=3, ge=1, le=8)
    max_characters: int = Field(default=6, ge=0, le=8)
    """Character n-grams inside words, boundaries included; 0 for none."""
    mask_names: bool = True
    """A capitalised word inside a sentence is only ``a name``: topics are told by names."""
    max_bytes: int = Field(default=6_000, ge=100, le=1_000_000)
    """Of a longer text, a third of this at its start, middle and end is looked at."""


class Fitting(Section):
    """How a linear classifier is trained."""

    method: Literal["agreement", "logistic"] = "logistic"
    """``agreement``: n-grams count as far as sources agree on them (docs/models.md);
    ``logistic``: averaged logistic regression, AdaGrad, stopped early."""
    epochs: int = Field(default=6, ge=1, le=100)
    """``logistic``: most passes; as many are made as are best on sources that were left out."""
    learning_rate: float = Field(default=0.05, gt=0, le=10)
    """``logistic`` only."""
    folds: int = Field(default=5, ge=2, le=20)
    """Parts into which sources are dealt; each is left out once, to stop and to calibrate."""
    megabytes_per_source: float = Field(default=3, gt=0, le=1_000)
    """Text that a source gives, passages spread over its documents (10^6 bytes)."""


class LabelledFile(Section):
    """JSON lines, a text a line; or a ``.json`` tree of strings (an interface). Also ``.gz``."""

    path: str
    """``sample:FILE`` or a path; ``${VARIABLE}`` is taken from the environment."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Pins the file; one with another hash is refused."""
    name: str | None = None
    """The source that it counts as; none means the file's name. Files may share one."""
    text: str = "text"
    label: str = "variety"
    """Field with the label of a line."""
    value: str | None = None
    """Label of the whole file."""
    group: str | None = None
    """Field whose equal values belong to one document."""


def _training_json(section: Section, threshold: str) -> dict[str, Any]:
    """A section without its threshold, and without the folders of files, whose hashes are inputs;
    a file's own name tells its format and, without another name, its source."""
    content = section.model_dump(mode="json", exclude={threshold})
    for file in content["data"]:
        file["path"] = PurePosixPath(file["path"]).name
    return content


class Variety(Section):
    """European or Brazilian Portuguese: P(pt-PT) of every document."""

    sources: list[TrainingSource] = []
    """Whose documents train the model: those with the label pt-PT or pt-BR."""
    data: list[LabelledFile] = []
    weak_domains: bool = False
    """A document without label whose host ends in .pt or .br trains as pt-PT or pt-BR."""
    features: Features = Features()
    fitting: Fitting = Fitting(method="agreement", folds=20)
    min_confidence: float = Field(default=0.8, ge=0.5, le=1)
    """A document without label gets one when the model is this sure; ``other`` is never guessed."""

    @property
    def enabled(self) -> bool:
        """Whether there is anything to train on."""
        return bool(self.sources or self.data)

    def training_json(self) -> dict[str, Any]:
        """What decides the model."""
        return _training_json(self, "min_confidence")


class Perplexity(Section):
    """Perplexity under an n-gram model of clean text (CCNet, arXiv 1911.00359, section 4.2)."""

    sources: list[TrainingSource] = []
    order: int = Field(default=3, ge=2, le=5)
    max_megabytes: int = Field(default=100, ge=1, le=10_000)
    """Text that the model is trained on (10^6 bytes); docs/models.md says what memory it needs."""
    max_vocabulary: int = Field(default=1_000_000, ge=100, le=16_000_000)
    """Most frequent words that are known; n-grams with another word are not counted."""
    min_counts: list[Annotated[int, Field(ge=1)]] = [1, 1, 2]
    """Least occurrences of a kept n-gram by its order; the last holds for all higher orders."""
    held_out: float = Field(default=0.05, gt=0, lt=1)
    """Share of the training passages that is kept apart to find the cut points."""
    quantiles: tuple[float, float] = (1 / 3, 2 / 3)
    """Head ends and tail begins at these quantiles of the held-out passages' perplexity."""
    max_tier: Literal["head", "middle", "tail"] = "tail"
    """Documents of a worse tier are dropped (``perplexity``); ``tail`` keeps all."""

    @model_validator(mode="after")
    def _in_order(self) -> Perplexity:
        if not 0 < self.quantiles[0] < self.quantiles[1] < 1:
            raise ValueError(f"quantiles must rise between 0 and 1, not {self.quantiles}")
        if self.min_counts != sorted(self.min_counts) or not self.min_counts:
            raise ValueError(f"min_counts must not fall with the order: {self.min_counts}")
        return self

    @property
    def enabled(self) -> bool:
        """Whether there is anything to train on."""
        return bool(self.sources)

    def training_json(self) -> dict[str, Any]:
        """What decides the model."""
        return self.model_dump(mode="json", exclude={"max_tier"})


class Classifier(Section):
    """One quality classifier: P(positive) of every document."""

    positive: list[TrainingSource] = []
    negative: list[TrainingSource] = []
    data: list[LabelledFile] = []
    """Labelled files; their labels are ``positive`` and ``negative``."""
    features: Features = Features(mask_names=False)
    fitting: Fitting = Fitting()
    min_score: float = Field(default=0, ge=0, le=1)
    """Documents below are dropped (``classifier_NAME``)."""

    @model_validator(mode="after")
    def _two_sides(self) -> Classifier:
        if not self.data and not (self.positive and self.negative):
            raise ValueError("a classifier needs positive and negative sources, or labelled data")
        return self

    @property
    def sources(self) -> list[str]:
        """Every source that it is trained on."""
        return [*self.positive, *self.negative]

    def training_json(self) -> dict[str, Any]:
        """What decides the model."""
        return _training_json(self, "min_score")


class Models(Section):
    """Models that give signals; each is trained by the graph, before anything is measured."""

    variety: Variety = Variety()
    perplexity: Perplexity = Perplexity()
    classifiers: dict[ClassifierName, Classifier] = Field(default={}, max_length=MAX_CLASSIFIERS)
    """The k-th one here gives the signal ``score_k``."""

    def sources_of(self, asset: str) -> list[str]:
        """Sources, as the recipe names them, whose documents a model asset is trained on."""
        if asset == "variety_model":
            named = self.variety.sources
        elif asset == "perplexity_model":
            named = self.perplexity.sources
        else:
            named = [name for section in self.classifiers.values() for name in section.sources]
        return sorted(set(named))

    def data_of(self, asset: str) -> list[LabelledFile]:
        """Labelled files that a model asset is trained on."""
        if asset == "variety_model":
            return list(self.variety.data)
        if asset == "classifiers":
            return [file for section in self.classifiers.values() for file in section.data]
        return []

    @property
    def assets(self) -> list[str]:
        """Model assets that the recipe asks for, in order."""
        enabled = {
            "variety_model": self.variety.enabled,
            "perplexity_model": self.perplexity.enabled,
            "classifiers": bool(self.classifiers),
        }
        return [name for name, is_on in enabled.items() if is_on]

    @property
    def source_names(self) -> set[str]:
        """Every source that is trained on, without snapshots."""
        return {name.partition("@")[0] for asset in MODEL_ASSETS for name in self.sources_of(asset)}

    def trainings(self) -> dict[str, dict[str, Any]]:
        """By model asset: what decides the model, beside its text."""
        classifiers = {name: c.training_json() for name, c in self.classifiers.items()}
        return {
            "variety_model": self.variety.training_json(),
            "perplexity_model": self.perplexity.training_json(),
            "classifiers": {"classifiers": classifiers},
        }

    def measured(self) -> dict[str, Any]:
        """What decides measured signals, beside the models themselves."""
        return {
            "assets": self.assets,
            "min_confidence": self.variety.min_confidence if self.variety.enabled else None,
            "classifiers": list(self.classifiers),
        }

    def thresholds(self) -> dict[str, Any]:
        """What decides which documents are dropped by these signals."""
        return {
            "max_tier": self.perplexity.max_tier,
            "min_scores": {name: c.min_score for name, c in self.classifiers.items()},
        }

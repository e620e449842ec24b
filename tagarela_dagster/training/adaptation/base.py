"""Base: somebody else's model, pinned file by file and inspected before it is trained on.

A folder in Hugging Face layout is copied; a name is fetched from the hub (or from HF_ENDPOINT) at
one commit. Only safetensors, JSON and tokenizer files are taken. A fetch that was interrupted
goes on with the files that are still missing.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.corpus.sources.discover import source_folder
from tagarela_dagster.provenance.files import replace_folder
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.recipe.adaptation import Base
from tagarela_dagster.training.adaptation.inspection import KEPT, inspect, kept_files
from tagarela_dagster.training.adaptation.made import make_model
from tagarela_dagster.training.launching.failure import TrainingError

if TYPE_CHECKING:
    from tagarela_dagster.training.stage import StageRun

MODEL = "model"
_FETCHED, _STAGED = ".fetched", ".model.partial"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def train(run: StageRun) -> dict[str, Any]:
    """Pin the base; nothing is trained."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    section: Base = run.section
    staged = run.out / _STAGED
    shutil.rmtree(staged, ignore_errors=True)
    if section.made is not None:
        make_model(section.made, run.recipe.seed, staged)
    else:
        folder = find_base(section, run.out / _FETCHED)
        staged.mkdir(parents=True)
        for path in kept_files(folder):
            shutil.copyfile(path, staged / path.name)
    found = inspect(staged)
    files = {path.name: hash_file(path) for path in sorted(staged.iterdir())}
    replace_folder(staged, run.out / MODEL)
    shutil.rmtree(run.out / _FETCHED, ignore_errors=True)
    return {
        "folders": {MODEL: MODEL},
        "base": base_name(section),
        "revision": section.revision,
        "files": files,
        **found.as_json(),
    }


def base_name(section: Base) -> str:
    """How a base is named in cards and results; a folder by its last name, without its place."""
    if section.made is not None:
        return "made"
    name = section.model or ""
    return folder.name if (folder := source_folder(name)).is_dir() else name


def find_base(section: Base, fetched: Path) -> Path:
    """Folder of the base; a model of the hub is fetched to ``fetched``.

    Raises:
        TrainingError: no such folder or model, or its revision may still move.
    """
    name = section.model or ""
    if (folder := source_folder(name)).is_dir():
        return folder
    if not _HUB_NAME.fullmatch(name):
        raise TrainingError(f"training.base.model: {name} is no folder, and no organisation/name")
    return _fetch(name, section.revision, fetched)


def _fetch(name: str, revision: str | None, out: Path) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HTTPError

    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        if revision is None or not _COMMIT.fullmatch(revision):
            commit = HfApi(endpoint=endpoint).model_info(name, revision=revision).sha
            raise TrainingError(
                f"training.base.revision: {revision or 'none'} is no commit, so {name} could be "
                f"another model tomorrow; today it is {commit}"
            )
        snapshot_download(
            name, revision=revision, local_dir=out, allow_patterns=[*KEPT], endpoint=endpoint
        )
    except (OSError, HTTPError) as error:
        where = endpoint or "the hub"
        raise TrainingError(
            f"training.base: {name} at {revision} cannot be fetched from {where}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return out

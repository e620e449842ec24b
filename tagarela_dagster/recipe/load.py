"""Read a recipe file: ``extends``, scale, and errors that say where and what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tagarela_dagster.recipe.model import Recipe
from tagarela_dagster.recipe.scale import scale_values

DEFAULT_RECIPE = "recipes/sample.yaml"
RECIPE_VARIABLE = "TAGARELA_RECIPE"
SCALE_VARIABLE = "TAGARELA_SCALE"
SOURCES_VARIABLE = "TAGARELA_SOURCES"


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the file, the key, the value and the range."""


def load_recipe(
    path: Path | str | None = None, scale: str | None = None, sources: str | None = None
) -> Recipe:
    """Load and validate a recipe.

    Args:
        path: recipe file; without one, the environment's TAGARELA_RECIPE, then
            ``recipes/sample.yaml`` of the working folder or of the project.
        scale: ``full`` or ``tiny``; without one, the environment's TAGARELA_SCALE, then ``full``.
        sources: another recipe, whose corpus takes the place of this one's, to try a training on
            text that is at hand.

    Raises:
        RecipeError: the file is missing, is not YAML, or has an unknown key or a bad value.
    """
    file = find_recipe(path)
    scale = scale or os.environ.get(SCALE_VARIABLE) or "full"
    values, origins = _read(file, seen=())
    if sources:
        other = find_recipe(sources)
        given, theirs = _read(other, seen=())
        values, origins = _with_corpus(values, given), origins | theirs
    recipe = _validate(values, origins, file)
    try:
        scaled = scale_values(values, recipe, scale)
    except ValueError as error:
        raise RecipeError(str(error)) from None
    return recipe if scaled is values else _validate(scaled, origins, file)


def _with_corpus(values: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """``values`` with what ``other`` says of sources, rules, shares and held-out text."""
    mixed = {**values, "name": f"{values.get('name')}-on-{other.get('name')}"}
    mixed |= {"sources": other.get("sources"), "corpus": other.get("corpus", {})}
    mixture = other.get("tokens", {}).get("mixture", {})
    mixed["tokens"] = {**values.get("tokens", {}), "mixture": mixture}
    mixed["evals"] = {**values.get("evals", {}), **other.get("evals", {})}
    return mixed


def find_recipe(path: Path | str | None = None) -> Path:
    """File of a recipe given by path or name, by the environment, or the default one.

    Raises:
        RecipeError: there is no such file.
    """
    path = Path(path or os.environ.get(RECIPE_VARIABLE) or DEFAULT_RECIPE)
    project = Path(__file__).parents[2]
    for candidate in (path, project / path, project / "recipes" / f"{path}.yaml"):
        if candidate.is_file():
            return candidate
    known = ", ".join(sorted(p.stem for p in (project / "recipes").glob("*.yaml")))
    raise RecipeError(f"there is no recipe {path}: give a file, or one of {known}")


def _read(path: Path, seen: tuple[Path, ...]) -> tuple[dict[str, Any], dict[str, Path]]:
    """Merged values of a recipe and those it extends, and the file each key came from."""
    if path.resolve() in seen:
        chain = " -> ".join(p.name for p in (*seen, path))
        raise RecipeError(f"{path}: the recipes extend each other in a circle: {chain}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid YAML: {error}") from None
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}") from None
    if not isinstance(values, dict):
        raise RecipeError(f"{path} must be a mapping of sections, not {type(values).__name__}")
    origins = dict.fromkeys(_leaves(values), path)
    parent = values.pop("extends", None)
    if parent is None:
        return values, origins
    file = path.parent / str(parent)
    if not file.is_file():
        raise RecipeError(f"{path}: extends: {parent!r} does not exist beside it")
    base, base_origins = _read(file, (*seen, path.resolve()))
    return _merge(base, values), base_origins | origins


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``over`` wins; mappings are merged key by key, a null removes the key, lists replace."""
    merged = dict(base)
    for key, value in over.items():
        if value is None and key in base:
            del merged[key]
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _merge(base[key], value)
        else:
            merged[key] = value
    return merged


def _leaves(values: dict[str, Any], prefix: str = "") -> list[str]:
    names = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        names.append(name)
        if isinstance(value, dict):
            names += _leaves(value, f"{name}.")
    return names


def _validate(values: dict[str, Any], origins: dict[str, Path], file: Path) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        lines = [_sentence(detail, origins, file) for detail in error.errors()]
        raise RecipeError("\n".join(lines)) from None


def _sentence(detail: ErrorDetails, origins: dict[str, Path], file: Path) -> str:
    location = [part for part in detail["loc"] if part != "[key]"]
    path = _without_kinds(location, origins)
    key = ".".join(path)
    origin = next(
        (origins[k] for n in range(len(path), 0, -1) if (k := ".".join(path[:n])) in origins), file
    )
    if detail["type"] == "extra_forbidden":
        allowed = _allowed_keys([str(part) for part in location[:-1]])
        return f"{origin}: {key} is not a known key; known here: {', '.join(allowed)}"
    if detail["type"] == "missing":
        return f"{origin}: {key} is missing"
    given = "" if isinstance(detail["input"], dict) else f" = {detail['input']!r}"
    reason = detail["msg"].removeprefix("Value error, ")
    return f"{origin}: {key or 'recipe'}{given}: {reason}"


def _without_kinds(location: list[int | str], origins: dict[str, Path]) -> list[str]:
    """The place as the file has it: pydantic puts the kind of a stage between name and key."""
    path: list[str] = []
    for number, part in enumerate(location):
        last = number == len(location) - 1
        if last or isinstance(part, int) or ".".join([*path, part]) in origins:
            path.append(str(part))
    return path


def _allowed_keys(path: list[str]) -> list[str]:
    """Keys of the section at ``path``, found by walking the models' annotations."""
    found: list[Any] = [Recipe]
    for part in path:
        if len(found) > 1:
            # A stage: one of several models, told apart by its kind.
            found = [m for m in found if m.model_fields["kind"].default == part] or found
        elif part in found[0].model_fields:
            found = _sections(found[0].model_fields[part].annotation) or found
    return sorted(found[0].model_fields) if len(found) == 1 else []


def _sections(annotation: Any) -> list[Any]:
    """Models that an annotation names: ``Section``, ``dict[str, Section]``, a union of them."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _sections(argument)]

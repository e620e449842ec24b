"""Read a recipe file: ``extends``, scale, and errors that say where and what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tagarela_dagster.recipe.model import Recipe
from tagarela_dagster.recipe.scale import scale_values

DEFAULT_RECIPE = "recipes/sample.yaml"
RECIPE_VARIABLE = "TAGARELA_RECIPE"
SCALE_VARIABLE = "TAGARELA_SCALE"


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the file, the key, the value and the range."""


def load_recipe(path: Path | str | None = None, scale: str | None = None) -> Recipe:
    """Load and validate a recipe.

    Args:
        path: recipe file; without one, the environment's TAGARELA_RECIPE, then
            ``recipes/sample.yaml`` of the working folder or of the project.
        scale: ``full`` or ``tiny``; without one, the environment's TAGARELA_SCALE, then ``full``.

    Raises:
        RecipeError: the file is missing, is not YAML, or has an unknown key or a bad value.
    """
    file = find_recipe(path)
    scale = scale or os.environ.get(SCALE_VARIABLE) or "full"
    values, origins = _read(file, seen=())
    recipe = _validate(values, origins, file)
    try:
        scaled = scale_values(values, recipe, scale)
    except ValueError as error:
        raise RecipeError(str(error)) from None
    return recipe if scaled is values else _validate(scaled, origins, file)


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
    path = [str(part) for part in detail["loc"] if part != "[key]"]
    key = ".".join(path)
    origin = next(
        (origins[k] for n in range(len(path), 0, -1) if (k := ".".join(path[:n])) in origins), file
    )
    if detail["type"] == "extra_forbidden":
        allowed = _allowed_keys(path[:-1])
        return f"{origin}: {key} is not a known key; known here: {', '.join(allowed)}"
    if detail["type"] == "missing":
        return f"{origin}: {key} is missing"
    given = "" if isinstance(detail["input"], dict) else f" = {detail['input']!r}"
    reason = detail["msg"].removeprefix("Value error, ")
    return f"{origin}: {key or 'recipe'}{given}: {reason}"


def _allowed_keys(path: list[str]) -> list[str]:
    """Keys of the section at ``path``, found by walking the models' annotations."""
    model: Any = Recipe
    for part in path:
        fields = getattr(model, "model_fields", None)
        if fields is None:
            break
        if part not in fields:
            continue
        annotation = fields[part].annotation
        arguments = [a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")]
        model = arguments[-1] if arguments else annotation
    return sorted(getattr(model, "model_fields", {}))

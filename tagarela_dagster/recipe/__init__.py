"""Recipe: what to build, as data. Typed, validated once at the edge, fingerprinted by section."""

from tagarela_dagster.recipe.load import RecipeError, load_recipe
from tagarela_dagster.recipe.model import Recipe

__all__ = ["Recipe", "RecipeError", "load_recipe"]

"""The recipes by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from headrace.encoders.trained.audio import AUDIO_CNN, AUDIO_DNN
from headrace.encoders.trained.recipe import Recipe

RECIPES: Final[Mapping[str, Recipe]] = {recipe.name: recipe for recipe in (AUDIO_CNN, AUDIO_DNN)}

"""The recipes by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from headrace.encoders.trained.audio import AUDIO_CNN, AUDIO_DNN
from headrace.encoders.trained.image import IMAGE_RESNET
from headrace.encoders.trained.recipe import Recipe
from headrace.encoders.trained.text import TEXT_BILSTM, TEXT_LSTM, TEXT_TRANSFORMER

RECIPES: Final[Mapping[str, Recipe]] = {
    recipe.name: recipe
    for recipe in (AUDIO_CNN, AUDIO_DNN, IMAGE_RESNET, TEXT_LSTM, TEXT_BILSTM, TEXT_TRANSFORMER)
}

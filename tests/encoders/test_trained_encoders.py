"""Encoders trained here: one contract for all of them, whatever they read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import content_made
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from headrace.catalogue.content import MODALITIES
from headrace.encoders.trained.encoder import TrainedEncoder
from headrace.encoders.trained.recipe import Recipe
from headrace.encoders.trained.recipes import RECIPES
from headrace.learning.encoder_fit import Classifier, EncoderFit, FitConfig

NUM_VALUES = 8  # of four kinds
VALUES: dict[str, Callable[[int], Any]] = {
    "audio": lambda n: content_made.sound(content_made.samples(n % 4, seed=n // 4)),
    "image": lambda n: content_made.picture(n % 4, seed=n // 4),
    "text": lambda n: f"{('red shoe', 'blue shirt', '白色 衬衫', '跑步鞋')[n % 4]} no. {n}",
}
BROKEN: dict[str, tuple[Any, ...]] = {
    "audio": (b"", b"no sound", content_made.sound(np.zeros(8_000, dtype=np.float32))),
    "image": (b"", b"no picture", content_made.picture(0)[:60]),
    "text": ("", "...", "\ud7ff\n"),
}
LABEL_N = torch.arange(NUM_VALUES) % 4

every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def values(recipe: Recipe) -> list[Any]:
    return [VALUES[recipe.modality](number) for number in range(NUM_VALUES)]


def inputs(recipe: Recipe) -> Tensor:
    return torch.from_numpy(np.stack([recipe.read(value) for value in values(recipe)]))


@every_recipe
def test_one_batch_is_learned_by_heart(recipe: Recipe) -> None:
    plain = FitConfig(num_epochs=40, batch=NUM_VALUES, mixup=0, smoothing=0, augments=False)
    fit = EncoderFit(recipe, 4, NUM_VALUES, plain)
    batch = inputs(recipe)
    losses = [fit.epoch(batch, LABEL_N) for _ in range(plain.num_epochs)]
    assert losses[0] > 1 and losses[-1] < 0.05


@every_recipe
def test_gradients_reach_every_parameter(recipe: Recipe) -> None:
    torch.manual_seed(0)
    model = Classifier(recipe, 4)
    cross_entropy(model(inputs(recipe)), LABEL_N).backward()
    without = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert not without


@every_recipe
def test_training_goes_on_from_its_state_as_if_it_had_never_ended(recipe: Recipe) -> None:
    config = FitConfig(num_epochs=3, batch=4)
    batch = inputs(recipe)
    whole, first, second = (EncoderFit(recipe, 4, NUM_VALUES, config) for _ in range(3))
    expected = [whole.epoch(batch, LABEL_N) for _ in range(3)]
    first.epoch(batch, LABEL_N)
    second.load(first.state())
    assert [second.epoch(batch, LABEL_N) for _ in range(2)] == pytest.approx(expected[1:], rel=1e-4)


@every_recipe
def test_augmentation_is_drawn_by_its_generator_and_leaves_its_input_alone(recipe: Recipe) -> None:
    batch = inputs(recipe)
    before = batch.clone()
    once, again, other = (
        recipe.augment(batch, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(batch, before)
    assert torch.equal(once, again) and not torch.equal(once, other) and once.shape == batch.shape


@every_recipe
def test_what_cannot_be_read_is_masked_with_its_reason(recipe: Recipe) -> None:
    assert recipe.modality in MODALITIES
    encoder = TrainedEncoder(recipe, recipe.network())
    broken = BROKEN[recipe.modality]
    given = [None, *broken, *values(recipe)]
    encoded = encoder.encode(given)
    num_without = 1 + len(broken)
    assert encoded.mask_N.tolist() == [False] * num_without + [True] * NUM_VALUES
    assert set(encoded.problems) == set(range(1, num_without)) and all(encoded.problems.values())
    assert not encoded.vector_ND[:num_without].any()
    lengths = np.linalg.norm(encoded.vector_ND[num_without:], axis=1)
    assert lengths == pytest.approx(np.ones(NUM_VALUES), abs=1e-4)
    alone = encoder.encode([given[-1]]).vector_ND[0]
    assert encoded.vector_ND[-1] == pytest.approx(alone, abs=1e-5)
    assert encoder.encode([]).vector_ND.shape == (0, recipe.dim)


@every_recipe
def test_a_version_is_that_of_the_weights(recipe: Recipe) -> None:
    torch.manual_seed(0)
    network, other = recipe.network(), recipe.network()
    version = TrainedEncoder(recipe, network).version
    assert version == TrainedEncoder(recipe, network).version
    assert version != TrainedEncoder(recipe, other).version

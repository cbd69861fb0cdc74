"""The recipe: settings in, the configuration of the ranker to train out.

A model goes on only as what it was: another size, fusion, head or surface is another model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import msgspec

from headrace import config
from headrace.action import ACTIONS
from headrace.catalogue.vectors import ContentVectors
from headrace.errors import ConfigError
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.features.schema import INPUT_SCHEMA
from headrace.model.config import SIZED, SIZES, RankerConfig, heads_of, size_of
from headrace.registry.manifest import check_vectors
from headrace.registry.subscriber import Subscriber
from headrace.settings.variables import variable


def ranker_config(settings: config.Settings, vectors: ContentVectors) -> RankerConfig:
    """The configuration of the ranker to train; raises `ConfigError` where there can be none."""
    unknown = [name for name in settings.training.heads if name not in ACTIONS]
    if unknown:
        raise ConfigError(
            f"{variable('heads')}={','.join(settings.training.heads)!r}: no action "
            f"{unknown[0]!r}, expected some of {', '.join(ACTIONS)}"
        )
    return replace(
        SIZES[settings.training.ranker_size](NUM_DENSE),
        rates=RATES,
        heads=heads_of(settings.training.heads),
        surfaces=settings.training.surfaces,
        content_widths=vectors.widths,
        fusion=settings.training.fusion,
        admit_after=settings.training.embedding_admit_after,
        expire_after=settings.training.embedding_expire_after,
    )


def check_continues(settings: config.Settings) -> None:
    """Raises `ConfigError` where this namespace has been trained as something else.

    What a model of another input schema was is no matter: none continues it.
    """
    models = Subscriber(settings)
    newest = models.newest_kept()
    models.close()
    if newest and newest.schema == INPUT_SCHEMA:
        check_vectors(newest, settings.training.vector_tables)
        wanted = ranker_config(settings, ContentVectors.of(settings))
        require_same(newest.model, wanted, f"model {newest.version}")


def check_checkpoint(told: object, wanted: RankerConfig) -> None:
    """Raises `ConfigError` where the configuration in a checkpoint is of another ranker."""
    try:
        trained = msgspec.convert(told, RankerConfig)
    except (msgspec.ValidationError, ConfigError) as error:
        raise ConfigError(
            f"the checkpoint is of a ranker that this build does not know ({error}): train in "
            f"another namespace ({variable('namespace')})"
        ) from None
    require_same(trained, wanted, "the checkpoint")


def require_same(trained: RankerConfig, wanted: RankerConfig, whose: str) -> None:
    """Raises `ConfigError` unless both are the same; `whose` is the one that was trained."""
    if trained != wanted:
        raise ConfigError(
            f"{whose} was trained with {'; '.join(_changes(trained, wanted))}: set what it was, or "
            f"train in another namespace ({variable('namespace')})"
        )


def _changes(trained: RankerConfig, wanted: RankerConfig) -> Iterator[str]:
    """The differences between two configurations, by the names of settings where there is one."""
    sizes = size_of(trained), size_of(wanted)
    has_size = all(sizes)
    if has_size and sizes[0] != sizes[1]:
        yield f"{variable('ranker_size')}={sizes[0]} (now {sizes[1]})"
    if trained.fusion != wanted.fusion:
        yield f"{variable('fusion')}={trained.fusion} (now {wanted.fusion})"
    told = {"fusion", *(SIZED if has_size else ())}
    for field in fields(wanted):
        before, now = getattr(trained, field.name), getattr(wanted, field.name)
        if field.compare and field.name not in told and before != now:
            yield f"{field.name} {before} (now {now})"

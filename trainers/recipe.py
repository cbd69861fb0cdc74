"""The recipe: settings in, the configuration of the ranker to train out.

A model goes on only as what it was: another size, fusion, head or surface is another model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

import msgspec

from headrace import config
from headrace.action import ACTIONS, TABLE
from headrace.catalogue.vectors import ContentVectors
from headrace.errors import ConfigError
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.features.schema import INPUT_SCHEMA
from headrace.model.config import SIZED, SIZES, Head, RankerConfig, size_of
from headrace.registry.manifest import check_vectors
from headrace.registry.subscriber import Subscriber


def ranker_config(settings: config.Settings, vectors: ContentVectors) -> RankerConfig:
    """The configuration of the ranker to train; raises `ConfigError` where there can be none."""
    unknown = [name for name in settings.head_names if name not in ACTIONS]
    if unknown:
        raise ConfigError(
            f"{config.variable('heads')}={settings.heads!r}: no action {unknown[0]!r}, expected "
            f"some of {', '.join(ACTIONS)}"
        )
    return replace(
        SIZES[settings.ranker_size](NUM_DENSE),
        rates=RATES,
        heads=heads(settings.head_names),
        surfaces=settings.surface_names,
        content_widths=vectors.widths,
        fusion=settings.fusion,
        admit_after=settings.embedding_admit_after,
        expire_after=settings.embedding_expire_after,
    )


def heads(names: Sequence[str]) -> tuple[Head, ...]:
    """The heads of these actions of the table."""
    after = {row.name: row.after for row in TABLE}
    return tuple(Head(name, "after_click" if after[name] else "binary") for name in names)


def check_continues(settings: config.Settings) -> None:
    """Raises `ConfigError` where this namespace has been trained as something else.

    What a model of another input schema was is no matter: none continues it.
    """
    models = Subscriber(settings)
    newest = models.newest_kept()
    models.close()
    if newest and newest.schema == INPUT_SCHEMA:
        check_vectors(newest, settings.vector_table_names)
        wanted = ranker_config(settings, ContentVectors.of(settings))
        require_same(newest.model, wanted, f"model {newest.version}")


def check_checkpoint(told: object, wanted: RankerConfig) -> None:
    """Raises `ConfigError` where the configuration in a checkpoint is of another ranker."""
    try:
        trained = msgspec.convert(told, RankerConfig)
    except (msgspec.ValidationError, ConfigError) as error:
        raise ConfigError(
            f"the checkpoint is of a ranker that this build does not know ({error}): train in "
            f"another namespace ({config.variable('namespace')})"
        ) from None
    require_same(trained, wanted, "the checkpoint")


def require_same(trained: RankerConfig, wanted: RankerConfig, whose: str) -> None:
    """Raises `ConfigError` unless both are the same; `whose` is the one that was trained."""
    if trained != wanted:
        raise ConfigError(
            f"{whose} was trained with {'; '.join(_changes(trained, wanted))}: set what it was, or "
            f"train in another namespace ({config.variable('namespace')})"
        )


def _changes(trained: RankerConfig, wanted: RankerConfig) -> Iterator[str]:
    """The differences between two configurations, by the names of settings where there is one."""
    sizes = size_of(trained), size_of(wanted)
    has_size = all(sizes)
    if has_size and sizes[0] != sizes[1]:
        yield f"{config.variable('ranker_size')}={sizes[0]} (now {sizes[1]})"
    if trained.fusion != wanted.fusion:
        yield f"{config.variable('fusion')}={trained.fusion} (now {wanted.fusion})"
    told = {"fusion", *(SIZED if has_size else ())}
    for field in fields(wanted):
        before, now = getattr(trained, field.name), getattr(wanted, field.name)
        if field.compare and field.name not in told and before != now:
            yield f"{field.name} {before} (now {now})"

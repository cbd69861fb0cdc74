"""What the online trainer trains, by the settings, and whether it may go on with what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from headrace import config
from headrace.action import ACTIONS, TABLE
from headrace.catalogue.vectors import ContentVectors
from headrace.errors import ConfigError
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.features.schema import INPUT_SCHEMA
from headrace.model.config import Head, RankerConfig, nano
from headrace.registry.manifest import check_tokens
from headrace.registry.subscriber import Subscriber


def ranker_config(settings: config.Settings, vectors: ContentVectors) -> RankerConfig:
    """What the loop trains; raises `ConfigError` where that cannot be."""
    unknown = [name for name in settings.head_names if name not in ACTIONS]
    if unknown:
        raise ConfigError(
            f"{config.variable('heads')}={settings.heads!r}: no action {unknown[0]!r}, expected "
            f"some of {', '.join(ACTIONS)}"
        )
    return replace(
        nano(NUM_DENSE),
        rates=RATES,
        heads=heads(settings.head_names),
        surfaces=settings.surface_names,
        content_widths=vectors.widths,
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
        check_tokens(newest, settings.token_table_names)
        wanted = ranker_config(settings, ContentVectors.of(settings))
        if newest.model != wanted:
            changed = [
                f"{field.name} {getattr(newest.model, field.name)} (now {value})"
                for field in fields(wanted)
                if field.compare
                and (value := getattr(wanted, field.name)) != getattr(newest.model, field.name)
            ]
            raise ConfigError(
                f"model {newest.version} was trained with {'; '.join(changed)}: set what it was, "
                f"or train in another namespace ({config.variable('namespace')})"
            )

"""Campaigns: who advertises which item, for how much, and on which pages."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Annotated

import msgspec

from headrace.errors import ConfigError
from headrace.event import Id

Micros = Annotated[int, msgspec.Meta(ge=1)]


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One campaign: it advertises an item of the catalogue."""

    id: Id
    item_id: Id
    bid_micros: Micros  # per click
    budget_micros: Micros  # for the whole campaign
    categories: tuple[str, ...] = ()  # of the page or the user; empty: everywhere


class CampaignFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The campaigns' YAML file."""

    campaigns: tuple[Campaign, ...]


def read_campaigns(path: str, item_ids: Container[str]) -> tuple[Campaign, ...]:
    """The campaigns of a file (none for an empty path), which may advertise these items.

    Raises `ConfigError` for a bad file, with all that is wrong with it.
    """
    if not path:
        return ()
    try:
        file = msgspec.yaml.decode(Path(path).read_bytes(), type=CampaignFile)
    except OSError as error:
        raise ConfigError(f"campaigns file {path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"campaigns file {path}: {error}") from None
    ids = [campaign.id for campaign in file.campaigns]
    problems = [f"id {i!r} is used twice" for i in sorted(set(ids)) if ids.count(i) > 1]
    problems += [  # on a cluster the keys of one budget lie together by the part in braces
        f"id {i!r} has a brace, expected none" for i in ids if "{" in i or "}" in i
    ]
    problems += [
        f"campaign {c.id!r} advertises unknown item {c.item_id!r}"
        for c in file.campaigns
        if c.item_id not in item_ids
    ]
    if problems:
        raise ConfigError(f"campaigns file {path}: {'; '.join(problems)}")
    return file.campaigns

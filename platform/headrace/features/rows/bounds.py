"""Bounds: how much of memory goes to entities that nobody announced.

Any sender can make up ids. Items of the catalogue, users of the users' file and campaigns of the
campaigns' file are known; all others share what is said here, and are forgotten after a while.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from headrace.config import Settings
from headrace.features.table import CAMPAIGN, ITEM, USER

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Share:
    """How many entities of a kind may be kept that are not known, and for how long unheard of."""

    max_entities: int
    expire_ms: int


NOTHING: Final = Share(max_entities=0, expire_ms=0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The shares of unknown items and campaigns in a process; campaigns that are known."""

    items: Share
    campaigns: Share
    known_campaigns: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """The bounds that the settings configure."""
        return cls(
            items=Share(
                settings.stream.max_unknown_items, int(1_000 * settings.stream.unknown_item_ttl_s)
            ),
            campaigns=Share(
                settings.stream.max_unknown_campaigns,
                int(1_000 * settings.stream.unknown_campaign_ttl_s),
            ),
            known_campaigns=_campaigns(settings.campaigns),
        )


def row_ttls_s(settings: Settings) -> dict[str, int]:
    """How long Redis keeps the row of an unknown entity after it was written, by kind."""
    ttls = {
        USER: settings.stream.unknown_user_ttl_s,
        ITEM: settings.stream.unknown_item_ttl_s,
        CAMPAIGN: settings.stream.unknown_campaign_ttl_s,
    }
    return {entity: max(1, int(ttl_s)) for entity, ttl_s in ttls.items()}


class _Campaign(msgspec.Struct):
    id: str


class _Campaigns(msgspec.Struct):
    campaigns: tuple[_Campaign, ...]


def _campaigns(path: str) -> frozenset[str]:
    """The ids in a campaigns' file. Serving checks the file, and it may lie on its machine only."""
    if not path:
        return frozenset()
    try:
        file = msgspec.yaml.decode(Path(path).read_bytes(), type=_Campaigns)
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("campaigns file %s: %s; all campaigns count as unknown ones", path, error)
        return frozenset()
    return frozenset(campaign.id for campaign in file.campaigns)

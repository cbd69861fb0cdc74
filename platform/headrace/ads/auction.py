"""The auction: generalised second price (Edelman et al., 2007).

A campaign's eCPM is `1,000 x bid x p_click` with the ranker's calibrated probability; the best
eCPMs win, and each winner pays, for the impression, the eCPM of the next one below divided by
1,000, or `MIN_PRICE_MICROS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headrace.ads.campaign import Campaign

MIN_PRICE_MICROS: Final = 1


@dataclass(frozen=True, slots=True)
class Bid:
    """A campaign's offer in one auction."""

    campaign: Campaign
    p_click: float

    @property
    def ecpm_micros(self) -> int:
        return int(1_000 * self.campaign.bid_micros * self.p_click)


def second_price(bids: Sequence[Bid]) -> list[tuple[Bid, int]]:
    """The bids by descending eCPM, each with its second price for an impression, in micros."""
    ordered = sorted(bids, key=lambda bid: (-bid.ecpm_micros, bid.campaign.id))
    below = [bid.ecpm_micros for bid in ordered[1:]] + [0]
    return [
        (bid, max(-(-next_ecpm // 1_000), MIN_PRICE_MICROS))
        for bid, next_ecpm in zip(ordered, below, strict=True)
    ]

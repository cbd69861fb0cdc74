"""Bernoulli Thompson sampling of the Open Bandit Dataset: the policy as it stood when its log
began, by the prior that the wheel has."""

from __future__ import annotations

import zipfile
from typing import Final

import numpy as np
import pyarrow as pa
import yaml

from headrace.datasets.openbandit import CAMPAIGNS
from headrace.errors import DatasetError
from headrace.services import download

BERNOULLI_TS: Final = "bernoulli_ts"
NUM_DRAWS: Final = 100_000
NUM_PLACES: Final = 3
_PRIOR: Final = "obp/policy/conf/prior_bts.yaml"


def bernoulli_ts(campaign: str = "all") -> pa.Table:
    """Rows of item_id, position and probability, estimated with `NUM_DRAWS` draws of the rates."""
    if campaign not in CAMPAIGNS:
        raise DatasetError(f"no campaign {campaign!r}: there are {', '.join(CAMPAIGNS)}")
    with zipfile.ZipFile(download.fetch(download.OBP)) as wheel:
        prior = yaml.safe_load(wheel.read(_PRIOR))[campaign]
    random = np.random.default_rng(0)
    rate_DA = random.beta(prior["alpha"], prior["beta"], (NUM_DRAWS, len(prior["alpha"])))
    best_DK = np.argsort(-rate_DA, axis=1)[:, :NUM_PLACES]
    num_items = rate_DA.shape[1]
    p_KA = [np.bincount(best_D, minlength=num_items) / NUM_DRAWS for best_D in best_DK.T]
    return pa.table(
        {
            "item_id": [str(item) for _ in range(NUM_PLACES) for item in range(num_items)],
            "position": np.repeat(np.arange(NUM_PLACES), num_items),
            "probability": np.concatenate(p_KA),
        }
    )

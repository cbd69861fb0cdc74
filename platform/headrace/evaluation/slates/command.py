"""`headrace evaluate --slates`: a slate before each positive of a log, by the request's stages."""

from __future__ import annotations

import argparse
import json
from typing import Final

from headrace import config
from headrace.catalogue.item import Dataset
from headrace.errors import ConfigError
from headrace.evaluation.slates.asked import AskedSlates
from headrace.evaluation.slates.report import to_text

TEST_SHARE: Final = 0.2
NOT_OF_SLATES: Final = (  # flags of the other evaluations, and where they are left alone
    ("model_version", None),
    ("platform", None),
    ("labels", None),
    ("train", None),
    ("test", None),
    ("users", None),
    ("history", None),
    ("inputs", None),
    ("online", False),
    ("frozen_features", False),
    ("publish_every", 0.0),
    ("bootstrap", 0),
)


def add_slates_flags(evaluate: argparse.ArgumentParser) -> None:
    """The flags of an evaluation of slates."""
    evaluate.add_argument(
        "--slates",
        action="store_true",
        help="ask for a slate before each positive of the test; everything goes on learning",
    )
    evaluate.add_argument(
        "--every",
        type=int,
        metavar="N",
        help="with --slates: ask at one of so many points (default: 1)",
    )


def run_slates(options: argparse.Namespace, settings: config.Settings, dataset: Dataset) -> int:
    """The evaluation of slates that the flags ask for, printed and written."""
    from headrace.evaluation.slates.run import evaluate_slates

    asked = AskedSlates(
        test_from_ms=options.test_from,
        test_share=TEST_SHARE if options.test_share is None else options.test_share,
        every=1 if options.every is None else options.every,
        size=options.size,
        seed=options.seed,
        top=options.top,
    )
    result = evaluate_slates(dataset, settings, asked)
    print(to_text(result))
    print(f"{result['samples']:,} points in {result['seconds']:,.0f} s")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def check_slates(options: argparse.Namespace) -> None:
    """Raises `ConfigError` for flags that are wrong or do not go together."""
    for name, without in NOT_OF_SLATES:
        if getattr(options, name) != without:
            raise ConfigError(f"--{name.replace('_', '-')} does not go with --slates: leave it out")
    if options.test_from is not None and options.test_share is not None:
        raise ConfigError("--test-from and --test-share both say where the test begins: give one")
    if options.top < 1:
        raise ConfigError(f"--top {options.top}: expected a number of places, 1 or more")

"""`headrace evaluate --policy`: another policy's rate of clicks, from logged impressions."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Final

from headrace.datasets import openbandit
from headrace.datasets.openbandit_policy import BERNOULLI_TS, bernoulli_ts
from headrace.errors import ConfigError
from headrace.evaluation.policy.logged import logged_impressions
from headrace.evaluation.policy.run import NUM_DRAWS, evaluate_policy, to_text
from headrace.evaluation.policy.target import NAMED, Target, by_rows, of_file
from headrace.metrics.off_policy import LoggedImpressions

REFUSED: Final = 2  # the exit code where the log does not carry a conclusion
OPENBANDIT: Final = "openbandit"


def add_policy_flag(evaluate: argparse.ArgumentParser) -> None:
    """The flag that asks about a policy, and not about the ranker."""
    evaluate.add_argument(
        "--policy",
        metavar="POLICY",
        help=f"estimate what a policy earns on logged propensities: {', '.join(NAMED)}, a file of "
        f"item_id and probability, with --dataset {OPENBANDIT} {BERNOULLI_TS}; the log is that of "
        "--data or --dataset, else the archive",
    )


def run_policy(options: argparse.Namespace, log: LoggedImpressions) -> int:
    """0 where the log carries an estimate, else 2 and the reason."""
    report = evaluate_policy(log, _target(options, log), options.bootstrap or NUM_DRAWS)
    if options.policy == BERNOULLI_TS:
        own = logged_impressions(openbandit.load(None, "bts"))
        report["observed"] = float(own.reward_N.mean())
    print(to_text(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return REFUSED if report["refused"] else 0


def _target(options: argparse.Namespace, log: LoggedImpressions) -> Target:
    if options.policy in NAMED:
        return NAMED[options.policy](log)
    if options.policy != BERNOULLI_TS:
        return of_file(Path(options.policy), log)
    if options.dataset != OPENBANDIT or options.data:
        raise ConfigError(
            f"--policy {BERNOULLI_TS}: it is known for --dataset {OPENBANDIT} alone: give the "
            "policy as a file"
        )
    return by_rows(BERNOULLI_TS, bernoulli_ts(), log)

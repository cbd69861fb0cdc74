"""`headrace evaluate --policy`: what another policy would have earned on logged impressions."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from headrace.catalogue.item import Dataset
from headrace.commands.flags import dataset_name, load_data
from headrace.commands.running import settings_for
from headrace.datasets import openbandit
from headrace.datasets.openbandit_policy import BERNOULLI_TS, bernoulli_ts
from headrace.errors import ConfigError
from headrace.evaluation.policy.logged import logged_impressions
from headrace.evaluation.policy.run import NUM_DRAWS, evaluate_policy, to_text
from headrace.evaluation.policy.target import NAMED, Target, by_rows, of_file
from headrace.metrics.off_policy import LoggedImpressions
from headrace.offline.logged_impressions import archived_impressions

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


def run_policy(options: argparse.Namespace) -> int:
    """0 where the log carries an estimate, else 2 and the reason."""
    report = _report(options)
    print(to_text(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return REFUSED if report["refused"] else 0


def _report(options: argparse.Namespace) -> dict[str, Any]:
    num_draws = options.bootstrap or NUM_DRAWS
    if not (options.data or options.dataset):
        options.uses_platform = True
        log = archived_impressions(settings_for(options))
        return evaluate_policy(log, _target(options.policy, log), num_draws)
    dataset = load_data(options)
    log = logged_impressions(dataset)
    if options.policy != BERNOULLI_TS:
        return evaluate_policy(log, _target(options.policy, log), num_draws)
    report = evaluate_policy(log, _of_open_bandit(options, dataset, log), num_draws)
    own = logged_impressions(openbandit.load(None, "bts"))
    return {**report, "observed": float(own.reward_N.mean())}


def _target(policy: str, log: LoggedImpressions) -> Target:
    return NAMED[policy](log) if policy in NAMED else of_file(Path(policy), log)


def _of_open_bandit(
    options: argparse.Namespace, dataset: Dataset, log: LoggedImpressions
) -> Target:
    if dataset_name(options) != OPENBANDIT or options.data:
        raise ConfigError(
            f"--policy {BERNOULLI_TS}: it is known for --dataset {OPENBANDIT} only, got the log "
            f"{dataset.name}: give the policy as a file"
        )
    return by_rows(BERNOULLI_TS, bernoulli_ts(), log)

"""The report of a policy on a log: its rate by each estimator, and the gain over the log's."""

from __future__ import annotations

from typing import Any, Final

from headrace.evaluation.policy.rewards import modelled
from headrace.evaluation.policy.target import Target
from headrace.metrics import bootstrap
from headrace.metrics.bootstrap import Draws
from headrace.metrics.off_policy import LoggedImpressions, Weighted

NUM_DRAWS: Final = 1_000
MAX_GROUPS: Final = 20_000  # of users, that are drawn together where there are more of them


def evaluate_policy(
    log: LoggedImpressions, target: Target, num_draws: int = NUM_DRAWS
) -> dict[str, Any]:
    """The estimates with 95 % intervals, or why the log carries none."""
    rewards = (None, None) if target.table is None else modelled(log, target.table)
    weighted = Weighted(log.reward_N, target.shown_N / log.propensity_N, *rewards)
    draws = Draws.of(log.user_N % MAX_GROUPS, num_draws)
    observed_D = weighted.logged(draws)
    report: dict[str, Any] = {
        "policy": target.name,
        "impressions": len(log),
        "logging_policies": dict(log.policies),
        "logged": {"rate": float(observed_D[0]), "interval": bootstrap.interval(observed_D)},
        "effective_sample_size": round(weighted.effective_sample_size, 1),
        "overlap": round(weighted.overlap, 4),
        "refused": weighted.refusal(),
        "estimates": {},
    }
    if report["refused"]:
        return report
    for name, rate_D in weighted.estimates(draws).items():
        gain = bootstrap.paired_difference(rate_D, observed_D)
        report["estimates"][name] = {
            "rate": float(rate_D[0]),
            "interval": bootstrap.interval(rate_D),
            "gain": gain.value,
            "gain_interval": (gain.low, gain.high),
        }
    return report


def to_text(report: dict[str, Any]) -> str:
    """The report for a person."""
    low, high = report["logged"]["interval"]
    policies = ", ".join(f"{name} {num:,}" for name, num in report["logging_policies"].items())
    lines = [
        f"{report['impressions']:,} impressions with propensities, by policy: {policies}",
        f"{'':16}{'clicks/impression':>19}{'95 % from':>12}{'to':>12}"
        f"{'gain':>12}{'95 % from':>12}{'to':>12}",
        f"{'the log':16}{report['logged']['rate']:>19.6f}{low:>12.6f}{high:>12.6f}",
    ]
    for name, of_one in report["estimates"].items():
        bounds = (*of_one["interval"], of_one["gain"], *of_one["gain_interval"])
        cells = "".join(f"{value:>12.6f}" for value in bounds)
        lines.append(f"{name.replace('_', ' '):16}{of_one['rate']:>19.6f}{cells}")
    lines.append(
        f"{report['policy']}: effective sample size {report['effective_sample_size']:,.0f}, "
        f"overlap {report['overlap']:.2f}"
    )
    if "observed" in report:
        lines.append(f"observed in a log of its own: {report['observed']:.6f}")
    if report["refused"]:
        lines.append(f"no conclusion: {report['refused']}")
    return "\n".join(lines)

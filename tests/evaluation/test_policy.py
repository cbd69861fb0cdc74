"""A policy on logged propensities: Open Bandit's, files, and the ranker without exploration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headrace.cli import main
from headrace.datasets import openbandit
from headrace.datasets.openbandit_policy import bernoulli_ts
from headrace.errors import ConfigError, DatasetError
from headrace.evaluation.policy.logged import logged_impressions
from headrace.evaluation.policy.run import evaluate_policy, to_text
from headrace.evaluation.policy.target import greedy, of_file, of_log, uniform
from headrace.keys import key
from headrace.metrics.off_policy import LoggedImpressions
from headrace.pipeline.exploration.mixture import Mixture


@pytest.fixture(scope="module")
def random_log() -> LoggedImpressions:
    return logged_impressions(openbandit.load(None))


def test_the_random_policys_rate_is_the_observed_one(random_log: LoggedImpressions) -> None:
    """Its propensities are those of all 80 items drawn alike, which the log does not say."""
    for target in (uniform(random_log), of_log(random_log)):
        report = evaluate_policy(random_log, target, num_draws=200)
        assert not report["refused"] and report["overlap"] == 1
        assert report["effective_sample_size"] == len(random_log) == 10_000
        assert report["logged"]["rate"] == 0.0038
        for of_one in report["estimates"].values():
            low, high = of_one["interval"]
            assert low <= report["logged"]["rate"] <= high
            assert abs(of_one["gain"]) < 1e-4


def test_thompson_sampling_is_estimated_from_the_random_log(capsys: pytest.CaptureFixture) -> None:
    assert main(["evaluate", "--policy", "bernoulli_ts", "--dataset", "openbandit"]) == 0
    said = capsys.readouterr().out
    assert "observed in a log of its own: 0.004200" in said and "doubly robust" in said


def test_the_interval_of_thompson_sampling_has_its_observed_rate(
    random_log: LoggedImpressions, tmp_path: Path
) -> None:
    path = tmp_path / "bts.parquet"
    pa.parquet.write_table(bernoulli_ts(), path)
    report = evaluate_policy(random_log, of_file(path, random_log), num_draws=200)
    assert report["effective_sample_size"] > 1_000 and not report["refused"]
    for of_one in report["estimates"].values():
        low, high = of_one["interval"]
        assert low < 0.0042 < high


def test_a_log_that_hardly_shows_what_a_policy_shows_is_refused(tmp_path: Path) -> None:
    log = logged_impressions(openbandit.load(None, "bts"))
    report = evaluate_policy(log, uniform(log))
    assert "the log is worth 340 impressions of the policy" in report["refused"]
    assert not report["estimates"] and "no conclusion: " in to_text(report)


def test_the_command_says_why_it_does_not_conclude(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    policy, out = tmp_path / "one.csv", tmp_path / "out.json"
    policy.write_text("item_id,probability\n1,1.0\n")
    flags = ["--policy", str(policy), "--dataset", "openbandit", "--json", str(out)]
    assert main(["evaluate", *flags]) == 2
    assert "no conclusion: the log is worth " in capsys.readouterr().out
    assert json.loads(out.read_text())["estimates"] == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("item_id\n1\n", "the columns probability are missing"),
        ("item_id,probability\n1,2\n", "probability: expected numbers from 0 to 1"),
        ("item_id,probability\n1,.7\n2,.7\n", "1.4 together, expected at most 1"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(
    text: str, told: str, tmp_path: Path, random_log: LoggedImpressions
) -> None:
    path = tmp_path / "policy.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=told):
        of_file(path, random_log)


def test_a_policy_that_nobody_knows_is_named_with_those_that_are(
    random_log: LoggedImpressions, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="expected logged, greedy, uniform, or a file"):
        of_file(tmp_path / "nobody", random_log)


def explored_log(mixture: Mixture, num_requests: int, rate_I: np.ndarray) -> LoggedImpressions:
    """Slates of three of eight items in one order, as the mixture draws them, and their clicks."""
    random, is_fresh = np.random.default_rng(5), np.zeros(len(rate_I), np.bool_)
    slates = [mixture.drawn(3, is_fresh, random) for _ in range(num_requests)]
    told = [mixture.propensities(slate, is_fresh) for slate in slates]
    item_N = np.concatenate(slates)
    request_N = np.repeat(np.arange(num_requests), 3)
    return LoggedImpressions(
        item_N=np.array([key(str(item)) for item in item_N]),
        position_N=np.tile(np.arange(3), num_requests),
        request_N=request_N,
        user_N=request_N,
        reward_N=(random.random(len(item_N)) < rate_I[item_N]).astype(np.float64),
        propensity_N=np.concatenate(told),
        policies={"epsilon_greedy@1": 3 * num_requests},
    )


def test_the_cost_of_exploration_is_what_greedy_would_have_gained(tmp_path: Path) -> None:
    rate_I = np.array([0.6, 0.5, 0.4, 0.1, 0.1, 0.05, 0.05, 0.0])
    log = explored_log(Mixture(0.3), 6_000, rate_I)
    report = evaluate_policy(log, greedy(log), num_draws=100)
    for name in ("ips", "snips"):
        low, high = report["estimates"][name]["interval"]
        assert low < 0.5 < high and report["estimates"][name]["gain_interval"][0] > 0
    path = tmp_path / "same.csv"  # the same policy, told by place
    path.write_text("item_id,position,probability\n0,0,1\n1,1,1\n2,2,1\n")
    same = evaluate_policy(log, of_file(path, log), num_draws=100)
    assert same["estimates"]["ips"]["rate"] == report["estimates"]["ips"]["rate"]
    low, high = same["estimates"]["doubly_robust"]["interval"]
    assert low < 0.5 < high


def test_a_policy_may_depend_on_the_request(tmp_path: Path) -> None:
    log = explored_log(Mixture(0.3), 2_000, np.array([0.6, 0.5, 0.4, 0.1]))
    by_name = LoggedImpressions(
        **{
            name: getattr(log, name)
            for name in ("item_N", "position_N", "user_N", "reward_N", "propensity_N", "policies")
        },
        request_N=np.array([key(f"r{n}") for n in log.request_N]),
    )
    path = tmp_path / "requests.csv"
    lines = [f"{item},{place},r{n},1" for n in range(2_000) for place, item in enumerate("012")]
    path.write_text("\n".join(["item_id,position,request_id,probability", *lines]))
    target = of_file(path, by_name)
    assert np.array_equal(target.shown_N, greedy(by_name).shown_N)

"""Which ranker is trained, by the settings, and that a model goes on only as what it was."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, get_args

import pytest
from redis import Redis
from trainer_servers import plain_sample, send

from headrace import cli, config
from headrace.broker.topics import create_topics
from headrace.catalogue.vectors import ContentVectors
from headrace.errors import ConfigError
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.model.config import SIZES, Head, RankerConfig, nano, size_of
from headrace.model.layers.fusion import FUSIONS
from headrace.monitoring.documents import TrainDocument
from headrace.monitoring.health import read_health
from headrace.monitoring.health_report import to_document
from headrace.monitoring.status import StatusBoard
from headrace.sample import Sample
from headrace.settings.rooms import FusionName, RankerSize
from trainers.online import OnlineTrainer
from trainers.recipe import check_continues, ranker_config

NOW_MS = 1_800_000_000_000


def recipe(**settings: object) -> RankerConfig:
    return ranker_config(config.settings(**settings), ContentVectors())


def sample(offset: int) -> Sample:
    return plain_sample(offset, NOW_MS + offset)


@contextmanager
def trained(settings: config.Settings) -> Iterator[OnlineTrainer]:
    """A trainer that has published a version."""
    send(settings, [sample(n) for n in range(10)])
    seconds = itertools.count()
    with closing(OnlineTrainer(settings, lambda: NOW_MS + 1_000 * next(seconds))) as trainer:
        for _ in range(200):
            trainer.step()
            if trainer.version:
                break
        yield trainer


def test_by_default_the_ranker_is_nano_with_gated_fusion() -> None:
    heads = (Head("click"), Head("like"), Head("long_view"))
    assert recipe() == replace(nano(NUM_DENSE), rates=RATES, heads=heads, fusion="gated")


def test_the_settings_know_each_size_and_each_fusion_of_the_model() -> None:
    assert get_args(RankerSize) == tuple(SIZES)
    assert get_args(FusionName) == tuple(FUSIONS)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fusion", ["gated", "perceiver"])
def test_size_and_fusion_are_those_of_the_settings(size: str, fusion: str) -> None:
    made = recipe(ranker_size=size, fusion=fusion, heads="click")
    assert made == replace(SIZES[size](NUM_DENSE), rates=RATES, fusion=fusion)
    assert size_of(made) == size


def test_a_ranker_of_numbers_of_its_own_has_no_named_size() -> None:
    assert size_of(replace(nano(NUM_DENSE), dim=48)) == ""


@pytest.mark.parametrize("command", ["train", "up"])
def test_the_flags_are_refused_where_they_name_nothing_and_shown_by_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag, expected in (("--size=huge", "'nano', 'base', 'large'"), ("--fusion=x", "'gated'")):
        with pytest.raises(SystemExit):
            cli.main([command, flag])
        assert expected in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "HEADRACE_RANKER_SIZE, nano" in shown and "HEADRACE_FUSION, gated" in shown


@pytest.mark.services
def test_a_model_of_another_size_or_fusion_does_not_go_on_and_one_line_says_what_to_do(
    settings: config.Settings,
) -> None:
    with trained(settings):
        pass
    check_continues(settings)
    for changes, said in (
        ({"ranker_size": "base"}, "HEADRACE_RANKER_SIZE=nano (now base): set"),
        ({"fusion": "mean"}, "HEADRACE_FUSION=gated (now mean): set"),
    ):
        with pytest.raises(ConfigError) as caught:
            check_continues(config.changed(settings, **changes))
        assert str(caught.value).startswith(f"model 1 was trained with {said} what it was, or ")
    environ = {name: text for name, text in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-m", "headrace.cli", "train", "--size=base", "--fusion=mean"]
    ended = subprocess.run(
        command,
        env={**environ, **config.environment(settings)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    (line,) = [one for one in ended.stderr.splitlines() if one.startswith("headrace train: ")]
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert "RANKER_SIZE=nano (now base); HEADRACE_FUSION=gated (now mean): set" in line


@pytest.mark.services
def test_the_trainer_reports_its_quality_for_what_is_new_and_by_surface(
    settings: config.Settings,
) -> None:
    with trained(config.changed(settings, surfaces="home")) as trainer:
        while not trainer.learner.num_samples:
            trainer.step()
        trainer.step()  # a second later, by the clock that it is given
        with Redis.from_url(settings.redis_url) as redis:
            (document,) = StatusBoard(redis, settings.namespace).read(TrainDocument)
            health = read_health(redis, settings.namespace, document.updated_ms)
    new = ("new_users", "new_items", "other_surfaces")  # nothing was shown before, and nowhere
    assert {name: one.samples for name, one in document.quality.items()} == dict.fromkeys(
        ("all", *new), 10
    )
    assert document.quality["new_users"].auc is not None
    assert health.quality == document.quality
    report = to_document(health)["quality"]
    assert report["new_items"]["samples"] == 10 and report["new_items"].keys() >= {"auc"}


@pytest.mark.services
def test_a_checkpoint_of_another_ranker_is_refused_in_one_line(settings: config.Settings) -> None:
    def loaded(state: dict[str, Any], **changes: object) -> None:
        of_these = config.changed(settings, namespace="again", **changes)
        create_topics(of_these)
        with closing(OnlineTrainer(of_these, lambda: NOW_MS)) as again:
            again.load_state(state)

    with trained(settings) as trainer:
        state = trainer.state()
        loaded(state)
        said = r"^the checkpoint was trained with HEADRACE_RANKER_SIZE=nano \(now base\): set"
        with pytest.raises(ConfigError, match=said):
            loaded(state, ranker_size="base")
        strange = {**state, "model": {"num_dense": "many"}}
        with pytest.raises(ConfigError, match="a ranker that this build does not know .*NAMESPACE"):
            loaded(strange)
        del state["model"]
        loaded(state)  # as it was written before sizes could be chosen

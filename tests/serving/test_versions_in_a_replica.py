"""The versions that a replica loads, a request or `headrace explain` names, and that are gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from redis import Redis
from small_loop import SmallLoop, replica, sample, small_loop, trained

from headrace import config
from headrace.api.slate import InvalidRequest
from headrace.broker.topics import Topics, create_topics, open_admin
from headrace.cli import build_parser
from headrace.commands.flags import explain_arguments
from headrace.config import Settings
from headrace.registry.publisher import Publisher
from headrace.registry.subscriber import Subscriber
from headrace.registry.versions import KEEP_VERSIONS, load_weights
from serving import explain
from serving.replica.follow import Live

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLoop]:
    with small_loop(tmp_path_factory.mktemp("versions")) as running:
        yield running


def published(loop: SmallLoop, namespace: str, num: int, **changes: object) -> Settings:
    """Settings of a namespace whose trainer has published one version, and then it again."""
    settings = loop.settings(namespace, **changes)
    with trained(settings, [sample(number) for number in range(15)]):
        pass
    publish_again(settings, num - 1)
    return settings


def publish_again(settings: Settings, num: int) -> None:
    with closing(Subscriber(settings)) as models:
        newest = models.newest()
    assert newest is not None
    weights = load_weights(newest)
    with (
        closing(Redis.from_url(settings.redis_url)) as redis,
        closing(Publisher(settings, redis)) as publisher,
    ):
        for _ in range(num):
            publisher.publish(weights, newest)


def lose_topic(settings: Settings) -> None:
    with open_admin(settings) as admin:
        admin.delete_topics([Topics(settings.namespace).models])
    create_topics(settings)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def loaded(live: Live) -> list[int]:
    """The versions that a replica has loaded, the one that answers first."""
    return [model.manifest.version for model in live.snapshot.models]


@contextmanager
def following(settings: Settings) -> Iterator[Live]:
    with replica(settings) as live:
        live.start()
        until(lambda: bool(live.snapshot.models), "a version is loaded")
        yield live


def test_a_replica_loads_the_newest_version_unless_it_is_told_to_load_more(
    loop: SmallLoop,
) -> None:
    settings = published(loop, "one", 3)
    with following(settings) as live:
        assert loaded(live) == [3]
        publish_again(settings, 1)
        until(lambda: loaded(live) == [4], "the next version is loaded alone")


def test_a_replica_loads_a_bounded_number_of_versions_and_the_newest_answers(
    loop: SmallLoop,
) -> None:
    settings = published(loop, "three", 4, loaded_versions=3)
    with following(settings) as live:
        until(lambda: loaded(live) == [4, 3, 2], "older versions follow the newest")
        before = live.snapshot
        publish_again(settings, 1)
        until(lambda: loaded(live) == [5, 4, 3], "the oldest has left")
    assert [model.manifest.version for model in before.models] == [4, 3, 2]  # as a request sees it
    with closing(Redis.from_url(settings.redis_url)) as redis:
        served = {int(version) for version in redis.smembers("three:served_versions")}
    assert served == {4, 5}  # 2 and 3 were loaded, and nobody asked for them


def test_a_request_is_answered_by_the_loaded_version_that_it_names(loop: SmallLoop) -> None:
    settings = published(loop, "named", 2, loaded_versions=2)
    with following(settings) as live:
        until(lambda: loaded(live) == [2, 1], "both versions are loaded")
        for named, expected in ((None, 2), (1, 1), (2, 2)):
            model = live.snapshot.of_version(named).model
            assert model is not None and model.manifest.version == expected
        with pytest.raises(InvalidRequest, match="3 is not loaded, there are: 1, 2") as caught:
            live.snapshot.of_version(3)
    assert caught.value.field == "model_version"


def test_a_replica_begins_with_the_newest_version_where_the_topic_has_lost_it(
    loop: SmallLoop,
) -> None:
    settings = published(loop, "lost", 2)
    lose_topic(settings)
    with following(settings) as live:
        assert loaded(live) == [2] and live.followed.last_error == ""
        publish_again(settings, 1)
        until(lambda: loaded(live) == [3], "what is announced from then on is served")


@pytest.mark.parametrize("is_lost", [False, True])
def test_explain_says_in_one_line_that_a_version_is_gone_or_never_was(
    loop: SmallLoop,
    is_lost: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    namespace = f"explained_{is_lost}".lower()
    settings = published(loop, namespace, KEEP_VERSIONS + 2)
    if is_lost:
        lose_topic(settings)
    for name, text in config.environment(settings).items():
        monkeypatch.setenv(name, text)
    for version, said in (
        (
            1,
            f"the weights of model version 1 in namespace '{namespace}' are gone; of the versions "
            "published (1 to 22) the newest 20 are kept: 3 to 22",
        ),
        (99, f"no model version 99 in namespace '{namespace}'; published: 1 to 22"),
    ):
        flags = ["explain", "--user=u0", "--item=i4", f"--model-version={version}"]
        assert explain.main(explain_arguments(build_parser().parse_args(flags))) == 2
        assert capsys.readouterr().err == f"headrace explain: {said}\n"
    with replica(settings) as live:
        model = live.catch_up(3).model
        assert model is not None and model.manifest.version == 3

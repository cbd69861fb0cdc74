"""The topics of a namespace: how each is made, and the check of those that are there.

What a topic is for, and what a foreign producer must do, is in docs/topics.md.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import (
    InvalidConfigurationError,
    InvalidReplicationFactorError,
    KafkaError,
    PolicyViolationError,
    TopicAlreadyExistsError,
)

from headrace.config import Settings
from headrace.errors import LogMismatch, ServiceError
from headrace.settings.variables import variable

HOUR_MS: Final = 3_600_000
REMOVALS_KEPT_H: Final = 14 * 24  # of items and users: who follows reads each of them within this
MAX_MESSAGE_BYTES: Final = 1_048_588  # what a producer's default of 1 MiB needs
READY_TIMEOUT_MS: Final = 10_000
# Of a config that a broker refuses (an older or a managed one), these two are not given up.
ESSENTIAL: Final = ("cleanup.policy", "retention.ms")

log = logging.getLogger(__name__)


class Topics:
    """The names of the topics of one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.events = f"{namespace}.events"
        self.samples = f"{namespace}.samples"
        self.item_features = f"{namespace}.item-features"
        self.item_partials = f"{namespace}.item-partials"
        self.items = f"{namespace}.items"
        self.users = f"{namespace}.users"
        self.item_vectors = f"{namespace}.item-vectors"
        self.feature_rows = f"{namespace}.feature-rows"
        self.models = f"{namespace}.models"
        self.dead_letters = f"{namespace}.dead-letters"


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """How a topic is made: its partitions, and the configs that are not left to the broker."""

    num_partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as the broker has it; `id` is "" where the broker gives topics no identity."""

    num_partitions: int
    id: str


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """The identity of a log: a cluster, and topics of it by name and id. Positions belong to it."""

    cluster: str
    topics: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        named = (f"{name}:{id_}" for name, id_ in sorted(self.topics.items()))
        return " ".join([self.cluster, *named])

    @classmethod
    def parsed(cls, text: str) -> LogIdentity:
        """The identity that was written as this text; before topics had a part in it, it was the
        cluster's alone."""
        cluster, _, topics = text.partition(" ")
        pairs = (word.rpartition(":") for word in topics.split())
        return cls(cluster, {name: id_ for name, _, id_ in pairs})

    def differs_from(self, other: LogIdentity) -> bool:
        """Whether they cannot be of one log; an id that one of them lacks says nothing."""
        known = self.topics.keys() & other.topics.keys()
        return self.cluster != other.cluster or any(
            self.topics[name] != other.topics[name] for name in known
        )

    def completed(self, found: LogIdentity) -> LogIdentity:
        """With the ids of the topics that it did not know yet."""
        return LogIdentity(self.cluster, {**found.topics, **self.topics})


def plans(settings: Settings) -> dict[str, TopicPlan]:
    """How each topic of the namespace is made, by name."""
    topics, num_partitions = Topics(settings.namespace), settings.stream.num_partitions
    every = {
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": str(HOUR_MS),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    }
    kept = str(round(settings.stream.events_retention_h * HOUR_MS))
    stream = {"cleanup.policy": "delete", "retention.ms": kept, **every}
    # Partial states pass on when their events arrived, whatever that says: none must be refused.
    states = {"cleanup.policy": "compact", "segment.ms": str(24 * HOUR_MS), **every}
    states["message.timestamp.after.max.ms"] = str(2**63 - 1)
    documents = {
        **{"cleanup.policy": "compact", "segment.ms": str(24 * HOUR_MS), **every},
        "delete.retention.ms": str(REMOVALS_KEPT_H * HOUR_MS),
    }
    # The key of a manifest is its place among the versions whose files are kept.
    manifests = {"cleanup.policy": "compact", "segment.ms": str(HOUR_MS), **every}
    letters = {"cleanup.policy": "delete", "retention.ms": str(30 * 24 * HOUR_MS), **every}
    return {
        topics.events: TopicPlan(num_partitions, stream),
        topics.samples: TopicPlan(num_partitions, stream),
        topics.feature_rows: TopicPlan(num_partitions, stream),
        topics.item_partials: TopicPlan(num_partitions, states),
        topics.item_features: TopicPlan(num_partitions, states),
        topics.items: TopicPlan(1, documents),
        topics.users: TopicPlan(1, documents),
        topics.item_vectors: TopicPlan(num_partitions, documents),
        topics.models: TopicPlan(1, manifests),
        topics.dead_letters: TopicPlan(1, letters),
    }


def create_topics(settings: Settings) -> None:
    """Create the topics of the namespace that do not exist yet, and check those that do.

    Raises `LogMismatch` where one has another number of partitions than the settings say. Other
    configs than `plans` are the operator's: they are warned about and left.
    """
    planned = plans(settings)
    with open_admin(settings) as admin:
        before = describe(admin, list(planned))
        for name in planned.keys() - before.keys():
            _create(admin, name, planned[name])
        if len(before) < len(planned):
            admin.wait_for_topics(list(planned), timeout_ms=READY_TIMEOUT_MS)
        check_partitions(settings, describe(admin, list(planned)))
        if before:
            _warn_of_configs(admin, {name: planned[name] for name in before})


def check_partitions(settings: Settings, found: Mapping[str, FoundTopic]) -> None:
    """Raises `LogMismatch` unless each of these topics has as many partitions as it should."""
    planned = plans(settings)
    wrong = [
        f"topic {name} has {topic.num_partitions} partitions, expected {expected}"
        for name, topic in found.items()
        if name in planned and topic.num_partitions != (expected := planned[name].num_partitions)
    ]
    if wrong:
        name = variable("num_partitions")
        raise LogMismatch(
            f"{'; '.join(wrong)} ({name}={settings.stream.num_partitions}): set {name} to what the "
            "topics of events, samples, feature-rows and item-features have, the same in every "
            "part (items, users, models and dead-letters have 1), or choose another namespace "
            f"({variable('namespace')}); if a topic grew, see docs/topics.md"
        )


def log_identity(settings: Settings, *names: str) -> LogIdentity:
    """The identity of this log, as far as these topics: another one at the same address differs."""
    with open_admin(settings) as admin:
        cluster = str(admin.describe_cluster()["cluster_id"])
        found = describe(admin, names) if names else {}
    return LogIdentity(cluster, {name: topic.id for name, topic in found.items() if topic.id})


def agreed(stored: str, found: LogIdentity, whose: str, advice: str) -> LogIdentity:
    """The identity to keep from now on; raises `LogMismatch` where positions are of another log.

    `stored` is "" where there is none yet; one that lacks topics is completed.
    """
    if not stored:
        return found
    known = LogIdentity.parsed(stored)
    if known.differs_from(found):
        raise LogMismatch(
            f"the positions {whose} belong to event log {known}, this one is {found} (a topic that "
            f"is deleted and made anew is another one): {advice}"
        )
    return known.completed(found)


def describe(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, FoundTopic]:
    """Those of these topics that exist, by name, in this order."""
    described = {topic["name"]: topic for topic in admin.describe_topics(list(names))}
    return {
        name: FoundTopic(len(topic["partitions"]), topic_id(topic["topic_id"]))
        for name in names
        if (topic := described.get(name)) and topic["error_code"] == 0
    }


def topic_id(given: object) -> str:
    """A topic's id as text, "" for none, which some brokers say by zeros."""
    text = str(given or "")
    return text if text.strip("0-") else ""


@contextmanager
def open_admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """An admin client of the broker, closed at the end; raises `ServiceError` in one line."""
    options: dict[str, Any] = settings.kafka.client_options()
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=settings.kafka_bootstrap, bootstrap_timeout_ms=10_000, **options
        )
    except KafkaError as error:
        raise ServiceError(
            f"no broker answers at {settings.kafka_bootstrap} ({type(error).__name__}): is it "
            "running? unset KAFKA_BOOTSTRAP to let `headrace up` start one"
        ) from None
    try:
        yield admin
    except KafkaError as error:
        raise ServiceError(
            f"the broker at {settings.kafka_bootstrap} does not do what is asked of it: "
            f"{settings.kafka.masked_error(error)}"
        ) from None
    finally:
        admin.close()


def _create(admin: KafkaAdminClient, name: str, plan: TopicPlan) -> None:
    """Create a topic, with the broker's own replication; without the configs that it refuses."""
    essential = {key: plan.config[key] for key in ESSENTIAL if key in plan.config}
    refused: KafkaError | None = None
    for replication, config in ((-1, plan.config), (1, plan.config), (-1, essential)):
        topic = NewTopic(name, plan.num_partitions, replication, topic_configs=dict(config))
        try:
            admin.create_topics([topic])
        except TopicAlreadyExistsError:
            return
        except (
            InvalidConfigurationError,
            InvalidReplicationFactorError,
            PolicyViolationError,
        ) as error:
            refused = error
        except KafkaError as error:
            raise ServiceError(f"cannot create topic {name}: {error}") from None
        else:
            if refused:
                log.warning("topic %s was made with less than was asked for: %s", name, refused)
            return
    raise ServiceError(f"cannot create topic {name}: {refused}")


def _warn_of_configs(admin: KafkaAdminClient, planned: Mapping[str, TopicPlan]) -> None:
    """Say which configs of topics that were there are others than headrace would have given."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in planned]
    try:
        found = admin.describe_configs(asked, config_filter="all").get("topic", {})
    except KafkaError:  # the embedded broker does not know the question, an operator may forbid it
        return
    for name, plan in planned.items():
        others = [
            f"{key}={has} (headrace gives {wanted})"
            for key, wanted in plan.config.items()
            if (has := found.get(name, {}).get(key, {}).get("value", wanted)) != wanted
        ]
        if others:
            log.warning("topic %s has %s: left as it is", name, ", ".join(others))

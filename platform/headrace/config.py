"""Settings: one frozen value, read from the environment in this file only.

Each field is `HEADRACE_<FIELD>` in the environment; the two addresses also have the names that the
field uses everywhere, `REDIS_URL` and `KAFKA_BOOTSTRAP`. Command-line flags override them.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from headrace.access.http import HttpAccess
from headrace.access.kafka import SECRET, SECRETS
from headrace.action import CLICK, PREDICTED, windows_s
from headrace.errors import ConfigError
from headrace.settings_text import FORMER, expected_names, former_names, require_text

Positive = Annotated[float, msgspec.Meta(gt=0)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
RankerSize = Literal["nano", "base", "large"]  # `SIZES` of the model
FusionName = Literal[  # `FUSIONS` of the model
    "concat", "mean", "max", "gated", "attention", "early", "late", "co_attention",
    "cross_attention", "perceiver",
]  # fmt: skip
Wait = Annotated[float, msgspec.Meta(gt=0, le=4)]  # HAProxy gives an answer up after five seconds


class Settings(HttpAccess, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that the parts of headrace must agree on, and the knobs of each."""

    namespace: str = "headrace"  # what topics and keys begin with, and Feast's project
    home: str = "~/.local/share/headrace"  # Feast registry, catalogue, model registry, checkpoints
    redis_url: str = "redis://127.0.0.1:6379/0"
    kafka_bootstrap: str = "127.0.0.1:9092"
    accept_eviction: bool = False  # use a Redis that may forget rows when its memory is full
    accept_no_persistence: bool = False  # no warning of a Redis that keeps nothing on disk

    num_partitions: PositiveInt = 4  # of the topics; one that has another number is refused
    events_retention_h: Positive = 168.0  # that events and samples stay in topics headrace makes
    num_stream_workers: PositiveInt = 2
    dedupe_window: PositiveInt = 200_000  # event ids remembered per partition
    click_window_s: Positive = 300.0  # attribution window of actions that have none of their own
    make_samples: bool = True  # false: features only, nothing to train on
    allowed_lateness_s: Positive = 60.0  # how far behind the newest an event may be, not to be late
    max_ahead_s: Positive = 300.0  # how far ahead of its arrival an event's time may lie

    # What is in no catalogue has a share of memory, in each stream worker, and ends. In Redis a row
    # of a user who was not materialized lives for so long after its last event.
    max_unknown_items: PositiveInt = 10_000
    unknown_item_ttl_s: Positive = 120.0
    max_unknown_campaigns: PositiveInt = 10_000  # in no campaigns' file
    unknown_campaign_ttl_s: Positive = 2_592_000.0
    unknown_user_ttl_s: Positive = 604_800.0

    time_zone: str = ""  # whose midnights begin the days of `headrace evaluate`; empty: the log's

    archive_every_s: Positive = 15.0  # `headrace archive` writes what came this often

    batch_size: PositiveInt = 256  # impressions per training step, at most
    batch_wait_s: Positive = 0.25  # a smaller batch is trained after this long
    publish_every_s: Positive = 3.0
    guard_patience_s: Positive = 1_800.0  # versions are held this long before a change is learned
    checkpoint_every_s: Positive = 10.0
    progressive_window: PositiveInt = 1_000  # impressions per point of the quality curves
    # When a user without attributes has embeddings, and how many impressions trained without a
    # user, an item or a word end his or its.
    embedding_admit_after: Annotated[int, msgspec.Meta(ge=1, le=255)] = 2  # requests of the user's
    embedding_expire_after: PositiveInt = 5_000_000
    model_registry: str = ""  # URI of the published models (file, s3, gs); empty: under `home`
    model_seed: int = 0
    ranker_size: RankerSize = "nano"  # of the ranker that a namespace is begun with
    fusion: FusionName = "gated"  # how it makes one vector of what describes an item
    heads: str = ",".join(PREDICTED)  # actions that the ranker predicts, the click first
    surfaces: str = ""  # those with a calibration and a position bias of their own
    vector_tables: str = ""  # of the items' content that the ranker reads: names, between commas

    num_replicas: PositiveInt = 1
    platform: str = ""  # what its own HAProxy calls it, so that no other's requests are answered
    # What a replica takes on at one time, and how long it waits for what may be away.
    slate_threads: PositiveInt = 1  # that make slates and ads; more help where Redis is far away
    max_waiting_slates: PositiveInt = 24  # slates and ads at one time; one more is refused
    slate_deadline_s: Wait = 1.0  # one that could not be begun by then is refused
    max_waiting_events: PositiveInt = 10_000  # sent and not acknowledged; more are refused
    events_deadline_s: Wait = 3.0  # that the log may take to acknowledge events
    body_timeout_s: Wait = 4.0  # that a body may take to arrive
    store_timeout_s: Positive = 0.25  # that Redis may take for an answer
    stale_model_s: Positive = 3_600.0  # slates by an older model are marked
    ready_without_model: bool = False  # `/readyz` before the first model
    loaded_versions: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1  # that a request may name
    spool_bytes: Annotated[int, msgspec.Meta(ge=0)] = 64_000_000  # for impressions; 0: no spool
    rank_by: str = f"{CLICK}=1"  # slates are ordered by the sum of weight x probability of actions
    max_candidates: PositiveInt = 500
    campaigns: str = ""  # path of the campaigns' YAML file; empty: no ads

    @property
    def model_registry_uri(self) -> str:
        """`model_registry`, or the folder under `home` that stands in for it."""
        return self.model_registry or (self.home_path / "models").as_uri()

    @property
    def head_names(self) -> tuple[str, ...]:
        """`heads` apart."""
        return _names(self.heads)

    @property
    def surface_names(self) -> tuple[str, ...]:
        """`surfaces` apart."""
        return _names(self.surfaces)

    @property
    def ranking_weights(self) -> dict[str, float]:
        """`rank_by` as weights by head; raises `ConfigError` if it is not "click=1,like=0.5"."""
        pairs = [part.partition("=") for part in _names(self.rank_by)]
        try:
            weights = {name.strip(): float(weight) for name, _, weight in pairs}
        except ValueError:
            weights = {}
        if not weights or not all(map(math.isfinite, weights.values())):
            raise ConfigError(
                f"{variable('rank_by')}={self.rank_by!r}: expected weights of heads such as "
                f"'{','.join(f'{name}=1' for name in PREDICTED[:2])}'"
            )
        return weights

    @property
    def vector_table_names(self) -> tuple[str, ...]:
        """`vector_tables` apart, such as ("text_e5/1-f3b1a2c4",)."""
        return _names(self.vector_tables)

    @property
    def spool_path(self) -> Path:
        """The folder of impressions that wait for the broker."""
        return self.home_path / "spool" / self.namespace

    @property
    def home_path(self) -> Path:
        """`home` as an absolute path."""
        return Path(self.home).expanduser().resolve()


ALIASES = {"redis_url": "REDIS_URL", "kafka_bootstrap": "KAFKA_BOOTSTRAP"}


def variable(field: str) -> str:
    """The environment variable that sets this field."""
    return ALIASES.get(field, f"HEADRACE_{field.upper()}")


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; raises `ConfigError` naming every variable that is wrong."""
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {}
    problems = former_names(environ)
    for field in msgspec.structs.fields(Settings):
        text = environ.get(variable(field.name))
        if not text:
            continue
        try:
            given[field.name] = msgspec.convert(text, field.type, strict=False)
            require_text(field.name, text)
        except (msgspec.ValidationError, ConfigError) as error:
            shown = SECRET if field.name in SECRETS else repr(text)
            told = expected_names(field.type) or error
            problems.append(f"{variable(field.name)}={shown}: {told}")
    if problems:
        raise ConfigError("; ".join(problems))
    settings = Settings(**given)
    problems += [*settings.access_problems(), *settings.http_problems()]
    window_s = max(windows_s(settings.click_window_s).values())
    if 3_600 * settings.events_retention_h < window_s:
        problems.append(
            f"{variable('events_retention_h')}={settings.events_retention_h:g} is shorter than the "
            f"longest attribution window, {window_s:g} s ({variable('click_window_s')}, or an "
            "action's own)"
        )
    if problems:
        raise ConfigError("; ".join(problems))
    return settings


def changed(settings: Settings, **changes: Any) -> Settings:
    """The settings with some fields replaced; raises `ConfigError` like `load`."""
    given = {variable(name): str(value) for name, value in changes.items()}
    return load({**environment(settings), **given})


def environment(settings: Settings) -> dict[str, str]:
    """The variables that give another process, and Feast's configuration file, these settings."""
    given = {
        variable(field.name): str(getattr(settings, field.name))
        for field in msgspec.structs.fields(Settings)
    }
    given[variable("home")] = str(settings.home_path)
    return given


def is_given(field: str) -> bool:
    """Whether the environment sets this field."""
    return bool(os.environ.get(variable(field)))


def given() -> dict[str, str]:
    """The variables of settings that the environment sets, those of former names included."""
    names = [variable(field.name) for field in msgspec.structs.fields(Settings)]
    return {name: text for name in (*names, *FORMER) if (text := os.environ.get(name))}


def runtime_path() -> Path:
    """The folder of this user's run files: below XDG_RUNTIME_DIR, else in the temporary folder."""
    folder = os.environ.get("XDG_RUNTIME_DIR")
    if folder and os.access(folder, os.W_OK | os.X_OK):
        return Path(folder) / "headrace"
    return Path(tempfile.gettempdir()) / f"headrace-{os.getuid()}"


def inherited() -> dict[str, str]:
    """A copy of this process's environment, for the processes that it starts."""
    return dict(os.environ)


def export(settings: Settings) -> None:
    """Put the settings into this process's environment, where Feast reads them."""
    os.environ.update(environment(settings))


def local_ray() -> dict[str, str]:
    """Variables for a Ray of headrace's own: on loopback, and closed to everybody else.

    On Linux Ray takes the machine's outward address as its own, even when it is told 127.0.0.1, and
    then listens on every interface; the switch, meant for other systems, makes it use loopback. The
    token is this Ray's own: a file of an earlier one, `~/.ray/auth_token`, may hold another. For
    the niceness see `services.processes.priority`.
    """
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_worker_niceness": "0",
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process that asks whether nodes are taken
    }


def ray_options(setup_hook: str = "") -> dict[str, Any]:
    """Arguments of `ray.init`: join the cluster that RAY_ADDRESS names, or start a Ray of our own;
    each worker process of this driver begins with the function that `setup_hook` names.

    Without an address Ray tries the cluster that was last started on the machine, dead or alive. A
    dashboard of our own Ray would be a dozen processes, at an address that nobody is told.
    """
    return {
        "address": os.environ.get("RAY_ADDRESS") or "local",
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": logging.WARNING,
        "runtime_env": {"worker_process_setup_hook": setup_hook} if setup_hook else None,
    }


def keep_own_ray_local() -> None:
    """Apply `local_ray` to the Ray that this process starts if RAY_ADDRESS names none."""
    if "RAY_ADDRESS" not in os.environ:
        os.environ.update(local_ray())


def catalogue_path(settings: Settings) -> Path:
    """The folder of the catalogue files, the static features' source."""
    return settings.home_path / "catalogue"


def vectors_path(settings: Settings) -> Path:
    """The folder of the content vectors, by encoder and version."""
    return settings.home_path / "vectors"


def _names(text: str) -> tuple[str, ...]:
    """The names between commas."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def repository_path(room: str) -> Path:
    """A folder of this repository, such as `feature_repo`; raises `ConfigError` if it is not there.

    headrace runs from a checkout or an image that holds one; the working directory counts too.
    """
    for root in (Path(__file__).resolve().parents[2], Path.cwd()):
        if (root / room).is_dir():
            return root / room
    raise ConfigError(
        f"no folder {room}/ beside the headrace package or in {Path.cwd()}: run headrace from a "
        "checkout of the repository"
    )

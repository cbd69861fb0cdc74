"""Settings: one frozen value in rooms, read from the environment in this file only.

Each field is `HEADRACE_<FIELD>` in the environment, whatever room it is in, and is changed by that
flat name; the two addresses also have the names that the field uses everywhere, `REDIS_URL` and
`KAFKA_BOOTSTRAP`. Command-line flags override them.
"""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from headrace.access.http import HttpAccess
from headrace.access.kafka import KafkaAccess
from headrace.application.current import APPLICATION
from headrace.application.document import path_of
from headrace.errors import ConfigError
from headrace.rooms.folder import OPEN_ROOMS, room_path
from headrace.settings.room import SECRET, Room
from headrace.settings.rooms import ServingSettings, StreamSettings, TrainingSettings
from headrace.settings.text import text_of, value_of
from headrace.settings.variables import fields_of, given_in, unknown_variable, variable


class Settings(Room, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that the parts of headrace must agree on, and a room for the knobs of each."""

    namespace: str = "headrace"  # what topics and keys begin with, and Feast's project
    app: str = ""  # the application file, or its folder; empty: the defaults, which are a shop's
    home: str = "~/.local/share/headrace"  # Feast registry, catalogue, model registry, checkpoints
    redis_url: str = "redis://127.0.0.1:6379/0"
    kafka_bootstrap: str = "127.0.0.1:9092"
    accept_eviction: bool = False  # use a Redis that may forget rows when its memory is full
    accept_no_persistence: bool = False  # no warning of a Redis that keeps nothing on disk
    model_registry: str = ""  # URI of the published models (file, s3, gs); empty: under `home`
    campaigns: str = ""  # path of the campaigns' YAML file; empty: no ads
    time_zone: str = ""  # whose midnights begin the days of `headrace evaluate`; empty: the log's

    kafka: KafkaAccess = KafkaAccess()
    stream: StreamSettings = StreamSettings()
    training: TrainingSettings = TrainingSettings()
    serving: ServingSettings = ServingSettings()
    http: HttpAccess = HttpAccess()

    @property
    def model_registry_uri(self) -> str:
        """`model_registry`, or the folder under `home` that stands in for it."""
        return self.model_registry or (self.home_path / "models").as_uri()

    @property
    def spool_path(self) -> Path:
        """The folder of impressions that wait for the broker."""
        return self.home_path / "spool" / self.namespace

    @property
    def home_path(self) -> Path:
        """`home` as an absolute path."""
        return Path(self.home).expanduser().resolve()


OWN_RAY: Final = "HEADRACE_OWN_RAY"  # in all processes of a Ray that headrace started
FIELDS: Final = {field.variable: field for field in fields_of(Settings)}


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; raises `ConfigError` naming every variable that is wrong."""
    problems = []
    by_room: dict[str, dict[str, Any]] = defaultdict(dict)  # "" for the fields in no room
    for name, text in given_in(os.environ if environ is None else environ).items():
        field = FIELDS.get(name)
        if field is None:
            problems.append(unknown_variable(name, FIELDS))
            continue
        try:
            by_room[field.room][field.attribute] = value_of(field.name, field.kind, text)
        except ConfigError as error:
            problems.append(f"{name}={SECRET if field.is_secret else repr(text)}: {error}")
    if problems:
        raise ConfigError("; ".join(problems))
    settings = msgspec.convert({**by_room.pop("", {}), **by_room}, Settings)
    for room in (settings.kafka, settings.http, settings.stream):
        problems += room.problems()
    if problems:
        raise ConfigError("; ".join(problems))
    return settings


def settings(**fields: Any) -> Settings:
    """The settings of these fields, by flat name, and of defaults; raises `ConfigError` like
    `load`."""
    return load(_texts(fields))


def changed(settings: Settings, **changes: Any) -> Settings:
    """The settings with some fields replaced, by flat name; raises `ConfigError` like `load`."""
    return load({**environment(settings), **_texts(changes)})


def environment(settings: Settings) -> dict[str, str]:
    """The variables that give another process, and Feast's configuration file, these settings."""
    values = {field.name: field.of(settings) for field in FIELDS.values()}
    app = path_of(settings.app) if settings.app else ""
    return _texts({**values, "home": settings.home_path, "app": app})


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The variables of fields, by flat name, and their texts."""
    return {variable(name): text_of(value) for name, value in values.items()}


def given() -> dict[str, str]:
    """The variables of headrace that the environment sets."""
    return given_in(os.environ)


def is_given(field: str) -> bool:
    """Whether the environment sets this field."""
    return variable(field) in given()


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


def export_app(path: str) -> None:
    """Name the application file of the program that this process becomes; empty: none."""
    os.environ[variable("app")] = path


def local_ray() -> dict[str, str]:
    """Variables for a Ray of headrace's own: on loopback, and closed to everybody else.

    On Linux Ray takes the machine's outward address as its own, even when it is told 127.0.0.1, and
    then listens on every interface; the switch, meant for other systems, makes it use loopback. The
    token is this Ray's own: a file of an earlier one, `~/.ray/auth_token`, may hold another. For
    the niceness see `services.processes.priority`. Its workers find the rooms by the path.
    """
    rooms = str(room_path("serving").parent)
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_worker_niceness": "0",
        OWN_RAY: "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (rooms, os.environ.get("PYTHONPATH")))),
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process that asks whether nodes are taken
    }


def ray_options(setup_hook: str = "") -> dict[str, Any]:
    """Arguments of `ray.init`: join the cluster that RAY_ADDRESS names, or start a Ray of our own;
    each worker process of this driver finds the rooms, has this process's application, and begins
    with the function that `setup_hook` names.

    Workers of our own Ray have both from its environment (`local_ray`). So they need no runtime
    environment, for which each of them would import Ray twice.
    Without an address Ray tries the cluster that was last started on the machine, dead or alive. A
    dashboard of our own Ray would be a dozen processes, at an address that nobody is told.
    """
    app = {"env_vars": {variable("app"): APPLICATION.path}} if APPLICATION.path else {}
    is_own = bool(os.environ.get(OWN_RAY))
    hook = setup_hook or ("" if is_own else OPEN_ROOMS)
    return {
        "address": os.environ.get("RAY_ADDRESS") or "local",
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": logging.WARNING,
        "runtime_env": {"worker_process_setup_hook": hook, **app} if hook else None,
    }


def own_ray_address() -> str:
    """The address of the Ray that `headrace up` started; "" where this process is of none."""
    return os.environ.get("RAY_ADDRESS", "") if os.environ.get(OWN_RAY) else ""


def keep_own_ray_local() -> None:
    """Apply `local_ray` to the Ray that this process starts if RAY_ADDRESS names none."""
    if "RAY_ADDRESS" not in os.environ:
        os.environ.update(local_ray())


def catalogue_path(settings: Settings) -> Path:
    """The folder of the catalogue files, the static features' source."""
    return settings.home_path / "catalogue"


def encoders_path(settings: Settings) -> Path:
    """The folder of the encoders' weights that were trained here."""
    return settings.home_path / "encoders"


def vectors_path(settings: Settings) -> Path:
    """The folder of the content vectors, by encoder and version."""
    return settings.home_path / "vectors"

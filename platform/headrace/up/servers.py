"""The servers and settings of one `headrace up`: a server that is not configured is started."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace import config
from headrace.access.api_keys.key import new_secret
from headrace.clock import now_ms
from headrace.documents.feed import publish_catalogue
from headrace.errors import ConfigError
from headrace.features.online.store import OnlineStore
from headrace.rooms.folder import room_path
from headrace.services.haproxy import serve_environment
from headrace.services.kafka import Broker, check_broker, start_broker
from headrace.services.processes.owner import Owner
from headrace.services.ray_node import RayNode, start_ray
from headrace.services.redis import RedisServer, masked, start_redis
from headrace.services.redis_condition import check_store
from headrace.settings.text import require_home
from headrace.settings.variables import variable
from headrace.up.display.screen import Screen
from headrace.up.home import keep_application, lock_home, require_space
from headrace.up.options import UpOptions
from headrace.up.supervision.restarts import Restarts
from headrace.up.sweep import SHORT_PARENT, SHORT_PREFIX, own_folder

CLICK_WINDOW_S = 5.0  # someone who tries the platform does not wait for the default of 5 minutes
NUM_CPUS = 4  # what Ray schedules; see start_ray
QUALITY_WINDOWS = 100  # points of the quality curves over the log
LOG_IS_GONE: Final = (
    "the embedded broker (tansu) has ended, and with it the log, which it keeps in memory: events, "
    "samples and versions of this run are gone; start again, or set KAFKA_HOME to Apache Kafka, "
    "which keeps its log"
)

Environ = dict[str, str]  # of the parts


@dataclass(slots=True)
class Server:
    """A server that this run started, and how it is started again; `loss` is why it cannot be."""

    name: str
    current: RedisServer | Broker | RayNode
    again: Callable[[], RedisServer | Broker | RayNode]
    loss: str = ""
    carries_parts: bool = False  # the parts run in it: they end before it starts again
    restarts: Restarts = field(default_factory=Restarts)

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return self.current.process.is_running

    @property
    def pid(self) -> int | None:
        """The id of its process."""
        return self.current.process.pid

    @property
    def refusal(self) -> str:
        """A server that refuses is not started at all."""
        return ""

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        return f"exit code {self.current.process.exit_code}"

    @property
    def log_path(self) -> Path:
        """Where it writes."""
        return self.current.process.command.log_path

    def start(self) -> None:
        """Start it again; returns when it answers. Call it from the main thread."""
        self.current.stop()  # also what it has left running
        self.current = self.again()

    def ask_to_stop(self) -> None:
        """Ask it to end and do not wait."""
        self.current.process.ask_to_stop()

    def stop(self, grace_s: float = 0.0) -> None:
        """End it; each kind of server has its own grace."""
        self.current.stop()


def settings_of_run(
    options: UpOptions, settings: config.Settings, owner: Owner, stack: ExitStack
) -> config.Settings:
    """A namespace, a folder and windows of this run's own, where none were asked for."""
    changes: dict[str, object] = {
        "progressive_window": max(1, options.dataset.num_events // QUALITY_WINDOWS)
    }
    if options.namespace:
        changes["namespace"] = options.namespace
    elif not config.is_given("namespace"):
        changes["namespace"] = f"up_{secrets.token_hex(4)}"
    if not config.is_given("home"):
        changes["home"] = folder = own_folder(owner)
        stack.push(lambda kind, *_: _leave(folder, kind))
    if not config.is_given("own_key"):
        changes["own_key"] = new_secret()
    if not config.is_given("click_window_s"):
        changes["click_window_s"] = CLICK_WINDOW_S
    if not settings.campaigns and options.dataset.name == "movielens":
        changes["campaigns"] = str(room_path("serving") / "campaigns.yaml")
    changed = config.changed(settings, **changes)
    require_home(changed.home_path)
    stack.enter_context(lock_home(changed.home_path))
    require_space(changed.home_path)
    return config.changed(changed, app=keep_application(changed))


def socket_folder(owner: Owner, stack: ExitStack) -> Path:
    """A temporary folder with a short path, for the sockets of Ray and HAProxy."""
    folder = own_folder(owner, SHORT_PREFIX, SHORT_PARENT)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _leave(folder: Path, kind: type[BaseException] | None) -> None:
    """Removes a folder, unless an error points to it: the logs stay until the next start."""
    if kind is None or issubclass(kind, KeyboardInterrupt):
        shutil.rmtree(folder, ignore_errors=True)


def start_servers(
    settings: config.Settings, sockets: Path, environ: Environ, stack: ExitStack, screen: Screen
) -> tuple[config.Settings, list[Server]]:
    """Starts Redis and a broker where no address is configured: the settings with their addresses,
    and the started servers. `environ` becomes that of the parts; `sockets` is a folder with a short
    path.
    """
    if settings.kafka.security_protocol != "PLAINTEXT" and not config.is_given("kafka_bootstrap"):
        raise ConfigError(
            f"{variable('kafka_security_protocol')}={settings.kafka.security_protocol} is "
            "for a broker that runs: name it with KAFKA_BOOTSTRAP, or unset it to have one started"
        )
    for warning in settings.http.warnings():
        screen.say(f"warning: {warning}")
    settings.http.require_tls_files()
    folder, servers = settings.home_path / "servers", []
    screen.phase = "starting Redis"
    if config.is_given("redis_url"):
        for warning in check_store(settings):
            screen.say(f"warning: {warning}")
        screen.say(f"using Redis at {masked(settings.redis_url)}")
    else:
        redis = _start_redis(folder / "redis", environ)
        servers.append(server := Server("redis", redis, redis.started_again))
        stack.callback(server.stop)
        settings = config.changed(settings, redis_url=redis.url)
        screen.say(f"started Redis at {masked(settings.redis_url)}")
    screen.phase = "starting the broker"
    if config.is_given("kafka_bootstrap"):
        check_broker(settings.kafka_bootstrap, settings.kafka)
        screen.say(f"using the broker at {settings.kafka_bootstrap}")
    else:
        broker = start_broker(folder / "kafka", environ)
        loss = "" if broker.keeps_its_log else LOG_IS_GONE
        servers.append(server := Server("broker", broker, broker.started_again, loss))
        stack.callback(server.stop)
        settings = config.changed(settings, kafka_bootstrap=broker.bootstrap)
        screen.say(f"started a broker ({broker.kind}) at {broker.bootstrap}")
    environ |= {**config.environment(settings), **serve_environment(sockets, settings.http)}
    return settings, servers


def _start_redis(folder: Path, environ: Environ) -> RedisServer:
    """A Redis that keeps everything while the run lasts, and begins empty: the log does too."""
    for path in folder.glob("appendonly*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return start_redis(folder, environ=environ, keep="everysec")


def materialize(options: UpOptions, settings: config.Settings, screen: Screen) -> None:
    """Write what the parts need before the first event: topics, the catalogue, and the profiles of
    the users. What Feast needs comes beside the replay."""
    dataset, as_of_ms = options.dataset, now_ms()
    screen.phase = "materializing"
    screen.say(
        f"materializing {len(dataset.users):,} users and {len(dataset.items):,} items of "
        f"{dataset.name}"
    )
    screen.say(f"topics and keys begin with {settings.namespace}")
    publish_catalogue(settings, dataset, as_of_ms)
    OnlineStore(settings).write_profiles(dataset.users, as_of_ms)


def start_own_ray(
    settings: config.Settings, sockets: Path, environ: Environ, stack: ExitStack, screen: Screen
) -> tuple[Server, Callable[[], None]]:
    """Begins to start a Ray of our own, with its temporary files in `sockets`: the server, and a
    function that returns once it answers. Its address is in `environ` at once, so that the parts
    can import what they need meanwhile.
    """
    screen.phase = "starting Ray"
    environ |= config.local_ray()

    def begin() -> RayNode:
        environ.pop("RAY_ADDRESS", None)
        node = start_ray(settings.home_path / "servers" / "ray", sockets / "r", environ, NUM_CPUS)
        environ["RAY_ADDRESS"] = node.address
        return node

    def again() -> RayNode:
        node = begin()
        node.wait_ready()
        return node

    def wait() -> None:
        node.wait_ready()
        screen.say(f"started Ray at {node.address}")

    node = begin()
    server = Server("ray", node, again, carries_parts=True)
    stack.callback(server.stop)
    return server, wait

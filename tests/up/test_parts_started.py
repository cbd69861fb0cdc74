"""Which parts `headrace up` starts, and what it refuses to start with."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from headrace import config
from headrace.datasets.movielens.loader import load
from headrace.errors import ConfigError
from headrace.up.display.screen import Screen
from headrace.up.options import UpOptions
from headrace.up.parts import parts_of
from headrace.up.servers import start_servers


@pytest.mark.parametrize("archive", [False, True])
def test_the_archive_is_a_part_where_it_is_asked_for(tmp_path: Path, archive: bool) -> None:
    options = UpOptions(
        dataset=load(),
        data_arguments=(),
        events_per_s=None,
        shift_to_now=True,
        once=True,
        report=None,
        requests_per_s=0,
        namespace=None,
        archive=archive,
    )
    names = [part.name for part in parts_of(options, tmp_path, {})]
    assert names == ["stream", "train", "serve", *(["archive"] if archive else [])]


def test_how_a_broker_is_reached_is_of_no_use_without_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REDIS_URL", "KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    settings = config.settings(kafka_security_protocol="SSL")
    with ExitStack() as stack, pytest.raises(ConfigError, match="name it with KAFKA_BOOTSTRAP"):
        start_servers(settings, tmp_path, {}, stack, Screen())

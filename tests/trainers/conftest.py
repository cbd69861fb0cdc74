"""Servers for the tests of a trainer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trainer_servers import started

from headrace import config


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[config.Settings]:
    with started(tmp_path) as settings:
        yield settings

"""What every test file has: settings of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from headrace.feast_adapter import first_import as _before_feast  # noqa: F401

# A machine that is busy, or slow, is no fault of the code: no example has a time limit.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

OURS = ("HEADRACE_", "REDIS_URL", "KAFKA_BOOTSTRAP")


@pytest.fixture(scope="module", autouse=True)
def _no_settings_of_another_file() -> Iterator[None]:
    """A store puts its settings into the environment, for Feast: they end with the file."""
    before = {name: text for name, text in os.environ.items() if name.startswith(OURS)}
    yield
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    os.environ.update(before)

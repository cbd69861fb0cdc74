"""One loop with a trained model, shared by the tests of what serving makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from two_surfaces import two_surfaces

from headrace.config import Settings


@pytest.fixture(scope="package")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with two_surfaces(tmp_path_factory.mktemp("two-surfaces")) as made:
        yield made

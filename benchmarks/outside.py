"""The resources outside of the project that the environment names: Apache Kafka, larger data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

NO_DATA: Final = "larger data is not here: set HEADRACE_TEST_DATA"
NO_KAFKA: Final = "no Apache Kafka: set KAFKA_HOME"


def larger_data(folder: str) -> Path | None:
    """A folder of HEADRACE_TEST_DATA, such as `kuairand`; None where it is not there."""
    named = os.environ.get("HEADRACE_TEST_DATA")
    path = Path(named) / folder if named else None
    return path if path and path.is_dir() else None


def kafka_environ() -> dict[str, str]:
    """KAFKA_HOME as a variable for others; empty where it is not set."""
    home = os.environ.get("KAFKA_HOME")
    return {"KAFKA_HOME": home} if home else {}

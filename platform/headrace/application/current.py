"""The application of this process: read once, when this is imported, from the file that
HEADRACE_APP names.

Bits of outcomes, columns of features and heads of the ranker are made of it when modules are
imported, so it cannot change while a process runs. A file that is wrong is refused then.
"""

from __future__ import annotations

import os
from typing import Final

from headrace.application.document import path_of, read
from headrace.application.sections import Application, read_sections
from headrace.errors import ConfigError

VARIABLE: Final = "HEADRACE_APP"


def load(given: str) -> Application:
    """The application in this file, the default one where none is named; raises `ConfigError` with
    everything that is wrong with its own sections."""
    if not given:
        return Application()
    path = path_of(given)
    application, problems = read_sections(read(path), str(path))
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    return application


APPLICATION: Final = load(os.environ.get(VARIABLE, ""))

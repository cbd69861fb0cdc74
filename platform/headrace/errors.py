"""Everything headrace raises on purpose.

    HeadraceError                 parents exist so that callers can catch a family
      ConfigError                 a setting, flag or file of the user's is wrong
      DatasetError                input data is missing, damaged or unknown
      ServiceError                Redis, the broker, Ray or a port is not there
      InvalidEvent                one event that cannot be accepted

Messages say what was wrong, what came, what was expected and what to do, in one line: the command
line prints them as they are and exits with code 2.
"""


class HeadraceError(Exception):
    """Parent of every error that headrace raises on purpose."""


class ConfigError(HeadraceError):
    """A setting, a flag or a file of the user's is wrong."""


class DatasetError(HeadraceError):
    """Input data is missing, damaged or unknown."""


class ServiceError(HeadraceError):
    """A server that headrace needs (Redis, the broker, Ray, a port) is not available."""


class InvalidEvent(HeadraceError):
    """One event that cannot be accepted; `field` is the path of the field at fault."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(reason)
        self.field = field

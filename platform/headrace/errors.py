"""Everything headrace raises on purpose.

    HeadraceError                 parents exist so that callers can catch a family
      ConfigError                 a setting, flag or file of the user's is wrong
        ActionsMismatch           a namespace has other actions than this process
      DatasetError                input data is missing, damaged or unknown
      ServiceError                Redis, the broker, Ray or a port is not there
        StoreUnavailable          the online store's Redis is down, full or refuses
        LogUnavailable            the broker did not say that it has what it was sent
        PartitionLost             another stream worker owns the partition now
        LogMismatch               a topic is not the one that was expected
        CommitDamaged             it is not known how far a partition was processed
      InvalidEvent                one event that cannot be accepted
      InvalidDocument             one item or user that cannot be accepted
      FeatureError                a view or feature is unknown, or a value does not fit it

Messages say what was wrong, what came, what was expected and what to do, in one line: the command
line prints them as they are and exits with code 2.
"""


class HeadraceError(Exception):
    """Parent of every error that headrace raises on purpose."""


class ConfigError(HeadraceError):
    """A setting, a flag or a file of the user's is wrong."""


class ActionsMismatch(ConfigError):
    """The actions of this process are not those whose bits a namespace holds."""


class DatasetError(HeadraceError):
    """Input data is missing, damaged or unknown."""


class ServiceError(HeadraceError):
    """A server that headrace needs (Redis, the broker, Ray, a port) is not available."""


class StoreUnavailable(ServiceError):
    """The Redis of the online store is down, full or refuses commands."""


class LogUnavailable(ServiceError):
    """The broker did not acknowledge messages, or takes none now: some may be in the log."""


class PartitionLost(ServiceError):
    """A partition of the event log was taken over by another stream worker."""


class LogMismatch(ServiceError):
    """A topic is another one than that which positions belong to, has another number of partitions,
    or does not reach to a position: trying again does not help."""


class CommitDamaged(ServiceError):
    """A partition's commit in Redis is none: it is not known how far it was processed."""


class InvalidEvent(HeadraceError):
    """One event that cannot be accepted; `field` is the path of the field at fault."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(reason)
        self.field = field


class InvalidDocument(HeadraceError):
    """One document of an item or a user that cannot be accepted; `field` is the path of the field
    at fault."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(reason)
        self.field = field


class FeatureError(HeadraceError):
    """A feature view or feature is not known, or a value does not fit its definition."""

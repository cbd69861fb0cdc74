"""The samples as the online trainer reads them: from its positions, in the topic they belong to."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.broker import LogReader, Topics, log_identity
from headrace.config import Settings
from headrace.topics import agreed


def open_samples(
    settings: Settings, positions: Mapping[int, int], log: str
) -> tuple[LogReader, str]:
    """A reader of the samples, and the identity of their topic, to be kept with the positions.

    `log` is the identity that was kept, "" for none. Raises `LogMismatch` for other samples.
    """
    topic = Topics(settings.namespace).samples
    folder = settings.home_path / "train" / f"{settings.namespace}-online"
    advice = (
        f"choose another namespace (HEADRACE_NAMESPACE), or move {folder} away to begin a new model"
    )
    kept = agreed(log, log_identity(settings, topic), "in the trainer's checkpoint", advice)
    return LogReader(settings, topic, positions, settings.batch_size), kept

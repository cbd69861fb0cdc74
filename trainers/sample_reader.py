"""The sample reader: records of the samples topic in, the samples of a step of training out.

Each sample comes out once, from positions in a log that is known; messages that are gone from the
log, damaged samples, and those of another feature table are counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from headrace.broker.reader import LogReader, ends_of_log
from headrace.broker.record import Record
from headrace.broker.topics import Topics, agreed, log_identity
from headrace.config import Settings
from headrace.features.rows.sample_intake import KnownOffsets, samples_in, without_those_beyond
from headrace.features.schema import INPUT_SCHEMA
from headrace.sample import Sample, decode_batch, encode_batches
from headrace.skipped import Skipped

log = logging.getLogger(__name__)


class SampleReader:
    """Samples of the topic, in order, until they are trained on; time is an argument."""

    def __init__(
        self, settings: Settings, clock: Callable[[], int], skipped: Skipped | None = None
    ) -> None:
        self._settings, self._clock = settings, clock
        self.skipped = skipped or Skipped(clock)
        self.positions = dict.fromkeys(range(settings.stream.num_partitions), 0)
        self.num_unreadable = self.num_lost = 0  # of other schemas; messages gone from the log
        self._log = ""  # what the positions belong to
        self._taken: dict[tuple[int, int], int] = {}  # last source offset per (partition, sequence)
        self._pending: list[Sample] = []
        self._pending_since_ms = clock()
        self._reader: LogReader | None = None
        events = Topics(settings.namespace).events
        self._known = KnownOffsets(lambda: ends_of_log(settings, events))

    def poll(self) -> None:
        """Take in the new samples of the topic, and its gaps."""
        if self._reader is None:
            self._reader, self._log = open_samples(self._settings, self.positions, self._log)
        for record in self._reader.poll(timeout_ms=50):
            if not self._pending:
                self._pending_since_ms = self._clock()
            self._take(record)
        for gap in self._reader.take_gaps():
            log.warning("%s", gap)
            self.positions[gap.partition] = gap.gone.stop
            self.num_lost += len(gap.gone)

    def is_due(self) -> bool:
        """Whether there is a full batch, or a smaller one that has waited long enough."""
        pending = sum(sample.num_impressions for sample in self._pending)
        waited_ms = self._clock() - self._pending_since_ms
        is_full = pending >= self._settings.training.batch_size
        return is_full or bool(
            pending and waited_ms >= 1_000 * self._settings.training.batch_wait_s
        )

    def take(self) -> list[Sample]:
        """The samples that wait, for one step of training."""
        samples, self._pending = self._pending, []
        return samples

    def lag(self) -> int | None:
        """Messages and samples that were not trained on yet, None while it is not known."""
        if self._reader is None or not self._reader.has_answers():
            return None
        return self._reader.lag() + len(self._pending)

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs, as a value: reading on does not change it."""
        return {
            "positions": dict(self.positions),
            "log": self._log,
            "lost": self.num_lost,
            "taken": dict(self._taken),
            "pending": list(encode_batches(self._pending)),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the state that `state` returned; pending samples of other inputs are dropped."""
        self.positions.update(state["positions"])  # the topic may have been grown meanwhile
        self._taken = dict(state["taken"])
        # Checkpoints from before these were kept lack them.
        self._log, self.num_lost = state.get("log", ""), state.get("lost", 0)
        pending = [one for message in state.get("pending", ()) for one in decode_batch(message)]
        self._pending = [sample for sample in pending if sample.schema == INPUT_SCHEMA]

    def close(self) -> None:
        """Leave the broker."""
        if self._reader:
            self._reader.close()

    def _take(self, record: Record) -> None:
        """Queue samples unless they were taken before: a stream worker may have sent them twice."""
        self.positions[record.partition] = record.offset + 1
        samples = samples_in(record, self.skipped)
        for sample in without_those_beyond(samples, self._known, self.skipped, self._clock()):
            if sample.schema != INPUT_SCHEMA:
                self.num_unreadable += 1
                if self.num_unreadable == 1:
                    log.warning(
                        "samples of the input schema %08x are skipped, this build has %08x: start "
                        "`headrace stream` of this build, and new ones come; the number of those "
                        "skipped is in the status (unreadable_samples)",
                        *(sample.schema, INPUT_SCHEMA),
                    )
                continue
            sequence = (sample.source_partition, sample.sequence)
            if sample.source_offset > self._taken.get(sequence, -1):
                self._taken[sequence] = sample.source_offset
                self._pending.append(sample)


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
    return LogReader(settings, topic, positions, settings.training.batch_size, log=kept), str(kept)

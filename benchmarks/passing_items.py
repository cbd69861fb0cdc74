"""Items that come and go while a stream is under load: told by documents, shown, and taken away.

An item is in events only while it is announced, so that each count of one that stays can be
recounted. One that was taken away is forgotten a while after its last event.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.config import Settings
from headrace.documents.document import ITEM, ItemDocument
from headrace.documents.messages import removal, whole_message

EVERY_S: Final = 0.25  # one comes
TOLD_S, SHOWN_S, LEFT_S = 1.0, 6.0, 7.0  # after its coming: it is in events from, until; it goes
FORGOTTEN_AFTER_S: Final = 5  # of workers: after the last event about an item that is not known


@dataclass(slots=True)
class _Passing:
    came_s: float
    is_gone: bool = False


@dataclass
class PassingItems:
    """Puts items and takes them away, from a thread, until it is stopped."""

    settings: Settings
    _items: dict[str, _Passing] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the broker has all that was told."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def shown(self) -> list[str]:
        """The items that events may name now."""
        now_s = time.monotonic()
        ages_s = {item_id: now_s - one.came_s for item_id, one in self._items.copy().items()}
        return [item_id for item_id, age_s in ages_s.items() if TOLD_S < age_s < SHOWN_S]

    def staying(self) -> list[str]:
        """Those that were never taken away."""
        return [item_id for item_id, one in self._items.items() if not one.is_gone]

    def gone(self) -> Collection[str]:
        """Those that were."""
        return self._items.keys() - set(self.staying())

    def _run(self) -> None:
        topic = Topics(self.settings.namespace).items
        with closing(LogWriter(self.settings)) as writer:
            while not self._stopping.wait(EVERY_S):
                item_id, now_s = f"passing-{len(self._items)}", time.monotonic()
                document = ItemDocument(item_id, f"Thing {item_id}", categories=("c1",))
                told = [whole_message(ITEM, document)]
                for other_id, one in self._items.items():
                    if not one.is_gone and now_s - one.came_s > LEFT_S:
                        one.is_gone = True
                        told.append(removal(other_id))
                for message in told:
                    writer.send(topic, message.value, message.key)
                writer.flush()
                self._items = {**self._items, item_id: _Passing(time.monotonic())}

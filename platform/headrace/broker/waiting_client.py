"""The network client of producers, which waits for a broker's answers without using a processor.

kafka-python 3.0.12's producer asks its client how long to wait where a node may not get another
request yet: at once, says the stock client, if the node is connected, and in seconds where
milliseconds are meant if it is not. So a producer with something to send, beside a broker that has
not answered, takes a whole core until it does.
"""

from __future__ import annotations

from typing import Final

from kafka.net.compat import KafkaNetClient

LONGEST_WAIT_MS: Final = 100.0  # an answer, a new message and the end of a deadline come before


class WaitingClient(KafkaNetClient):  # type: ignore[misc]
    """The client of kafka-python's producers, with delays that can be waited for."""

    def connection_delay(self, node_id: int) -> float:
        """Milliseconds until the node may be asked again, unless it answers before."""
        connection = self._manager._conns.get(node_id)
        if connection is not None and connection.connected:
            return LONGEST_WAIT_MS
        return float(self._manager.connection_delay(node_id)) * 1_000

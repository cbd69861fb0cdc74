"""The spool: what is kept comes back once, within its bytes, whoever dies on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace.broker import spool as spool_module
from headrace.broker.log_sender import Message
from headrace.broker.spool import Spool
from headrace.errors import LogUnavailable
from headrace.skipped import Skipped

MESSAGES = [
    Message(b"ann", b"one" * 10, 1_000),
    Message(b"", b"", 2_000),
    Message(b"b", b"\0\n", 3),
]


def made(folder: Path, max_bytes: int = 1_000_000) -> Spool:
    return Spool(folder / "spool", max_bytes, Skipped())


def drained(spool: Spool) -> list[Message]:
    found: list[Message] = []
    while spool.drain(found.extend):
        pass
    return found


def test_what_is_kept_comes_back_in_order_and_leaves_nothing(tmp_path: Path) -> None:
    spool = made(tmp_path)
    spool.append(MESSAGES[:2])
    spool.append(MESSAGES[2:])
    assert (spool.num_kept, spool.num_dropped) == (3, 0) and spool.num_bytes() > 30
    assert drained(spool) == MESSAGES
    assert spool.num_bytes() == 0 and drained(spool) == []


def test_another_takes_over_what_one_left_but_not_what_it_writes(tmp_path: Path) -> None:
    one, other = made(tmp_path), made(tmp_path)
    one.append(MESSAGES)
    assert drained(other) == []
    one.close()  # as its end does
    assert drained(other) == MESSAGES


def test_what_could_not_be_sent_stays(tmp_path: Path) -> None:
    spool = made(tmp_path)
    spool.append(MESSAGES)

    def refused(_: Sequence[Message]) -> None:
        raise LogUnavailable("away again")

    with pytest.raises(LogUnavailable):
        spool.drain(refused)
    assert drained(spool) == MESSAGES


def test_what_a_full_spool_drops_is_counted(tmp_path: Path) -> None:
    spool = made(tmp_path, max_bytes=100)
    spool.append([Message(b"k", b"v" * 30, n) for n in range(5)])
    assert (spool.num_kept, spool.num_dropped) == (1, 4)
    assert "full" in spool.last_error
    assert len(drained(spool)) == 1
    spool.append([Message(b"k", b"v", 1)])
    assert spool.last_error == "" and spool.num_dropped == 4
    spool.close()


def test_without_bytes_there_is_no_spool(tmp_path: Path) -> None:
    spool = made(tmp_path, max_bytes=0)
    spool.append(MESSAGES)
    assert spool.num_dropped == 3 and not (tmp_path / "spool").exists()


def test_a_folder_that_cannot_be_written_drops_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("no folder")
    spool = made(tmp_path)
    spool.append(MESSAGES)
    assert spool.num_dropped == 3 and str(tmp_path) in spool.last_error


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_a_record_that_was_cut_off_is_counted_and_the_others_come(tmp_path: Path, cut: int) -> None:
    skipped = Skipped()
    spool = Spool(tmp_path / "spool", 1_000_000, skipped)
    spool.append([MESSAGES[0]] * 3)
    spool.close()
    (segment,) = (tmp_path / "spool").iterdir()
    segment.write_bytes(segment.read_bytes()[:-cut])
    assert drained(spool) == [MESSAGES[0]] * 2
    assert skipped.counts() == {("spool", "damaged"): 1}


def test_segments_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 100)
    spool = made(tmp_path)
    for number in range(10):
        spool.append([Message(b"k", b"v" * 60, number + 1)])
    assert len(list((tmp_path / "spool").iterdir())) == 5
    assert [message.arrival_ms for message in drained(spool)] == list(range(1, 11))

"""`headrace dead-letters`: look at events that were not accepted, and send mended ones again."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from headrace import config
from headrace.clock import now_ms
from headrace.commands.running import add_platform_flag
from headrace.errors import ConfigError, InvalidEvent
from headrace.event import Event, encode
from headrace.skipped import shortened
from headrace.stream.dead_letter import Letter, events_in, original_of, place_of, read_letters

SHOWN_LETTERS = 20
SHOWN_TEXT = 120  # of a reason in the list


def add_dead_letters(commands: Any) -> None:
    """Add `dead-letters` and its own commands to the command line."""
    letters = commands.add_parser(
        "dead-letters", help="events that were not accepted: list, show, replay"
    )
    actions = letters.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="the letters, newest first, and how many per reason")
    listed.add_argument("--reason", default="", metavar="TEXT", help="only reasons with this text")
    listed.add_argument("--limit", type=int, default=SHOWN_LETTERS, help="letters to list at most")
    listed.add_argument("--oldest-first", action="store_true", help="in the order they came")
    listed.add_argument("--json", action="store_true", help="for programs: one letter a line")
    add_platform_flag(listed)
    listed.set_defaults(run=_list)
    shown = actions.add_parser("show", help="one letter, and the event as it lies in the topic")
    shown.add_argument("place", metavar="PARTITION:OFFSET", help="of the event; or, with --letter,")
    shown.add_argument("--letter", action="store_true", help="of the letter itself, as 0:17")
    add_platform_flag(shown)
    shown.set_defaults(run=_show)
    replay = actions.add_parser("replay", help="send mended events, or those of a reason, again")
    what = replay.add_mutually_exclusive_group(required=True)
    what.add_argument("--file", type=Path, metavar="FILE", help="events, one JSON object a line")
    what.add_argument("--reason", metavar="TEXT", help="the originals of reasons with this text")
    replay.add_argument("--dry-run", action="store_true", help="check them and send nothing")
    add_platform_flag(replay)
    replay.set_defaults(run=_replay)


def _list(options: argparse.Namespace, settings: config.Settings) -> int:
    letters = [one for one in _letters(settings) if options.reason in one.reason]
    ordered = letters if options.oldest_first else letters[::-1]
    for letter in ordered[: max(options.limit, 0)]:
        if options.json:
            print(json.dumps(_document(letter)))
        else:
            size = f"{max(letter.length, len(letter.value)):,} bytes"
            field = f" ({shortened(letter.field, 40)})" if letter.field else ""
            print(f"{letter.place}  {size}  {shortened(letter.reason, SHOWN_TEXT)}{field}")
    if not options.json:
        for reason, num in Counter(
            shortened(one.reason, SHOWN_TEXT) for one in letters
        ).most_common(SHOWN_LETTERS):
            print(f"{num:>8,} x {reason}")
        print(f"{len(letters):,} letters")
    return 0


def _show(options: argparse.Namespace, settings: config.Settings) -> int:
    partition, offset = place_of(options.place)
    for letter in _letters(settings):
        is_it = (letter.partition, letter.original_offset) == (partition, offset)
        if (partition, letter.offset) == (0, offset) if options.letter else is_it:
            break
    else:
        raise ConfigError(
            f"no letter about {options.place}: `headrace dead-letters list` has those that are kept"
        )
    original = original_of(letter, settings)
    if original is not None:
        told = "as it lies in the topic"
    elif letter.is_whole:
        original, told = letter.value, "as the letter has it; the topic has it no longer"
    else:
        original, told = letter.value, "its beginning; the topic has it no longer"
    for name, value in _document(letter).items():
        print(f"{name}: {value}")
    print(f"event, {told}:\n{_pretty(original)}")
    return 0


def _replay(options: argparse.Namespace, settings: config.Settings) -> int:
    if options.file is not None:
        try:
            lines = options.file.read_bytes().splitlines()
        except OSError as error:
            raise ConfigError(f"--file {options.file}: {error.strerror}") from None
        _check(settings)
        checked = [(f"line {number}", one) for number, one in events_in(lines, now_ms())]
    else:
        chosen = [one for one in _letters(settings) if options.reason in one.reason]
        checked = list(_originals(chosen, settings))
    refused = [(name, one) for name, one in checked if isinstance(one, InvalidEvent)]
    events = [one for _, one in checked if not isinstance(one, InvalidEvent)]
    for name, fault in refused:
        print(f"{name}: {shortened(fault.field)}: {shortened(fault)}")
    if refused and options.file is not None:
        print(f"nothing was sent: {len(refused):,} of {len(checked):,} events are refused")
        return 1
    if not options.dry_run:
        _send(events, settings)
    verb = "would be sent" if options.dry_run else "sent"
    print(f"{len(events):,} {verb}, {len(refused):,} refused")
    return 1 if refused else 0


def _originals(
    letters: Iterable[Letter], settings: config.Settings
) -> Iterable[tuple[str, Event | InvalidEvent]]:
    """The originals of letters, parsed anew: an event or its fault, by the letter's place."""
    for letter in letters:
        original = letter.value if letter.is_whole else original_of(letter, settings)
        if original is None:
            yield letter.place, InvalidEvent("the topic has it no longer", field="$")
            continue
        for _, event in events_in([original], now_ms()):
            yield letter.place, event


def _send(events: Sequence[Event], settings: config.Settings) -> None:
    from headrace.broker.topics import Topics
    from headrace.broker.writer import LogWriter

    with closing(LogWriter(settings)) as writer:
        for event in events:
            topic = Topics(settings.namespace).events
            writer.send(topic, encode(event), key=event.user_id.encode())
        writer.flush()


def _letters(settings: config.Settings) -> list[Letter]:
    _check(settings)
    return list(read_letters(settings))


def _check(settings: config.Settings) -> None:
    from headrace.broker.topics import create_topics
    from headrace.services.kafka import check_broker

    check_broker(settings.kafka_bootstrap, settings.kafka)
    create_topics(settings)


def _document(letter: Letter) -> dict[str, Any]:
    return {
        "event": letter.place,
        "letter": f"0:{letter.offset}",
        "arrival_ms": letter.arrival_ms,
        "reason": letter.reason,
        "field": letter.field,
        "length": letter.length,
        "sha256": letter.sha256,
        "kept_whole": letter.is_whole,
    }


def _parsed(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        return None


def _pretty(payload: bytes) -> str:
    """JSON over several lines; anything else as Python writes bytes, so that no terminal obeys."""
    document = _parsed(payload)
    if document is None:
        return repr(payload)
    return json.dumps(document, indent=2, ensure_ascii=not str(document).isprintable())

"""Feast's servers: kept on loopback, since none of them asks for a key.

Whoever reaches Feast's feature server reads every user's features and pushes others. Some of
Feast's servers listen on all interfaces unless told otherwise, some whatever they are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from headrace.access.http import is_loopback
from headrace.errors import ConfigError
from headrace.services.ports import LOOPBACK

HOST: Final = ("--host", "-h")
FLAGS: Final = {  # that say where a server listens
    **dict.fromkeys(("serve", "serve_offline", "serve_lineage", "serve_registry", "ui"), HOST),
    "listen": ("--address", "-a"),
}
DEFAULTS: Final = {"listen": "localhost:50051"}
EVERYWHERE: Final = frozenset({"serve_registry", "serve_transformations"})  # over gRPC
OF_FEAST: Final = frozenset(  # with a value, before the command
    {"-c", "--chdir", "--log-level", "-f", "--feature-store-yaml"}
)
ADVICE: Final = (
    "it has no keys, and would give every user's features to whoever reaches it: leave it on "
    "127.0.0.1, and put a proxy in front that asks who it is, or go through ssh -L"
)


def kept_on_loopback(arguments: Sequence[str]) -> list[str]:
    """The arguments of Feast's command line, of a server with its host on loopback.

    Raises `ConfigError` for a server that would listen elsewhere.
    """
    place = _place_of_command(arguments)
    command = arguments[place].replace("-", "_") if place < len(arguments) else ""
    if "--help" in arguments or command not in FLAGS.keys() | EVERYWHERE:
        return list(arguments)
    if command in EVERYWHERE and (command not in FLAGS or "--no-grpc" not in arguments):
        told = f"feast {command} listens on every interface, whatever it is told"
        raise ConfigError(f"{told}; {ADVICE}")
    flags = FLAGS.get(command, HOST)
    addresses = _values_of(flags, arguments[place + 1 :])
    for address in addresses:
        host = address.rpartition(":")[0] if command == "listen" else address
        if not is_loopback(host):
            told = f"feast {command} {flags[0]} {address}: expected a loopback address"
            raise ConfigError(f"{told}; {ADVICE}")
    default = (flags[0], DEFAULTS.get(command, LOOPBACK))
    return [*arguments, *(() if addresses else default)]


def _place_of_command(arguments: Sequence[str]) -> int:
    """Where the command's name stands, behind Feast's own flags."""
    place = 0
    while place < len(arguments) and arguments[place].startswith("-"):
        place += 2 if arguments[place] in OF_FEAST else 1
    return place


def _values_of(flags: tuple[str, str], arguments: Sequence[str]) -> list[str]:
    """The values of a flag, in each way that it can be written."""
    long, short = flags
    values = []
    for word, following in pairwise([*arguments, ""]):
        if word in flags:
            values.append(following)
        elif word.startswith(f"{long}="):
            values.append(word.partition("=")[2])
        elif word.startswith(short):
            values.append(word[len(short) :].removeprefix("="))
    return values

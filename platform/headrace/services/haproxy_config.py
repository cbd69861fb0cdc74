"""The configuration of HAProxy: Ray Serve's in, the same with a front door's rules out.

    python haproxy_config.py FRONT MAX_SLATES haproxy.cfg [-sf]

It runs as a file of its own, on every start and reload of HAProxy, and imports nothing of headrace.
`FRONT` is a `Front` as JSON, `MAX_SLATES` how many slates and ads a replica takes at one time, and
`-sf` stands for a reload. Where Ray starts HAProxy anew it names no replicas yet: until the reload
that does, a second later, those of the last configuration are taken.
Raises where Ray's text is not what it is known to be: no HAProxy is better than one without its
limits.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LAST: Final = "last.cfg"  # beside the configuration: the last one with replicas
SLATES: Final = "-slates"
AGAIN: Final = "/v1/recommend /v1/rank /v1/similar /v1/trending"  # asked of another in time
PATHS: Final = f"{AGAIN} /v1/ads"  # of them
RETRY: Final = "hdr Retry-After 1"
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
TLS: Final = "ssl-min-ver TLSv1.2 alpn http/1.1"
# Statistics of every server, and switches for them, for whoever on this machine finds the port. Ray
# asks by its socket.
CLOSED: Final = ("listen stats", "frontend prometheus")
# A request ends in time, whoever is slow: one whose header or first 16 kB do not arrive, one for
# whom no replica has room, one whose replica is silent.
TIMEOUTS: Final = (
    "timeout http-request 5s",
    "timeout queue 500ms",
    "timeout check 1s",
    "timeout tunnel 10s",
)
# Of a replica that hangs nobody knows for seconds: a slate that it owes is asked of another one in
# time. Ads are not, because each answer is paid for.
OTHER_REPLICA: Final = (
    "retries 1",
    "retry-on conn-failure response-timeout",
    f"http-request disable-l7-retry if !{{ path {AGAIN} }}",
    f"http-request set-timeout server 400ms if {{ path {AGAIN} }}",
)


@dataclass(frozen=True, slots=True)
class Front:
    """The settings of this platform's HAProxy beside Ray's configuration.

    Raw answers for errors lie in `folder`, one file for each status of `errors`.
    """

    platform: str  # put into each request, see `PLATFORM_HEADER`
    header: str
    folder: str
    max_body_bytes: int
    max_connections: int  # of one address
    host: str = ""  # where it listens; empty: where Ray was told to
    certificate: str = ""  # PEM file, its key beside it as `.key`; empty: no TLS


def configured(text: str, front: Front, max_slates: int) -> str:
    """Ray's configuration with these limits; raises `ValueError` where a place is not found."""
    sections = _sections(text)
    places = {"global", "defaults", "frontend http_frontend", "backend default_backend"}
    if missing := places - {name for name, _ in sections}:
        raise ValueError(f"Ray Serve's HAProxy configuration has no {', '.join(sorted(missing))}")
    lines: list[str] = []
    for name, body in sections:
        if name in CLOSED:
            continue
        lines += [name] if name else []
        lines += _section(name, body, front)
        if name.startswith("backend ") and name != "backend default_backend":
            lines += [f"{name}{SLATES}", *_slates(_section(name, body, front), max_slates)]
    return "\n".join(lines) + "\n"


def _section(name: str, body: list[str], front: Front) -> Iterator[str]:
    if name == "global":
        yield from _global(body)
    elif name == "defaults":
        yield from (line for line in body if not line.strip().startswith("errorfile "))
        yield from (f"    {timeout}" for timeout in TIMEOUTS)
        for status in (400, 408, 500, 502, 503, 504):
            file = status if status < 500 else 503
            yield f"    errorfile {status} {front.folder}/{file}.http"
    elif name == "frontend http_frontend":
        yield from _frontend(body, front)
    elif name == "backend default_backend":
        yield f"    http-request return {_answer(503, 'no replica serves yet')} {RETRY}"
    else:
        for line in body:
            if re.search(r"^\s+server .* backup$", line):
                continue  # Ray's own proxy, which queues without a bound where no replica is left
            yield line


def _frontend(body: list[str], front: Front) -> Iterator[str]:
    """The front door: bounded connections of each address, rules, then the one application, which
    has every path, also `*`."""
    yield _bind(body[0], front)
    yield "    stick-table type ipv6 size 100k expire 60s store conn_cur"
    yield "    tcp-request connection track-sc0 src"
    yield f"    tcp-request connection reject if {{ sc0_conn_cur gt {front.max_connections} }}"
    yield from (f"    {rule}" for rule in _rules(front))
    application = ""
    for line in body[1:]:
        if application and line.strip() == "default_backend default_backend":
            line = f"    default_backend {application}"
        if use := re.fullmatch(r"\s+use_backend (\S+) if (.*)", line):
            application = use[1]
            yield f"    use_backend {application}{SLATES} if {use[2]} {{ path {PATHS} }}"
        yield line


def _bind(line: str, front: Front) -> str:
    """Where it listens. Ray lets replicas, and its own proxy, listen at the same address, without
    TLS or limits: it is told loopback, and the address that others reach stands only here."""
    if front.host:
        host = "*" if front.host == "0.0.0.0" else front.host
        line, num_found = re.subn(r"^(\s+bind )\S*:(\d+)$", rf"\g<1>{host}:\2", line)
        if not num_found:
            raise ValueError(f"Ray Serve's HAProxy listens at {line.strip()!r}: not understood")
    return line + (f" ssl crt {front.certificate} {TLS}" if front.certificate else "")


def _global(body: list[str]) -> Iterator[str]:
    """Without the log, which would send each client's address and path by UDP to whatever listens
    there; the socket, which obeys every order, for this user only."""
    for line in body:
        if re.match(r"\s+stats socket ", line):
            yield re.sub(r" mode \d+ ", " mode 600 ", line)
        elif not re.match(r"\s+log ", line):
            yield line


def _slates(backend: Iterator[str], max_slates: int) -> Iterator[str]:
    """The backend of slates and ads, the same replicas: requests beyond their capacity are refused
    here, because to refuse one costs a replica a tenth of answering it."""
    lines = list(backend)
    servers = [line for line in lines if line.strip().startswith("server ")]
    yield "    timeout queue 50ms"
    yield from (f"    {rule}" for rule in (OTHER_REPLICA if len(servers) > 1 else ()))
    yield from (f"{line} maxconn {max_slates}" if line in servers else line for line in lines)


def _rules(front: Front) -> list[str]:
    """The HTTP rules of the frontend: for a request before any replica, and for its response."""
    too_large = f"a body has at most {front.max_body_bytes:,} bytes"
    told, length = (
        "req.hdr(content-length)",
        f"req.hdr_val(content-length) gt {front.max_body_bytes}",
    )
    methods = "GET HEAD POST PUT DELETE PATCH OPTIONS TRACE"  # what a replica knows to refuse
    return [
        f"http-request return {_answer(505, 'HTTP/1.1')} if !{{ req.ver 1.0 1.1 2.0 }}",
        f"http-request return {_answer(405, 'no such method')} hdr Allow GET,HEAD,POST,PUT,"
        "PATCH,DELETE,OPTIONS "
        f"if !{{ method {methods} }}",
        f"http-request return {_answer(400, 'HTTP only')} if {{ hdr(upgrade) -m found }}",
        f"http-request return {_answer(400, 'a path has no NUL')} if {{ path -m sub -i %00 }}",
        f"http-request return {_answer(400, 'no Host')} if HTTP_1.1 !{{ hdr(host) -m found }}",
        f"http-request return {_answer(413, too_large)} if {{ {told},length gt 9 }} || "
        f"{{ {length} }}",  # the first, because numbers have 32 bits
        "http-request wait-for-body time 5s",  # one that does not arrive holds no place beyond
        "http-request del-header x-request-timeout-seconds",  # these three are orders to Ray
        "http-request del-header serve_multiplexed_model_id",
        # A replica reads a body as it needs it, not all that comes; its own deadlines end requests.
        "http-request set-header x-request-disconnect-disabled ?1",
        f"http-request set-header {front.header} {front.platform}",
        "http-request set-header x-forwarded-for %[src]",  # whatever a client claims
        f"http-request return {_answer(404, 'no such path')} if {{ path -i -m beg /-/routes }}",
        "http-after-response del-header server",
        *(
            f'http-after-response set-header {name} "{text}"'
            for name, text in SECURITY_HEADERS.items()
        ),
    ]


def _answer(status: int, error: str) -> str:
    document = json.dumps({"error": error}).replace('"', '\\"')
    return f'status {status} content-type application/json string "{document}"'


def _sections(text: str) -> list[tuple[str, list[str]]]:
    """The sections by their first lines, which are not indented."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        if line and not line[0].isspace():
            sections.append((line.strip(), []))
        elif line.strip():
            sections[-1][1].append(line)
    return sections


def complete(path: Path, front: Front, max_slates: int, is_reload: bool) -> None:
    """Complete the configuration in a file; that of a start without replicas is the last one."""
    text, last = configured(path.read_text(), front, max_slates), path.parent / LAST
    if re.search(r"^\s+use_backend ", text, re.MULTILINE):
        last.write_text(text)
    elif not is_reload and last.exists():
        text = last.read_text()
    path.write_text(text)


if __name__ == "__main__":
    told = Front(**json.loads(sys.argv[1]))
    complete(Path(sys.argv[3]), told, int(sys.argv[2]), is_reload="-sf" in sys.argv[4:])

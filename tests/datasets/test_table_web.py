"""Pictures by address: from hosts that are named, bounded, kept, and told where they are not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headrace.datasets.table import loader as table
from headrace.datasets.table.entities import web
from headrace.datasets.table.entities.web import Web


class Pages(BaseHTTPRequestHandler):
    """Pictures, redirects and everything else that hosts answer."""

    asked: list[str]
    elsewhere = ""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        locations = {
            "/moved.jpg": "/a.jpg",
            "/away.jpg": f"http://{self.elsewhere}/a.jpg",
            "/file.jpg": "file:///etc/passwd",
            "/loop.jpg": "/loop.jpg",
        }
        if self.path in locations:
            self.send_response(302)
            self.send_header("Location", locations[self.path])
            self.end_headers()
            return
        self.send_response(404 if self.path.startswith("/none") else 200)
        self.end_headers()
        self.wfile.write(b"x" * 5_000 if self.path == "/big.jpg" else self.path.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    Pages.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Pages.elsewhere = f"localhost:{server.server_port}"
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pictures_come_from_their_addresses_and_are_kept(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: e.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c}\n"
        f"items: {{file: i.csv, item_id: i, image: {{url: at, hosts: ['{host}']}}}}"
    )
    (tmp_path / "e.csv").write_text("u,i,t,c\na,1,1,1\n")
    rows = [
        f"1,http://{host}/a.jpg",
        "2,",
        f"3,http://{host}/moved.jpg",
        f"4,http://{host}/é x.jpg",
    ]
    (tmp_path / "i.csv").write_text("\n".join(["i,at", *rows]))
    dataset = table.load(tmp_path)
    assert not Pages.asked  # loading fetches nothing
    for _ in range(2):
        files = [content.files.get("image") for content in dataset.contents()]
        read = [file.read_bytes() if isinstance(file, Path) else file for file in files]
        assert read == [b"/a.jpg", None, b"/a.jpg", b"/%C3%A9%20x.jpg"]
    assert sorted(Pages.asked) == sorted(["/a.jpg", "/moved.jpg", "/a.jpg", "/%C3%A9%20x.jpg"])


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://HOST/none.jpg", "HTTP 404"),
        ("http://localhost:1/a.jpg", "host localhost is not named"),
        ("http://HOST/away.jpg", "host localhost is not named"),
        ("http://HOST@localhost/a.jpg", "no address of http or https"),
        ("http://user:word@HOST/a.jpg", "no address of http or https"),
        ("file:///etc/passwd", "no address of http or https"),
        ("http://HOST/file.jpg", "no address of http or https"),
        ("http://HOST/loop.jpg", "more than 3 redirects"),
        ("http://HOST/big.jpg", "more than 1,000 bytes"),
        ("http://127.0.0.1/a.jpg", "host 127.0.0.1 is not named"),  # another port
        ("http://[/a.jpg", "Invalid IPv6 URL"),
        ("a.jpg", "no address of http or https"),
    ],
)
def test_what_cannot_be_fetched_is_a_file_that_is_not_there_and_says_why(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    monkeypatch.setattr(web, "MAX_BYTES", 1_000)
    (path,) = Web([host], tmp_path).fetched([address.replace("HOST", host)])
    assert path is not None and not path.exists() and reason in path.name


def test_a_host_that_gives_nothing_is_left_alone(tmp_path: Path, host: str) -> None:
    pictures = Web([host], tmp_path)
    for number in range(60):
        pictures.fetched([f"http://{host}/none{number}.jpg"])
    assert len(Pages.asked) == web.MAX_FAILURES
    (path,) = pictures.fetched([f"http://{host}/a.jpg"])
    assert path is not None and "gave nothing 20 times" in path.name


def test_a_host_without_a_port_means_the_usual_ones(tmp_path: Path) -> None:
    pictures = Web(["127.0.0.1"], tmp_path)
    (path,) = pictures.fetched(["http://127.0.0.1:9/a.jpg"])
    assert path is not None and "is not named" in path.name

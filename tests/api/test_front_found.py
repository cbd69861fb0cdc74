"""How headrace's own commands ask the platform's API: where, over what, with which key."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace import config
from headrace.access.api_keys.key import new_secret
from headrace.api.front import Front
from headrace.config import Settings


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("10.0.0.7", "http://10.0.0.7:8000"),
    ],
)
def test_a_client_of_this_machine_finds_it_wherever_it_listens(host: str, address: str) -> None:
    assert Front(config.settings(host=host).http).address == address


def test_the_platforms_own_key_and_a_name_that_it_answers_to_go_along() -> None:
    assert Front(Settings().http).headers == {"Content-Type": "application/json"}
    secret = new_secret()
    settings = config.settings(host="0.0.0.0", own_key=secret, allowed_hosts="b.shop,a.shop")
    headers = Front(settings.http).headers
    assert headers["Authorization"] == f"Bearer {secret}" and headers["Host"] == "a.shop"


def test_with_a_certificate_it_is_https(tmp_path: Path) -> None:
    certificate = tmp_path / "api.crt"
    certificate.touch()
    settings = config.settings(tls_cert=certificate)
    assert Front(settings.http).address == "https://127.0.0.1:8000"

"""The settings of encryption and log-in: what does not fit is said at once, the password never."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from headrace import config
from headrace.config import Settings, environment, load
from headrace.errors import ConfigError

PASSWORD = "1e5,a=b/c@d:% \"'"
OWN_KEY = f"hr_{'0' * 12}_{'0' * 64}"
WHO = {
    "HEADRACE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "HEADRACE_KAFKA_USER": "me",
    "HEADRACE_KAFKA_PASSWORD": PASSWORD,
}


def test_by_default_nothing_is_encrypted_and_nobody_logs_in() -> None:
    assert Settings().kafka.client_options() == {"security_protocol": "PLAINTEXT"}


def test_who_logs_in_is_told_to_every_client_and_to_other_processes() -> None:
    settings = load({**WHO, "HEADRACE_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"})
    assert load(environment(settings)) == load(environment(load(environment(settings))))
    assert settings.kafka.client_options() == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "me",
        "sasl_plain_password": PASSWORD,
    }


def test_the_password_is_in_no_text_of_the_settings() -> None:
    settings = load(
        {
            **WHO,
            "HEADRACE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "HEADRACE_OWN_KEY": OWN_KEY,
            "REDIS_URL": "redis://:hidden@cache:1/0",
        }
    )
    by_rich = StringIO()
    Console(file=by_rich, width=5_000).print(settings)
    for text in (repr(settings), str(settings), by_rich.getvalue()):
        assert PASSWORD not in text and repr(PASSWORD)[1:-1] not in text
        assert OWN_KEY not in text and "hidden" not in text
        assert "password='***'" in text and "namespace='headrace'" in text
    assert PASSWORD not in settings.kafka.masked_error(f"a library says {PASSWORD!s}")


def test_everything_that_does_not_fit_together_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"HEADRACE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "HEADRACE_KAFKA_USER": "me",
              "HEADRACE_KAFKA_CA_FILE": str(tmp_path / "none.pem"),
              "HEADRACE_KAFKA_KEY_FILE": str(tmp_path)})  # fmt: skip
    assert str(caught.value).split("; ") == [
        "HEADRACE_KAFKA_SECURITY_PROTOCOL=SASL_SSL needs HEADRACE_KAFKA_PASSWORD",
        "HEADRACE_KAFKA_SECURITY_PROTOCOL=SASL_SSL needs HEADRACE_KAFKA_SASL_MECHANISM",
        "HEADRACE_KAFKA_KEY_FILE needs HEADRACE_KAFKA_CERT_FILE",
        f"HEADRACE_KAFKA_CA_FILE={tmp_path / 'none.pem'}: there is no such file",
        f"HEADRACE_KAFKA_KEY_FILE={tmp_path}: there is no such file",
    ]


@pytest.mark.parametrize("name", [*WHO, "HEADRACE_KAFKA_CA_FILE"])
def test_a_setting_without_effect_is_refused(name: str, tmp_path: Path) -> None:
    given = {**WHO, "HEADRACE_KAFKA_CA_FILE": str(tmp_path)}
    with pytest.raises(ConfigError, match=f"{name} has no effect with .*=PLAINTEXT") as caught:
        load({name: given[name]})
    assert PASSWORD not in str(caught.value)


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("not a certificate")
    settings = config.settings(kafka_security_protocol="SSL", kafka_ca_file=str(file))
    with pytest.raises(ConfigError, match=f"HEADRACE_KAFKA_CA_FILE={file}: not usable"):
        settings.kafka.tls_context()


def test_events_must_be_kept_for_longer_than_an_impression_is_open() -> None:
    with pytest.raises(ConfigError, match="HEADRACE_EVENTS_RETENTION_H=1 is shorter than"):
        load({"HEADRACE_EVENTS_RETENTION_H": "1", "HEADRACE_CLICK_WINDOW_S": "7200"})
    assert config.settings(click_window_s=3600, events_retention_h=1)

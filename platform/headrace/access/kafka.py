"""Access to Kafka: how its clients encrypt and who they say they are, checked before they try."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from headrace.errors import ConfigError

SECRET: Final = "***"
SECRETS: Final = ("kafka_password", "own_key")
_MASKED: Final = (*SECRETS, "redis_url")  # a URL may hold a password
_TLS_FIELDS: Final = ("kafka_ca_file", "kafka_cert_file", "kafka_key_file")
_SASL_FIELDS: Final = ("kafka_sasl_mechanism", "kafka_user", "kafka_password")


class KafkaAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of the settings that every client of the broker is given.

    Certificates and keys are PEM files, the same path in every process.
    """

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    kafka_user: str = ""
    kafka_password: str = ""  # never printed
    kafka_ca_file: str = ""  # who may sign the broker's certificate; empty: the system's own list
    kafka_cert_file: str = ""  # of this client, where the broker asks for one
    kafka_key_file: str = ""  # empty: the key is in `kafka_cert_file`
    kafka_check_hostname: bool = True  # that the certificate is of the broker's address

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The names and values of the fields, secrets masked."""
        fields = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, SECRET if v and name in _MASKED else v) for name, v in fields]

    @property
    def is_encrypted(self) -> bool:
        """Whether connections are TLS."""
        return self.kafka_security_protocol in ("SSL", "SASL_SSL")

    @property
    def is_authenticated(self) -> bool:
        """Whether clients log in."""
        return self.kafka_security_protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    def tls_context(self) -> ssl.SSLContext | None:
        """The TLS context of a connection, None where it has no TLS; raises `ConfigError` for an
        unusable file."""
        if not self.is_encrypted:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.kafka_check_hostname
        try:
            file = _variable("kafka_ca_file"), self.kafka_ca_file
            if self.kafka_ca_file:
                context.load_verify_locations(self.kafka_ca_file)
            else:
                context.load_default_certs()
            if self.kafka_cert_file:
                file = _variable("kafka_cert_file"), self.kafka_cert_file
                # Without a password OpenSSL would ask the terminal for that of an encrypted key.
                key = self.kafka_key_file or None
                context.load_cert_chain(self.kafka_cert_file, key, password="")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{file[0]}={file[1]}: not usable ({error}): expected PEM, a key without a password"
            ) from None
        return context

    def client_options(self) -> dict[str, Any]:
        """The security options of every kafka-python client: protocol, TLS and SASL login."""
        options: dict[str, Any] = {"security_protocol": self.kafka_security_protocol}
        if self.is_encrypted:
            options["ssl_context"] = self.tls_context()
        if self.is_authenticated:
            options["sasl_mechanism"] = self.kafka_sasl_mechanism
            options["sasl_plain_username"] = self.kafka_user
            options["sasl_plain_password"] = self.kafka_password
        return options

    def access_problems(self) -> Iterator[str]:
        """The errors in these settings, one line each: contradictions, missing fields and files."""
        protocol = f"{_variable('kafka_security_protocol')}={self.kafka_security_protocol}"
        given = {name for name in (*_TLS_FIELDS, *_SASL_FIELDS) if getattr(self, name)}
        if self.is_authenticated:
            for name in sorted(set(_SASL_FIELDS) - given):
                yield f"{protocol} needs {_variable(name)}"
        else:
            for name in sorted(given & set(_SASL_FIELDS)):
                yield (
                    f"{_variable(name)} has no effect with {protocol}: expected SASL_SSL (or "
                    "SASL_PLAINTEXT)"
                )
        if not self.is_encrypted:
            for name in sorted(given & set(_TLS_FIELDS)):
                yield f"{_variable(name)} has no effect with {protocol}: expected SASL_SSL or SSL"
        if self.kafka_key_file and not self.kafka_cert_file:
            yield f"{_variable('kafka_key_file')} needs {_variable('kafka_cert_file')}"
        for name in sorted(given & set(_TLS_FIELDS)):
            if not Path(getattr(self, name)).is_file():
                yield f"{_variable(name)}={getattr(self, name)}: there is no such file"

    def masked_error(self, error: object) -> str:
        """An error's text without the password, should a library have put it there."""
        text = str(error)
        return text.replace(self.kafka_password, SECRET) if self.kafka_password else text


def _variable(field: str) -> str:
    """The environment variable of a field of this part of the settings."""
    return f"HEADRACE_{field.upper()}"

"""Access to Kafka: how its clients encrypt and who they say they are, checked before they try."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from headrace.errors import ConfigError
from headrace.settings.room import SECRET, Room
from headrace.settings.variables import FIELD_PREFIXES, variable

_TLS_FIELDS: Final = ("ca_file", "cert_file", "key_file")
_SASL_FIELDS: Final = ("sasl_mechanism", "user", "password")


class KafkaAccess(Room, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings that every client of the broker is given.

    Certificates and keys are PEM files, the same path in every process.
    """

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    user: str = ""
    password: str = ""  # never printed
    ca_file: str = ""  # who may sign the broker's certificate; empty: the system's own list
    cert_file: str = ""  # of this client, where the broker asks for one
    key_file: str = ""  # empty: the key is in `cert_file`
    check_hostname: bool = True  # that the certificate is of the broker's address

    @property
    def is_encrypted(self) -> bool:
        """Whether connections are TLS."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def is_authenticated(self) -> bool:
        """Whether clients log in."""
        return self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    def tls_context(self) -> ssl.SSLContext | None:
        """The TLS context of a connection, None where it has no TLS; raises `ConfigError` for an
        unusable file."""
        if not self.is_encrypted:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.check_hostname
        try:
            file = _variable("ca_file"), self.ca_file
            if self.ca_file:
                context.load_verify_locations(self.ca_file)
            else:
                context.load_default_certs()
            if self.cert_file:
                file = _variable("cert_file"), self.cert_file
                # Without a password OpenSSL would ask the terminal for that of an encrypted key.
                key = self.key_file or None
                context.load_cert_chain(self.cert_file, key, password="")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{file[0]}={file[1]}: not usable ({error}): expected PEM, a key without a password"
            ) from None
        return context

    def client_options(self) -> dict[str, Any]:
        """The security options of every kafka-python client: protocol, TLS and SASL login."""
        options: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.is_encrypted:
            options["ssl_context"] = self.tls_context()
        if self.is_authenticated:
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.user
            options["sasl_plain_password"] = self.password
        return options

    def problems(self) -> Iterator[str]:
        """The errors in these settings, one line each: contradictions, missing fields and files."""
        protocol = f"{_variable('security_protocol')}={self.security_protocol}"
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
        if self.key_file and not self.cert_file:
            yield f"{_variable('key_file')} needs {_variable('cert_file')}"
        for name in sorted(given & set(_TLS_FIELDS)):
            if not Path(getattr(self, name)).is_file():
                yield f"{_variable(name)}={getattr(self, name)}: there is no such file"

    def masked_error(self, error: object) -> str:
        """An error's text without the password, should a library have put it there."""
        text = str(error)
        return text.replace(self.password, SECRET) if self.password else text


def _variable(attribute: str) -> str:
    """The environment variable of a field of this room."""
    return variable(f"{FIELD_PREFIXES['kafka']}{attribute}")

"""Authentication and authorisation: whose key a request carries, and whether its scopes suffice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from headrace.access.api_keys.key import ApiKey
from headrace.access.api_keys.ring import Keyring
from headrace.api.endpoint import Scope
from serving.http.problem import Problem, busy

BEARER: Final = "bearer "
HOW: Final = "send Authorization: Bearer hr_… with a key of `headrace keys create`"


class Auth:
    """Checks keys. Where none is required a request may come without; one that comes with a key
    must come with a good one, or its sender would not learn that it is none."""

    def __init__(self, keyring: Keyring, is_required: bool) -> None:
        self._keyring, self._is_required = keyring, is_required

    def require(self, headers: Mapping[str, str], scope: Scope) -> ApiKey | None:
        """Whose request it is, None for anybody's; raises `Problem` 401 without a valid key, 403
        for one of other scopes, and 503 while keys have never been read."""
        secret = _secret(headers)
        if scope == "open" or (not secret and not self._is_required):
            return None
        key = self._keyring.find(secret)
        if key is None and secret and not self._keyring.is_read:
            raise busy("keys cannot be checked yet: send this request again")
        if key is None:
            told = (
                "this key is not valid: it is unknown, revoked or expired" if secret else "no key"
            )
            raise Problem(401, f"{told}; {HOW}", headers={"WWW-Authenticate": _challenge(secret)})
        if scope not in key.scopes:
            challenge = f'Bearer realm="headrace", error="insufficient_scope", scope="{scope}"'
            told = f"this key may {', '.join(key.scopes)}; this route is for {scope}"
            raise Problem(403, told, headers={"WWW-Authenticate": challenge})
        return key

    def may_read(self, headers: Mapping[str, str]) -> bool:
        """Whether whoever asks an open route may be told more than that all is well."""
        try:
            self.require(headers, "read")
        except Problem:
            return False
        return True


def _secret(headers: Mapping[str, str]) -> str:
    """The secret that was sent as an API key, empty for none."""
    given = headers.get("authorization", "")
    if given[: len(BEARER)].lower() == BEARER:
        return given[len(BEARER) :].strip()
    return headers.get("x-api-key", "").strip()


def _challenge(secret: str) -> str:
    return 'Bearer realm="headrace"' + (', error="invalid_token"' if secret else "")

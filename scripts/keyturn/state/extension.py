"""``x-keyturn`` in the signed part of root and targets: who owns which key, and the periods of roles.

It stands beside the key objects, never inside them, so that keyids stay those of the specification
(SPEC: x-keyturn). What is not known is an error: a field that this version would silently skip may be
one that a later version relies on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuf.api.metadata import Signed

from keyturn.policy import Duration, Period
from keyturn.policy.fields import LOGIN
from keyturn.state.metadata_file import MetadataError

FIELD = "x-keyturn"
FORMAT = 1
_LOGIN = re.compile(LOGIN, re.ASCII)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who turns a key: a person's login, or the online signer.

    Args:
        login: Login without ``@``; None for the online key.
        id: GitHub's numeric user id, where there is one.
    """

    login: str | None
    id: int | None = None

    @property
    def online(self) -> bool:
        """Whether this is the online key's owner, no person."""
        return self.login is None

    @property
    def name(self) -> str:
        """How the owner is called in messages."""
        return self.login if self.login is not None else "online"

    def same_person(self, other: Owner) -> bool:
        """Whether two owners are one: by numeric id where both have one, else by login, caseless."""
        if self.id is not None and other.id is not None:
            return self.id == other.id
        return self.name.lower() == other.name.lower() and self.online == other.online


ONLINE = Owner(login=None)


@dataclass(frozen=True, slots=True)
class Extension:
    """The parsed ``x-keyturn`` object of one delegating role.

    Args:
        signers: Owner by keyid, every key of the delegator.
        periods: Expiry and renewal periods by role name.
    """

    signers: Mapping[str, Owner] = field(default_factory=dict)
    periods: Mapping[str, Period] = field(default_factory=dict)

    @classmethod
    def of(cls, signed: Signed, where: str) -> Extension | None:
        """The extension of a role's signed part; None if it has none.

        Raises:
            MetadataError: There is one, but not of the form that SPEC gives.
        """
        raw = signed.unrecognized_fields.get(FIELD)
        return None if raw is None else cls.parse(raw, where)

    @classmethod
    def parse(cls, raw: object, where: str) -> Extension:
        """Read the JSON object.

        Raises:
            MetadataError: Unknown or missing fields, or values of another type.
        """
        document = _object(raw, FIELD, where)
        _only(document, {"format", "signers", "periods"}, FIELD, where)
        if document.get("format") != FORMAT or document.get("format") is True:
            raise MetadataError(
                f"{FIELD}.format is not {FORMAT}",
                where=where,
                todo="Use a version of keyturn that knows this format.",
            )
        signers = {
            keyid: _owner(value, f"{FIELD}.signers[{keyid}]", where)
            for keyid, value in _object(document.get("signers"), f"{FIELD}.signers", where).items()
        }
        periods = {
            role: _period(value, f"{FIELD}.periods.{role}", where)
            for role, value in _object(document.get("periods"), f"{FIELD}.periods", where).items()
        }
        return cls(signers=signers, periods=periods)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object, to be put under ``x-keyturn``."""
        return {
            "format": FORMAT,
            "signers": {keyid: _owner_value(owner) for keyid, owner in sorted(self.signers.items())},
            "periods": {
                role: {"expires": period.expires.text, "renew": period.renew.text}
                for role, period in sorted(self.periods.items())
            },
        }


def _owner_value(owner: Owner) -> object:
    if owner.login is None:
        return "online"
    return {"login": owner.login} if owner.id is None else {"login": owner.login, "id": owner.id}


def _owner(raw: object, name: str, where: str) -> Owner:
    if raw == "online":
        return ONLINE
    document = _object(raw, name, where)
    _only(document, {"login", "id"}, name, where)
    login, number = document.get("login"), document.get("id")
    if not isinstance(login, str) or not _LOGIN.fullmatch(login) or login.lower() == "online":
        raise MetadataError(f"{name}.login is not a login", where=where)
    if number is not None and (type(number) is not int or number < 1):
        raise MetadataError(f"{name}.id is not a user's number", where=where)
    return Owner(login=login, id=number)


def _period(raw: object, name: str, where: str) -> Period:
    document = _object(raw, name, where)
    _only(document, {"expires", "renew"}, name, where)
    try:
        return Period(
            expires=Duration.parse(str(document.get("expires"))),
            renew=Duration.parse(str(document.get("renew"))),
        )
    except ValueError as error:
        raise MetadataError(f"{name}: {error}", where=where) from error


def _object(raw: object, name: str, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise MetadataError(f"{name} is not an object", where=where)
    return raw


def _only(document: Mapping[str, Any], known: set[str], name: str, where: str) -> None:
    unknown = sorted(set(document) - known)
    if unknown:
        raise MetadataError(f"{name} has the unknown field {unknown[0]!r}", where=where)

"""What a policy says, as frozen dataclasses in the words of SPEC: keyturn.yml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

_DURATION = re.compile(r"([1-9][0-9]{0,3})([dh])", re.ASCII)
_SIZE = re.compile(r"([1-9][0-9]{0,4})(KB|MB|GB)", re.ASCII)
_BYTES = {"KB": 1000, "MB": 1000**2, "GB": 1000**3}


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time as policy and metadata write it.

    Two durations are equal when they are written alike; compare ``delta`` to ask which is longer.

    Args:
        text: ``[1-9][0-9]{0,3}`` followed by ``d`` (24 hours) or ``h``, e.g. ``365d``.

    Raises:
        ValueError: ``text`` is not of that form.
    """

    text: str

    def __post_init__(self) -> None:
        if not _DURATION.fullmatch(self.text):
            raise ValueError(f"{self.text!r} is not a duration such as 90d or 12h")

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read a duration, e.g. ``365d``.

        Raises:
            ValueError: ``text`` is not a duration.
        """
        return cls(text)

    @property
    def delta(self) -> timedelta:
        """The same length as Python counts it."""
        number = int(self.text[:-1])
        return timedelta(days=number) if self.text[-1] == "d" else timedelta(hours=number)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Period:
    """How long a role's metadata is valid and when it is renewed.

    Args:
        expires: From signing to expiry.
        renew: How long before expiry the renewal begins; shorter than ``expires`` in every parsed policy.
    """

    expires: Duration
    renew: Duration


@dataclass(frozen=True, slots=True)
class RolePolicy:
    """Who should sign an offline role.

    Args:
        signers: Logins without ``@``, as written; no two equal when case is ignored.
        threshold: How many of them must sign, from 1 to the number of signers.
        period: Expiry and renewal.
    """

    signers: tuple[str, ...]
    threshold: int
    period: Period


@dataclass(frozen=True, slots=True)
class DelegationPolicy:
    """A role that targets delegates to.

    Args:
        name: Role name.
        paths: TUF PATHPATTERNs; ``*`` and ``?`` never match ``/``.
        terminating: Whether the search for a path ends here once a pattern matched.
        role: Its signers, threshold and period.
    """

    name: str
    paths: tuple[str, ...]
    terminating: bool
    role: RolePolicy


@dataclass(frozen=True, slots=True)
class OnlinePolicy:
    """The key that signs without a person, and the periods of what it signs.

    Args:
        key: URI of the private half, scheme awskms, gcpkms, azurekms, vault or env.
        snapshot: Period of snapshot.
        timestamp: Period of timestamp; its expiry is not longer than snapshot's.
    """

    key: str
    snapshot: Period
    timestamp: Period


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """Another repository whose releases of an app are taken, if an attestation ties them to its workflow.

    Args:
        repository: ``OWNER/REPOSITORY``.
        workflow: File name below its ``.github/workflows/``.
        tag: Tag of a release, with ``{version}`` in it once.
        asset: Name of the archive, with ``{app}``, ``{version}`` and ``{platform}`` as they are needed.
    """

    repository: str
    workflow: str
    tag: str
    asset: str

    def version_of(self, tag: str) -> str | None:
        """What stands in a tag where the version should be; None if the tag is of another form."""
        before, _, after = self.tag.partition("{version}")
        if not tag.startswith(before) or not tag.endswith(after) or len(tag) <= len(before) + len(after):
            return None
        return tag[len(before) : len(tag) - len(after)]

    def asset_name(self, app: str, version: str, platform: str) -> str:
        """The file name of the archive of one release."""
        names = {"{app}": app, "{version}": version, "{platform}": platform}
        return re.sub(r"\{(?:app|version|platform)\}", lambda match: names[match[0]], self.asset)


@dataclass(frozen=True, slots=True)
class AppPolicy:
    """An app that is released through this repository.

    Args:
        name: App name.
        platforms: Platforms that get an archive each; empty when one archive serves all.
        source: Another repository whose releases are proposed; None if there is none.
    """

    name: str
    platforms: tuple[str, ...]
    source: SourcePolicy | None = None


@dataclass(frozen=True, slots=True)
class HostingPolicy:
    """Where the bytes of targets live.

    Args:
        source: ``git`` (``targets/`` of the repository), ``directory``, or ``releases`` (of the code host).
        directory: Path as written, for ``directory``; else None.
        max_file: Size in bytes above which a target is refused.
    """

    source: str
    directory: str | None
    max_file: int


@dataclass(frozen=True, slots=True)
class PublishPolicy:
    """Where the site is.

    Args:
        url: Root of the site, http or https, ending in ``/``.
        keep: How long superseded metadata and targets stay on the site.
    """

    url: str
    keep: Duration


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole ``keyturn.yml`` that has been found free of problems.

    Args:
        version: Version of the file format, 1.
        name: Name of the repository; part of every proof of possession, so it never changes.
        branch: Branch that holds the agreed state.
        root: Wish for the root role.
        targets: Wish for the targets role.
        online: Online key and periods.
        delegations: In search order.
        apps: In the order of the file.
        hosting: Where target bytes live.
        publish: Where the site is.
        single_signer: Whether root and targets may have a threshold of 1.
    """

    version: int
    name: str
    branch: str
    root: RolePolicy
    targets: RolePolicy
    online: OnlinePolicy
    delegations: tuple[DelegationPolicy, ...]
    apps: tuple[AppPolicy, ...]
    hosting: HostingPolicy
    publish: PublishPolicy
    single_signer: bool

    def role(self, name: str) -> RolePolicy | None:
        """The wish for an offline role by its name; None for online and unknown roles."""
        if name == "root":
            return self.root
        if name == "targets":
            return self.targets
        return next((delegation.role for delegation in self.delegations if delegation.name == name), None)

    @property
    def logins(self) -> tuple[str, ...]:
        """Everyone named, once, in order and spelling of first mention: root, targets, delegations."""
        roles = (self.root, self.targets, *(delegation.role for delegation in self.delegations))
        first: dict[str, str] = {}
        for role in roles:
            for login in role.signers:
                first.setdefault(login.lower(), login)
        return tuple(first.values())

    def app(self, name: str) -> AppPolicy | None:
        """An app by its exact name; None if the policy has none of that name."""
        return next((app for app in self.apps if app.name == name), None)


def byte_count(text: str) -> int:
    """The number of bytes that a size such as ``20MB`` means; units are decimal.

    Raises:
        ValueError: ``text`` is not a size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 20MB")
    return int(match[1]) * _BYTES[match[2]]

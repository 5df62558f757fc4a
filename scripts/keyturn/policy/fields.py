"""The one table of fields of ``keyturn.yml`` (SPEC: keyturn.yml).

Parser, JSON Schema and ``docs/policy.md`` all come from ``FIELDS``. A field that is not here does not
exist; a bound that is here is written nowhere else. Patterns stay within what Python and ECMAScript
regular expressions have in common, and always mean the whole value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

LOGIN = r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}"
_NAME = r"[a-z0-9][a-z0-9-]{0,63}"
_BRANCH = r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}"
_DURATION = r"[1-9][0-9]{0,3}[dh]"
_SIZE = r"[1-9][0-9]{0,4}(?:KB|MB|GB)"
_ROLE = r"[a-z0-9][a-z0-9._-]{0,63}"
_APP = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_KEY_URI = r"env:[A-Z_][A-Z0-9_]{0,127}|(?:awskms|gcpkms|azurekms|vault):[!-~]{1,500}"
_PATH = r"[^\x00]{1,512}"
_DIRECTORY = r"[^\x00]{1,1024}"
_REPOSITORY = rf"{LOGIN}/[A-Za-z0-9._-]{{1,100}}"
_WORKFLOW = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}[.]ya?ml"
_TAG = r"[A-Za-z0-9._+-]{0,64}[{]version[}][A-Za-z0-9._+-]{0,64}"
_ASSET = r"(?:[A-Za-z0-9._+-]|[{](?:app|version|platform)[}]){1,200}"
_URL = r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,1024}"


class Kind(str, Enum):
    """What a field holds."""

    MAPPING = "mapping"
    """Keys of the table, no others."""
    NAMED = "named"
    """Any keys of the field's pattern, all values alike."""
    LIST = "list"
    TEXT = "text"
    INTEGER = "integer"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the table.

    Args:
        path: Where it stands, e.g. ``roles.root.threshold``; ``*`` is any name, ``[]`` an item; empty for
            the file as a whole.
        kind: What it holds.
        doc: One sentence for the reader of the documentation.
        example: A value as it is written in YAML.
        required: Whether its mapping must have it.
        default: Value when it is absent and not required; containers are empty then.
        pattern: Regular expression for the whole text; of the keys, for ``Kind.NAMED``.
        form: The pattern in words, to complete "must be".
        choices: The only texts allowed; empty if there is no such list.
        minimum: Smallest number, or fewest items of a list.
        maximum: Greatest number.
        note: A few words beside it in the complete example; shown where they come first.
        apart: Whether the complete example shows it as a comment, because it does not go with the rest.
    """

    path: str
    kind: Kind
    doc: str
    example: str
    required: bool = False
    default: str | bool | None = None
    pattern: str = ""
    form: str = ""
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    note: str = ""
    apart: bool = False

    @property
    def steps(self) -> tuple[str, ...]:
        """The path in its parts; ``[]`` is a part of its own."""
        return tuple(self.path.replace("[]", ".[]").split(".")) if self.path else ()

    @property
    def name(self) -> str:
        """The last part of the path: a key, ``*`` or ``[]``; empty for the file."""
        return self.steps[-1] if self.steps else ""

    def accepts(self, text: str) -> bool:
        """Whether a text, or a key for ``Kind.NAMED``, is one of the choices or has the form asked for."""
        if self.choices:
            return text in self.choices
        return re.fullmatch(self.pattern, text, re.ASCII) is not None

    def written(self) -> str:
        """The example as a line of YAML, with its key where it has one."""
        return self.example if self.name in ("", "*", "[]") else f"{self.name}: {self.example}"


def _period(at: str, expires: str, renew: str, what: str) -> tuple[Field, ...]:
    return (
        Field(
            f"{at}.expires",
            Kind.TEXT,
            f"How long {what} is valid after it has been signed.",
            expires,
            default=expires,
            pattern=_DURATION,
            form="a duration: a number from 1 to 9999 and d (days) or h (hours)",
            note="valid so long after it has been signed",
        ),
        Field(
            f"{at}.renew",
            Kind.TEXT,
            f"How long before its expiry {what} is signed anew.",
            renew,
            default=renew,
            pattern=_DURATION,
            form="a duration: a number from 1 to 9999 and d (days) or h (hours)",
            note="signed anew so long before it expires",
        ),
    )


def _signers(at: str, what: str, example: str, threshold: str) -> tuple[Field, ...]:
    return (
        Field(
            f"{at}.signers",
            Kind.LIST,
            f"Who may sign {what}.",
            example,
            required=True,
            minimum=1,
            note="logins, without @",
        ),
        Field(
            f"{at}.signers[]",
            Kind.TEXT,
            "A person's login, without @; case does not matter.",
            "alice",
            pattern=LOGIN,
            form="a login: letters, digits and single hyphens between them, at most 39",
        ),
        Field(
            f"{at}.threshold",
            Kind.INTEGER,
            f"How many of them must sign {what}.",
            threshold,
            required=True,
            minimum=1,
            maximum=1000,
            note="so many of them must sign",
        ),
    )


FIELDS: tuple[Field, ...] = (
    Field("", Kind.MAPPING, "What this update repository should be.", "version: 1", required=True),
    Field(
        "version",
        Kind.INTEGER,
        "Version of this file's format.",
        "1",
        required=True,
        minimum=1,
        maximum=1,
    ),
    Field(
        "name",
        Kind.TEXT,
        "Name of the repository; part of every proof of possession, so it never changes.",
        "acme-updates",
        required=True,
        pattern=_NAME,
        form="1 to 64 lower-case letters, digits and hyphens, not starting with a hyphen",
        note="never changes: it is part of every proof of possession",
    ),
    Field(
        "branch",
        Kind.TEXT,
        "Branch that holds what has been agreed on.",
        "main",
        default="main",
        pattern=_BRANCH,
        form="a branch name of letters, digits and . _ / -, at most 200",
        note="holds what has been agreed on",
    ),
    Field(
        "roles",
        Kind.MAPPING,
        "The two roles that people sign and every repository has.",
        "{root: {signers: [alice, bob], threshold: 2}, targets: {signers: [alice, bob], threshold: 2}}",
        required=True,
    ),
    Field(
        "roles.root",
        Kind.MAPPING,
        "The role that says whose keys count; needed seldom, guarded best.",
        "{signers: [alice, bob, carol], threshold: 2}",
        required=True,
        note="says whose keys count",
    ),
    *_signers("roles.root", "root", "[alice, bob, carol]", "2"),
    *_period("roles.root", "365d", "60d", "root"),
    Field(
        "roles.targets",
        Kind.MAPPING,
        "The role that says what is a release.",
        "{signers: [alice, bob], threshold: 2}",
        required=True,
        note="says what is a release",
    ),
    *_signers("roles.targets", "targets", "[alice, bob]", "2"),
    *_period("roles.targets", "120d", "30d", "targets"),
    Field(
        "online",
        Kind.MAPPING,
        "The key that signs snapshot and timestamp without a person.",
        "{key: env:KEYTURN_ONLINE_KEY}",
        required=True,
        note="signs without a person; decides nothing about releases",
    ),
    Field(
        "online.key",
        Kind.TEXT,
        "Where the private half of the online key is; the public half is keyring/online.pub.",
        "env:KEYTURN_ONLINE_KEY",
        required=True,
        pattern=_KEY_URI,
        form="env:NAME (capitals, digits and _), or awskms:, gcpkms:, azurekms: or vault: and the key",
        note="the private half; the public half is keyring/online.pub",
    ),
    Field("online.snapshot", Kind.MAPPING, "Periods of snapshot.", "{expires: 14d, renew: 7d}"),
    *_period("online.snapshot", "14d", "7d", "snapshot"),
    Field("online.timestamp", Kind.MAPPING, "Periods of timestamp.", "{expires: 3d, renew: 1d}"),
    *_period("online.timestamp", "3d", "1d", "timestamp"),
    Field(
        "delegations",
        Kind.NAMED,
        "Roles that targets leaves some paths to, by name, in search order.",
        '{plugins: {paths: ["plugins/*.zip"], signers: [carol], threshold: 1}}',
        pattern=_ROLE,
        form="a role name: 1 to 64 lower-case letters, digits and . _ -, starting with a letter or digit",
        note="paths left to other people, in search order",
    ),
    Field(
        "delegations.*",
        Kind.MAPPING,
        "One delegated role.",
        '{paths: ["plugins/*.zip"], signers: [carol], threshold: 1}',
    ),
    Field(
        "delegations.*.paths",
        Kind.LIST,
        "Which target paths are left to this role; * and ? never match /.",
        '["plugins/*.zip"]',
        required=True,
        minimum=1,
        note="* and ? never match /",
    ),
    Field(
        "delegations.*.paths[]",
        Kind.TEXT,
        "A target path in which * stands for any characters but / and ? for one of them.",
        '"plugins/*.zip"',
        pattern=_PATH,
        form="a target path of 1 to 512 characters",
    ),
    *_signers("delegations.*", "this role", "[carol]", "1"),
    *_period("delegations.*", "120d", "30d", "this role"),
    Field(
        "delegations.*.terminating",
        Kind.FLAG,
        "Whether roles further down are not asked for a path that matches here.",
        "true",
        default=False,
        note="nobody further down is asked for these paths",
    ),
    Field(
        "apps",
        Kind.NAMED,
        "The apps that are released through this repository, by name.",
        "{yt-dlp: {platforms: []}}",
        pattern=_APP,
        form="an app name: 1 to 64 letters, digits and . _ -, starting with a letter or digit",
    ),
    Field("apps.*", Kind.MAPPING, "One app.", "{platforms: []}"),
    Field(
        "apps.*.platforms",
        Kind.LIST,
        "Platforms that get an archive each; empty when one archive serves all.",
        "[linux-x86_64, windows-x86_64]",
        note="an archive each; [] is one for all",
    ),
    Field(
        "apps.*.platforms[]",
        Kind.TEXT,
        "A platform's name, as the app asks for it.",
        "linux-x86_64",
        pattern=_APP,
        form="a platform name: 1 to 64 letters, digits and . _ -, starting with a letter or digit",
    ),
    Field(
        "apps.*.from",
        Kind.MAPPING,
        "Another GitHub repository whose releases are proposed here, once an attestation ties their files to "
        "a workflow of it; no secret is shared.",
        "{repository: acme/yt-dlp}",
        note="releases of another repository are proposed here",
    ),
    Field(
        "apps.*.from.repository",
        Kind.TEXT,
        "The repository that builds and releases the app.",
        "acme/yt-dlp",
        pattern=_REPOSITORY,
        form="OWNER/REPOSITORY, as GitHub writes it",
        note="whose releases are looked at",
    ),
    Field(
        "apps.*.from.workflow",
        Kind.TEXT,
        "The workflow there that must have built the file, in .github/workflows/.",
        "release.yml",
        default="release.yml",
        pattern=_WORKFLOW,
        form="the name of a workflow file, ending in .yml or .yaml",
        note="which must have built the files",
    ),
    Field(
        "apps.*.from.tag",
        Kind.TEXT,
        "How its releases are tagged.",
        '"v{version}"',
        default="v{version}",
        pattern=_TAG,
        form="a tag of letters, digits and . _ + - with {version} in it",
        note="how its releases are tagged",
    ),
    Field(
        "apps.*.from.asset",
        Kind.TEXT,
        "Name of the archive in a release; {app}, {version} and {platform} stand for what they say.",
        '"{app}-{version}-{platform}.tar.gz"',
        default="{app}-{version}.tar.gz",
        pattern=_ASSET,
        form="a file name of letters, digits and . _ + -, with {app}, {version} and {platform}",
        note="name of the archive in a release",
    ),
    Field("hosting", Kind.MAPPING, "Where the bytes of targets live.", "{source: git}"),
    Field(
        "hosting.source",
        Kind.TEXT,
        "git: in targets/ of the repository; directory: in a directory; releases: on GitHub, in releases.",
        "git",
        default="git",
        choices=("git", "directory", "releases"),
        form="git, directory or releases",
        note="target files are kept in targets/",
    ),
    Field(
        "hosting.directory",
        Kind.TEXT,
        "The directory that holds the bytes, with source: directory.",
        "/srv/targets",
        pattern=_DIRECTORY,
        form="a path of 1 to 1024 characters",
        note="with source: directory, and only then",
        apart=True,
    ),
    Field(
        "hosting.max-file",
        Kind.TEXT,
        "The size above which a target is refused; KB, MB and GB are powers of 1000.",
        "20MB",
        default="20MB",
        pattern=_SIZE,
        form="a size: a number from 1 to 99999 and KB, MB or GB",
        note="larger targets are refused",
    ),
    Field(
        "publish",
        Kind.MAPPING,
        "Where the site is.",
        "{url: https://updates.example.org/}",
        required=True,
    ),
    Field(
        "publish.url",
        Kind.TEXT,
        "Root of the site, ending in /; plain http only on this computer.",
        "https://updates.example.org/",
        required=True,
        pattern=_URL,
        form="an address of 1 to 1024 characters of those that addresses have",
        note="root of the site",
    ),
    Field(
        "publish.keep",
        Kind.TEXT,
        "How long superseded metadata and targets stay on the site.",
        "90d",
        default="90d",
        pattern=_DURATION,
        form="a duration: a number from 1 to 9999 and d (days) or h (hours)",
        note="so long superseded metadata and targets stay on the site",
    ),
    Field(
        "single-signer",
        Kind.FLAG,
        "The only way to a threshold of 1 for root or targets.",
        "true",
        default=False,
        note="the only way to a threshold of 1 for root or targets",
        apart=True,
    ),
)

_CHILDREN: dict[tuple[str, ...], dict[str, Field]] = {}
for _field in FIELDS[1:]:
    _CHILDREN.setdefault(_field.steps[:-1], {})[_field.name] = _field


def field_at(path: str) -> Field:
    """The row of a path as the table writes it.

    Raises:
        KeyError: No field stands there.
    """
    steps = Field(path, Kind.MAPPING, "", "").steps
    return _CHILDREN[steps[:-1]][steps[-1]] if steps else FIELDS[0]


def children(field: Field) -> dict[str, Field]:
    """The rows directly under a field by name, in the order of the table."""
    return _CHILDREN.get(field.steps, {})


def homes(name: str) -> tuple[str, ...]:
    """The mappings that have a key of this name, by path, the file itself left out."""
    return tuple(".".join(steps) for steps, below in _CHILDREN.items() if steps and name in below)

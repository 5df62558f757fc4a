"""What no table of single fields can see: values that contradict each other, or that cannot be meant.

Each rule looks at the well-formed values only, so that a mistake elsewhere in the file silences none of
them, and says nothing where a value that it needs is missing. The rules, in the order of ``RULES``:

- ``branch``: the branch is a name that git takes and that leaves ``sign/`` and ``keyturn/`` free.
- ``signers``: nobody stands twice in a role; ``online`` is nobody's login.
- ``threshold``: not above the number of signers; 1 for root or targets only with ``single-signer: true``.
- ``period``: the renewal of a role begins after it was signed, not before.
- ``freshness``: the timestamp expires no later than the snapshot that it makes fresh.
- ``delegation_name``: a delegation is not called like a role or file that exists already.
- ``delegated_path``: a path pattern stays inside ``targets/`` and means the same to every client.
- ``apps``: app names, and platforms of an app, differ by more than case.
- ``source``: where an app is taken from, the repository is named, and platforms have files of their own.
- ``hosting``: a directory with ``source: directory`` and only then; what git and a release can hold.
- ``site``: the address of the site is a plain one, and encrypted unless it is this computer's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

from keyturn.policy.model import Duration, byte_count
from keyturn.policy.problem import Problem, Steps, quoted
from keyturn.policy.shape import Answers

TOP_LEVEL_ROLES = ("root", "targets", "snapshot", "timestamp")
RESERVED_NAMES = (*TOP_LEVEL_ROLES, "keyring", "root_history")
_OWN_BRANCHES = ("sign", "keyturn")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\]"
_AUTHORITY = re.compile(rf"(?:.*@)?(?:{_HOST})(?::[0-9]{{1,5}})?", re.ASCII)
_EXAMPLE_SITE = "https://updates.example.org/"
_GIT_LIMIT = "100MB"
_RELEASE_LIMIT = "2GB"
_PATTERN_FAULTS = (
    (re.compile(r"\\"), "has a backslash"),
    (re.compile(r"^/"), "is an absolute path"),
    (re.compile(r"/\Z"), "ends in /"),
    (re.compile(r"//"), "has an empty part between two /"),
    (re.compile(r"(?:^|/)\.\.?(?:/|\Z)"), "has . or .. as a part"),
    (re.compile(r'[:"<>|]'), "has a sign that file names on Windows cannot have"),
    (
        re.compile(r"(?:^|/) | (?:/|\Z)|\.(?:/|\Z)"),
        "has a part that begins with a blank, or ends with a blank or a dot",
    ),
    (
        re.compile(r"(?i)(?:^|/)(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\.[^/]*)?(?:/|\Z)"),
        "names a device on Windows",
    ),
    # fnmatch and minimatch, with which TUF clients match paths, give these a meaning that TUF does not.
    (
        re.compile(r"[\[\](){}]|\*\*|^[!#]"),
        "has signs that clients read differently: brackets, **, or ! or # in front",
    ),
)

_Rule = Callable[[Answers], Iterator[Problem]]


def _roles(answers: Answers) -> list[Steps]:
    delegations: list[Steps] = [("delegations", name) for name in answers.names.get(("delegations",), ())]
    return [("roles", "root"), ("roles", "targets"), *delegations]


def _twice(values: Sequence[tuple[Steps, str]]) -> Iterator[tuple[Steps, str, str]]:
    """Values that stood before when case is ignored: path, value, earlier value."""
    seen: dict[str, str] = {}
    for path, value in values:
        if value.lower() in seen:
            yield path, value, seen[value.lower()]
        seen.setdefault(value.lower(), value)


def _branch(answers: Answers) -> Iterator[Problem]:
    path = ("branch",)
    name = answers.texts.get(path, "main")
    parts = name.split("/")
    if name == "HEAD" or ".." in name or any(_not_in_git(part) for part in parts):
        yield answers.problem("sense", path, f"{quoted(name)} is no name for a branch", "Write branch: main.")
    elif parts[0] in _OWN_BRANCHES:
        what = f"{quoted(name)} lies where Keyturn keeps branches of its own"
        yield answers.problem("sense", path, what, "Write branch: main.")


def _not_in_git(part: str) -> bool:
    return not part or part.startswith(("-", ".")) or part.endswith((".", ".lock"))


def _signers(answers: Answers) -> Iterator[Problem]:
    for role in _roles(answers):
        logins = answers.items(*role, "signers")
        for path, login, earlier in _twice(logins):
            what = f"{quoted(login)} stands twice in this role; one person is one signer"
            yield answers.problem("sense", path, what, f"Keep {earlier} once, or name another person.")
        for path, login in logins:
            if login.lower() == "online":
                what = f"{quoted(login)} is the name of the online key, no person's login"
                yield answers.problem("sense", path, what, "Write a person's login, e.g. alice.")


def _threshold(answers: Answers) -> Iterator[Problem]:
    for role in _roles(answers):
        threshold, size = answers.integers.get((*role, "threshold")), answers.sizes.get((*role, "signers"))
        if threshold is None or not size:
            continue
        people = size - len(list(_twice(answers.items(*role, "signers"))))
        if threshold > people:
            what = f"{threshold} signatures can never come together from {people} signer{'s' * (people > 1)}"
            todo = f"Write threshold: {people}, or name more signers."
            yield answers.problem("sense", (*role, "threshold"), what, todo)
        elif threshold == 1 and role[0] == "roles" and answers.flags.get(("single-signer",)) is False:
            what = f"with a threshold of 1, one stolen {role[1]} key is enough to make apps install anything"
            todo = "Write threshold: 2, or add single-signer: true if that is accepted."
            yield answers.problem("sense", (*role, "threshold"), what, todo)


def _duration(answers: Answers, path: Steps) -> Duration | None:
    text = answers.texts.get(path)
    return None if text is None else Duration(text)


def _period(answers: Answers) -> Iterator[Problem]:
    for role in [*_roles(answers), ("online", "snapshot"), ("online", "timestamp")]:
        paths: list[Steps] = [(*role, "renew"), (*role, "expires")]
        renew, expires = _duration(answers, paths[0]), _duration(answers, paths[1])
        if renew and expires and renew.delta >= expires.delta:
            what = f"renew ({_origin(answers, paths[0], renew)}) is not shorter than"
            what += f" expires ({_origin(answers, paths[1], expires)})"
            todo = "Write both, renew the shorter, e.g. expires: 14d and renew: 7d."
            yield answers.problem("sense", _given(answers, paths), what, todo)


def _given(answers: Answers, paths: Sequence[Steps]) -> Steps:
    """The first of some fields that the file gives; two defaults never contradict each other."""
    return next(path for path in paths if path in answers.marks)


def _origin(answers: Answers, path: Steps, duration: Duration) -> str:
    return f"{duration}" if path in answers.marks else f"{duration} by default"


def _freshness(answers: Answers) -> Iterator[Problem]:
    paths: list[Steps] = [("online", "timestamp", "expires"), ("online", "snapshot", "expires")]
    timestamp, snapshot = _duration(answers, paths[0]), _duration(answers, paths[1])
    if timestamp and snapshot and timestamp.delta > snapshot.delta:
        what = f"timestamp ({timestamp}) is valid longer than snapshot ({snapshot}), which it keeps fresh"
        todo = f"Write at most {snapshot} for timestamp, e.g. expires: 3d for it and 14d for snapshot."
        yield answers.problem("sense", _given(answers, paths), what, todo)


def _delegation_name(answers: Answers) -> Iterator[Problem]:
    for name in answers.names.get(("delegations",), ()):
        if name in RESERVED_NAMES:
            owner = "a top-level role" if name in TOP_LEVEL_ROLES else "a directory of the repository"
            what = f"{name} is the name of {owner} already"
            yield answers.problem("sense", ("delegations", name), what, "Choose another, e.g. plugins.")


def _delegated_path(answers: Answers) -> Iterator[Problem]:
    for name in answers.names.get(("delegations",), ()):
        for path, pattern in answers.items("delegations", name, "paths"):
            fault = _pattern_fault(pattern)
            if fault:
                what = f"{quoted(pattern)} {fault}"
                todo = 'Write a path below targets/, with / between its parts, e.g. "plugins/*.zip".'
                yield answers.problem("sense", path, what, todo)


def _pattern_fault(pattern: str) -> str:
    if not pattern.isprintable():
        return "has characters that do not show"
    return next((words for fault, words in _PATTERN_FAULTS if fault.search(pattern)), "")


def _apps(answers: Answers) -> Iterator[Problem]:
    names = answers.names.get(("apps",), ())
    for path, name, earlier in _twice([(("apps", name), name) for name in names]):
        what = f"{name} and {earlier} differ only by case"
        yield answers.problem("sense", path, what, f"Keep one, or choose another name than {name}.")
    for name in names:
        for path, platform, earlier in _twice(answers.items("apps", name, "platforms")):
            what = f"the platform {platform} stands twice"
            yield answers.problem("sense", path, what, f"Keep {earlier} once.")


def _source(answers: Answers) -> Iterator[Problem]:
    for name in answers.names.get(("apps",), ()):
        at = ("apps", name, "from")
        written = any((*at, part) in answers.texts for part in ("workflow", "tag", "asset"))
        if at in answers.marks and written and (*at, "repository") not in answers.marks:
            what = "names no repository"
            yield answers.problem("sense", at, what, "Add repository: OWNER/REPOSITORY, or remove from.")
        asset = answers.texts.get((*at, "asset"))
        if at not in answers.marks or asset is None:
            continue
        if answers.items("apps", name, "platforms") and "{platform}" not in asset:
            what = f"{quoted(asset)} would be the same file for every platform"
            yield answers.problem("sense", (*at, "asset"), what, "Put {platform} into it.")


def _hosting(answers: Answers) -> Iterator[Problem]:
    source = answers.texts.get(("hosting", "source"))
    directory, size = ("hosting", "directory"), ("hosting", "max-file")
    if source == "directory" and directory not in answers.marks:
        what = "with source: directory, the directory must be named"
        yield answers.problem("sense", ("hosting", "source"), what, "Add directory: /srv/targets.")
    if source in ("git", "releases") and directory in answers.marks:
        what = f"a directory is named, but the source is {source}"
        yield answers.problem("sense", directory, what, "Remove it, or write source: directory.")
    if not answers.texts.get(directory, "").isprintable():
        what = f"{quoted(answers.texts[directory])} has characters that do not show"
        yield answers.problem("sense", directory, what, "Write for example directory: /srv/targets.")
    if source == "git" and byte_count(answers.texts.get(size, _GIT_LIMIT)) > byte_count(_GIT_LIMIT):
        what = f"GitHub takes no file above {_GIT_LIMIT} into git"
        todo = f"Write max-file: {_GIT_LIMIT} or less, or source: releases."
        yield answers.problem("sense", size, what, todo)
    if source == "releases" and byte_count(answers.texts.get(size, "1KB")) > byte_count(_RELEASE_LIMIT):
        what = f"GitHub takes no file above {_RELEASE_LIMIT} into a release"
        yield answers.problem("sense", size, what, f"Write max-file: {_RELEASE_LIMIT} or less.")


def _site(answers: Answers) -> Iterator[Problem]:
    path = ("publish", "url")
    url = answers.texts.get(path)
    if url is not None:
        for what, todo in _address_faults(url):
            yield answers.problem("sense", path, f"{quoted(url)} {what}", todo)


def _address_faults(url: str) -> Iterator[tuple[str, str]]:
    todo = f"Write for example url: {_EXAMPLE_SITE}."
    try:
        address = urlsplit(url)
        host, port = address.hostname or "", address.port
        if ":" in host:
            IPv6Address(host)
    except ValueError:
        yield "is not an address", todo
        return
    if address.scheme not in ("http", "https"):
        yield "is neither http:// nor https://", todo
    elif not _AUTHORITY.fullmatch(address.netloc) or port == 0:
        yield "names no host", todo
    elif address.scheme == "http" and host not in _LOOPBACK:
        yield "is neither encrypted nor on this computer", f"Write https instead of http: {_EXAMPLE_SITE}."
    if "@" in address.netloc:
        yield "carries a user name or password", todo
    if "?" in url:
        yield "carries a query", "Remove what begins with ?."
    if "#" in url:
        yield "carries a fragment", "Remove what begins with #."
    yield from _address_path_faults(address)


def _address_path_faults(address: SplitResult) -> Iterator[tuple[str, str]]:
    parts = address.path.split("/")[1:]
    if not address.path.endswith("/"):
        yield "does not end in /", "Add / at the end of the path, e.g. https://updates.example.org/app/."
    if "" in parts[:-1] or "." in parts or ".." in parts:
        yield "has an empty part, . or .. in its path", "Write the path as the server has it, with single /."


RULES: tuple[_Rule, ...] = (
    _branch,
    _signers,
    _threshold,
    _period,
    _freshness,
    _delegation_name,
    _delegated_path,
    _apps,
    _source,
    _hosting,
    _site,
)


def judge(answers: Answers) -> list[Problem]:
    """Every problem of sense among the values of a file."""
    return [problem for rule in RULES for problem in rule(answers)]

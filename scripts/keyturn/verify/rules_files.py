"""KT3xx: paths and files. KT4xx: policy and keyring."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.version import Version
from tuf.api.metadata import DelegatedRole, TargetFile

from keyturn.state import METADATA, Extension, MetadataError, RoleFile, fingerprint, keys_of, targets_of
from keyturn.tree import Kind
from keyturn.verify.event import EVENT_FILES, EVENT_FOLDERS, FOUNDING_FILE, KEYRING, KEYRING_FILE, Event
from keyturn.verify.model import Rule, Severity, Violation
from keyturn.verify.paths import why_unsafe

TARGETS = "targets/"
ONLINE_FILES = ("metadata/snapshot.json", "metadata/timestamp.json")


def _allowed_files(event: Event) -> Iterator[Violation]:
    for change in event.changes:
        path = change.path
        if path in ONLINE_FILES and change.new is not None:
            yield Violation("belongs to an online role, which no event may change", path)
        elif not (_is_allowed(path) or (event.founding and FOUNDING_FILE.fullmatch(path))):
            yield Violation("may not be changed in a signing event", path)


def _is_allowed(path: str) -> bool:
    if path.startswith(KEYRING):
        return KEYRING_FILE.fullmatch(path) is not None
    return path in EVENT_FILES or path.startswith(EVENT_FOLDERS)


def _plain_files(event: Event) -> Iterator[Violation]:
    for path, entry in event.head.tree.entries().items():
        inside = path in EVENT_FILES or path.startswith(EVENT_FOLDERS)
        if inside and entry.kind is not Kind.FILE:
            yield Violation(f"is a {entry.kind.value}", path)


def _all_targets(event: Event) -> Iterator[tuple[RoleFile, TargetFile]]:
    for file in event.head.targets_roles():
        for target in targets_of(file).targets.values():
            yield file, target


def _safe_paths(event: Event) -> Iterator[Violation]:
    for file, target in _all_targets(event):
        reason = why_unsafe(target.path)
        if reason:
            yield Violation(f"the target path {target.path!r} {reason}", file.path)


def in_release(target: TargetFile) -> bool:
    """Whether a target is an archive that is kept in a release of the code host, by its path.

    Args:
        target: A target; its path begins with the release's tag, ``<app>-<version>``, if it is one.
    """
    said = _release(target)
    return bool(said) and target.path.startswith(f"{said.get('app')}-{said.get('version')}/")


def _kept_in_git(event: Event, target: TargetFile) -> bool:
    source = event.policy.hosting.source if event.policy else "git"
    return source == "git" or (source == "releases" and not in_release(target))


def _files_present(event: Event) -> Iterator[Violation]:
    for file, target in _all_targets(event):
        if not _kept_in_git(event, target):
            continue
        if not event.file_entry(TARGETS + target.path) and why_unsafe(target.path) is None:
            yield Violation(f"is listed by {file.role} {file.version}, but not there", TARGETS + target.path)


def _files_match(event: Event) -> Iterator[Violation]:
    for file, target in _all_targets(event):
        path = TARGETS + target.path
        if not event.file_entry(path):
            continue
        reason = mismatch(target, event.head.tree.read(path))
        if reason:
            yield Violation(f"{reason} that {file.role} {file.version} lists", path)


def mismatch(target: TargetFile, data: bytes) -> str | None:
    """Why bytes are not the ones that a target entry describes; None if they are.

    Args:
        target: Signed length and hashes.
        data: The bytes of the file.
    """
    if len(data) != target.length:
        return f"is {len(data)} bytes long, not of the length {target.length}"
    return wrong_hash(target.hashes, data)


def wrong_hash(hashes: Mapping[str, str], data: bytes) -> str | None:
    """Which of several hashes bytes do not have; None if they have all.

    Args:
        hashes: Hexadecimal digest by algorithm; clients compare every one.
        data: The bytes.
    """
    for algorithm, expected in hashes.items():
        if algorithm not in ("sha256", "sha512"):
            return f"cannot be compared with the {algorithm} hash"
        if hashlib.new(algorithm, data).hexdigest() != expected:
            return f"has not the {algorithm} hash"
    return None


def _no_orphans(event: Event) -> Iterator[Violation]:
    listed = {TARGETS + target.path for _, target in _all_targets(event)}
    if event.head.empty:
        return
    for path in event.head.tree.entries():
        if path.startswith(TARGETS) and path not in listed:
            yield Violation("is listed by no role, so it will not be published", path)


def _within_delegation(event: Event) -> Iterator[Violation]:
    for delegation in event.offline_delegations:
        file = event.head.role(delegation.name)
        if file is None or not isinstance(delegation.role, DelegatedRole):
            continue
        for path in targets_of(file).targets:
            if not delegation.role.is_delegated_path(path):
                yield Violation(
                    f"lists the target {path!r}, which {delegation.delegator.role} does not delegate to it",
                    file.path,
                )


def _one_content(event: Event) -> Iterator[Violation]:
    """Two targets for one release; clients look for releases in the top-level targets role alone."""
    file = event.head.role("targets")
    first: dict[tuple[str, str, Version], tuple[str, str]] = {}
    for target in targets_of(file).targets.values() if file else ():
        said = _release(target)
        tree = str(said.get("tree"))
        try:
            version = Version(said.get("version", ""))
        except (ValueError, TypeError):  # the former also for thousands of digits
            continue
        path, other = first.setdefault(
            (str(said.get("app")), str(said.get("platform", "")), version), (target.path, tree)
        )
        if other != tree:
            yield Violation(
                f"lists {said.get('app')} {version} twice with different contents: "
                f"as {path!r} and as {target.path!r}",
                f"{METADATA}targets.json",
            )


def _release(target: TargetFile) -> Mapping[str, Any]:
    said: Any = target.custom
    for name in ("user", "keyturn"):
        said = said.get(name) if isinstance(said, dict) else None
    return said if isinstance(said, dict) else {}


def _policy_readable(event: Event) -> Iterator[Violation]:
    for problem in event.policy_problems:
        yield Violation(f"{problem.what} ({problem.where})", f"keyturn.yml:{problem.line}:{problem.column}")
    if event.policy is None and not event.policy_problems:
        yield Violation("is missing", "keyturn.yml")


def _same_name(event: Event) -> Iterator[Violation]:
    if event.policy and event.baseline_name and event.policy.name != event.baseline_name:
        yield Violation(
            f"renames the repository from {event.baseline_name} to {event.policy.name}", "keyturn.yml"
        )


def _proofs(event: Event) -> Iterator[Violation]:
    for problem in event.keyring.problems:
        yield Violation(problem.what, problem.path)
    seen: dict[str, str] = {}
    for login in sorted(event.keyring.keys):
        other = seen.setdefault(login.lower(), login)
        if other != login:
            yield Violation(f"is there beside {other}.pub: both are the same person", f"{KEYRING}{login}.pub")


def _owners_match_keyring(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        try:
            extension = Extension.of(file.signed, file.path)
        except MetadataError:
            continue
        keys = keys_of(file)
        for keyid, owner in extension.signers.items() if extension else ():
            proven = event.keyring.key(owner.name)
            if proven is None:
                yield Violation(f"names {owner.name}, who has no proven key in keyring/", file.path)
            elif keyid in keys and _differ(keys[keyid], proven):
                yield Violation(f"gives {owner.name} a key that is not the one in keyring/", file.path)


def _differ(one: object, other: object) -> bool:
    try:
        return fingerprint(one) != fingerprint(other)  # type: ignore[arg-type]
    except ValueError:
        return True


FILE_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT301",
        title="only files of a signing event change",
        why="Signers look at keys, roles and targets; nothing else may ride along with their signatures.",
        mend="Move the change into an ordinary pull request.",
        check=_allowed_files,
    ),
    Rule(
        id="KT302",
        title="no links, no submodules",
        why="What a link or submodule names can change without the event changing.",
        mend="Put the file itself there.",
        check=_plain_files,
    ),
    Rule(
        id="KT303",
        title="target paths are safe",
        why="A path with '..', a drive or a control character can leave the folder it should be written to.",
        mend="Rename the target.",
        check=_safe_paths,
    ),
    Rule(
        id="KT304",
        title="listed files are there",
        why="Clients would be offered something that cannot be downloaded.",
        mend="Add the file to the event, or propose its removal.",
        check=_files_present,
    ),
    Rule(
        id="KT305",
        title="files match their hashes",
        why="Clients refuse bytes that differ from what was signed.",
        mend="Propose the file again, or restore the bytes that were proposed.",
        check=_files_match,
    ),
    Rule(
        id="KT306",
        title="no unlisted files",
        why="A file that no role lists is not protected by any signature.",
        mend="List it with `keyturn propose files`, or remove it.",
        check=_no_orphans,
        severity=Severity.WARNING,
    ),
    Rule(
        id="KT307",
        title="roles keep to their paths",
        why="Clients never ask a role for a path that is not delegated to it.",
        mend="Move the target to a path of this role, or delegate the path in keyturn.yml.",
        check=_within_delegation,
    ),
    Rule(
        id="KT308",
        title="one version, one content",
        why="Clients refuse a version that is signed with different contents, and update no more.",
        mend="Give one of the two a higher version.",
        check=_one_content,
    ),
)

POLICY_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT401",
        title="the policy can be read",
        why="Nothing can be compared with a wish that nobody can read.",
        mend="Mend keyturn.yml as the message says.",
        check=_policy_readable,
    ),
    Rule(
        id="KT402",
        title="the repository keeps its name",
        why="The name is part of every proof of possession.",
        mend="Put the old name back.",
        check=_same_name,
    ),
    Rule(
        id="KT403",
        title="keys are proven",
        why="Without a proof of possession somebody could enter another person's key as their own.",
        mend="Let the key's owner run `keyturn join` again.",
        check=_proofs,
    ),
    Rule(
        id="KT404",
        title="owners match the keyring",
        why="A role must not name a person together with a key that this person never proved.",
        mend="Propose the role again, so that it takes the keys in keyring/.",
        check=_owners_match_keyring,
    ),
)

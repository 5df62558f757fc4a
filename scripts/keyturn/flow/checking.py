"""``verify``: a published directory, a site or a git revision, every finding at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keyturn.errors import EnvironmentFault, UsageError
from keyturn.flow.context import Source, assemble
from keyturn.flow.live import crawl
from keyturn.forge import Forge
from keyturn.git import Git
from keyturn.state import RoleFile, Site
from keyturn.tree import DirectoryTree, GitTree, Tree
from keyturn.verify import Finding, Publication, verify_event, verify_published


@dataclass(frozen=True, slots=True)
class Checked:
    """What ``verify`` found.

    Args:
        subject: What was looked at.
        kind: ``site`` or ``repository``.
        findings: Every finding.
    """

    subject: str
    kind: str
    findings: tuple[Finding, ...]


def root_digest_of(data: bytes, where: str) -> str:
    """The root digest of a root 1 file that the person trusts.

    Raises:
        MetadataError: It is not root metadata.
        UsageError: It is not version 1.
    """
    file = RoleFile.parse("root", where, data)
    if file.version != 1:
        raise UsageError(f"is root {file.version}", where=where, todo="Give root 1: all trust starts there.")
    return file.digest


def check(
    subject: str, directory: Path, pinned: str, now: datetime, *, forge: Forge | None = None
) -> Checked:
    """Verify a URL, a directory, a branch of the remote or a git revision from a trusted root.

    Args:
        subject: URL, path, branch of the remote, or revision of the repository around ``directory``.
        directory: Where relative paths and the repository are.
        pinned: Root digest.
        now: The time, UTC.
        forge: The remote, refreshed, where there is one.

    Raises:
        UsageError: The subject is none of these.
        EnvironmentFault: The site does not answer.
    """
    if subject.startswith(("http://", "https://")):
        return _site(subject, crawl(subject.rstrip("/") + "/", now), pinned, now)
    tip = forge.branch_tip(subject) if forge else None
    if (directory / subject).is_dir():
        tree: Tree = DirectoryTree(directory / subject)
    elif forge and tip:
        tree = forge.tree(tip)
    else:
        tree = _revision(subject, directory)
    if "metadata/timestamp.json" in tree.entries() and "metadata/1.root.json" in tree.entries():
        return _site(subject, tree, pinned, now)
    loaded = assemble(Source.alone(subject, subject, tree), pinned, now)
    if loaded.event.founding:
        raise UsageError(
            "there is no metadata", where=subject, todo="Name a site, a published directory or a branch."
        )
    return Checked(subject=subject, kind="repository", findings=verify_event(loaded.event).findings)


def _site(subject: str, tree: Tree, pinned: str, now: datetime) -> Checked:
    publication = Publication(site=Site(tree), now=now, pinned=pinned)
    return Checked(subject=subject, kind="site", findings=verify_published(publication))


def _revision(subject: str, directory: Path) -> Tree:
    try:
        git = Git.open(directory)
        commit = git.resolve(subject)
    except EnvironmentFault:
        commit = None
    if commit is None:
        raise UsageError("is neither a URL, a directory, a branch nor a git revision", where=subject)
    return GitTree(git, commit)

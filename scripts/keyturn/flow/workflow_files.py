"""The workflows that a repository gets, with our actions pinned to one commit (DESIGN sections 2 and 4)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from keyturn import __version__
from keyturn.errors import EnvironmentFault, UsageError

WORKFLOWS = ".github/workflows/"
PUBLISH = "keyturn-publish.yml"
"""The workflow with the one job that holds the online key."""
_OURS = re.compile(r"keyturn-[^/]+\.yml")


@dataclass(frozen=True, slots=True)
class ActionPin:
    """Which actions the workflows use, by commit.

    Args:
        repository: ``owner/repository``.
        commit: Commit, 40 hexadecimal digits.
        version: What a person calls it, for the comment beside it.
    """

    repository: str
    commit: str
    version: str

    @classmethod
    def parse(cls, text: str, version: str) -> ActionPin:
        """Read ``OWNER/REPOSITORY@COMMIT``.

        Raises:
            UsageError: It is of another form; tags and branches move, so only a commit will do.
        """
        match = _PIN.fullmatch(text)
        if match is None or not _VERSION.fullmatch(version):
            raise UsageError(
                "is not of the form OWNER/REPOSITORY@COMMIT with all 40 digits of the commit, and a version "
                "without blanks",
                where=f"--action {text} --action-version {version}",
                todo="A tag can be moved to other code at any time; a commit cannot.",
                reason="bad-action",
            )
        return cls(match["repository"], match["commit"], version)


RELEASED: ActionPin | None = None
"""The actions of this version's release; None in a version that was not released."""
_PIN = re.compile(r"(?P<repository>[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+)@(?P<commit>[0-9a-f]{40})")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*")
_USES = re.compile(
    r"(?P<uses>\buses:[ ]+)(?P<repository>[A-Za-z0-9-]+/[A-Za-z0-9._-]+)(?P<path>(?:/action/[a-z-]+)?)"
    r"@(?P<commit>[0-9a-f]{40})(?:[ ]+#[ ]*(?P<version>\S+))?"
)
_BRANCHES = "branches: [main]"
_SECRET = "KEYTURN_ONLINE_KEY: ${{ secrets.KEYTURN_ONLINE_KEY }}"  # noqa: S105 (its name)
_PLACEHOLDER = "keyturn/keyturn"
"""The repository that the shipped workflow texts name."""


def released_action() -> ActionPin:
    """The actions of this version's release.

    Raises:
        UsageError: This version was not released.
    """
    if RELEASED is None:
        raise UsageError(
            f"keyturn {__version__} was not released, so it does not know which commit of its actions to use",
            todo="Name one: --action OWNER/REPOSITORY@COMMIT.",
            reason="no-action",
        )
    return RELEASED


def workflow_texts() -> Mapping[str, str]:
    """The workflows that a repository gets, as this version ships them, by file name.

    Raises:
        EnvironmentFault: The installation is not complete.
    """
    shipped = package_files("keyturn") / "workflows"
    # In a checkout of the project they lie beside the package's own directory.
    directory = shipped if shipped.is_dir() else Path(__file__).parents[3] / "workflows"
    texts = (
        {
            each.name: each.read_text(encoding="utf-8")
            for each in sorted(directory.iterdir(), key=lambda each: each.name)
            if _OURS.fullmatch(each.name)
        }
        if directory.is_dir()
        else {}
    )
    if not texts:
        raise EnvironmentFault(
            "the workflows are missing from this installation",
            where=str(directory),
            todo="Install keyturn again.",
            reason="no-workflows",
        )
    return texts


def pinned_text(text: str, pin: ActionPin, *, instead_of: str = _PLACEHOLDER) -> str:
    """A workflow's text with our actions pinned to a commit; those of others stay as they are.

    Args:
        text: The workflow.
        pin: The commit.
        instead_of: The repository whose actions are ours.
    """

    def put(match: re.Match[str]) -> str:
        if match["repository"] != instead_of:
            return match[0]
        return f"{match['uses']}{pin.repository}{match['path']}@{pin.commit} # {pin.version}"

    return _USES.sub(put, text)


def adapted_texts(branch: str, secret: str | None) -> Mapping[str, str]:
    """The workflows as they fit one repository, by file name; our actions are not pinned yet.

    Args:
        branch: The branch that holds what was decided.
        secret: Name of the secret that holds the online key; None if the key is in a KMS.

    Raises:
        EnvironmentFault: The installation is not complete.
    """
    branches = _BRANCHES if branch == "main" else f"branches: [{json.dumps(branch)}]"
    key = _SECRET if secret is None else f"{secret}: ${{{{ secrets.{secret} }}}}"
    return {
        name: text.replace(_BRANCHES, branches).replace(_SECRET, key)
        for name, text in workflow_texts().items()
    }


def workflow_files(pin: ActionPin, branch: str = "main", secret: str | None = None) -> dict[str, bytes]:
    """The workflows of a repository by path, our actions pinned.

    Args:
        pin: The commit.
        branch: As for :func:`adapted_texts`.
        secret: Likewise.

    Raises:
        EnvironmentFault: The installation is not complete.
    """
    texts = adapted_texts(branch, secret)
    return {WORKFLOWS + name: pinned_text(text, pin).encode() for name, text in sorted(texts.items())}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A workflow in a repository beside the one that this version ships.

    Args:
        same: Whether they are the same but for the commit that our actions are pinned to.
        pin: That commit; None if the workflow uses none of our actions, or not all of one commit.
    """

    same: bool
    pin: ActionPin | None


def compare(text: str, shipped: str) -> Comparison:
    """Compare a workflow with the one shipped.

    Args:
        text: The workflow, as it stands in a repository.
        shipped: Its text, as :func:`adapted_texts` has it.
    """
    ours = [match for match in _USES.finditer(text) if match["path"]]
    pins = {ActionPin(match["repository"], match["commit"], match["version"] or "") for match in ours}
    pin = pins.pop() if len(pins) == 1 else None
    return Comparison(same=text == (pinned_text(shipped, pin) if pin else shipped), pin=pin)


def is_workflow_of_ours(path: str) -> bool:
    """Whether a path is where ``keyturn init`` writes a workflow."""
    return path.startswith(WORKFLOWS) and _OURS.fullmatch(path.removeprefix(WORKFLOWS)) is not None

"""This working tree as a repository of the forge: what `uses: keyturn/keyturn@SHA` fetches in the lab."""

from __future__ import annotations

import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from lab.forge import LabForge

ROOT = Path(__file__).parents[2]
OWNER, NAME = "keyturn", "keyturn"
UNPINNED = "0" * 40
"""The commit that workflows/*.yml name before somebody writes them into a repository."""
TAG = "v0"
# The same tree is the same commit in every run, so that what was fetched once can be used again.
_WHEN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def publish_ourselves(forge: LabForge, root: Path = ROOT, *, owner: str = OWNER, name: str = NAME) -> str:
    """Put tracked files, and untracked ones that are not ignored, into a repository as its one commit.

    Returns:
        The commit id, which workflows pin.
    """
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        check=True,
    ).stdout
    paths = [path for path in listed.split(b"\0") if path and (root / path.decode()).is_file()]
    forge.user(owner)
    store = forge.create_repository(owner, name).store
    with tempfile.TemporaryDirectory() as scratch:
        env = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_WORK_TREE": str(root),
            "GIT_DIR": str(store.directory),
        }
        store.run("-C", str(root), "update-index", "--add", "-z", "--stdin", stdin=b"\0".join(paths), env=env)
        tree = store.run("write-tree", env=env).decode().strip()
    commit = store.write_commit(
        tree, [], "The working tree", author=("Lab", "lab@example.invalid"), when=_WHEN
    )
    store.set_ref("refs/heads/main", commit)
    store.set_ref(f"refs/tags/{TAG}", commit)
    return commit


def our_workflows(commit: str, *names: str, root: Path = ROOT) -> dict[str, bytes]:
    """The workflows that users get, by their path in a repository, our action pinned to a commit.

    Args:
        commit: What :func:`publish_ourselves` gave.
        names: File names without ``.yml``; none for all that begin with ``keyturn-``.
        root: The working tree.
    """
    paths = [root / "workflows" / f"{name}.yml" for name in names] or sorted(
        root.glob("workflows/keyturn-*.yml")
    )
    return {
        f".github/workflows/{path.name}": path.read_bytes().replace(UNPINNED.encode(), commit.encode())
        for path in paths
    }

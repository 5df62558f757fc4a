"""One bare git repository, and the few questions that the forge asks it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

CONFIG = {
    "http.receivepack": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
    "receive.hideRefs": "refs/pull",
    "gc.auto": "0",
    "core.logAllRefUpdates": "false",
}
OID = re.compile(r"[0-9a-f]{40}")
Result = TypeVar("Result")


class StoreError(Exception):
    """git refused; the text is what it said."""


@dataclass(frozen=True)
class Commit:
    """A commit as git has it."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: tuple[str, str, str]
    committer: tuple[str, str, str]
    message: str


@dataclass(frozen=True)
class Changed:
    """A path that differs between two commits."""

    path: str
    status: str
    blob: str
    previous: str | None = None


def isolated(home: Path) -> dict[str, str]:
    """The environment of every git process: nothing of the machine's own settings."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


class Store:
    """A bare repository on disk.

    Args:
        directory: Where it is.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[tuple[str, ...], Any] = {}

    @classmethod
    def create(cls, directory: Path, *, branch: str, hooks: Path) -> Store:
        """What ``git init --bare`` writes, without a process for it: tests make many repositories."""
        for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
            (directory / folder).mkdir(parents=True)
        (directory / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
        settings = {
            "core.repositoryformatversion": "0",
            "core.bare": "true",
            "core.hooksPath": f'"{hooks}"',
            **CONFIG,
        }
        pairs = [(*key.split("."), value) for key, value in settings.items()]
        lines = [f"[{section}]\n\t{name} = {value}\n" for section, name, value in pairs]
        (directory / "config").write_text("".join(lines))
        return cls(directory)

    def _remember(self, ask: Callable[[], Result], *question: str) -> Result:
        """What is asked of commit ids has one answer for ever, and each git process takes milliseconds."""
        if question not in self._known:
            self._known[question] = ask()
        return cast(Result, self._known[question])

    def run(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        done = self.try_run(*args, stdin=stdin, env=env)
        if done.returncode:
            raise StoreError(done.stderr.decode(errors="replace").strip())
        return done.stdout

    def try_run(
        self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", "-C", str(self.directory), *args],
            input=stdin,
            capture_output=True,
            check=False,
            env={**isolated(self.directory), **(env or {})},
        )

    def text(self, *args: str) -> str:
        return self.run(*args).decode(errors="surrogateescape").strip()

    # ------------------------------------------------------------------ refs

    def refs(self, prefix: str = "refs/") -> dict[str, str]:
        lines = self.text("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def commit_of(self, revision: str) -> str | None:
        """The commit that a branch, tag or commit id names; None if there is none."""
        if (
            revision.startswith(("refs/heads/", "refs/pull/"))
            and not (self.directory / "packed-refs").exists()
        ):
            file = self.directory / revision
            inside = ".." not in revision and file.is_file()
            return file.read_text().strip() if inside else None
        if OID.fullmatch(revision) and ("commit", revision) in self._known:
            return revision
        done = self.try_run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        return done.stdout.decode().strip() or None

    def branch(self, name: str) -> str | None:
        return self.commit_of(f"refs/heads/{name}")

    def set_ref(self, ref: str, new: str, old: str | None = None) -> None:
        self.run("update-ref", ref, new, *([old] if old is not None else []))

    def delete_ref(self, ref: str) -> None:
        self.run("update-ref", "-d", ref)

    # --------------------------------------------------------------- commits

    def commit(self, oid: str) -> Commit:
        return self._remember(lambda: self._commit(oid), "commit", oid)

    def _commit(self, oid: str) -> Commit:
        form = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"
        out = self.run("show", "-s", f"--format={form}", "--end-of-options", oid)
        part = out.decode(errors="replace").split("\0")
        return Commit(
            part[0],
            part[1],
            tuple(part[2].split()),
            (part[3], part[4], part[5]),
            (part[6], part[7], part[8]),
            part[9].rstrip("\n"),
        )

    def log(self, *args: str) -> list[str]:
        """Commit ids of ranges of commit ids, newest first."""
        return list(self._remember(lambda: self.text("rev-list", *args).split(), "log", *args))

    def is_ancestor(self, old: str, new: str) -> bool:
        def ask() -> bool:
            return self.try_run("merge-base", "--is-ancestor", old, new).returncode == 0

        return old == new or self._remember(ask, "is_ancestor", old, new)

    def merge_base(self, one: str, other: str) -> str | None:
        return self.try_run("merge-base", one, other).stdout.decode().strip() or None

    def merged_tree(self, ours: str, theirs: str) -> str | None:
        """The tree of a merge; None if it conflicts."""

        def ask() -> str | None:
            done = self.try_run("merge-tree", "--write-tree", ours, theirs)
            return done.stdout.decode().split()[0] if done.returncode == 0 else None

        return self._remember(ask, "merged_tree", ours, theirs)

    def write_commit(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        author: tuple[str, str],
        when: datetime,
        committer: tuple[str, str] | None = None,
    ) -> str:
        by = committer or author
        stamp = f"@{int(when.timestamp())} +0000"
        env = {
            "GIT_AUTHOR_NAME": author[0],
            "GIT_AUTHOR_EMAIL": author[1],
            "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_NAME": by[0],
            "GIT_COMMITTER_EMAIL": by[1],
            "GIT_COMMITTER_DATE": stamp,
        }
        arguments = [part for parent in parents for part in ("-p", parent)]
        return self.run("commit-tree", tree, *arguments, stdin=message.encode(), env=env).decode().strip()

    def write_tree(self, base: str | None, changes: Mapping[str, bytes | None]) -> str:
        """The tree of a commit with some files written, or removed where the content is None."""
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            env = {"GIT_INDEX_FILE": f"{scratch}/index"}
            if base:
                self.run("read-tree", base, env=env)
            lines = []
            for path, content in changes.items():
                mode, blob = ("0", "0" * 40) if content is None else ("100644", self.write_blob(content))
                lines.append(f"{mode} {blob}\t{path}\0")
            self.run("update-index", "-z", "--index-info", stdin="".join(lines).encode(), env=env)
            return self.run("write-tree", env=env).decode().strip()

    def write_blob(self, content: bytes) -> str:
        """Keep a file's content, as ``git hash-object -w`` does."""
        whole = b"blob %d\0" % len(content) + content
        oid = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        file = self.directory / "objects" / oid[:2] / oid[2:]
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(zlib.compress(whole, 1))
        return oid

    def changed(self, old: str, new: str) -> list[Changed]:
        """What a commit changes against its merge base with another one."""
        return list(self._remember(lambda: self._changed(old, new), "changed", old, new))

    def _changed(self, old: str, new: str) -> list[Changed]:
        parts = self.run("diff", "--raw", "-z", "--no-abbrev", "-M", f"{old}...{new}")
        words = iter(parts.decode(errors="surrogateescape").split("\0"))
        found = []
        for meta in words:
            if not meta:
                break
            blob, letter = meta.split()[3:5]
            path = next(words)
            if letter[0] in "RC":
                found.append(Changed(next(words), "renamed", blob, path))
            else:
                names = {"A": "added", "M": "modified", "D": "removed"}
                found.append(Changed(path, names.get(letter[0], "changed"), blob))
        return found

    def blob(self, treeish: str, path: str) -> bytes | None:
        done = self.try_run("cat-file", "blob", f"{treeish}:{path}")
        return done.stdout if done.returncode == 0 else None

    def files(self, treeish: str, prefix: str = "") -> list[tuple[str, str, str, int]]:
        """Entries of one directory: path, type, id and size."""
        out = self.try_run("ls-tree", "-z", "-l", "--full-tree", treeish, *([prefix] if prefix else []))
        found = []
        for line in out.stdout.decode(errors="surrogateescape").split("\0"):
            if line:
                meta, path = line.split("\t", 1)
                _, kind, oid, size = meta.split()
                found.append((path, kind, oid, 0 if size == "-" else int(size)))
        return found

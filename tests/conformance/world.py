"""A TUF repository in memory, a server that lies where it is told to, and a client of the protocol.

Root and targets need two of alice, bob and carol; snapshot and timestamp have a key each. A test changes the
roles as python-tuf objects, puts them on the server as a publisher or as a thief would, and then runs the
client, in this process or as the executable.
"""

from __future__ import annotations

import io
import json
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache, partial
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import quote, unquote

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from conformance.protocol import main

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
EXECUTABLE = Path(__file__).with_name("client")
HELD = {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}
"""What a client holds after its first refresh."""
BOTH = pytest.mark.parametrize(
    "here", ["inside", pytest.param("executable", marks=pytest.mark.slow)], indirect=True
)
"""Marks scenarios that are run in this process and as the executable too."""
_SAFE = "/%~+&=;,:@!$()"


@cache
def key(owner: str) -> CryptoSigner:
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(sha256(owner.encode()).digest()))


ALICE, BOB, CAROL, MALLORY = (key(owner) for owner in ("alice", "bob", "carol", "mallory"))


class Repository:
    """The roles, who signs each, and the files that the server has of them.

    A role listed in snapshot or timestamp is listed by version, and by length and hashes too if ``hashed``
    names algorithms.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.files: dict[str, bytes] = {}
        self.hashed: Sequence[str] = ()
        self._put: set[str] = set()
        self.root = Root(consistent_snapshot=True, expires=now + timedelta(days=365))
        self.timestamp = Timestamp(expires=now + timedelta(days=3))
        self.snapshot = Snapshot(expires=now + timedelta(days=14))
        self.targets = Targets(expires=now + timedelta(days=120))
        self.roles: dict[str, Signed] = {
            "root": self.root,
            "targets": self.targets,
            "snapshot": self.snapshot,
            "timestamp": self.timestamp,
        }
        self.signers: dict[str, Sequence[Signer]] = {}
        for role in ("root", "targets"):
            self.entrust(role, ALICE, BOB, CAROL, threshold=2)
            self.signers[role] = (ALICE, BOB)
        for role in ("snapshot", "timestamp"):
            self.entrust(role, key(role))
        for role in self.roles:
            self.put(role)

    @property
    def first_root(self) -> bytes:
        return self.files["metadata/1.root.json"]

    def entrust(self, role: str, *owners: Signer, threshold: int = 1) -> None:
        """Give a top-level role to these owners and nobody else; from now on all of them sign it."""
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        for owner in owners:
            self.root.add_key(owner.public_key, role)
        self.root.roles[role].threshold = threshold
        self.signers[role] = owners

    def name(self, role: str) -> str:
        """Where a role's present version lies."""
        versioned = role == "root" or (self.root.consistent_snapshot and role != "timestamp")
        prefix = f"{self.roles[role].version}." if versioned else ""
        return f"metadata/{prefix}{quote(role, safe='')}.json"

    def signed(self, role: str, *signers: Signer) -> bytes:
        """A role's present version, signed by its signers unless others are given."""
        metadata: Metadata[Any] = Metadata(self.roles[role])
        for signer in signers or self.signers[role]:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def put(self, role: str, *signers: Signer) -> bytes:
        """Sign a role's present version, serve it, and list it where it belongs."""
        data = self.files[self.name(role)] = self.signed(role, *signers)
        self._put.add(role)
        version = self.roles[role].version
        listed = MetaFile.from_data(version, data, list(self.hashed)) if self.hashed else MetaFile(version)
        if role == "snapshot":
            self.timestamp.snapshot_meta = listed
        elif role not in ("root", "timestamp"):
            self.snapshot.meta[f"{role}.json"] = listed
        return data

    def put_json(self, role: str, payload: dict[str, Any]) -> None:
        """Put what python-tuf would not make, signed by the role's signers; its listing stays as it is."""
        signed = encode_canonical(payload).encode()
        signatures = [signer.sign(signed).to_dict() for signer in self.signers[role]]
        self.files[self.name(role)] = json.dumps({"signatures": signatures, "signed": payload}).encode()

    def renew(self, *roles: str) -> None:
        """Put the next version of each role, in this order."""
        for role in roles:
            if role in self._put:
                self.roles[role].version += 1
            self.put(role)

    def release(self, *roles: str) -> None:
        """Put the next version of these targets roles, and then of snapshot and timestamp."""
        self.renew(*roles, "snapshot", "timestamp")

    def set_versions(self, version: int, *roles: str) -> None:
        """Put a version of each role, whatever was there before."""
        for role in roles:
            self.roles[role].version = version
            self.put(role)

    def delegate(
        self,
        parent: str,
        name: str,
        *,
        paths: list[str] | None = None,
        prefixes: list[str] | None = None,
        terminating: bool = False,
        owners: Sequence[Signer] = (),
        threshold: int = 1,
    ) -> Targets:
        """Let a role delegate to another (all paths by default), which is made if there is none yet."""
        delegator, owners = self.roles[parent], owners or (key(name),)
        assert isinstance(delegator, Targets)
        if delegator.delegations is None:
            delegator.delegations = Delegations({}, roles={})
        assert delegator.delegations.roles is not None
        paths = ["*"] if paths is None and prefixes is None else paths
        delegator.delegations.roles[name] = DelegatedRole(name, [], threshold, terminating, paths, prefixes)
        for owner in owners:
            delegator.add_key(owner.public_key, name)
        self.signers.setdefault(name, owners)
        role = self.roles.setdefault(name, Targets(expires=self.now + timedelta(days=60)))
        assert isinstance(role, Targets)
        return role

    def add_target(
        self, path: str, content: bytes, *, role: str = "targets", hashed: Iterable[str] = ("sha256",)
    ) -> TargetFile:
        targets = self.roles[role]
        assert isinstance(targets, Targets)
        target = targets.targets[path] = TargetFile.from_data(path, content, list(hashed))
        for name in self.target_names(target):
            self.files[name] = content
        return target

    def target_names(self, target: TargetFile) -> list[str]:
        """Where a target lies; its path is a piece of a URL, so what is percent-encoded in it stays so."""
        directory, slash, name = target.path.rpartition("/")
        prefixes = (
            [f"{digest}." for digest in target.hashes.values()] if self.root.consistent_snapshot else [""]
        )
        return [f"targets/{quote(directory + slash + prefix + name, safe=_SAFE)}" for prefix in prefixes]


@dataclass
class Site:
    """A web server on loopback over a repository's files.

    ``instead`` maps a path to other bytes, ``status`` to an error; what is in ``endless`` begins well and
    never ends, what is in ``stalled`` begins and never goes on. ``heard`` is called with each path that is
    asked for; ``sent`` counts the bytes of each.
    """

    files: Mapping[str, bytes]
    url: str = ""
    instead: dict[str, bytes] = field(default_factory=dict)
    status: dict[str, HTTPStatus] = field(default_factory=dict)
    endless: set[str] = field(default_factory=set)
    stalled: set[str] = field(default_factory=set)
    closing: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    heard: Callable[[str], None] = lambda path: None
    sent: dict[str, int] = field(default_factory=dict)

    def asked_roles(self) -> list[str]:
        """The roles asked for, decoded and without versions."""
        names = [name.removeprefix("metadata/").removesuffix(".json") for name in self.asked]
        return [unquote(name if name == "timestamp" else name.partition(".")[2]) for name in names]


class _Handler(BaseHTTPRequestHandler):
    def __init__(
        self, request: socket, address: tuple[str, int], server: ThreadingHTTPServer, *, site: Site
    ) -> None:
        self.site = site
        super().__init__(request, address, server)

    def do_GET(self) -> None:
        with suppress(ConnectionError):  # the client has had enough
            self._answer(self.path.removeprefix("/"))

    def _answer(self, path: str) -> None:
        site = self.site
        site.asked.append(path)
        site.heard(path)
        content = site.instead.get(path, site.files.get(path))
        if path in site.status or content is None:
            self.send_error(site.status.get(path, HTTPStatus.NOT_FOUND))
            return
        self.send_response(HTTPStatus.OK)
        if path not in site.endless:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if path in site.stalled:
            self.wfile.write(content[:1])
            site.closing.wait()
            return
        self._send(path, content)
        while path in site.endless and not site.closing.is_set():
            self._send(path, b" " * 65536)

    def _send(self, path: str, content: bytes) -> None:
        self.wfile.write(content)
        self.site.sent[path] = self.site.sent.get(path, 0) + len(content)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[Site]:
    site = Site(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, site=site))
    site.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.005))
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Outcome:
    """How one command of the client ended."""

    code: int
    said: str

    @property
    def done(self) -> bool:
        return self.code == 0

    @property
    def refusal(self) -> tuple[str, str] | None:
        """Reason and role; None if the command succeeded."""
        if self.done:
            return None
        assert self.code == 1
        said = json.loads(self.said.splitlines()[-1])
        return said["reason"], said["role"]


def run_inside(*arguments: str) -> Outcome:
    with redirect_stderr(io.StringIO()) as said:
        code = main(arguments)
    return Outcome(code, said.getvalue())


def run_executable(*arguments: str) -> Outcome:
    # From a directory that is none of ours, as a suite does.
    done = subprocess.run([EXECUTABLE, *arguments], cwd="/", capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stderr)


@dataclass
class Here:
    """A repository, its server, and one client with the repository's first root."""

    repository: Repository
    site: Site
    home: Path
    run: Callable[..., Outcome]
    clock: time_machine.Traveller | None

    @property
    def metadata(self) -> Path:
        return self.home / "metadata"

    @property
    def targets(self) -> Path:
        return self.home / "targets"

    def init(self, root: bytes | None = None) -> Outcome:
        """Start over with this root, or with the repository's first."""
        file = self.home / "root"
        file.write_bytes(root or self.repository.first_root)
        return self.run("--metadata-dir", str(self.metadata), "init", str(file))

    def refresh(self) -> Outcome:
        return self.run(*self._where(), "refresh")

    def download(self, *paths: str) -> Outcome:
        names = [word for path in paths for word in ("--target-name", path)]
        to = ["--target-dir", str(self.targets), "--target-base-url", f"{self.site.url}targets/"]
        return self.run(*self._where(), *names, *to, "download")

    def _where(self) -> list[str]:
        return ["--metadata-url", f"{self.site.url}metadata/", "--metadata-dir", str(self.metadata)]

    def held(self) -> dict[str, int]:
        """The versions of the roles that the client trusts."""
        files = self.metadata.glob("*.json")
        return {
            unquote(file.name.removesuffix(".json")): Metadata.from_bytes(file.read_bytes()).signed.version
            for file in files
        }

    def got(self) -> dict[str, bytes]:
        """The downloaded targets, by path."""
        return {unquote(file.name): file.read_bytes() for file in self.targets.iterdir()}

    def travel(self, **time: float) -> None:
        assert self.clock is not None, "only a client in this process has a clock that can be set"
        self.clock.shift(timedelta(**time))

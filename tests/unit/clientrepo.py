"""A signed TUF site for the client's tests: made with python-tuf, served on loopback, bent at will.

``Repository`` holds the four roles as python-tuf objects. A test changes them, signs them with whom it likes,
and writes them as a publisher would. ``Site`` serves the directory, and lies where it is told to.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from types import MappingProxyType
from typing import Any
from unittest import mock

import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import FetcherInterface

from keyturn.client import Client
from keyturn.client.trust import Trust
from keyturn.release.archive import pack

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
ENVIRONMENT: Mapping[str, str] = MappingProxyType({"PATH": os.environ["PATH"]})
PROGRAM = b'#!/bin/sh\nprintf "%s %s" "$KEYTURN_APP_VERSION" "$*" > "${1:-/dev/null}"\n'


def signer(seed: int) -> CryptoSigner:
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


ALICE, BOB, CAROL, ONLINE, MALLORY = (signer(seed) for seed in range(1, 6))


class Repository:
    """Root and targets need two of alice, bob and carol; one online key signs the rest."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.people: Sequence[CryptoSigner] = (ALICE, BOB)
        self.root = Root(consistent_snapshot=True, expires=NOW + timedelta(days=365))
        for role in ("root", "targets"):
            for person in (ALICE, BOB, CAROL):
                self.root.add_key(person.public_key, role)
            self.root.roles[role].threshold = 2
        for role in ("snapshot", "timestamp"):
            self.root.add_key(ONLINE.public_key, role)
        self.targets = Targets(expires=NOW + timedelta(days=120))
        self.snapshot = Snapshot(expires=NOW + timedelta(days=14))
        self.timestamp = Timestamp(expires=NOW + timedelta(days=3))
        (directory / "metadata").mkdir(parents=True)
        self.write_root()
        self.write_targets()
        self.write_online()

    @property
    def first_root(self) -> bytes:
        return (self.directory / "metadata" / "1.root.json").read_bytes()

    def sign(self, signed: Signed, *signers: CryptoSigner) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        for each in signers:
            metadata.sign(each, append=True)
        return metadata.to_bytes()

    def write(self, name: str, data: bytes) -> bytes:
        (self.directory / "metadata" / name).write_bytes(data)
        return data

    def write_root(self, *signers: CryptoSigner) -> bytes:
        return self.write(f"{self.root.version}.root.json", self.sign(self.root, *(signers or self.people)))

    def write_targets(self, *signers: CryptoSigner) -> bytes:
        self.snapshot.meta["targets.json"] = MetaFile(self.targets.version)
        name = f"{self.targets.version}.targets.json"
        return self.write(name, self.sign(self.targets, *(signers or self.people)))

    def write_snapshot(self, *signers: CryptoSigner) -> bytes:
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        name = f"{self.snapshot.version}.snapshot.json"
        return self.write(name, self.sign(self.snapshot, *(signers or (ONLINE,))))

    def write_timestamp(self, *signers: CryptoSigner) -> bytes:
        return self.write("timestamp.json", self.sign(self.timestamp, *(signers or (ONLINE,))))

    def write_online(self) -> None:
        self.write_snapshot()
        self.write_timestamp()

    def publish(self, *signers: CryptoSigner) -> None:
        """The next version of targets, snapshot and timestamp, in good order."""
        for signed in (self.targets, self.snapshot, self.timestamp):
            signed.version += 1
        self.write_targets(*signers)
        self.write_online()

    def renew_timestamp(self) -> bytes:
        self.timestamp.version += 1
        return self.write_timestamp()

    def rotate_root(self, *signers: CryptoSigner) -> None:
        self.root.version += 1
        self.write_root(*signers)

    def add_target(self, path: str, content: bytes, said: object = None) -> TargetFile:
        """A target whose ``custom.user.keyturn`` is what the test says, whatever that is."""
        target = TargetFile.from_data(path, content)
        if said is not None:
            target.unrecognized_fields["custom"] = {"user": {"keyturn": said}}
        self.targets.targets[path] = target
        parent, _, name = path.rpartition("/")
        file = self.directory / "targets" / parent / f"{hashlib.sha256(content).hexdigest()}.{name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return target

    def add_archive(
        self, version: str, content: bytes, tree: str, *, platform: str = "", path: str = ""
    ) -> TargetFile:
        said = {"app": "acme", "platform": platform, "version": version, "tree": tree}
        return self.add_target(path or f"acme-{version}{platform}.tar.gz", content, said)

    def add_release(
        self,
        version: str,
        files: Mapping[str, bytes] | None = None,
        *,
        platform: str = "",
        path: str = "",
        executable: Sequence[str] = ("acme",),
    ) -> TargetFile:
        """A release of a bundle; by default a program that writes its version to its first argument."""
        where = self.directory.parent / f"bundle-{version}{platform}{path.replace('/', '_')}"
        write_tree(where, files or {"acme": PROGRAM, "lib/data.txt": version.encode()}, executable)
        packed = pack(where, where.with_suffix(".archive"))
        content = packed.path.read_bytes()
        return self.add_archive(version, content, packed.tree, platform=platform, path=path)


def write_tree(where: Path, files: Mapping[str, bytes], executable: Sequence[str] = ()) -> Path:
    for name, content in files.items():
        file = where / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755 if name in executable else 0o644)
    return where


@dataclass
class Site:
    """A web server on loopback, and what it does otherwise than a good one.

    ``instead`` maps a path to the bytes served for it, ``status`` to an error, ``cut`` to the number of bytes
    after which the connection is closed.
    """

    url: str
    instead: dict[str, bytes] = field(default_factory=dict)
    status: dict[str, HTTPStatus] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    def __init__(
        self,
        request: socket,
        client: tuple[str, int],
        server: ThreadingHTTPServer,
        *,
        site: Site,
        directory: Path,
    ) -> None:
        self.site = site
        self.directory = directory
        super().__init__(request, client, server)

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        self.site.asked.append(path)
        file = self.directory / path
        if path in self.site.status:
            self.send_error(self.site.status[path])
        elif path in self.site.instead:
            self._send(path, self.site.instead[path])
        elif file.is_file():
            self._send(path, file.read_bytes())
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send(self, path: str, content: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: self.site.cut.get(path)])

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serve(directory: Path) -> Iterator[Site]:
    site = Site("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, site=site, directory=directory))
    site.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class World:
    """A repository, its site, the time of day, and clients of it."""

    repository: Repository
    site: Site
    clock: time_machine.Traveller
    home: Path

    @property
    def trust_directory(self) -> Path:
        return self.home / "trust"

    def client(
        self,
        *,
        app: str = "acme",
        platform: str = "",
        url: str = "",
        directory: Path | None = None,
        environment: Mapping[str, str] | None = ENVIRONMENT,
        releases: str = "",
    ) -> Client:
        return Client(
            self.repository.first_root,
            url or self.site.url,
            app,
            directory or self.home,
            platform=platform,
            environment=environment,
            releases=releases,
        )

    def trust(self, *, root: bytes | None = b"first", fetcher: FetcherInterface | None = None) -> Trust:
        """A strict client with the first root, unless another is given."""
        root = self.repository.first_root if root == b"first" else root
        metadata, targets = self.site.url + "metadata/", self.site.url + "targets/"
        return Trust(self.trust_directory, metadata, targets, root=root, fetcher=fetcher)


@contextmanager
def world(directory: Path) -> Iterator[World]:
    """Everything that a test of the client needs, at noon on the day when the repository was made."""
    repository = Repository(directory / "site")
    with (
        mock.patch.dict(os.environ, {"no_proxy": "*"}),
        time_machine.travel(NOW, tick=False) as clock,
        serve(repository.directory) as site,
    ):
        yield World(repository, site, clock, directory / "home")

"""``sign --check-files``: a signer fetches the very files that a signature vouches for, and looks inside."""

from __future__ import annotations

import hashlib
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from tuf.api.metadata import TargetFile

from keyturn.client import unpack
from keyturn.client.releases import release
from keyturn.errors import EnvironmentFault, KeyturnError, RefusedError
from keyturn.flow.context import Loaded, content_of
from keyturn.forge.host import Host
from keyturn.hosting.releases import address
from keyturn.signing import normalise_url
from keyturn.state import State, targets_of
from keyturn.verify import in_release

Fetch = Callable[[TargetFile, Path], None]
"""Brings the bytes of a target that is kept in a release of the code host into a file."""
TIMEOUT = 60.0
"""Seconds without an answer after which a host counts as unreachable."""
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file that is what the event says.

    Args:
        path: Target path.
        size: Its length in bytes.
        sha256: SHA-256 of it, lower hex.
        unpacked: Whether it is an archive whose content is the tree that would be signed.
    """

    path: str
    size: int
    sha256: str
    unpacked: bool


def check_files(loaded: Loaded, fetch: Fetch) -> tuple[CheckedFile, ...]:
    """Fetch every target that an event adds or replaces, and hold it against what would be signed.

    Args:
        loaded: The event.
        fetch: Gets what is kept in releases of the code host; files in git are read from the event.

    Raises:
        RefusedError: A file is not there (reason ``missing-target``), not what is listed
            (``hash-mismatch``), or holds another tree than would be signed (``tree-mismatch``).
        EnvironmentFault: The host does not answer.
    """
    checked = []
    with tempfile.TemporaryDirectory(prefix="keyturn-") as scratch:
        file = Path(scratch) / "target"
        for target in _new_targets(loaded):
            _bring(loaded, target, file, fetch)
            _compare(target, file)
            checked.append(
                CheckedFile(
                    target.path, target.length, target.hashes.get("sha256", ""), _same_tree(target, file)
                )
            )
            file.unlink()
    return tuple(checked)


def fetch_from(page: str) -> Fetch:
    """Fetch from the public releases of a repository.

    Args:
        page: Page of the repository, without a slash at the end.
    """
    return lambda target, file: _download(address(page, target.path, target.hashes["sha256"]), target, file)


def page_of(remote: str) -> str:
    """The page of a repository, by the address that git knows it under.

    Args:
        remote: Address of the remote.
    """
    address = normalise_url(remote)
    return f"https://{address[len('ssh://') :]}" if address.startswith("ssh://") else address


def fetch_through(host: Host) -> Fetch:
    """Fetch through a code host's interface, as one who may see its private releases.

    Args:
        host: The repository on the code host.
    """

    def bring(target: TargetFile, file: Path) -> None:
        tag, _, name = target.path.partition("/")
        wanted = f"{target.hashes['sha256']}.{name}"
        held = (asset for release in host.releases() if release.tag == tag for asset in release.assets)
        asset = next((asset for asset in held if asset.name == wanted), None)
        if asset is None:
            raise RefusedError(
                "the release does not have it",
                where=target.path,
                todo="Ask whoever proposed it where it is.",
                reason="missing-target",
            )
        if asset.size != target.length:
            raise _other_file(target)
        host.download(asset, file, limit=target.length)

    return bring


def _new_targets(loaded: Loaded) -> Iterator[TargetFile]:
    before = _listed(loaded.event.baseline)
    for path, target in _listed(loaded.event.head).items():
        if before.get(path) != target:
            yield target


def _listed(state: State) -> Mapping[str, TargetFile]:
    return {
        path: target for file in state.targets_roles() for path, target in targets_of(file).targets.items()
    }


def _bring(loaded: Loaded, target: TargetFile, file: Path, fetch: Fetch) -> None:
    data = content_of(loaded.event.head.tree, f"targets/{target.path}")
    if data is not None:
        file.write_bytes(data)
    elif in_release(target) and "sha256" in target.hashes:
        fetch(target, file)
    else:
        raise RefusedError(
            "the file is neither in the event nor in a release",
            where=f"targets/{target.path}",
            todo="Ask whoever proposed it where it is.",
            reason="missing-target",
        )


def _compare(target: TargetFile, file: Path) -> None:
    size, digests = 0, {name: hashlib.new(name) for name in target.hashes if name in ("sha256", "sha512")}
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            size += len(chunk)
            for digest in digests.values():
                digest.update(chunk)
    same = bool(digests) and all(digests[name].hexdigest() == target.hashes[name] for name in digests)
    if size != target.length or not same:
        raise _other_file(target)


def _other_file(target: TargetFile) -> RefusedError:
    return RefusedError(
        "the file is not the one that would be signed",
        where=target.path,
        todo="Do not sign. Tell the others, and ask where the release came from.",
        reason="hash-mismatch",
    )


def _same_tree(target: TargetFile, file: Path) -> bool:
    update = release(target)
    if update is None:
        return False
    try:
        digest = unpack.read(file).digest
    except KeyturnError as error:
        raise RefusedError(error.what, where=f"{target.path}: {error.where}", reason="bad-archive") from error
    if digest != update.tree:
        raise RefusedError(
            "what is in the archive is not the tree that would be signed",
            where=target.path,
            todo="Do not sign; propose the release again.",
            reason="tree-mismatch",
        )
    return True


def _download(url: str, target: TargetFile, file: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, file.open("wb") as out:  # noqa: S310
            left = target.length + 1
            while left and (chunk := answer.read(min(_CHUNK, left))):
                out.write(chunk)
                left -= len(chunk)
    except urllib.error.HTTPError as error:
        raise RefusedError(
            f"the release does not have it: the host answers {error.code}",
            where=url,
            todo="If the repository is private, give a token with GH_TOKEN.",
            reason="missing-target",
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        raise EnvironmentFault(f"no answer: {getattr(error, 'reason', error)}", where=url) from error

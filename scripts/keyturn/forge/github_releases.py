"""Releases on GitHub and their files: found before they are made, compared by digest, streamed both ways."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit

from keyturn.errors import EnvironmentFault
from keyturn.forge.answers import Record
from keyturn.forge.api import Api
from keyturn.forge.host import Asset, HostedRelease, HostError
from keyturn.forge.refusals import Refusal

_CHUNK = 1 << 18
_TIMEOUT = 60
_DIGEST = "sha256:"


class Releases:
    """The releases of one repository.

    Args:
        api: The repository's API.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._path = f"{api.repository}/releases"

    def listed(self) -> Iterator[HostedRelease]:
        """All releases that the token may see, newest first, as far as the caller goes on."""
        return (_release(answer) for answer in self._api.pages(self._path))

    def create(self, tag: str, title: str, body: str, target: str) -> HostedRelease:
        """Make a draft, or find the release that has this tag already.

        Args:
            tag: Its tag.
            title: Its title.
            body: Its notes.
            target: The commit or branch that the tag is put on when it is published.
        """
        # GitHub would make a second draft of a tag, and finds drafts by their tag in the list alone.
        there = self._tagged(tag)
        if there is not None:
            return there
        wanted = {
            "tag_name": tag,
            "target_commitish": target,
            "name": title,
            "body": body,
            "draft": True,
            "prerelease": False,
        }
        return self._api.write("POST", self._path, wanted, read=_release, happened=lambda: self._tagged(tag))

    def edit(self, release: HostedRelease, changes: Mapping[str, str | bool]) -> HostedRelease:
        """Change fields of a release.

        Args:
            release: The release as it was seen last.
            changes: New values by GitHub's names.
        """
        now = {
            "name": release.title,
            "body": release.body,
            "draft": release.draft,
            "prerelease": release.prerelease,
        }
        if all(now[name] == value for name, value in changes.items()):
            return release
        # Saying the same twice changes nothing, so a lost answer is asked for again.
        path = f"{self._path}/{release.id}"
        return self._api.write("PATCH", path, changes, read=_release, happened=lambda: None)

    def delete(self, release: HostedRelease) -> None:
        """Remove a release, and the tag that came to be when it was published.

        Args:
            release: The release.
        """
        # The tag first: a run that dies in between leaves a release, by which the next one finds it.
        if not release.draft:
            self._untag(release.tag)
        self._api.remove(f"{self._path}/{release.id}")

    def upload(self, release: HostedRelease, name: str, file: Path) -> Asset:
        """Add a file; an equal one is kept, one that is not all there is removed first.

        Args:
            release: The release as it was seen last.
            name: The file's name there.
            file: The file here.

        Raises:
            HostError: Another file of this name is there (reason ``asset``), or what arrived is another.
        """
        size, digest = _measured(file)
        if size == 0:
            raise HostError("GitHub takes no empty file", where=name, reason="asset")
        there = next((asset for asset in release.assets if asset.name == name), None)
        if there is not None and (kept := self._kept(there, digest)) is not None:
            return kept

        def happened() -> Asset | None:
            found = next((asset for asset in self._assets(release) if asset.name == name), None)
            return self._kept(found, digest) if found is not None else None

        path = f"{self._path}/{release.id}/assets"
        try:
            made = self._api.upload(path, name, file, read=_asset, happened=happened)
        except HostError as error:
            # The release may have got this file since it was seen last.
            if error.reason != "unprocessable" or (found := happened()) is None:
                raise
            return found
        if (made.name, made.size) != (name, size) or made.digest not in (None, digest):
            self.delete_asset(made)
            raise HostError(
                f"GitHub keeps something else than what was sent to it, as {made.name!r}",
                where=name,
                reason="asset",
            )
        return made

    def delete_asset(self, asset: Asset) -> None:
        """Remove a file; it may be gone already.

        Args:
            asset: The file.
        """
        self._api.remove(f"{self._path}/assets/{asset.id}")

    def download(self, asset: Asset, file: Path, limit: int) -> None:
        """Fetch a file; nothing is left at its place unless all of it arrived.

        Args:
            asset: The file.
            file: Where it is written.
            limit: Largest number of bytes that is taken.

        Raises:
            HostError: It is larger (reason ``too-large``), not what its digest says, or cannot be fetched.
        """
        if asset.size > limit:
            raise _too_large(asset, limit)
        part = file.with_name(file.name + ".part")
        try:
            digest = self._api.patience.insist(lambda: self._fetch(asset, part, limit))
            if asset.digest not in (None, digest):
                raise HostError("what arrived is not what GitHub says it keeps", where=asset.name)
            part.replace(file)
        finally:
            with suppress(OSError):
                part.unlink()

    def _untag(self, tag: str) -> None:
        try:
            self._api.remove(f"{self._api.repository}/git/refs/tags/{quote(tag)}")
        except HostError as error:
            # Which of two ways GitHub takes to say that there is no such tag depends on its mood.
            if error.reason != "unprocessable":
                raise

    def _tagged(self, tag: str) -> HostedRelease | None:
        """The release of a tag: the published one, else the draft that was made first."""
        found = [release for release in self.listed() if release.tag == tag]
        return min(found, key=lambda release: (release.draft, release.id), default=None)

    def _assets(self, release: HostedRelease) -> Iterator[Asset]:
        return (_asset(answer) for answer in self._api.pages(f"{self._path}/{release.id}/assets"))

    def _kept(self, there: Asset, digest: str) -> Asset | None:
        """The file of a name that is there, if it is the wanted one; None if it had to go."""
        if there.uploaded and there.digest == digest:
            return there
        if there.uploaded and there.digest is not None:
            raise HostError(
                "another file of this name is there already",
                where=there.name,
                todo="A release's files do not change: give this one another name or version.",
                reason="asset",
            )
        self.delete_asset(there)
        return None

    def _fetch(self, asset: Asset, part: Path, limit: int) -> str:
        path = f"{self._path}/assets/{asset.id}"
        # The API's address is ours, not one that came with an answer; its scheme was looked at.
        request = urllib.request.Request(self._api.address + path)  # noqa: S310
        request.add_header("Accept", "application/octet-stream")
        request.add_header("User-Agent", "keyturn")
        if self._api.token is not None:
            # GitHub answers with the address of a storage of somebody else's, who must not see the token.
            request.add_unredirected_header("Authorization", f"Bearer {self._api.token}")
        try:
            with _opener(request.full_url).open(request, timeout=_TIMEOUT) as answer, part.open("wb") as out:
                digest, size = hashlib.sha256(), 0
                while chunk := answer.read(_CHUNK):
                    size += len(chunk)
                    if size > limit:
                        raise _too_large(asset, limit)
                    digest.update(chunk)
                    out.write(chunk)
        except HTTPError as error:
            with error:
                headers = {name.lower(): text for name, text in error.headers.items()}
                raise self._api.refuse(Refusal("GET", path, error.code, headers, None)) from error
        except (HTTPException, OSError, ValueError) as error:
            raise self._api.unreachable() from error
        if size != asset.size:
            raise self._api.unreachable()
        return digest.hexdigest()


def _opener(url: str) -> urllib.request.OpenerDirector:
    """What follows redirects, but never from a safe connection to one that is not, or to a local file."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPSHandler(),
    ]
    if urlsplit(url).scheme == "http":
        handlers.append(urllib.request.HTTPHandler())
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _measured(file: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    try:
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK):
                size += len(chunk)
                digest.update(chunk)
    except OSError as error:
        raise EnvironmentFault(f"cannot read the file: {error.strerror}", where=str(file)) from error
    return size, digest.hexdigest()


def _too_large(asset: Asset, limit: int) -> HostError:
    return HostError(
        f"this file is larger than the {limit} bytes that are taken", where=asset.name, reason="too-large"
    )


def _release(answer: Record) -> HostedRelease:
    return HostedRelease(
        id=answer.number("id"),
        tag=answer.text("tag_name"),
        title=answer.text("name", default=""),
        body=answer.text("body", default=""),
        draft=answer.flag("draft"),
        prerelease=answer.flag("prerelease"),
        url=answer.text("html_url"),
        assets=tuple(_asset(asset) for asset in answer.records("assets")),
        created=answer.moment("created_at"),
    )


def _asset(answer: Record) -> Asset:
    told = answer.text("digest", default="")
    return Asset(
        id=answer.number("id"),
        name=answer.text("name"),
        size=answer.number("size"),
        digest=told[len(_DIGEST) :] if told.startswith(_DIGEST) else None,
        url=answer.text("browser_download_url"),
        uploaded=answer.text("state") == "uploaded",
    )

"""REST: releases and their files; and the download of files, which is no API but a redirect."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from lab.forge import notices, views
from lab.forge.access import visible
from lab.forge.model import ZERO, Asset, Release, Repository
from lab.forge.wire import Answer, ApiError, Call, Request, invalid, not_found, route

if TYPE_CHECKING:
    from lab.forge.forge import LabForge

RELEASE = "/repos/{owner}/{repo}/releases/{release_id}"
ASSET = "/repos/{owner}/{repo}/releases/assets/{asset_id}"
BY_NAME = re.compile(r"^/([^/]+/[^/]+)/releases/download/([^/]+)/([^/]+)$")
SIGNED = re.compile(r"^/release-assets/(\d+)$")
MOST_ASSETS = 1000
LARGEST = 2 * 1024**3
LIFETIME = 300
"""Seconds that a signed address works."""


def stored_name(name: str) -> str:
    """The name that a file gets: odd characters become dots."""
    return re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._+@~-]", ".", name)).strip(".") or "default"


def _asset(call: Call, release: Release, asset: Asset) -> views.View:
    root, page = f"{call.forge.api}/repos/{call.repository.slug}", f"{call.forge.url}/{call.repository.slug}"
    tag = f"untagged-{release.id}" if release.draft else quote(release.tag)
    at = views.stamp(asset.created)
    return {
        "id": asset.id,
        "node_id": f"RA_{asset.id}",
        "url": f"{root}/releases/assets/{asset.id}",
        "browser_download_url": f"{page}/releases/download/{tag}/{quote(asset.name)}",
        "name": asset.name,
        "label": asset.label,
        "state": "uploaded" if asset.state == "uploaded" else "open",
        "content_type": asset.content_type,
        "size": len(asset.content),
        "digest": asset.digest if asset.state == "uploaded" else None,
        "download_count": asset.downloads,
        "uploader": views.account(call.forge, asset.uploader),
        "created_at": at,
        "updated_at": at,
    }


def show(call: Call, release: Release) -> views.View:
    """A release with its files."""
    root, page = f"{call.forge.api}/repos/{call.repository.slug}", f"{call.forge.url}/{call.repository.slug}"
    url, upload = f"{root}/releases/{release.id}", root.replace("/api/v3/", "/api/uploads/")
    tag = f"untagged-{release.id}" if release.draft else quote(release.tag)
    return {
        "id": release.id,
        "node_id": f"RE_{release.id}",
        "url": url,
        "html_url": f"{page}/releases/tag/{tag}",
        "assets_url": f"{url}/assets",
        "upload_url": f"{upload}/releases/{release.id}/assets{{?name,label}}",
        "tarball_url": None if release.draft else f"{root}/tarball/{tag}",
        "zipball_url": None if release.draft else f"{root}/zipball/{tag}",
        "tag_name": release.tag,
        "target_commitish": release.target,
        "name": release.name,
        "body": release.body,
        "draft": release.draft,
        "prerelease": release.prerelease,
        "author": views.account(call.forge, release.author),
        "created_at": views.stamp(release.created),
        "published_at": views.stamp(release.published),
        "assets": [_asset(call, release, one) for one in release.assets],
    }


def _seen(call: Call) -> list[Release]:
    """Newest first; drafts only for those who may write."""
    token = call.request.token
    writer = token is not None and (
        (token.scopes or {}).get("contents") == "write" and token.slug == call.repository.slug
        if token.of_job
        else call.repository.at_least(token.login, "write")
    )
    return [one for one in reversed(call.repository.releases) if writer or not one.draft]


def _release(call: Call) -> Release:
    wanted = call.number("release_id")
    found = next((one for one in _seen(call) if one.id == wanted), None)
    if found is None:
        raise not_found()
    return found


@route("GET", "/repos/{owner}/{repo}/releases", reads="contents")
def releases(call: Call) -> Answer:
    return Answer(200, [show(call, one) for one in call.page(_seen(call))])


@route("GET", "/repos/{owner}/{repo}/releases/latest", reads="contents")
def latest(call: Call) -> Answer:
    found = next((one for one in _seen(call) if not one.draft and not one.prerelease), None)
    if found is None:
        raise not_found()
    return Answer(200, show(call, found))


@route("GET", "/repos/{owner}/{repo}/releases/tags/{tag*}", reads="contents")
def by_tag(call: Call) -> Answer:
    found = next((one for one in _seen(call) if one.tag == call["tag"] and not one.draft), None)
    if found is None:
        raise not_found()
    return Answer(200, show(call, found))


@route("GET", RELEASE, reads="contents")
def release(call: Call) -> Answer:
    return Answer(200, show(call, _release(call)))


@route("POST", "/repos/{owner}/{repo}/releases", writes="contents")
def create(call: Call) -> Answer:
    sent, at = call.fields, call.now
    if not sent.get("tag_name"):
        raise invalid("Release", "missing_field", name="tag_name")
    made = Release(
        call.forge.new_id(), sent["tag_name"], sent.get("target_commitish") or call.repository.default_branch,
        sent.get("name"), sent.get("body"), True, bool(sent.get("prerelease")), call.login, at,
    )  # fmt: skip
    if not sent.get("draft"):
        _publish(call, made)
    call.repository.releases.append(made)
    _tell(call, made, "created")
    return Answer(201, show(call, made))


@route("PATCH", RELEASE, writes="contents")
def edit(call: Call) -> Answer:
    found, sent = _release(call), call.fields
    found.tag = sent.get("tag_name") or found.tag
    found.target = sent.get("target_commitish") or found.target
    found.name, found.body = sent.get("name", found.name), sent.get("body", found.body)
    found.prerelease = bool(sent.get("prerelease", found.prerelease))
    if found.draft and sent.get("draft") is False:
        _publish(call, found)
    _tell(call, found, "edited")
    return Answer(200, show(call, found))


def _publish(call: Call, made: Release) -> None:
    """Make the tag, which a draft does not have."""
    if any(one.tag == made.tag and not one.draft and one is not made for one in call.repository.releases):
        raise invalid("Release", "already_exists", name="tag_name")
    store, ref = call.repository.store, f"refs/tags/{made.tag}"
    made.draft, made.published = False, call.now
    if ref not in store.refs(ref):
        commit = store.branch(made.target) or store.commit_of(made.target)
        if commit is None:
            raise invalid("Release", "invalid", name="target_commitish")
        store.set_ref(ref, commit, ZERO)
        call.forge.moved(call.repository, {ref: (ZERO, commit)}, call.token)
    _tell(call, made, "published")


def _tell(call: Call, made: Release, action: str) -> None:
    if made.draft:
        return
    ref = f"refs/tags/{made.tag}"
    call.forge.emit(notices.event(
        call.forge, call.repository, "release", call.token, {"release": show(call, made)},
        ref=ref, commit=call.repository.store.commit_of(ref) or "", action=action,
    ))  # fmt: skip


@route("DELETE", RELEASE, writes="contents")
def delete(call: Call) -> Answer:
    """The tag stays: it is git's."""
    call.repository.releases.remove(_release(call))
    return Answer(204)


# -------------------------------------------------------------------- files


@route("GET", f"{RELEASE}/assets", reads="contents")
def assets(call: Call) -> Answer:
    found = _release(call)
    return Answer(200, [_asset(call, found, one) for one in call.page(found.assets)])


@route("POST", f"{RELEASE}/assets", writes="contents")
def upload(call: Call) -> Answer:
    found, name = _release(call), stored_name(call.asked("name"))
    if any(one.name == name for one in found.assets):
        raise invalid("ReleaseAsset", "already_exists", name="name")
    if len(found.assets) >= MOST_ASSETS:
        raise invalid("ReleaseAsset", "custom", message="file count exceeded, maximum of 1000")
    content = call.request.body
    if not 0 < len(content) < LARGEST:
        raise invalid("ReleaseAsset", "custom", name="size", message="size must be less than 2147483648")
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    kind = call.request.headers.get("content-type", "application/octet-stream")
    label = call.asked("label") or None
    asset = Asset(call.forge.new_id(), name, label, kind, content, digest, call.login, call.now)
    found.assets.append(asset)
    return Answer(201, _asset(call, found, asset))


def _find_asset(call: Call) -> tuple[Release, Asset]:
    wanted = call.number("asset_id")
    for one in _seen(call):
        for asset in one.assets:
            if asset.id == wanted:
                return one, asset
    raise not_found()


@route("GET", ASSET, reads="contents")
def asset(call: Call) -> Answer:
    """The description, or the file itself for whoever accepts nothing but bytes."""
    found = _find_asset(call)
    if call.request.headers.get("accept") == "application/octet-stream":
        return _redirect(call.forge, found[1])
    return Answer(200, _asset(call, *found))


@route("PATCH", ASSET, writes="contents")
def edit_asset(call: Call) -> Answer:
    found, asset = _find_asset(call)
    asset.name = stored_name(call.fields.get("name") or asset.name)
    asset.label = call.fields.get("label", asset.label)
    return Answer(200, _asset(call, found, asset))


@route("DELETE", ASSET, writes="contents")
def delete_asset(call: Call) -> Answer:
    found, asset = _find_asset(call)
    found.assets.remove(asset)
    return Answer(204)


def _redirect(forge: LabForge, asset: Asset) -> Answer:
    end = int(forge.now().timestamp()) + LIFETIME
    where = f"{forge.url}/release-assets/{asset.id}?se={end}&sig={asset.digest[7:23]}"
    return Answer(302, None, {"Location": where})


def download(forge: LabForge, request: Request) -> Answer | None:
    """A file by its page's address, or by the signed one that leads to its bytes; None for all else."""
    if found := SIGNED.match(request.path):
        return _signed(forge, request, int(found[1]))
    found = BY_NAME.match(request.path)
    if not found or request.method not in ("GET", "HEAD"):
        return None
    kept = visible(forge.repositories.get(found[1].lower()), request.token)
    for release in kept.releases:
        for asset in release.assets:
            if (release.tag, asset.name, release.draft) == (unquote(found[2]), unquote(found[3]), False):
                return _redirect(forge, asset)
    raise not_found()


def _signed(forge: LabForge, request: Request, wanted: int) -> Answer:
    asset = _asset_by_id(list(forge.repositories.values()), wanted)
    expired = int(request.query.get("se", "0")) < forge.now().timestamp()
    if asset is None or expired or request.query.get("sig") != asset.digest[7:23]:
        raise ApiError(403, "Server failed to authenticate the request.")
    asset.downloads += 1
    return Answer(200, asset.content, {"Accept-Ranges": "bytes"}, "application/octet-stream")


def _asset_by_id(repositories: list[Repository], wanted: int) -> Asset | None:
    found = (one for kept in repositories for release in kept.releases for one in release.assets)
    return next((one for one in found if one.id == wanted), None)

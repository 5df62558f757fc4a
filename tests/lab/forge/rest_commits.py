"""REST: branches, tags, refs, commits and comparisons."""

from __future__ import annotations

from datetime import datetime, timezone

from lab.forge import rules, views
from lab.forge.model import ZERO
from lab.forge.store import Commit
from lab.forge.wire import Answer, ApiError, Call, not_found, route


def _person(who: tuple[str, str, str]) -> dict[str, str]:
    at = datetime.fromisoformat(who[2].replace("Z", "+00:00")).astimezone(timezone.utc)
    return {"name": who[0], "email": who[1], "date": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _account_of(call: Call, address: str) -> views.View | None:
    """The account that an address belongs to: all GitHub goes by, and anybody can write it."""
    local = address.partition("@")[0]
    number, plus, _ = local.partition("+")
    for user in call.forge.users.values():
        if (plus and number == str(user.id)) or (not plus and local == user.login):
            return views.account(call.forge, user.login)
    return None


def show_commit(call: Call, oid: str) -> views.View:
    """A commit with the accounts that its addresses name."""
    repository, made = call.repository, call.repository.store.commit(oid)
    root, page = f"{call.forge.api}/repos/{repository.slug}", f"{call.forge.url}/{repository.slug}/commit"
    return {
        "sha": oid,
        "node_id": f"C_{oid}",
        "url": f"{root}/commits/{oid}",
        "html_url": f"{page}/{oid}",
        "comments_url": f"{root}/commits/{oid}/comments",
        "commit": _git_commit(made, root) | {"comment_count": 0},
        "author": _account_of(call, made.author[1]),
        "committer": _account_of(call, made.committer[1]),
        "parents": [
            {"sha": one, "url": f"{root}/commits/{one}", "html_url": f"{page}/{one}"} for one in made.parents
        ],
    }


def _git_commit(made: Commit, root: str) -> views.View:
    unsigned = {
        "verified": False,
        "reason": "unsigned",
        "signature": None,
        "payload": None,
        "verified_at": None,
    }
    return {
        "url": f"{root}/git/commits/{made.id}",
        "author": _person(made.author),
        "committer": _person(made.committer),
        "message": made.message,
        "tree": {"sha": made.tree, "url": f"{root}/git/trees/{made.tree}"},
        "verification": unsigned,
    }


def find_commit(call: Call, name: str) -> str:
    """The commit that a branch, tag or id in a path names."""
    store = call.repository.store
    for candidate in (f"refs/heads/{name}", f"refs/tags/{name}", name):
        if found := store.commit_of(candidate):
            return found
    raise ApiError(422, f"No commit found for SHA: {name}")


@route("GET", "/repos/{owner}/{repo}/branches", reads="contents")
def branches(call: Call) -> Answer:
    root = f"{call.forge.api}/repos/{call.repository.slug}/commits"
    tips = call.repository.store.refs("refs/heads/")
    return Answer(200, [
        {
            "name": ref.removeprefix("refs/heads/"),
            "commit": {"sha": tip, "url": f"{root}/{tip}"},
            "protected": any(rules.active(call.repository, ref)),
        }
        for ref, tip in call.page(list(tips.items()))
    ])  # fmt: skip


@route("GET", "/repos/{owner}/{repo}/branches/{branch*}", reads="contents")
def branch(call: Call) -> Answer:
    name, root = call["branch"], f"{call.forge.api}/repos/{call.repository.slug}/branches/{call['branch']}"
    tip = call.repository.store.branch(name)
    if tip is None:
        raise not_found("Branch not found")
    return Answer(200, {
        "name": name,
        "commit": show_commit(call, tip),
        "_links": {"self": root, "html": f"{call.forge.url}/{call.repository.slug}/tree/{name}"},
        "protected": any(rules.active(call.repository, f"refs/heads/{name}")),
        "protection": {"enabled": False},
        "protection_url": f"{root}/protection",
    })  # fmt: skip


@route("GET", "/repos/{owner}/{repo}/tags", reads="contents")
def tags(call: Call) -> Answer:
    store, root = call.repository.store, f"{call.forge.api}/repos/{call.repository.slug}"
    names = sorted((ref.removeprefix("refs/tags/") for ref in store.refs("refs/tags/")), reverse=True)
    return Answer(200, [
        {
            "name": name,
            "node_id": f"REF_{name}",
            "commit": {"sha": tip, "url": f"{root}/commits/{tip}"},
            "zipball_url": f"{root}/zipball/refs/tags/{name}",
            "tarball_url": f"{root}/tarball/refs/tags/{name}",
        }
        for name in call.page(names)
        if (tip := store.commit_of(f"refs/tags/{name}"))
    ])  # fmt: skip


def _ref(call: Call, ref: str, oid: str) -> views.View:
    root = f"{call.forge.api}/repos/{call.repository.slug}/git"
    kind = call.repository.store.text("cat-file", "-t", oid)
    about = {"type": kind, "sha": oid, "url": f"{root}/{kind}s/{oid}"}
    return {"ref": ref, "node_id": f"REF_{ref}", "url": f"{root}/{ref}", "object": about}


@route("GET", "/repos/{owner}/{repo}/git/ref/{ref*}", reads="contents")
def ref(call: Call) -> Answer:
    name = f"refs/{call['ref']}"
    found = call.repository.store.refs(name).get(name)
    if found is None:
        raise not_found()
    return Answer(200, _ref(call, name, found))


@route("GET", "/repos/{owner}/{repo}/git/matching-refs/{ref*}", reads="contents")
def matching_refs(call: Call) -> Answer:
    wanted = f"refs/{call['ref']}"
    found = call.repository.store.refs()
    return Answer(200, [_ref(call, name, oid) for name, oid in found.items() if name.startswith(wanted)])


@route("POST", "/repos/{owner}/{repo}/git/refs", writes="contents")
def create_ref(call: Call) -> Answer:
    name, oid = call.fields.get("ref", ""), call.fields.get("sha", "")
    store = call.repository.store
    if not name.startswith(("refs/heads/", "refs/tags/")):
        raise ApiError(422, "Reference name must start with 'refs/heads/' or 'refs/tags/'.")
    if name in store.refs(name):
        raise ApiError(422, "Reference already exists")
    if store.commit_of(oid) is None:
        raise ApiError(422, "Object does not exist")
    _allowed(call, name, ZERO, oid)
    store.set_ref(name, oid, ZERO)
    call.forge.moved(call.repository, {name: (ZERO, oid)}, call.token)
    return Answer(201, _ref(call, name, oid))


@route("PATCH", "/repos/{owner}/{repo}/git/refs/{ref*}", writes="contents")
def update_ref(call: Call) -> Answer:
    name, new, store = f"refs/{call['ref']}", call.fields.get("sha", ""), call.repository.store
    old = store.refs(name).get(name)
    if old is None:
        raise ApiError(422, "Reference does not exist")
    if store.commit_of(new) is None:
        raise ApiError(422, "Object does not exist")
    forward = store.is_ancestor(old, new)
    if not forward and (not call.fields.get("force") or rules.no_force(call.repository, call.token, name)):
        raise ApiError(422, "Update is not a fast forward")
    _allowed(call, name, old, new)
    store.set_ref(name, new, old)
    call.forge.moved(call.repository, {name: (old, new)}, call.token)
    return Answer(200, _ref(call, name, new))


@route("DELETE", "/repos/{owner}/{repo}/git/refs/{ref*}", writes="contents")
def delete_ref(call: Call) -> Answer:
    name, store = f"refs/{call['ref']}", call.repository.store
    old = store.refs(name).get(name)
    if old is None:
        raise ApiError(422, "Reference does not exist")
    _allowed(call, name, old, ZERO)
    store.delete_ref(name)
    call.forge.moved(call.repository, {name: (old, ZERO)}, call.token)
    return Answer(204)


def _allowed(call: Call, name: str, old: str, new: str) -> None:
    if refused := rules.against_push(call.repository, call.token, name, old, new):
        raise ApiError(422, "Repository rule violations found\n\n" + "\n".join(refused) + "\n\n")


@route("GET", "/repos/{owner}/{repo}/commits", reads="contents")
def commits(call: Call) -> Answer:
    start = find_commit(call, call.asked("sha") or call.repository.default_branch)
    path = call.asked("path")
    found = call.repository.store.log(start, *(["--", path] if path else []))
    return Answer(200, [show_commit(call, oid) for oid in call.page(found)])


@route("GET", "/repos/{owner}/{repo}/commits/{ref*}", reads="contents")
def commit(call: Call) -> Answer:
    return Answer(200, show_commit(call, find_commit(call, call["ref"])))


@route("GET", "/repos/{owner}/{repo}/compare/{basehead*}", reads="contents")
def compare(call: Call) -> Answer:
    one, _, other = call["basehead"].partition("...")
    store, root = call.repository.store, f"{call.forge.url}/{call.repository.slug}/compare/{call['basehead']}"
    base, head = find_commit(call, one), find_commit(call, other)
    shared = store.merge_base(base, head)
    if shared is None:
        raise not_found(f"No common ancestor between {one} and {other}.")
    ahead, behind = store.log("--reverse", f"{base}..{head}"), store.log(f"{head}..{base}")
    words = {
        (False, False): "identical",
        (True, False): "ahead",
        (False, True): "behind",
        (True, True): "diverged",
    }
    return Answer(200, {
        "url": f"{call.forge.api}{call.request.path}",
        "html_url": root,
        "permalink_url": root,
        "diff_url": f"{root}.diff",
        "patch_url": f"{root}.patch",
        "base_commit": show_commit(call, base),
        "merge_base_commit": show_commit(call, shared),
        "status": words[bool(ahead), bool(behind)],
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": [show_commit(call, oid) for oid in call.page(ahead)],
        "files": show_files(call, base, head),
    })  # fmt: skip


def show_files(call: Call, base: str, head: str) -> list[views.View]:
    """What a branch changes; a pull request shows no more than 300."""
    root, slug = call.forge.url, call.repository.slug
    return [
        {
            "sha": one.blob,
            "filename": one.path,
            "status": one.status,
            "additions": 0,
            "deletions": 0,
            "changes": 0,
            "blob_url": f"{root}/{slug}/blob/{head}/{one.path}",
            "raw_url": f"{root}/{slug}/raw/{head}/{one.path}",
            "contents_url": f"{call.forge.api}/repos/{slug}/contents/{one.path}?ref={head}",
            **({"previous_filename": one.previous} if one.previous else {}),
        }
        for one in call.repository.store.changed(base, head)[:300]
    ]

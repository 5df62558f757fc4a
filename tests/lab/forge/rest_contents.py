"""REST: files, read and edited as on the web page."""

from __future__ import annotations

import base64

from lab.forge import rules, views
from lab.forge.model import ZERO
from lab.forge.rest_commits import find_commit, show_commit
from lab.forge.wire import Answer, ApiError, Call, not_found, route


def _entry(call: Call, path: str, kind: str, oid: str, size: int, ref: str) -> views.View:
    root, page = f"{call.forge.api}/repos/{call.repository.slug}", f"{call.forge.url}/{call.repository.slug}"
    url, git = f"{root}/contents/{path}?ref={ref}", f"{root}/git/blobs/{oid}"
    html = f"{page}/blob/{ref}/{path}"
    return {
        "type": "dir" if kind == "tree" else "file",
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "sha": oid,
        "size": size,
        "url": url,
        "git_url": git,
        "html_url": html,
        "download_url": None if kind == "tree" else f"{page}/raw/{ref}/{path}",
        "_links": {"self": url, "git": git, "html": html},
    }


@route("GET", "/repos/{owner}/{repo}/contents/{path*}", reads="contents")
def contents(call: Call) -> Answer:
    path, ref = call["path"].strip("/"), call.asked("ref") or call.repository.default_branch
    store, commit = call.repository.store, find_commit(call, ref)
    found = store.files(commit, path)
    if not found:
        raise not_found()
    _, kind, oid, size = found[0]
    if kind == "tree":
        inside = store.files(commit, f"{path}/")
        return Answer(200, [_entry(call, name, what, blob, long, ref) for name, what, blob, long in inside])
    content = base64.encodebytes(store.blob(commit, path) or b"").decode()
    entry = _entry(call, path, kind, oid, size, ref)
    return Answer(200, {**entry, "encoding": "base64", "content": content})


@route("PUT", "/repos/{owner}/{repo}/contents/{path*}", writes="contents")
def put_contents(call: Call) -> Answer:
    try:
        content = base64.b64decode(call.fields.get("content", ""), validate=True)
    except ValueError:
        raise ApiError(422, "content is not valid Base64") from None
    return _commit(call, content)


@route("DELETE", "/repos/{owner}/{repo}/contents/{path*}", writes="contents")
def delete_contents(call: Call) -> Answer:
    return _commit(call, None)


def _commit(call: Call, content: bytes | None) -> Answer:
    path, store, sent = call["path"], call.repository.store, call.fields
    branch = sent.get("branch") or call.repository.default_branch
    ref, tip = f"refs/heads/{branch}", store.branch(branch)
    if tip is None and store.refs("refs/heads/"):
        raise not_found(f"Branch {branch} not found")
    now = store.files(tip, path) if tip else []
    if now and not sent.get("sha"):
        raise ApiError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if now and now[0][2] != sent["sha"]:
        raise ApiError(409, f"{path} does not match {sent['sha']}")
    if call.token.of_job and path.startswith(".github/workflows/"):
        raise ApiError(403, "Resource not accessible by integration", headers={
            "X-Accepted-GitHub-Permissions": "contents=write,workflows=write"})  # fmt: skip
    tree = store.write_tree(tip, {path: content})
    who = views.identity(call.forge, call.login)
    new = store.write_commit(tree, [tip] if tip else [], sent["message"], author=who, when=call.now)
    if refused := rules.against_push(call.repository, call.token, ref, tip or ZERO, new):
        raise ApiError(409, "Repository rule violations found\n\n" + "\n".join(refused) + "\n\n")
    store.set_ref(ref, new, tip or ZERO)
    call.forge.moved(call.repository, {ref: (tip or ZERO, new)}, call.token)
    commit = show_commit(call, new)
    shown = {name: commit[name] for name in ("sha", "node_id", "html_url", "parents")} | commit["commit"]
    entry = None
    if content is not None:
        _, kind, oid, size = store.files(new, path)[0]
        entry = _entry(call, path, kind, oid, size, branch)
    return Answer(200 if now or content is None else 201, {"content": entry, "commit": shown})

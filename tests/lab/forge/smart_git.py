"""Clone and push over HTTP: git's own backend, with GitHub's opinions in front of it and in a hook."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from lab.forge import access, rules
from lab.forge.model import ZERO, Repository, Token
from lab.forge.store import isolated
from lab.forge.wire import Answer, ApiError, Request

if TYPE_CHECKING:
    from lab.forge.forge import LabForge

PATH = re.compile(
    r"^/(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/(?P<service>info/refs|git-(?:upload|receive)-pack)$"
)
HOOK = r"""#!/bin/sh
# Runs before each ref is changed: says no where the forge said so, or where only git can tell.
ref=$1 old=$2 new=$3 zero=0000000000000000000000000000000000000000
no() {
    printf '%s\n' "$@" >&2
    exit 1
}
if [ -f "$LAB_REFUSALS/$ref" ]; then
    no "error: GH013: Repository rule violations found for $ref." '' "$(cat "$LAB_REFUSALS/$ref")"
fi
if [ -f "$LAB_REFUSALS/forward/$ref" ] && [ "$old" != $zero ] && [ "$new" != $zero ]; then
    git merge-base --is-ancestor "$old" "$new" ||
        no "error: GH013: Repository rule violations found for $ref." '' '- Cannot force-push to this branch'
fi
if [ -n "$LAB_NO_WORKFLOWS" ] && [ "$new" != $zero ]; then
    file=$(git rev-list "$new" --not --branches --tags |
        git diff-tree --stdin --root -r -c --no-commit-id --name-only -- .github/workflows | head -n 1)
    [ -z "$file" ] ||
        no "refusing to allow a GitHub App to create or update workflow \`$file\` without \`workflows\` \
permission"
fi
"""
PLAIN = "text/plain; charset=utf-8"


def write_hook(root: Path) -> Path:
    """Write the hook that all repositories of a forge share.

    Returns:
        The directory that it is in.
    """
    hooks = root / ".hooks"
    hooks.mkdir(exist_ok=True)
    hook = hooks / "update"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    return hooks


def serve(forge: LabForge, request: Request, found: re.Match[str]) -> Answer:
    """Answer one request of git."""
    pushing = "git-receive-pack" in (found["service"], request.query.get("service"))
    refused = _refusal(forge, request.token, f"{found['owner']}/{found['name']}", pushing=pushing)
    if refused:
        return refused
    repository = forge.repository(f"{found['owner']}/{found['name']}")
    if found["service"] != "git-receive-pack":
        return _backend(forge, repository, request, found["service"])
    assert request.token is not None
    with forge.changing():
        before = repository.store.refs()
        with TemporaryDirectory(dir=forge.root) as scratch:
            _write_refusals(Path(scratch), repository, request.token, _commands(request))
            hook = {"LAB_REFUSALS": scratch, "LAB_NO_WORKFLOWS": "1" if request.token.of_job else ""}
            answer = _backend(forge, repository, request, found["service"], hook)
        after = repository.store.refs()
        moved = {ref: (before.get(ref, ZERO), after.get(ref, ZERO)) for ref in sorted(before | after)}
        forge.moved(repository, moved, request.token)
    return answer


def _refusal(forge: LabForge, token: Token | None, slug: str, *, pushing: bool) -> Answer | None:
    login = {"WWW-Authenticate": 'Basic realm="GitHub"'}
    kept = forge.repositories.get(slug.lower())
    if token is None and (pushing or kept is None or kept.private):
        return Answer(401, b"Authentication required\n", login, PLAIN)
    try:
        repository = access.visible(kept, token)
    except ApiError:
        return Answer(404, b"Repository not found.\n", {}, PLAIN)
    if token is None:
        return None
    if token.of_job:
        mine = token.slug == repository.slug and access.held(token, "contents", write=pushing)
        if mine or (not pushing and not repository.private):
            return None
    elif not pushing or repository.at_least(token.login, "write"):
        return None
    said = f"Permission to {repository.slug}.git denied to {token.login}.\n"
    return Answer(403, said.encode(), access.accepted("contents", "write" if pushing else "read"), PLAIN)


def _commands(request: Request) -> list[tuple[str, str, str]]:
    """What a push wants: ref, old and new commit, from the packet lines before the pack."""
    body = request.body
    if request.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    found, at = [], 0
    while at + 4 <= len(body) and body[at : at + 4] != b"0000":
        size = int(body[at : at + 4], 16)
        line = body[at + 4 : at + size].split(b"\0")[0].decode(errors="surrogateescape").strip()
        at += size
        words = line.split(" ", 2)
        # Lines about shallow clones have two words.
        if len(words) == 3:
            found.append((words[2], words[0], words[1]))
    return found


def _write_refusals(
    scratch: Path, repository: Repository, token: Token, commands: list[tuple[str, str, str]]
) -> None:
    for ref, old, new in commands:
        if refused := rules.against_push(repository, token, ref, old, new):
            _put(scratch / ref, "".join(f"- {line}\n" for line in refused))
        if rules.no_force(repository, token, ref):
            _put(scratch / "forward" / ref, "")


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _backend(
    forge: LabForge,
    repository: Repository,
    request: Request,
    service: str,
    hook: dict[str, str] | None = None,
) -> Answer:
    environment = {
        **isolated(forge.root),
        **(hook or {}),
        "GIT_PROJECT_ROOT": str(forge.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repository.slug}.git/{service}",
        "QUERY_STRING": urlencode(request.query),
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        "REMOTE_USER": request.token.login if request.token else "",
        "REMOTE_ADDR": "127.0.0.1",
    }
    done = subprocess.run(
        ["git", "http-backend"], input=request.body, capture_output=True, check=False, env=environment
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200").split()[0])
    kind = headers.pop("Content-Type", PLAIN)
    headers.pop("Content-Length", None)
    return Answer(status, body, headers, kind)

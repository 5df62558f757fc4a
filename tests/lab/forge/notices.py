"""Events made of what happened, with the payload that a job reads from ``GITHUB_EVENT_PATH``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.forge import views
from lab.forge.events import Event
from lab.forge.model import ZERO, Issue, Repository, Review, Token
from lab.forge.wire import Json

if TYPE_CHECKING:
    from lab.forge.forge import LabForge


def event(
    forge: LabForge,
    kept: Repository,
    name: str,
    by: Token,
    payload: Mapping[str, Any],
    *,
    ref: str,
    commit: str,
    action: str | None = None,
    number: int | None = None,
    workflow: str | None = None,
) -> Event:
    """An event with the parts that all payloads have."""
    body = {**({"action": action} if action else {}), **payload}
    body |= {"repository": views.repository(forge, kept), "sender": views.account(forge, by.login)}
    at = forge.now()
    return Event(name, kept.slug, action, by.login, by.of_actions, ref, commit, at, body, number, workflow)


def push(forge: LabForge, kept: Repository, ref: str, old: str, new: str, by: Token) -> Event:
    """A branch or tag moved."""
    name, address = views.identity(forge, by.login)
    head = kept.store.commit(new) if new != ZERO and ref.startswith("refs/heads/") else None
    made = {"id": head.id, "tree_id": head.tree, "message": head.message} if head else None
    payload = {
        "ref": ref,
        "before": old,
        "after": new,
        "created": old == ZERO,
        "deleted": new == ZERO,
        "forced": ZERO not in (old, new) and not kept.store.is_ancestor(old, new),
        "base_ref": None,
        "head_commit": made,
        "commits": [made] if made else [],
        "pusher": {"name": name, "email": address},
    }
    return event(forge, kept, "push", by, payload, ref=ref, commit=new)


def pull(forge: LabForge, kept: Repository, one: Issue, action: str, by: Token, **more: Json) -> Event:
    """Something happened to a pull request itself."""
    assert one.pull is not None
    payload = {"number": one.number, "pull_request": views.pull(forge, kept, one), **more}
    ref = f"refs/pull/{one.number}/merge"
    commit = kept.store.commit_of(ref) or one.pull.head
    return event(
        forge, kept, "pull_request", by, payload, ref=ref, commit=commit, action=action, number=one.number
    )


def review(
    forge: LabForge, kept: Repository, one: Issue, given: Review, action: str, by: Token, **more: Json
) -> Event:
    """A review was submitted, edited or dismissed."""
    assert one.pull is not None
    shown = views.review(forge, kept, one, given)
    shown["state"] = shown["state"].lower()
    payload = {"review": shown, "pull_request": views.pull(forge, kept, one, whole=False), **more}
    ref = f"refs/pull/{one.number}/merge"
    commit = kept.store.commit_of(ref) or one.pull.head
    return event(
        forge, kept, "pull_request_review", by, payload,
        ref=ref, commit=commit, action=action, number=one.number,
    )  # fmt: skip

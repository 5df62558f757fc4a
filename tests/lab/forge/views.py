"""The JSON of accounts, repositories, issues, pull requests and reviews."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from lab.forge import rules
from lab.forge.model import ROLES, Comment, Issue, Pull, Repository, Review, Token

if TYPE_CHECKING:
    from lab.forge.forge import LabForge

View = dict[str, Any]
REPOSITORY_PARTS = (
    "archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare",
    "contents", "contributors", "deployments", "downloads", "events", "forks", "git_commits", "git_refs",
    "git_tags", "hooks", "issue_comment", "issue_events", "issues", "keys", "labels", "languages", "merges",
    "milestones", "notifications", "pulls", "releases", "stargazers", "statuses", "subscribers",
    "subscription", "tags", "teams", "trees",
)  # fmt: skip
"""Addresses that every repository comes with."""
ACCOUNT_PARTS = (
    "followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events",
    "received_events",
)  # fmt: skip
NOBODY = Token("", "")


def stamp(at: datetime | None) -> str | None:
    """A time as the API writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def identity(forge: LabForge, login: str) -> tuple[str, str]:
    """Name and address that GitHub writes into commits of an account."""
    user = forge.account(login)
    return user.login, f"{user.id}+{user.login}@users.noreply.github.com"


def account(forge: LabForge, login: str) -> View:
    """An account in short."""
    user = forge.account(login)
    url = f"{forge.api}/users/{user.login}"
    return {
        "login": user.login,
        "id": user.id,
        "node_id": f"U_{user.id}",
        "avatar_url": f"{forge.url}/avatars/{user.id}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{forge.url}/{user.login}",
        "type": user.kind,
        "site_admin": False,
        **{f"{part}_url": f"{url}/{part}" for part in ACCOUNT_PARTS},
    }


def repository(forge: LabForge, kept: Repository, viewer: str | None = None) -> View:
    """A repository with its settings, and what the viewer may do in it."""
    url, page, at = f"{forge.api}/repos/{kept.slug}", f"{forge.url}/{kept.slug}", stamp(kept.created)
    settings = kept.settings
    opened = sum(issue.state == "open" for issue in kept.issues.values())
    words = zip(("pull", "triage", "push", "maintain", "admin"), ROLES, strict=True)
    return {
        "id": kept.id,
        "node_id": f"R_{kept.id}",
        "name": kept.name,
        "full_name": kept.slug,
        "private": kept.private,
        "visibility": "private" if kept.private else "public",
        "owner": account(forge, kept.owner),
        "url": url,
        "html_url": page,
        "clone_url": f"{page}.git",
        "git_url": f"git://github.invalid/{kept.slug}.git",
        "ssh_url": f"git@github.invalid:{kept.slug}.git",
        "svn_url": page,
        "mirror_url": None,
        "fork": kept.fork_of is not None,
        "description": settings.description,
        "homepage": settings.homepage,
        "default_branch": kept.default_branch,
        "language": None,
        "license": None,
        "archived": False,
        "disabled": False,
        "has_issues": settings.has_issues,
        "has_projects": True,
        "has_wiki": True,
        "has_downloads": True,
        "has_discussions": False,
        "has_pages": kept.pages is not None,
        "allow_merge_commit": settings.allow_merge_commit,
        "allow_squash_merge": settings.allow_squash_merge,
        "allow_rebase_merge": settings.allow_rebase_merge,
        "allow_update_branch": settings.allow_update_branch,
        "allow_auto_merge": settings.allow_auto_merge,
        "delete_branch_on_merge": settings.delete_branch_on_merge,
        "permissions": {word: kept.at_least(viewer, role) for word, role in words} | {"pull": True},
        **dict.fromkeys(
            ("forks", "forks_count", "stargazers_count", "watchers", "watchers_count", "network_count",
             "subscribers_count", "size"), 0,
        ),
        "open_issues": opened,
        "open_issues_count": opened,
        "created_at": at,
        "updated_at": at,
        "pushed_at": at,
        **{f"{part}_url": f"{url}/{part}" for part in REPOSITORY_PARTS},
    }  # fmt: skip


def label(forge: LabForge, kept: Repository, name: str) -> View:
    """A label."""
    one = kept.labels[name.lower()]
    return {
        "id": one.id,
        "node_id": f"L_{one.id}",
        "url": f"{forge.api}/repos/{kept.slug}/labels/{one.name}",
        "name": one.name,
        "color": one.color,
        "default": False,
        "description": one.description,
    }


def association(kept: Repository, login: str) -> str:
    """What somebody is to a repository."""
    if login.lower() == kept.owner.lower():
        return "OWNER"
    return "COLLABORATOR" if kept.role(login) else "NONE"


def issue(forge: LabForge, kept: Repository, one: Issue) -> View:
    """An issue, or a pull request seen as one."""
    root = f"{forge.api}/repos/{kept.slug}"
    url, kind = f"{root}/issues/{one.number}", "pull" if one.pull else "issues"
    view: View = {
        "id": one.id,
        "node_id": f"I_{one.id}",
        "number": one.number,
        "title": one.title,
        "body": one.body,
        "state": one.state,
        "state_reason": None,
        "locked": False,
        "user": account(forge, one.author),
        "labels": [label(forge, kept, name) for name in one.labels],
        "assignee": account(forge, one.assignees[0]) if one.assignees else None,
        "assignees": [account(forge, login) for login in one.assignees],
        "milestone": None,
        "comments": len(one.comments),
        "created_at": stamp(one.created),
        "updated_at": stamp(one.updated),
        "closed_at": stamp(one.closed),
        "author_association": association(kept, one.author),
        "url": url,
        "html_url": f"{forge.url}/{kept.slug}/{kind}/{one.number}",
        "repository_url": root,
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "labels_url": f"{url}/labels{{/name}}",
    }
    if one.pull:
        page = view["html_url"]
        links = {"url": f"{root}/pulls/{one.number}", "html_url": page}
        links |= {"diff_url": f"{page}.diff", "patch_url": f"{page}.patch"}
        view["pull_request"] = links | {"merged_at": stamp(one.pull.merged)}
    return view


def pull(forge: LabForge, kept: Repository, one: Issue, *, whole: bool = True) -> View:
    """A pull request; in lists GitHub leaves out what it has to compute."""
    it = one.pull
    assert it is not None
    root = f"{forge.api}/repos/{kept.slug}"
    url, page = f"{root}/pulls/{one.number}", f"{forge.url}/{kept.slug}/pull/{one.number}"
    links = {
        "self": url,
        "html": page,
        "issue": f"{root}/issues/{one.number}",
        "comments": f"{root}/issues/{one.number}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{root}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{root}/statuses/{it.head}",
    }
    view = issue(forge, kept, one)
    for name in ("pull_request", "state_reason", "repository_url", "events_url", "labels_url", "comments"):
        view.pop(name, None)
    view |= {
        "node_id": f"PR_{one.id}",
        "url": url,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "head": _side(forge, forge.repositories[it.head_slug.lower()], it.branch, it.head),
        "base": _side(forge, kept, it.base, it.base_commit),
        "draft": it.draft,
        "auto_merge": None,
        "merged_at": stamp(it.merged),
        "merge_commit_sha": it.merge_commit,
        "requested_reviewers": [account(forge, login) for login in it.requested],
        "requested_teams": [],
        "_links": {name: {"href": href} for name, href in links.items()},
    }
    view |= {f"{name}_url": href for name, href in links.items() if name not in ("self", "html")}
    if whole:
        view |= _computed(kept, one, it) | {
            "merged_by": account(forge, it.merged_by) if it.merged_by else None
        }
    return view


def _side(forge: LabForge, kept: Repository, branch: str, commit: str) -> View:
    return {
        "label": f"{kept.owner}:{branch}",
        "ref": branch,
        "sha": commit,
        "user": account(forge, kept.owner),
        "repo": repository(forge, kept),
    }


def _computed(kept: Repository, one: Issue, it: Pull) -> View:
    opened = one.state == "open"
    return {
        "merged": it.merged is not None,
        "mergeable": it.mergeable if opened else None,
        "mergeable_state": _merge_state(kept, it) if opened else "unknown",
        "rebaseable": None,
        "comments": len(one.comments),
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": len(kept.store.log(f"{it.base_commit}..{it.head}")),
        "changed_files": len(kept.store.changed(it.base_commit, it.head)),
        "additions": 0,
        "deletions": 0,
    }


def _merge_state(kept: Repository, it: Pull) -> str:
    if not it.mergeable:
        return "dirty"
    refused = rules.against_merge(kept, NOBODY, it, "merge")
    if not refused:
        return "clean"
    return "behind" if refused == [rules.OUT_OF_DATE] else "blocked"


def comment(forge: LabForge, kept: Repository, one: Issue, said: Comment) -> View:
    """A comment of an issue or pull request."""
    root, kind = f"{forge.api}/repos/{kept.slug}/issues", "pull" if one.pull else "issues"
    return {
        "id": said.id,
        "node_id": f"IC_{said.id}",
        "url": f"{root}/comments/{said.id}",
        "html_url": f"{forge.url}/{kept.slug}/{kind}/{one.number}#issuecomment-{said.id}",
        "issue_url": f"{root}/{one.number}",
        "user": account(forge, said.author),
        "body": said.body,
        "created_at": stamp(said.created),
        "updated_at": stamp(said.updated),
        "author_association": association(kept, said.author),
    }


def review(forge: LabForge, kept: Repository, one: Issue, given: Review) -> View:
    """A review."""
    url = f"{forge.api}/repos/{kept.slug}/pulls/{one.number}"
    page = f"{forge.url}/{kept.slug}/pull/{one.number}#pullrequestreview-{given.id}"
    view = {
        "id": given.id,
        "node_id": f"PRR_{given.id}",
        "user": account(forge, given.author),
        "body": given.body,
        "state": given.state,
        "commit_id": given.commit,
        "html_url": page,
        "pull_request_url": url,
        "author_association": association(kept, given.author),
        "_links": {"html": {"href": page}, "pull_request": {"href": url}},
    }
    return view | ({"submitted_at": stamp(given.submitted)} if given.submitted else {})

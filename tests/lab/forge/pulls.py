"""How pull requests live: opened, following their branches, merged by the button or by a push."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.forge import notices, rules, views
from lab.forge.model import ZERO, Issue, Label, Pull, Repository, Token
from lab.forge.store import StoreError
from lab.forge.wire import ApiError, invalid, not_found

if TYPE_CHECKING:
    from lab.forge.forge import LabForge

GITHUB = ("GitHub", "noreply@github.com")


def numbered(repository: Repository, number: int) -> Issue:
    """An issue or pull request by its number."""
    found = repository.issues.get(number)
    if found is None:
        raise not_found()
    return found


def pull_of(issue: Issue) -> Pull:
    """The pull request that an issue is."""
    if issue.pull is None:
        raise not_found()
    return issue.pull


def new_issue(
    forge: LabForge, repository: Repository, by: Token, title: str, body: str | None, pull: Pull | None = None
) -> Issue:
    """Give out the next number."""
    at, number = forge.now(), len(repository.issues) + 1
    issue = Issue(forge.new_id(), number, by.login, title, body, at, at, pull=pull)
    repository.issues[number] = issue
    return issue


def have_label(forge: LabForge, repository: Repository, name: str, color: str = "ededed") -> Label:
    """A label of the repository, made if it is new."""
    return repository.labels.setdefault(name.lower(), Label(forge.new_id(), name, color))


def open_pull(forge: LabForge, repository: Repository, by: Token, fields: dict[str, Any]) -> Issue:
    """Open a pull request.

    Raises:
        ApiError: 422 for a branch that is not there, has nothing new, or has a pull request already.
    """
    owner, _, branch = fields.get("head", "").rpartition(":")
    base = fields.get("base", "")
    source = _source(forge, repository, owner)
    head, tip = source.store.branch(branch) if source else None, repository.store.branch(base)
    if source is None or head is None:
        raise invalid("PullRequest", "invalid", name="head")
    if tip is None:
        raise invalid("PullRequest", "invalid", name="base")
    for issue in repository.pulls():
        other = pull_of(issue)
        if issue.state == "open" and (other.head_slug, other.branch, other.base) == (
            source.slug,
            branch,
            base,
        ):
            said = f"A pull request already exists for {source.owner}:{branch}."
            raise invalid("PullRequest", "custom", message=said)
    _bring(repository, source, head)
    if not repository.store.log(f"{tip}..{head}"):
        said = f"No commits between {base} and {branch}"
        raise invalid("PullRequest", "custom", message=said)
    pull = Pull(branch, base, source.slug, head, tip, draft=bool(fields.get("draft")))
    issue = new_issue(forge, repository, by, fields.get("title") or branch, fields.get("body"), pull)
    _refresh(forge, repository, issue)
    forge.emit(notices.pull(forge, repository, issue, "opened", by))
    return issue


def _source(forge: LabForge, repository: Repository, owner: str) -> Repository | None:
    if not owner or owner.lower() == repository.owner.lower():
        return repository
    forks = (one for one in forge.repositories.values() if one.fork_of == repository.slug)
    return next((fork for fork in forks if fork.owner.lower() == owner.lower()), None)


def _bring(repository: Repository, source: Repository, commit: str) -> None:
    if source is not repository:
        repository.store.run("fetch", "--quiet", "--no-tags", str(source.store.directory), commit)


def _refresh(forge: LabForge, repository: Repository, issue: Issue) -> None:
    """Recompute refs/pull/N/head and refs/pull/N/merge of an open pull request."""
    pull, store = pull_of(issue), repository.store
    store.set_ref(f"refs/pull/{issue.number}/head", pull.head)
    tree = store.merged_tree(pull.base_commit, pull.head)
    pull.mergeable = tree is not None
    if tree:
        message = f"Merge {pull.head} into {pull.base_commit}"
        parents = (pull.base_commit, pull.head)
        merge = store.write_commit(tree, parents, message, author=GITHUB, when=forge.now())
        store.set_ref(f"refs/pull/{issue.number}/merge", merge)
        pull.merge_commit = merge


def follow(forge: LabForge, repository: Repository, by: Token) -> None:
    """Bring every open pull request up to date with the branches of a repository that just moved."""
    for target in list(forge.repositories.values()):
        for issue in target.pulls():
            pull = pull_of(issue)
            if issue.state == "open" and repository.slug in (target.slug, pull.head_slug):
                _follow_one(forge, target, issue, pull, by)


def _follow_one(forge: LabForge, repository: Repository, issue: Issue, pull: Pull, by: Token) -> None:
    source = forge.repositories[pull.head_slug.lower()]
    head, base = source.store.branch(pull.branch), repository.store.branch(pull.base)
    if base is None:
        close(forge, repository, issue, by)
        return
    if base != pull.base_commit and repository.store.is_ancestor(pull.head, base):
        pull.base_commit = base
        pull.merge_commit, pull.merged, pull.merged_by = base, forge.now(), by.login
        close(forge, repository, issue, by)
        return
    if head is None:
        close(forge, repository, issue, by)
        return
    if (head, base) == (pull.head, pull.base_commit):
        return
    before, pull.head, pull.base_commit = pull.head, head, base
    _bring(repository, source, head)
    _refresh(forge, repository, issue)
    if before == head:
        return
    issue.updated = forge.now()
    if not repository.store.log(f"{base}..{head}"):
        close(forge, repository, issue, by)
        return
    forge.emit(notices.pull(forge, repository, issue, "synchronize", by, before=before, after=head))


def close(forge: LabForge, repository: Repository, issue: Issue, by: Token) -> None:
    """Close an issue or pull request; a merged one is closed the same way."""
    issue.state = "closed"
    issue.closed = issue.updated = forge.now()
    if issue.pull:
        repository.store.delete_ref(f"refs/pull/{issue.number}/merge")
        forge.emit(notices.pull(forge, repository, issue, "closed", by))


def reopen(forge: LabForge, repository: Repository, issue: Issue, by: Token) -> None:
    """Open an issue or pull request again.

    Raises:
        ApiError: 422 if the branch is gone or the pull request was merged.
    """
    if issue.pull:
        pull = issue.pull
        source = forge.repositories[pull.head_slug.lower()]
        head, base = source.store.branch(pull.branch), repository.store.branch(pull.base)
        if pull.merged or head is None or base is None:
            raise invalid("PullRequest", "invalid", name="state", message="state cannot be changed.")
        for other in repository.pulls():
            it = pull_of(other)
            if other.state == "open" and (it.head_slug, it.branch, it.base) == (
                source.slug,
                pull.branch,
                pull.base,
            ):
                raise invalid("PullRequest", "invalid", name="state", message="state cannot be changed.")
        _bring(repository, source, head)
        pull.head, pull.base_commit = head, base
    issue.state, issue.closed, issue.updated = "open", None, forge.now()
    if issue.pull:
        _refresh(forge, repository, issue)
        forge.emit(notices.pull(forge, repository, issue, "reopened", by))


def merge(forge: LabForge, repository: Repository, issue: Issue, by: Token, fields: dict[str, Any]) -> str:
    """Merge as the button does.

    Returns:
        The commit that the base branch points to afterwards.

    Raises:
        ApiError: 405 if it cannot or must not be merged, 409 if the head moved.
    """
    pull, store, settings = pull_of(issue), repository.store, repository.settings
    method = fields.get("merge_method", "merge")
    if issue.state != "open" or pull.draft or not pull.mergeable:
        raise ApiError(405, "Pull Request is not mergeable")
    if fields.get("sha") not in (None, pull.head):
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    allowed = {"merge": settings.allow_merge_commit, "squash": settings.allow_squash_merge}
    if not allowed.get(method):
        names = {"merge": "Merge commits", "squash": "Squash merges"}
        said = f"{names.get(method, 'Rebase merges')} are not allowed on this repository."
        raise ApiError(405, said)
    if refused := rules.against_merge(repository, by, pull, method):
        raise ApiError(405, "Repository rule violations found\n\n" + "\n".join(refused) + "\n\n")
    tree = store.merged_tree(pull.base_commit, pull.head)
    if tree is None:
        raise ApiError(405, "Pull Request is not mergeable")
    source = forge.repositories[pull.head_slug.lower()]
    title = f"Merge pull request #{issue.number} from {source.owner}/{pull.branch}"
    text = fields.get("commit_message", issue.title)
    if method == "squash":
        title = f"{issue.title} (#{issue.number})"
    message = (fields.get("commit_title") or title) + (f"\n\n{text}" if text else "")
    parents = [pull.base_commit, pull.head] if method == "merge" else [pull.base_commit]
    who = views.identity(forge, by.login)
    new = store.write_commit(tree, parents, message, author=who, committer=GITHUB, when=forge.now())
    ref, old = f"refs/heads/{pull.base}", pull.base_commit
    try:
        store.set_ref(ref, new, old)
    except StoreError:
        raise ApiError(409, "Base branch was modified. Review and try the merge again.") from None
    pull.merge_commit, pull.merged, pull.merged_by, pull.base_commit = new, forge.now(), by.login, new
    close(forge, repository, issue, by)
    forge.moved(repository, {ref: (old, new)}, by, "pr_merge")
    if settings.delete_branch_on_merge and source is repository:
        tip = store.branch(pull.branch) or ZERO
        store.delete_ref(f"refs/heads/{pull.branch}")
        forge.moved(repository, {f"refs/heads/{pull.branch}": (tip, ZERO)}, by)
    return new


def activity_kind(repository: Repository, old: str, new: str) -> str:
    """What the activity log calls a change of a branch."""
    if old == ZERO:
        return "branch_creation"
    if new == ZERO:
        return "branch_deletion"
    return "push" if repository.store.is_ancestor(old, new) else "force_push"

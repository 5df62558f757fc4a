"""Keyturn's half of GitHub against the lab's GitHub: what it does once, and does no more when asked again.

Every story is told on a repository of its own; the forge itself is shared, since starting it costs more than
any of them. The last stories tell the first ones again on bad days.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, get_args

import pytest
from github import Auth, Github
from github.PullRequest import PullRequest as Page

from keyturn.forge.github import GitHub, git_access
from keyturn.forge.host import HostError, Status
from keyturn.forge.local import LocalForge
from keyturn.forge.patience import Patience
from keyturn.git import Git, GitError
from lab.forge import Event, LabForge, Repository
from lab.forge.faults import Kind

pytestmark = pytest.mark.lab

EVERYTHING = {
    "actions": "write",
    "attestations": "read",
    "contents": "write",
    "issues": "write",
    "pull-requests": "write",
    "statuses": "write",
}
MARK = "<!-- keyturn -->"
WORKFLOW = "keyturn-publish.yml"
SUCCESS = Status("success", "2 of 2", "https://github.example/run/1")
NUMBERS = count(1)


@dataclass
class Place:
    """A repository of alice's with one signing event, and who may do what there."""

    forge: LabForge
    repository: Repository
    tokens: dict[str, str]

    @property
    def slug(self) -> str:
        return self.repository.slug

    def host(self, token: str | None = None, **permissions: str) -> GitHub:
        """GitHub for a job that may do everything, or exactly what is given."""
        minted = self.forge.mint(self.slug, permissions or EVERYTHING)
        return GitHub(
            self.slug,
            api=self.forge.api,
            server=self.forge.url,
            token=token or minted,
            patience=Patience(pause=lambda _: None),
        )

    def page(self, login: str, number: int) -> Page:
        """The pull request as a person has it in the browser."""
        client = Github(
            base_url=self.forge.api,
            auth=Auth.Token(self.tokens[login]),
            seconds_between_requests=0,
            seconds_between_writes=0,
            retry=None,
            lazy=True,
        )
        return client.get_repo(self.slug).get_pull(number)

    def push(self, branch: str = "sign/release", author: str = "alice") -> str:
        """Somebody commits to a branch, which starts at main."""
        store = self.repository.store
        tip = store.branch("main")
        assert tip is not None
        if store.branch(branch) is None:
            store.set_ref(f"refs/heads/{branch}", tip)
        content = f"{next(NUMBERS)}\n".encode()
        return self.forge.commit(self.slug, branch, {"metadata/targets.json": content}, "Sign", author=author)

    def open(self) -> int:
        """An open signing event."""
        return self.host().open_pull_request("sign/release", "Release 1", "Please sign.").number

    def writes(self, start: int) -> list[str]:
        """Method and last part of the path of what was written since a request."""
        return [
            f"{one.method} {one.path.rpartition('/')[2]}"
            for one in self.forge.requests[start:]
            if one.kind == "rest" and one.method != "GET"
        ]

    def state(self) -> dict[str, Any]:
        """All that a test may have changed."""
        shown = self.repository
        return {
            "pulls": [
                (issue.title, issue.state, sorted(issue.labels), sorted(issue.pull.requested))
                for issue in shown.pulls()
                if issue.pull
            ],
            "issues": [(one.title, one.body, one.state) for one in shown.issues.values() if not one.pull],
            "comments": [(one.author, one.body) for issue in shown.issues.values() for one in issue.comments],
            "statuses": [(one.commit, one.context, one.state, one.description) for one in shown.statuses],
            "releases": [
                (
                    one.tag,
                    one.draft,
                    one.prerelease,
                    one.name,
                    [(asset.name, asset.digest, asset.state) for asset in one.assets],
                )
                for one in shown.releases
            ],
        }


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabForge]:
    with LabForge(tmp_path_factory.mktemp("forge")) as running:
        yield running


@pytest.fixture
def place(forge: LabForge) -> Iterator[Place]:
    tokens = {login: forge.user(login) for login in ("alice", "bob", "carol", "mallory")}
    forge.repositories.clear()
    repository = forge.create_repository(
        "alice",
        f"updates-{next(NUMBERS)}",
        files={"README.md": b"hello", f".github/workflows/{WORKFLOW}": b"on: workflow_dispatch\njobs: {}\n"},
        collaborators={"bob": "write", "carol": "read"},
    )
    repository.settings.actions_may_open_pull_requests = True
    made = Place(forge, repository, tokens)
    made.push()
    yield made
    forge.faults.clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "app.tar.gz"
    made.write_bytes(b"app 1.0" * 1000)
    return made


class TestPullRequests:
    def test_there_is_exactly_one_open_for_a_branch(self, place: Place) -> None:
        host = place.host()

        first = host.open_pull_request("sign/release", "Release 1", "Please sign.")
        second = host.open_pull_request("sign/release", "Release 1 again", "")

        assert first == second
        assert host.pull_requests() == (first,)
        assert (first.author.login, first.title, first.open) == ("github-actions[bot]", "Release 1", True)
        assert first.url == f"{host.url}/pull/1"

    def test_it_follows_its_branch(self, place: Place) -> None:
        number = place.open()
        tip = place.push()

        found = place.host().pull_request("sign/release")

        assert found is not None
        assert (found.number, found.head) == (number, tip)

    def test_a_closed_one_does_not_count_as_open(self, place: Place) -> None:
        number = place.open()
        place.page("alice", number).edit(state="closed")
        host = place.host()

        assert host.pull_request("sign/release") is None
        assert host.pull_requests() == ()
        assert [one.open for one in host.pull_requests(open_only=False)] == [False]
        assert host.open_pull_request("sign/release", "Release 1", "").number == number + 1

    def test_a_merged_one_says_so(self, place: Place) -> None:
        number = place.open()
        place.page("alice", number).merge()

        found = place.host().numbered(number)

        assert found is not None
        assert (found.open, found.merged) == (False, True)

    def test_other_branches_are_no_events(self, place: Place) -> None:
        place.push("feature")
        host = place.host()
        host.open_pull_request("feature", "Feature", "")

        assert host.pull_requests() == ()

    def test_into_another_branch_is_no_event(self, place: Place) -> None:
        place.push("other", "alice")
        client = place.page("alice", place.open()).base.repo
        client.create_pull(base="other", head="sign/release", title="Elsewhere", body="")

        assert [one.number for one in place.host().pull_requests()] == [1]

    def test_what_is_not_there_is_none(self, place: Place) -> None:
        host = place.host()

        assert host.numbered(77) is None
        assert host.pull_request("sign/other") is None

    def test_a_branch_with_nothing_new_cannot_be_proposed(self, place: Place) -> None:
        tip = place.repository.store.branch("main")
        assert tip is not None
        place.repository.store.set_ref("refs/heads/sign/empty", tip)

        with pytest.raises(HostError, match="No commits between main and sign/empty"):
            place.host().open_pull_request("sign/empty", "Nothing", "")

    def test_a_repository_that_forbids_it_says_which_setting(self, place: Place) -> None:
        place.repository.settings.actions_may_open_pull_requests = False

        with pytest.raises(HostError) as caught:
            place.open()
        assert caught.value.reason == "permission"
        assert "Allow GitHub Actions to create" in caught.value.todo


class TestComments:
    def test_one_comment_is_kept_and_edited_only_when_it_differs(self, place: Place) -> None:
        host, number = place.host(), place.open()
        start = len(place.forge.requests)

        for text in ("1 of 2", "1 of 2", "2 of 2"):
            host.keep_comment(number, MARK, text)

        assert place.state()["comments"] == [("github-actions[bot]", f"{MARK}\n2 of 2")]
        assert [write.partition(" ")[0] for write in place.writes(start)] == ["POST", "PATCH"]

    def test_comments_of_others_are_not_ours_whatever_they_begin_with(self, place: Place) -> None:
        host, number = place.host(), place.open()
        place.page("mallory", number).create_issue_comment(f"{MARK}\nall signed")

        host.keep_comment(number, MARK, "0 of 2")

        assert place.state()["comments"] == [
            ("mallory", f"{MARK}\nall signed"),
            ("github-actions[bot]", f"{MARK}\n0 of 2"),
        ]

    def test_a_second_one_of_ours_goes(self, place: Place) -> None:
        host, number = place.host(), place.open()
        for text in ("old", "older"):
            host.keep_comment(number, f"{MARK}{text}", text)
        host.keep_comment(number, MARK, "now")

        assert place.state()["comments"] == [("github-actions[bot]", f"{MARK}\nnow")]

    def test_it_is_found_behind_many_others(self, place: Place) -> None:
        host, number = place.host(), place.open()
        place.page("alice", number).create_issue_comment("hello")
        place.repository.issues[number].comments *= 101
        host.keep_comment(number, MARK, "1 of 2")
        host.keep_comment(number, MARK, "2 of 2")

        assert len(place.state()["comments"]) == 102


class TestStatuses:
    def test_the_newest_of_a_name_is_the_one(self, place: Place) -> None:
        host, commit = place.host(), place.push()
        assert host.status(commit) is None

        host.set_status(commit, Status("pending", "0 of 2"))
        host.set_status(commit, SUCCESS)
        host.set_status(commit, Status("error", "down"), context="other")

        assert host.status(commit) == SUCCESS
        assert host.status(commit, "other") == Status("error", "down")

    def test_the_same_is_not_said_twice(self, place: Place) -> None:
        host, commit = place.host(), place.push()
        for _ in range(2):
            host.set_status(commit, SUCCESS)

        assert len(place.repository.statuses) == 1

    def test_of_a_commit_that_is_not_there_is_an_error(self, place: Place) -> None:
        with pytest.raises(HostError):
            place.host().set_status("0" * 40, SUCCESS)


class TestReviewers:
    def test_who_cannot_be_asked_keeps_nobody_else_from_being_asked(self, place: Place) -> None:
        host, number = place.host(), place.open()

        refused = host.request_reviewers(number, ["mallory", "bob", "nobody", "carol"])

        assert refused == ("mallory", "nobody")
        assert place.host().pull_requests()[0].requested == ("bob", "carol")

    def test_the_author_cannot_be_asked(self, place: Place) -> None:
        host = place.host(token=place.tokens["alice"])
        number = host.open_pull_request("sign/release", "Release", "").number
        start = len(place.forge.requests)

        assert host.request_reviewers(number, ["Alice"]) == ("Alice",)
        assert place.writes(start) == []

    def test_nobody_is_asked_twice(self, place: Place) -> None:
        host, number = place.host(), place.open()
        host.request_reviewers(number, ["bob"])
        start = len(place.forge.requests)

        host.request_reviewers(number, ["Bob"])

        assert place.writes(start) == []

    def test_who_has_reviewed_is_asked_again_only_for_a_new_head(self, place: Place) -> None:
        host, number = place.host(), place.open()
        host.request_reviewers(number, ["bob"])
        place.page("bob", number).create_review(body="signed", event="COMMENT")
        start = len(place.forge.requests)

        host.request_reviewers(number, ["bob"])
        assert place.writes(start) == []

        place.push()
        host.request_reviewers(number, ["bob"])
        assert place.writes(start) == ["POST requested_reviewers"]


class TestLabels:
    def test_what_is_so_already_is_left_alone(self, place: Place) -> None:
        host, number = place.host(), place.open()
        host.set_labels(number, ["keyturn", "waiting"])
        start = len(place.forge.requests)

        host.set_labels(number, ["Keyturn"], ["ready"])
        assert place.writes(start) == []

        host.set_labels(number, ["ready"], ["waiting"])
        found = host.numbered(number)
        assert found is not None
        assert set(found.labels) == {"keyturn", "ready"}


class TestReviews:
    def test_all_kinds_are_read_in_turn(self, place: Place) -> None:
        number = place.open()
        bob = place.page("bob", number)
        events = ("COMMENT", "APPROVE", "REQUEST_CHANGES")
        for event in events:
            bob.create_review(body=f"block {event}", event=event)
        bob.create_review(body="not yet")
        place.page("alice", number).get_review(bob.get_reviews()[1].id).dismiss("no")

        found = place.host().reviews(number)

        assert [one.state for one in found] == ["COMMENTED", "DISMISSED", "CHANGES_REQUESTED"]
        assert [one.body for one in found] == [f"block {event}" for event in events]
        assert {one.author.id for one in found} == {place.forge.account("bob").id}
        assert {one.commit for one in found} == {bob.head.sha}
        assert found[0].url == f"{bob.html_url}#pullrequestreview-{found[0].id}"
        assert [(one.editor, one.edited) for one in found] == [(None, None)] * 3

    def test_who_edited_one_is_known(self, place: Place) -> None:
        number = place.open()
        review = place.page("bob", number).create_review(body="signed", event="COMMENT")
        place.page("alice", number).get_review(review.id).edit("signed, they say")

        (found,) = place.host().reviews(number)

        assert found.editor is not None
        assert (found.author.login, found.editor.login) == ("bob", "alice")
        assert found.edited is not None

    def test_the_second_page_is_read_too(self, place: Place) -> None:
        number = place.open()
        place.page("bob", number).create_review(body="0", event="COMMENT")
        pull = place.repository.issues[number].pull
        assert pull is not None
        pull.reviews = [replace(pull.reviews[0], body=f"{index}") for index in range(101)]

        assert [one.body for one in place.host().reviews(number)] == [f"{index}" for index in range(101)]

    def test_of_no_pull_request_are_an_error(self, place: Place) -> None:
        with pytest.raises(HostError):
            place.host().reviews(77)


class TestActivity:
    def test_says_who_pushed_whatever_the_commit_says(self, place: Place) -> None:
        before = place.repository.store.branch("sign/release")
        after = place.push(author="bob")
        place.push("sign/other", author="alice")

        newest = place.host().activity("sign/release")[0]

        assert newest.actor is not None
        assert newest.actor.login == "bob"
        assert (newest.before, newest.after) == (before, after)

    def test_goes_back_page_by_page(self, place: Place) -> None:
        entry = place.repository.activity[-1]
        numbers = [place.forge.new_id() for _ in range(205)]
        place.repository.activity += [
            replace(entry, id=number, ref="refs/heads/sign/long", after=f"{number:040}") for number in numbers
        ]

        found = place.host().activity("sign/long")

        assert [int(one.after) for one in found] == numbers[::-1]


class TestIssues:
    def test_one_is_opened_updated_and_closed(self, place: Place) -> None:
        host = place.host()

        assert host.keep_issue(MARK, "Publishing stands still", None) is None
        number = host.keep_issue(MARK, "Publishing stands still", "since Monday")
        assert host.keep_issue(MARK, "Publishing stands still", "since Monday") == number
        assert host.keep_issue(MARK, "Publishing stands still", "since Sunday") == number
        assert place.state()["issues"] == [("Publishing stands still", f"{MARK}\nsince Sunday", "open")]

        assert host.keep_issue(MARK, "Publishing stands still", None) is None
        assert [state for _, _, state in place.state()["issues"]] == ["closed"]
        assert host.keep_issue(MARK, "Publishing stands still", "again") != number

    def test_what_others_open_is_not_ours(self, place: Place) -> None:
        place.page("mallory", place.open()).base.repo.create_issue("Mine", body=f"{MARK}\nx")
        host = place.host()

        host.keep_issue(MARK, "Ours", "y")
        host.keep_issue(MARK, "Ours", None)

        assert [(title, state) for title, _, state in place.state()["issues"]] == [
            ("Mine", "open"),
            ("Ours", "closed"),
        ]


class TestReleases:
    def test_a_draft_is_filled_published_and_read_back(
        self, place: Place, file: Path, tmp_path: Path
    ) -> None:
        host = place.host()
        draft = host.create_release("app-1.0", "App 1.0", "proposed, not signed", target="main")
        asset = host.upload(draft, file.name, file)
        assert asset.digest == hashlib.sha256(file.read_bytes()).hexdigest()

        host.download(asset, tmp_path / "draft", limit=10_000)
        published = host.edit_release(draft, draft=False, prerelease=True)
        final = host.edit_release(published, prerelease=False, body="signed")

        assert (tmp_path / "draft").read_bytes() == file.read_bytes()
        assert (final.draft, final.prerelease, final.body) == (False, False, "signed")
        (listed,) = host.releases()
        assert listed == final
        assert listed.assets == (asset,) or listed.assets[0].digest == asset.digest

    def test_a_draft_is_found_before_another_one_is_made(self, place: Place) -> None:
        host = place.host()

        first = host.create_release("app-1.0", "App 1.0", "", target="main")
        second = host.create_release("app-1.0", "App 1.0", "", target="main")

        assert first.id == second.id
        assert len(place.repository.releases) == 1

    def test_the_same_file_is_sent_once(self, place: Place, file: Path) -> None:
        host = place.host()
        draft = host.create_release("app-1.0", "App 1.0", "", target="main")
        first = host.upload(draft, file.name, file)
        start = len(place.forge.requests)

        again = host.create_release("app-1.0", "App 1.0", "", target="main")
        assert host.upload(again, file.name, file).id == first.id
        assert place.writes(start) == []
        # Somebody who has seen the release before the file was there finds it at the second look.
        assert host.upload(draft, file.name, file).id == first.id

    def test_another_file_of_the_name_is_refused(self, place: Place, file: Path) -> None:
        host = place.host()
        draft = host.create_release("app-1.0", "App 1.0", "", target="main")
        host.upload(draft, file.name, file)
        before = place.state()
        file.write_bytes(b"something else")

        with pytest.raises(HostError) as caught:
            host.upload(draft, file.name, file)
        assert (caught.value.reason, place.state()) == ("asset", before)

    def test_a_half_uploaded_file_is_sent_again(self, place: Place, file: Path) -> None:
        host = place.host()
        draft = host.create_release("app-1.0", "App 1.0", "", target="main")
        host.upload(draft, file.name, file)
        place.repository.releases[0].assets[0].state = "starter"

        fresh = host.upload(host.releases()[0], file.name, file)

        assert fresh.uploaded
        assert [state for *_, state in place.state()["releases"][0][-1]] == ["uploaded"]

    def test_a_name_that_github_changes_is_refused(self, place: Place, file: Path) -> None:
        host = place.host()
        draft = host.create_release("app-1.0", "App 1.0", "", target="main")

        with pytest.raises(HostError, match="something else"):
            host.upload(draft, "app 1.0 ü.tar.gz", file)
        assert place.state()["releases"][0][-1] == []

    def test_what_is_removed_may_be_gone_already(self, place: Place, file: Path) -> None:
        host = place.host()
        draft = host.create_release("app-1.0", "App 1.0", "", target="main")
        asset = host.upload(draft, file.name, file)
        published = host.edit_release(draft, draft=False)
        assert place.repository.store.run("tag", "--list").split() == [b"app-1.0"]

        for _ in range(2):
            host.delete_asset(asset)
            host.delete_release(published)

        assert host.releases() == ()
        assert place.repository.store.run("tag", "--list").split() == []

    def test_a_draft_takes_no_tag_with_it(self, place: Place) -> None:
        place.repository.store.run("tag", "app-1.0", "main")
        host = place.host()

        host.delete_release(host.create_release("app-1.0", "App 1.0", "", target="main"))

        assert place.repository.store.run("tag", "--list").split() == [b"app-1.0"]


class TestWorkflows:
    def test_a_workflow_is_started_on_the_default_branch(self, place: Place) -> None:
        heard: list[Event] = []
        place.forge.listen(heard.append)

        place.host().dispatch(WORKFLOW)

        assert [one.name for one in heard] == ["workflow_dispatch"]

    def test_its_runs_are_told_newest_first(self, place: Place) -> None:
        tip = place.repository.store.branch("main")
        assert tip is not None
        heard: list[Event] = []
        place.forge.listen(heard.append)
        place.host().dispatch(WORKFLOW)
        old = place.forge.start_run(place.slug, WORKFLOW, heard[0], branch="main", commit=tip)
        place.forge.finish_run(old, "failure")
        new = place.forge.start_run(place.slug, WORKFLOW, heard[0], branch="main", commit=tip)
        place.forge.start_run(place.slug, WORKFLOW, heard[0], branch="sign/release", commit=tip)

        found = place.host().runs(WORKFLOW)

        assert [(one.id, one.conclusion) for one in found] == [(new.id, None), (old.id, "failure")]
        assert found[0].event == "workflow_dispatch"

    def test_switching_on_what_is_on_is_fine(self, place: Place) -> None:
        host = place.host()
        host.keep_enabled(WORKFLOW)
        (workflow,) = place.repository.workflows.values()
        workflow.state = "disabled_inactivity"

        host.keep_enabled(WORKFLOW)

        assert [one.state for one in place.repository.workflows.values()] == ["active"]


class TestAccountsAndAttestations:
    def test_accounts_have_numbers_that_stay(self, place: Place) -> None:
        host = place.host()

        found = host.account("BOB")

        assert found is not None
        assert (found.login, found.id) == ("bob", place.forge.account("bob").id)
        assert host.account("nobody-at-all") is None

    def test_bundles_are_handed_on_as_they_are(self, place: Place) -> None:
        bundle = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": {}}
        place.forge.attest(place.slug, "ab" * 32, bundle)
        host = place.host()

        assert host.attestations("ab" * 32) == (bundle,)
        assert host.attestations("cd" * 32) == ()


class TestGit:
    def test_the_token_opens_a_private_repository(self, place: Place, tmp_path: Path) -> None:
        place.repository.private = True
        remote = f"{place.forge.url}/{place.slug}.git"
        token = place.forge.mint(place.slug, {"contents": "read"})

        with Git.init(tmp_path / "r.git", bare=True, access=git_access(place.forge.url, token)) as git:
            forge = LocalForge(git, remote)
            forge.refresh()
            assert forge.main() == place.repository.store.branch("main")

        with Git.init(tmp_path / "s.git", bare=True) as git, pytest.raises(GitError):
            LocalForge(git, remote).refresh()


Act = Callable[[Place, Path], object]


def _upload(place: Place, file: Path) -> object:
    host = place.host()
    return host.upload(host.create_release("app-1.0", "App 1.0", "", target="main"), file.name, file)


def _publish(place: Place, _: Path) -> object:
    host = place.host()
    return host.edit_release(host.create_release("app-1.0", "App 1.0", "", target="main"), draft=False)


ACTS: dict[str, tuple[str, str, Act]] = {
    "open": ("POST", "/pulls$", lambda place, _: place.open()),
    "comment": ("POST", "/comments$", lambda place, _: place.host().keep_comment(1, MARK, "1 of 2")),
    "status": (
        "POST",
        "/statuses/",
        lambda place, _: place.host().set_status(place.page("alice", 1).head.sha, SUCCESS),
    ),
    "reviewers": (
        "POST",
        "/requested_reviewers$",
        lambda place, _: place.host().request_reviewers(1, ["bob"]),
    ),
    "labels": ("POST", "/labels$", lambda place, _: place.host().set_labels(1, ["keyturn"])),
    "issue": ("POST", "/issues$", lambda place, _: place.host().keep_issue(MARK, "Down", "since Monday")),
    "release": (
        "POST",
        "/releases$",
        lambda place, _: place.host().create_release("app-1.0", "App 1.0", "", target="main"),
    ),
    "upload": ("POST", "/assets", _upload),
    "publish": ("PATCH", "/releases/", _publish),
}
SCOPES = {
    "open": "pull-requests",
    "comment": "pull-requests",
    "status": "statuses",
    "reviewers": "pull-requests",
    "labels": "pull-requests",
    "issue": "issues",
    "release": "contents",
    "upload": "contents",
    "publish": "contents",
}


class TestBadDays:
    """Whatever goes wrong on the way, the result is the one of a good day."""

    def prepare(self, place: Place, name: str) -> None:
        """Only the pull request is there, if the act does not open it itself, and nothing is done yet."""
        shown = place.repository
        if name != "open" and not shown.issues:
            place.open()
        for number, issue in list(shown.issues.items()):
            if name == "open" or not issue.pull:
                del shown.issues[number]
                continue
            issue.comments.clear()
            issue.labels.clear()
            issue.pull.requested.clear()
        shown.statuses.clear()
        shown.releases.clear()

    def good_day(self, place: Place, name: str, file: Path) -> dict[str, Any]:
        """What an act leaves behind when nothing goes wrong."""
        self.prepare(place, name)
        ACTS[name][2](place, file)
        good = place.state()
        self.prepare(place, name)
        assert place.state() != good
        return good

    @pytest.mark.parametrize("name", ACTS)
    def test_a_write_that_goes_wrong_leaves_what_a_good_one_leaves(
        self, name: str, place: Place, file: Path
    ) -> None:
        method, path, act = ACTS[name]
        good = self.good_day(place, name, file)

        for kind in get_args(Kind):
            self.prepare(place, name)
            fault = place.forge.fault((method, path), kind)
            act(place, file)
            assert (kind, fault.hits, place.state()) == (kind, 1, good)

    @pytest.mark.parametrize("name", ACTS)
    def test_an_answer_that_is_lost_twice_doubles_nothing(self, name: str, place: Place, file: Path) -> None:
        method, path, act = ACTS[name]
        good = self.good_day(place, name, file)
        place.forge.fault((method, path), "lost-response", times=2)

        act(place, file)

        assert place.state() == good

    def test_reads_are_simply_repeated(self, place: Place) -> None:
        number = place.open()
        place.page("bob", number).create_review(body="signed", event="COMMENT")
        host = place.host()

        for kind in get_args(Kind):
            faults = [
                place.forge.fault(("GET", "/repos/"), kind),
                place.forge.fault(("POST", "/graphql"), kind),
            ]
            assert [one.number for one in host.pull_requests()] == [number]
            assert [one.body for one in host.reviews(number)] == ["signed"]
            assert [fault.hits for fault in faults] == [1, 1]

    @pytest.mark.parametrize("name", ACTS)
    def test_after_a_failure_the_next_run_finishes_the_work(
        self, name: str, place: Place, file: Path
    ) -> None:
        method, path, act = ACTS[name]
        good = self.good_day(place, name, file)
        place.forge.fault((method, path), "500", times=5)
        with pytest.raises(HostError):
            act(place, file)

        act(place, file)

        assert place.state() == good

    @pytest.mark.parametrize("name", ACTS)
    def test_a_job_without_the_permission_is_told_its_name_and_changes_nothing(
        self, name: str, place: Place, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if name not in ("open", "release"):
            place.open()
        scope = SCOPES[name]
        if name in ("upload", "publish"):
            place.host().create_release("app-1.0", "App 1.0", "", target="main")
        before = place.state()
        less = {**EVERYTHING, scope: "read"}
        host = Place.host
        monkeypatch.setattr(Place, "host", lambda self: host(self, **less))

        with pytest.raises(HostError) as caught:
            ACTS[name][2](place, file)

        assert caught.value.reason == "permission"
        assert f"`{scope}: write`" in caught.value.what
        assert place.state() == before


def test_an_idle_run_asks_little_and_writes_nothing(place: Place) -> None:
    number = place.open()
    commit = place.push()
    host = place.host()

    def reconcile() -> None:
        (pull,) = host.pull_requests()
        host.keep_comment(pull.number, MARK, "1 of 2")
        host.set_status(commit, SUCCESS)
        host.request_reviewers(number, ["bob"])
        host.set_labels(number, ["keyturn"])
        host.reviews(number)
        host.activity("sign/release")

    reconcile()
    start = len(place.forge.requests)
    reconcile()

    assert place.writes(start) == []
    assert len(place.forge.requests) - start == 7

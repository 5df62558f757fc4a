"""What GitHub's answers may do to us, told by a server that says whatever a test wants it to say."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.errors import KeyturnError, UsageError
from keyturn.forge.answers import Record, records
from keyturn.forge.api import uploads_address
from keyturn.forge.github import GitHub, git_access
from keyturn.forge.host import Account, Asset, Host, HostError
from keyturn.forge.patience import Again, Patience
from keyturn.forge.refusals import Refusal
from keyturn.git import Git, GitError, Identity, RefUpdate
from unit.fakehost import FakeHost

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)
HEAD = "a" * 40
TOKEN = "ghs_0123456789abcdef0123456789abcdef"
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}
Body = bytes | Mapping[str, object] | list[object] | str


@dataclass
class Say:
    """One answer of the server."""

    status: int = 200
    body: Body = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    """What the header claims, if not the truth."""


@dataclass
class Asked:
    """One request that the server got."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Script:
    """A server on loopback: gives the answers that it was told, in turn; the last one for ever."""

    def __init__(self, *answers: Say) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                names = {name.lower(): value for name, value in self.headers.items()}
                script.asked.append(Asked(self.command, self.path, names, content))
                say = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
                body = say.body if isinstance(say.body, bytes) else json.dumps(say.body).encode()
                self.send_response(say.status)
                self.send_header("Content-Length", str(len(body) if say.length is None else say.length))
                for name, value in {"Content-Type": "application/json", **say.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def paths(self) -> list[str]:
        return [f"{one.method} {one.path.removeprefix('/api/v3')}" for one in self.asked]

    def __enter__(self) -> Script:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def github(
    *answers: Say, token: str | None = TOKEN, tries: int = 3
) -> Iterator[tuple[GitHub, Script, list[float]]]:
    waits: list[float] = []
    with Script(*answers) as script:
        patience = Patience(tries=tries, pause=waits.append)
        yield (
            GitHub(
                "alice/updates",
                api=f"{script.url}/api/v3",
                server=script.url,
                token=token,
                patience=patience,
                now=lambda: NOW,
            ),
            script,
            waits,
        )


def pull(**changes: object) -> dict[str, object]:
    repository = {"full_name": "alice/updates", "default_branch": "main"}
    return {
        "number": 5,
        "html_url": "https://github.example/alice/updates/pull/5",
        "state": "open",
        "merged_at": None,
        "title": "Release",
        "user": {"login": "github-actions[bot]", "id": 41898282, "type": "Bot"},
        "labels": [],
        "requested_reviewers": [],
        "head": {"ref": "sign/release", "sha": HEAD, "repo": repository},
        "base": {"ref": "main", "repo": repository},
        **changes,
    }


def test_both_hosts_keep_the_protocol() -> None:
    hosts: list[Host] = [GitHub("alice/updates"), FakeHost(lambda _: None)]

    assert [host.slug for host in hosts] == ["alice/updates", "alice/updates"]


class TestPatience:
    def lost(self) -> Again:
        return Again(HostError("no answer"))

    def test_waits_twice_as_long_each_time(self) -> None:
        waits: list[float] = []

        def attempt() -> str:
            if len(waits) < 3:
                raise self.lost()
            return "done"

        assert Patience(tries=5, first=1, pause=waits.append).insist(attempt) == "done"
        assert waits == [1, 2, 4]

    def test_looks_before_it_repeats(self) -> None:
        tries: list[str] = []

        def attempt() -> str:
            tries.append("tried")
            raise self.lost()

        patience = Patience(tries=3, pause=lambda _: None)

        assert patience.insist(attempt, happened=lambda: "found") == "found"
        assert tries == ["tried"]

    def test_looks_once_more_after_the_last_try(self) -> None:
        tries: list[str] = []

        def attempt() -> str:
            tries.append("tried")
            raise self.lost()

        patience = Patience(tries=2, pause=lambda _: None)

        assert patience.insist(attempt, lambda: "found" if len(tries) == 2 else None) == "found"

    def test_does_not_look_for_what_was_refused(self) -> None:
        def attempt() -> str:
            raise Again(HostError("slow down", reason="rate-limit"), wait=1, lost=False)

        with pytest.raises(HostError, match="slow down"):
            Patience(tries=2, pause=lambda _: None).insist(attempt, happened=lambda: pytest.fail("looked"))

    def test_does_not_wait_longer_than_it_may(self) -> None:
        waits: list[float] = []

        def attempt() -> str:
            raise Again(HostError("slow down"), wait=60, lost=False)

        with pytest.raises(HostError):
            Patience(tries=9, longest=150, pause=waits.append).insist(attempt)
        assert waits == [60, 60]


class TestAnswers:
    @pytest.mark.parametrize(
        ("read", "value"),
        [
            (lambda found: found.text("x"), 5),
            (lambda found: found.text("x"), None),
            (lambda found: found.number("x"), True),
            (lambda found: found.number("x"), -1),
            (lambda found: found.number("x"), 1.5),
            (lambda found: found.number("x"), "1 "),
            (lambda found: found.flag("x"), 1),
            (lambda found: found.commit("x"), "main"),
            (lambda found: found.commit("x"), "A" * 40),
            (lambda found: found.moment("x"), "yesterday"),
            (lambda found: found.moment("x"), "2026-13-01T00:00:00Z"),
            (lambda found: found.moment("x"), "0001-01-01T00:00:00+23:00"),
            (lambda found: found.moment("x"), "2026-01-01T00:00:00"),
            (lambda found: found.record("x"), []),
            (lambda found: found.records("x"), {}),
            (lambda found: found.records("x"), ["text"]),
        ],
    )
    def test_nothing_passes_for_what_it_is_not(self, read: object, value: object) -> None:
        assert callable(read)
        with pytest.raises(HostError) as caught:
            read(Record({"x": value}, "answer"))

        assert caught.value.reason == "malformed"
        assert "answer.x" in caught.value.what

    def test_text_can_always_be_written(self) -> None:
        assert Record({"x": "a\ud800b"}, "answer").text("x") == "a?b"

    def test_long_ids_come_as_text(self) -> None:
        assert Record({"x": "9876543210"}, "answer").number("x") == 9876543210

    def test_times_are_utc(self) -> None:
        found = Record({"x": "2026-05-01T14:00:00.123+02:00", "y": "2026-05-01T12:00:00Z"}, "answer")

        assert (found.moment("x"), found.moment("y")) == (NOW, NOW)

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
    def test_no_json_makes_a_traceback(self, value: object) -> None:
        for read in (Record.text, Record.number, Record.flag, Record.commit, Record.moment, Record.record):
            try:
                read(Record({"x": value}, "answer"), "x")
            except HostError as error:
                assert error.reason == "malformed"

    def test_a_list_of_something_else_is_refused(self) -> None:
        with pytest.raises(HostError):
            records({"message": "Moved"}, "answer")


class TestRefusals:
    def refusal(
        self, status: int, verb: str = "POST", path: str = "/repos/a/b/pulls", **more: object
    ) -> HostError:
        body = {"message": more.pop("message", "Resource not accessible by integration")}
        headers = more.pop("headers", {})
        assert isinstance(headers, dict)
        return Refusal(verb, path, status, headers, body).error("a/b", token=True, now=NOW)

    @pytest.mark.parametrize(
        ("verb", "path", "named"),
        [
            ("POST", "/repos/a/b/pulls", "pull-requests: write"),
            ("GET", "/repos/a/b/pulls", "pull-requests: read"),
            ("POST", "/repos/a/b/pulls/1/requested_reviewers", "pull-requests: write"),
            ("POST", "/repos/a/b/issues/1/comments", "pull-requests: write"),
            ("PATCH", "/repos/a/b/issues/comments/7", "pull-requests: write"),
            ("POST", "/repos/a/b/issues/1/labels", "pull-requests: write"),
            ("POST", "/api/graphql", "pull-requests: read"),
            ("POST", "/repos/a/b/issues", "issues: write"),
            ("PATCH", "/repos/a/b/issues/3", "issues: write"),
            ("POST", "/repos/a/b/statuses/abc", "statuses: write"),
            ("GET", "/repos/a/b/commits/abc/status", "statuses: read"),
            ("POST", "/repos/a/b/releases", "contents: write"),
            ("DELETE", "/repos/a/b/git/refs/tags/v1", "contents: write"),
            ("PUT", "/repos/a/b/actions/workflows/x.yml/enable", "actions: write"),
            ("GET", "/repos/a/b/attestations/sha256:00", "attestations: read"),
        ],
    )
    def test_the_missing_permission_is_named_as_in_a_workflow_file(
        self, verb: str, path: str, named: str
    ) -> None:
        error = self.refusal(403, verb, path)

        assert error.reason == "permission"
        assert error.what == f"the job's token lacks `{named}`"
        assert named in error.todo

    def test_what_github_names_itself_goes_first(self) -> None:
        headers = {"x-accepted-github-permissions": "issues=write,pull_requests=write; contents=admin"}

        assert self.refusal(403, headers=headers).what == (
            "the job's token lacks `issues: write` and `pull-requests: write`"
        )

    def test_actions_that_may_not_open_pull_requests_need_a_setting_no_permission(self) -> None:
        said = "GitHub Actions is not permitted to create or approve pull requests."

        error = self.refusal(403, message=said)

        assert error.reason == "permission"
        assert "Allow GitHub Actions to create and approve pull requests" in error.todo

    def test_a_wrong_token_is_called_wrong(self) -> None:
        error = self.refusal(401, message="Bad credentials")

        assert (error.reason, "expired" in error.what) == ("authentication", True)

    def test_not_found_says_that_private_looks_the_same(self) -> None:
        error = self.refusal(404, message="Not Found")

        assert (error.reason, error.where) == ("not-found", "a/b")
        assert "private" in error.todo

    def test_what_is_wrong_with_a_request_is_told_with_its_details(self) -> None:
        errors = [{"field": "head", "code": "invalid"}, "No commits", {"message": "Too long"}, 7, {}]
        body = {"message": "Validation Failed", "errors": errors}

        refusal = Refusal("POST", "/repos/a/b/pulls", 422, {}, body)

        assert refusal.message == "Validation Failed; head invalid; No commits; Too long"
        assert refusal.error("a/b", token=True, now=NOW).reason == "unprocessable"

    @pytest.mark.parametrize(
        ("status", "headers", "body", "seconds"),
        [
            (403, {"retry-after": "7"}, {}, 7),
            (429, {}, {}, 60),
            (403, {}, SECONDARY, 60),
            (
                403,
                {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 30)},
                {},
                31,
            ),
            (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "12"}, {}, 1),
            (403, {}, {"message": "Resource not accessible by integration"}, None),
            (500, {"retry-after": "7"}, {}, None),
        ],
    )
    def test_limits_say_how_long_to_wait(
        self, status: int, headers: dict[str, str], body: object, seconds: float | None
    ) -> None:
        assert Refusal("GET", "/x", status, headers, body).wait(NOW) == seconds

    @pytest.mark.parametrize("seconds", ["120", "999999999999"])
    def test_a_limit_says_when_to_come_back(self, seconds: str) -> None:
        error = Refusal("GET", "/x", 429, {"retry-after": seconds}, None).error("a/b", token=True, now=NOW)

        assert error.reason == "rate-limit"
        assert ("2026-05-01 12:02:00 UTC" if seconds == "120" else "a long time") in error.todo


class TestAddresses:
    @pytest.mark.parametrize(
        ("api", "uploads"),
        [
            ("https://api.github.com", "https://uploads.github.com"),
            ("https://api.acme.ghe.com", "https://uploads.acme.ghe.com"),
            ("https://git.example/api/v3", "https://git.example/api/uploads"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ],
    )
    def test_files_go_where_the_server_takes_them(self, api: str, uploads: str) -> None:
        assert uploads_address(api) == uploads

    @pytest.mark.parametrize(
        "slug", ["alice", "alice/", "/x", "a/b/c", "alice/..", "alice/.", "a b/c", "alice/x?y", "../x"]
    )
    def test_a_slug_cannot_lead_elsewhere(self, slug: str) -> None:
        with pytest.raises(UsageError):
            GitHub(slug)

    @pytest.mark.parametrize("api", ["", "file:///etc", "ftp://x", "https://"])
    def test_an_api_is_a_web_address(self, api: str) -> None:
        with pytest.raises(UsageError):
            GitHub("alice/updates", api=api)


class TestAnswersOfAServer:
    def test_a_link_to_the_next_page_cannot_lead_the_token_elsewhere(self) -> None:
        with Script(Say(body=[])) as other:
            next_page = (
                f'<{other.url}/repos/alice/updates/pulls?page=2&state=open>; rel="next", <x>; rel="last"'
            )
            with github(Say(body=[pull()], headers={"Link": next_page}), Say(body=[pull(number=4)])) as (
                host,
                script,
                _,
            ):
                found = host.pull_requests()

            assert [one.number for one in found] == [5, 4]
            assert "page=2" in script.asked[1].path
            assert other.asked == []

    def test_a_list_without_end_is_not_followed_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("keyturn.forge.api._MOST_PAGES", 3)
        with (
            github(Say(body=[], headers={"Link": '</x?page=2>; rel="next"'})) as (host, script, _),
            pytest.raises(HostError, match="without end"),
        ):
            host.pull_requests()
        assert len(script.asked) == 3

    @pytest.mark.parametrize(
        "changes",
        [
            {"head": {"ref": "sign/x", "sha": HEAD, "repo": {"full_name": "mallory/updates"}}},
            {"head": {"ref": "sign/x", "sha": HEAD, "repo": None}},
            {"base": {"ref": "other", "repo": {"full_name": "alice/updates", "default_branch": "main"}}},
        ],
        ids=["from a fork", "from a fork that is gone", "into another branch"],
    )
    def test_a_pull_request_of_another_kind_is_no_event(self, changes: dict[str, object]) -> None:
        with github(Say(body=[pull(**changes)])) as (host, script, _):
            assert host.pull_requests() == ()
            assert host.pull_request("sign/x") is None
            script.answers = [Say(body=pull(**changes))]
            assert host.numbered(5) is None

    def test_a_filter_that_the_server_forgets_is_applied_here(self) -> None:
        other = pull(head={**pull()["head"], "ref": "feature"})  # type: ignore[dict-item]
        with github(Say(body=[other, pull(state="closed"), pull(number=3)])) as (host, _, _):
            found = host.pull_request("sign/release")

        assert found is not None
        assert found.number == 3

    def test_an_author_whose_account_is_gone_is_a_ghost(self) -> None:
        with github(Say(body=pull(user=None))) as (host, _, _):
            found = host.numbered(5)

        assert found is not None
        assert found.author == Account("ghost", 0)

    @pytest.mark.parametrize(
        "body",
        [
            b"null",
            b"[]",
            b'"text"',
            b"{}",
            b'{"number": "x"}',
            json.dumps(pull(number=None)).encode(),
            json.dumps(pull(labels=[{"name": 1}])).encode(),
            json.dumps(pull(head=None)).encode(),
            json.dumps(
                pull(head={"ref": "x", "sha": "main", "repo": {"full_name": "alice/updates"}})
            ).encode(),
        ],
    )
    def test_malformed_answers_are_our_errors(self, body: bytes) -> None:
        with github(Say(body=body)) as (host, _, _), pytest.raises(HostError) as caught:
            host.numbered(5)

        assert caught.value.reason == "malformed"

    @pytest.mark.parametrize(
        "say",
        [
            Say(body=b"<html>hello</html>"),
            Say(body=b'{"number": 5, "ti'),
            Say(body=b"[" * 100_000),
            Say(body=b'{"number": 5}', length=4000),
            Say(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}),
            Say(500, b"{"),
            Say(503, b""),
        ],
        ids=["html", "half", "deep", "short", "502", "500", "empty 503"],
    )
    def test_what_may_pass_is_tried_again(self, say: Say) -> None:
        with github(say, Say(body=pull())) as (host, script, waits):
            found = host.numbered(5)

        assert found is not None
        assert (len(script.asked), waits) == (2, [1])

    @pytest.mark.parametrize("status", [302, 307, 308])
    def test_a_redirect_is_not_taken_for_success(self, status: int) -> None:
        moved = Say(status, {"message": "Moved"}, {"Location": "/repositories/1"})
        with github(moved) as (host, _, _), pytest.raises(HostError) as caught:
            host.keep_enabled("keyturn-publish.yml")

        assert caught.value.reason == "moved"

    def test_the_token_does_not_follow_a_move_to_another_server(self) -> None:
        with Script(Say(body=pull())) as other:
            moved = Say(301, b"", {"Location": f"{other.url.replace('127.0.0.1', 'localhost')}/x"})
            with github(moved) as (host, _, _), pytest.raises(HostError):
                host.numbered(5)

            assert other.asked == []

    def test_a_limit_is_waited_for_within_reason(self) -> None:
        limit = Say(403, SECONDARY, {"Retry-After": "5"})
        with github(limit, Say(body=pull())) as (host, _, waits):
            assert host.numbered(5) is not None
        assert waits == [5]

    def test_a_limit_that_lasts_is_an_error_that_says_when(self) -> None:
        limit = Say(403, {"message": "API rate limit exceeded"}, {"Retry-After": "3600"})
        with github(limit) as (host, script, waits), pytest.raises(HostError) as caught:
            host.numbered(5)

        assert (caught.value.reason, waits, len(script.asked)) == ("rate-limit", [], 1)
        assert "2026-05-01 13:00:00 UTC" in caught.value.todo

    def test_no_server_is_an_error_of_ours(self) -> None:
        with github(Say()) as (host, _, _):
            pass

        with pytest.raises(HostError) as caught:
            host.numbered(5)
        assert caught.value.reason == "unreachable"

    def test_no_error_repeats_the_token(self) -> None:
        for say in (Say(401, {"message": "Bad credentials"}), Say(500), Say(body=b"<"), Say(403), Say(422)):
            with github(say) as (host, script, _), pytest.raises(HostError) as caught:
                host.open_pull_request("sign/x", "T", "B")

            assert script.asked[0].headers["authorization"] == f"token {TOKEN}"
            assert TOKEN not in json.dumps(caught.value.to_dict())

    def test_the_default_branch_is_asked_for_once_and_only_if_nobody_told(self) -> None:
        with github(Say(body={"default_branch": "trunk"}), Say(204)) as (host, script, _):
            host.dispatch("a.yml")
            host.dispatch("b.yml")
            known = GitHub("alice/updates", api=f"{script.url}/api/v3", token=TOKEN, branch="main")
            known.dispatch("c.yml")

            refs = [json.loads(one.body)["ref"] for one in script.asked if one.method == "POST"]
            assert (script.paths()[0], refs) == ("GET /repos/alice/updates", ["trunk", "trunk", "main"])
            assert len(script.asked) == 4

    def test_without_a_token_none_is_sent(self) -> None:
        with github(Say(401, {"message": "Requires authentication"}), token=None) as (host, script, _):
            with pytest.raises(HostError, match="wants a token"):
                host.numbered(5)

            assert "authorization" not in script.asked[0].headers

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["data", "repository", "pullRequest", "reviews", "nodes", "errors"]),
                    inner,
                )
            ),
            max_leaves=8,
        )
    )
    def test_no_answer_to_graphql_makes_a_traceback(self, value: object) -> None:
        with github(Say(body=json.dumps(value).encode()), tries=1) as (host, _, _):
            try:
                host.reviews(5)
            except KeyturnError as error:
                assert isinstance(error, HostError)


def review(**changes: object) -> dict[str, object]:
    return {
        "fullDatabaseId": "4000000000",
        "url": "https://github.example/alice/updates/pull/5#pullrequestreview-4000000000",
        "body": "signed",
        "state": "COMMENTED",
        "submittedAt": "2026-05-01T12:00:00Z",
        "lastEditedAt": None,
        "commit": {"oid": HEAD},
        "author": {"login": "bob", "databaseId": 2},
        "editor": None,
        **changes,
    }


def reviews(*nodes: object, after: str | None = None) -> Say:
    page = {"hasNextPage": after is not None, "endCursor": after}
    listed = {"pageInfo": page, "nodes": list(nodes)}
    return Say(body={"data": {"repository": {"pullRequest": {"reviews": listed}}}})


class TestReviews:
    def test_all_pages_are_read(self) -> None:
        with github(reviews(review(), after="abc"), reviews(review(fullDatabaseId=7))) as (host, script, _):
            found = host.reviews(5)

        assert [one.id for one in found] == [4000000000, 7]
        assert [json.loads(one.body)["variables"]["after"] for one in script.asked] == [None, "abc"]
        assert script.asked[0].path == "/api/graphql"

    def test_who_edited_it_is_told(self) -> None:
        edited = review(lastEditedAt="2026-05-01T12:00:00Z", editor={"login": "mallory", "databaseId": 9})
        with github(reviews(edited)) as (host, _, _):
            (found,) = host.reviews(5)

        assert (found.editor, found.edited) == (Account("mallory", 9), NOW)

    def test_an_edit_by_nobody_known_is_still_an_edit(self) -> None:
        with github(reviews(review(lastEditedAt="2026-05-01T12:00:00Z"))) as (host, _, _):
            (found,) = host.reviews(5)

        assert (found.editor, found.edited) == (None, NOW)

    @pytest.mark.parametrize(
        "changes",
        [
            {"state": "PENDING", "submittedAt": None},
            {"author": None},
            {"author": {"login": "acme"}},
        ],
        ids=["not submitted", "of an account that is gone", "of an organisation"],
    )
    def test_what_nobody_has_submitted_is_left_out(self, changes: dict[str, object]) -> None:
        with github(reviews(review(**changes))) as (host, _, _):
            assert host.reviews(5) == ()

    def test_a_commit_that_is_gone_has_no_id(self) -> None:
        with github(reviews(review(commit=None))) as (host, _, _):
            assert host.reviews(5)[0].commit == ""

    def test_no_pull_request_is_an_error(self) -> None:
        with github(Say(body={"data": {"repository": None}})) as (host, _, _):
            with pytest.raises(HostError) as caught:
                host.reviews(5)
            assert caught.value.reason == "not-found"

    @pytest.mark.parametrize(
        ("kind", "reason", "asked"),
        [("FORBIDDEN", "permission", 1), ("NOT_FOUND", "not-found", 1), ("", "host", 3)],
    )
    def test_its_errors_come_with_status_200(self, kind: str, reason: str, asked: int) -> None:
        told = {"type": kind, "message": "Resource not accessible by integration"}
        with github(Say(body={"data": None, "errors": [told]})) as (host, script, _):
            with pytest.raises(HostError) as caught:
                host.reviews(5)

            assert (caught.value.reason, len(script.asked)) == (reason, asked)
        if reason == "permission":
            assert "`pull-requests: read`" in caught.value.what


class TestDownload:
    asset = Asset(id=7, name="app.tar.gz", size=5, digest=None, url="https://x.example/a")
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

    def test_the_token_stays_with_the_api(self, tmp_path: Path) -> None:
        with Script(Say(body=b"hello")) as storage:
            there = Say(302, b"", {"Location": f"{storage.url}/signed?x=y"})
            with github(there) as (host, script, _):
                host.download(replace(self.asset, digest=self.digest), tmp_path / "a", limit=5)

            assert (tmp_path / "a").read_bytes() == b"hello"
            assert script.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
            assert script.asked[0].headers["accept"] == "application/octet-stream"
            assert "authorization" not in storage.asked[0].headers

    def test_a_file_that_is_streamed_directly_is_taken_too(self, tmp_path: Path) -> None:
        with github(Say(body=b"hello")) as (host, _, _):
            host.download(self.asset, tmp_path / "a", limit=10)

        assert (tmp_path / "a").read_bytes() == b"hello"

    def test_no_redirect_leads_to_a_local_file(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"hello")
        with (
            github(Say(302, b"", {"Location": secret.as_uri()})) as (host, _, _),
            pytest.raises(HostError),
        ):
            host.download(self.asset, tmp_path / "a", limit=10)

        assert [path.name for path in tmp_path.iterdir()] == ["secret"]

    @pytest.mark.parametrize(
        ("asset", "limit", "say", "reason", "asked"),
        [
            (replace(asset, size=11), 10, Say(body=b"hello world"), "too-large", 0),
            (asset, 5, Say(body=b"hello world"), "too-large", 1),
            (asset, 10, Say(body=b"hell"), "unreachable", 3),
            (asset, 10, Say(body=b"hel", length=5), "unreachable", 3),
            (replace(asset, digest="0" * 64), 10, Say(body=b"hello"), "host", 1),
            (asset, 10, Say(404), "not-found", 1),
            (asset, 10, Say(503), "host", 3),
        ],
        ids=["announced", "grows", "short", "cut", "another", "missing", "down"],
    )
    def test_what_is_not_the_file_leaves_nothing(
        self, asset: Asset, limit: int, say: Say, reason: str, asked: int, tmp_path: Path
    ) -> None:
        with github(say) as (host, script, _), pytest.raises(HostError) as caught:
            host.download(asset, tmp_path / "a", limit=limit)

        assert (caught.value.reason, len(script.asked)) == (reason, asked)
        assert list(tmp_path.iterdir()) == []


class TestGitAccess:
    @pytest.fixture
    def credentials(self) -> str:
        access = git_access("https://git.example/", TOKEN)
        (header,) = (value for value in access.values() if value.startswith("Authorization"))
        return header.removeprefix("Authorization: ")

    def test_the_token_itself_is_nowhere_in_it(self) -> None:
        assert TOKEN not in json.dumps(git_access("https://git.example", TOKEN))

    @pytest.mark.parametrize("command", ["ls-remote", "fetch", "push"])
    def test_commands_that_reach_the_server_carry_it(
        self, command: str, credentials: str, tmp_path: Path
    ) -> None:
        with Script(Say(404)) as server:
            git = Git.init(tmp_path / "r.git", bare=True, access=git_access(server.url, TOKEN))
            remote = f"{server.url}/alice/updates.git"
            with pytest.raises(GitError):
                if command == "ls-remote":
                    git.ls_remote(remote)
                elif command == "fetch":
                    git.fetch(remote, ["+refs/heads/*:refs/x/*"])
                else:
                    git.push(remote, [update(git)])

        assert {one.headers["authorization"] for one in server.asked} == {credentials}
        assert not any(
            TOKEN in kept.read_text(errors="replace") or credentials in kept.read_text(errors="replace")
            for kept in tmp_path.rglob("*")
            if kept.is_file()
        )

    def test_it_goes_to_no_other_server(self, tmp_path: Path) -> None:
        with Script(Say(404)) as server:
            git = Git.init(tmp_path / "r.git", bare=True, access=git_access("https://git.example", TOKEN))
            with pytest.raises(GitError):
                git.ls_remote(f"{server.url}/alice/updates.git")

        assert "authorization" not in server.asked[0].headers

    def test_it_does_not_follow_a_redirect(self, tmp_path: Path) -> None:
        with Script(Say(404)) as other:
            away = f"{other.url}/x.git/info/refs?service=git-upload-pack"
            with Script(Say(302, b"", {"Location": away})) as server:
                git = Git.init(tmp_path / "r.git", bare=True, access=git_access(server.url, TOKEN))
                with pytest.raises(GitError):
                    git.ls_remote(f"{server.url}/alice/updates.git")

            assert other.asked == []

    def test_what_was_set_before_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, credentials: str
    ) -> None:
        with Script(Say(404)) as server:
            settings = [("http.userAgent", "mine"), (f"http.{server.url}/.extraheader", "Authorization: old")]
            monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
            for number, (key, value) in enumerate(settings):
                monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
                monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
            git = Git.init(tmp_path / "r.git", bare=True, access=git_access(server.url, TOKEN))
            with pytest.raises(GitError):
                git.ls_remote(f"{server.url}/alice/updates.git")

        assert server.asked[0].headers["user-agent"] == "mine"
        assert server.asked[0].headers["authorization"] == credentials

    def test_a_server_that_repeats_it_does_not_get_it_into_the_error(
        self, tmp_path: Path, credentials: str
    ) -> None:
        echo = f"you said {credentials}".encode()
        with Script(Say(403, echo, {"Content-Type": "text/plain"})) as server:
            git = Git.init(tmp_path / "r.git", bare=True, access=git_access(server.url, TOKEN))
            with pytest.raises(GitError) as caught:
                git.ls_remote(f"{server.url}/alice/updates.git")

        assert caught.value.reason == "permission"
        assert "you said Basic ***" in caught.value.what
        assert credentials.removeprefix("Basic ") not in json.dumps(caught.value.to_dict())

    def test_a_refused_token_asks_nobody_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = tmp_path / "asked"
        settings = {"credential.helper": f"!touch {asked}"}
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", next(iter(settings)))
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", settings["credential.helper"])
        with Script(Say(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})) as server:
            git = Git.init(tmp_path / "r.git", bare=True, access=git_access(server.url, TOKEN))
            with pytest.raises(GitError) as caught:
                git.ls_remote(f"{server.url}/alice/updates.git")

        assert caught.value.reason == "authentication"
        assert not asked.exists()


def update(git: Git) -> RefUpdate:
    tree = git.write_tree(None, {"a": b"1"})
    commit = git.commit_tree(tree, [], "A", author=Identity("A", "a@example"), when=NOW)
    return RefUpdate("refs/heads/main", commit, None)

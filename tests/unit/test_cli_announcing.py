"""The pull request of an event that was just pushed: opened with a token, named without one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from keyturn.cli.announcing import announce_event
from keyturn.cli.code_host import CodeHost
from keyturn.cli.output import Output
from keyturn.cli.session import Globals, Session
from keyturn.errors import UsageError
from keyturn.flow.context import Context
from keyturn.forge.host import Account, HostError
from unit.fakehost import FakeHost

COMPARE = "https://github.com/acme/updates/compare/main...sign/files?expand=1"


def at(directory: Path, remote: str, **environment: str) -> tuple[Session, Context]:
    for words in (["init", "-q"], ["remote", "add", "origin", remote]):
        subprocess.run(["git", *words], cwd=directory, check=True)
    session = Session(Globals(directory, "origin", None), Output(), environment)
    return session, session.context()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    fake = FakeHost(tip=lambda branch: "a" * 40, accounts=[Account("alice", 1001)])
    monkeypatch.setattr(CodeHost, "host", lambda self: fake)
    return fake


def test_a_plain_git_remote_has_no_pull_requests(tmp_path: Path) -> None:
    told = announce_event(*at(tmp_path, "/srv/up.git"), "files")
    assert (told.lines, told.to_dict()) == ((), {})


def test_with_a_token_it_is_opened_once(tmp_path: Path, host: FakeHost) -> None:
    session, context = at(tmp_path, "git@github.com:acme/updates.git", GH_TOKEN="t")
    told = [announce_event(session, context, "files").to_dict() for _ in range(2)]
    (pull,) = host.pulls
    assert pull.branch == "sign/files"
    assert told == [{"pull-request": pull.url, "open-pull-request": None}] * 2


def test_without_a_token_the_page_to_open_it_is_named(tmp_path: Path, host: FakeHost) -> None:
    told = announce_event(*at(tmp_path, "git@github.com:acme/updates.git"), "files")
    assert told.to_dict() == {"pull-request": None, "open-pull-request": COMPARE}
    assert COMPARE in told.lines[0].plain()
    assert host.pulls == []


def test_a_host_that_refuses_is_a_warning_since_the_event_is_pushed(
    tmp_path: Path, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise HostError("the token lacks `pull-requests: write`", reason="permission")

    monkeypatch.setattr(host, "open_pull_request", refuse)
    told = announce_event(*at(tmp_path, "https://github.com/acme/updates", GH_TOKEN="t"), "files")
    assert [line.plain() for line in told.lines] == [
        "warning: the token lacks `pull-requests: write`",
        f"pull request: open it at {COMPARE}",
    ]


def test_logins_are_looked_up_where_there_is_somebody_to_ask(tmp_path: Path, host: FakeHost) -> None:
    _, context = at(tmp_path, "https://github.com/acme/updates")
    assert context.identify(["alice", "nobody"]) == {"alice": 1001}


def test_on_a_plain_git_remote_logins_have_no_numbers(tmp_path: Path) -> None:
    _, context = at(tmp_path, "/srv/up.git")
    assert context.identify(["alice"]) == {}


def test_the_key_to_send_must_be_there(tmp_path: Path) -> None:
    session, _ = at(tmp_path, "/srv/up.git", KEY="PEM")
    assert session.secret("KEY") == "PEM"
    for name in ("OTHER", None):
        with pytest.raises(UsageError) as refused:
            session.secret(name)
        assert refused.value.reason == "no-secret"

"""Which code host a remote is on, and whose token may go there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from keyturn.cli.code_host import CodeHost, find_code_host
from keyturn.errors import EnvironmentFault, UsageError
from keyturn.forge.github import GitHub
from keyturn.forge.github_settings import GitHubSettings

PUBLIC = ("https://api.github.com", "https://github.com")
TENANT = ("https://api.acme.ghe.com", "https://acme.ghe.com")
OWN = ("https://git.acme.example/api/v3", "https://git.acme.example")
LAB = "http://127.0.0.1:8080"


def found(remote: str, api: str | None = None, **environment: str) -> CodeHost:
    code_host = find_code_host(remote, environment, api=api)
    assert code_host is not None
    return code_host


@pytest.mark.parametrize(
    ("remote", "addresses"),
    [
        ("https://github.com/o/r", PUBLIC),
        ("https://me:pw@github.com/o/r.git", PUBLIC),
        ("https://***@github.com/o/r.git", PUBLIC),
        ("git@github.com:o/r.git", PUBLIC),
        ("ssh://git@ssh.github.com:443/o/r.git", PUBLIC),
        ("git@acme.ghe.com:o/r", TENANT),
    ],
)
def test_github_is_known_by_its_name(remote: str, addresses: tuple[str, str]) -> None:
    code_host = found(remote)
    assert (code_host.slug, code_host.api, code_host.server) == ("o/r", *addresses)


@pytest.mark.parametrize(
    "remote", ["/srv/r.git", "https://git.acme.example/o/r", "https://github.com/r", "git://github.com/o/r"]
)
def test_anything_else_is_a_plain_git_remote(remote: str) -> None:
    assert find_code_host(remote, {}) is None


@pytest.mark.parametrize(
    "environment",
    [
        {"GH_HOST": "git.acme.example"},
        {"GITHUB_SERVER_URL": OWN[1], "GITHUB_API_URL": OWN[0]},
        {"GITHUB_SERVER_URL": OWN[1]},
    ],
)
@pytest.mark.parametrize("remote", ["https://git.acme.example/o/r", "git@git.acme.example:o/r.git"])
def test_another_server_is_named_by_the_environment(remote: str, environment: dict[str, str]) -> None:
    code_host = found(remote, **environment)
    assert (code_host.api, code_host.server) == OWN


@pytest.mark.parametrize(("api", "server"), [PUBLIC, TENANT, OWN, (f"{LAB}/api/v3/", LAB)])
def test_another_server_is_named_by_its_interface(api: str, server: str) -> None:
    assert found("git@work:o/r.git", api).server == server


@pytest.mark.parametrize("api", ["https://github.com", "api.github.com", "ftp://api.github.com", ""])
def test_what_is_no_interface_is_refused(api: str) -> None:
    with pytest.raises(UsageError) as refused:
        find_code_host("https://github.com/o/r", {}, api=api)
    assert refused.value.reason == "bad-api"


def test_an_interface_for_what_is_no_repository_is_refused() -> None:
    with pytest.raises(UsageError):
        find_code_host("/srv/r.git", {}, api=PUBLIC[0])


@pytest.mark.parametrize(
    ("environment", "token"),
    [
        ({}, None),
        ({"GH_TOKEN": "a", "GITHUB_TOKEN": "b"}, "a"),
        ({"GH_TOKEN": " ", "GITHUB_TOKEN": "b"}, "b"),
        ({"GH_ENTERPRISE_TOKEN": "c"}, None),
    ],
)
def test_a_token_is_taken_from_the_environment(environment: dict[str, str], token: str | None) -> None:
    assert found("https://github.com/o/r", **environment).token == token


@pytest.mark.parametrize(
    ("environment", "token"),
    [
        ({"GITHUB_SERVER_URL": "https://git.acme.example", "GITHUB_TOKEN": "a"}, "a"),
        ({"GH_HOST": "git.acme.example", "GH_TOKEN": "a"}, "a"),
        ({"GH_HOST": "git.acme.example", "GH_TOKEN": "a", "GH_ENTERPRISE_TOKEN": "b"}, "b"),
    ],
)
def test_a_server_of_one_s_own_gets_the_token_made_for_it(environment: dict[str, str], token: str) -> None:
    assert found("https://git.acme.example/o/r", **environment).token == token


def test_a_token_never_travels_in_the_open() -> None:
    environment = {"GH_HOST": "git.acme.example", "GH_TOKEN": "a"}
    assert found("http://git.acme.example/o/r", **environment).token is None
    assert found(f"{LAB}/o/r", GH_HOST="127.0.0.1:8080", GH_TOKEN="a").token == "a"
    assert found("http://localhost/o/r", GH_HOST="localhost", GH_TOKEN="a").token == "a"


def test_a_token_is_not_shown() -> None:
    assert "sesame" not in repr(found("https://github.com/o/r", GH_TOKEN="sesame"))


@pytest.fixture
def gh(tmp_path: Path) -> Path:
    program = tmp_path / "gh"
    program.write_text('#!/bin/sh\n[ "$*" = "auth token --hostname github.com" ] && echo of-gh\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def test_gh_is_asked_for_the_token_of_this_very_host(gh: Path) -> None:
    assert found("https://github.com/o/r", PATH=f"{gh}:/usr/bin:/bin").token == "of-gh"
    assert found("git@acme.ghe.com:o/r", PATH=f"{gh}:/usr/bin:/bin").token is None
    assert found("https://github.com/o/r", PATH=f"{gh}:/usr/bin:/bin", GH_TOKEN="a").token == "a"


@pytest.mark.parametrize(
    ("slug", "site"),
    [("Acme/Updates", "https://acme.github.io/updates/"), ("acme/acme.github.io", "https://acme.github.io/")],
)
def test_the_site_is_where_pages_are(slug: str, site: str) -> None:
    assert found(f"https://github.com/{slug}").site == site


def test_of_another_server_nobody_knows_where_pages_are() -> None:
    assert found("git@acme.ghe.com:o/r").site is None


def test_the_page_to_open_a_pull_request_is_named() -> None:
    code_host = found("git@github.com:o/r.git")
    assert code_host.compare_page("main", "sign/a") == "https://github.com/o/r/compare/main...sign/a?expand=1"
    assert code_host.compare_page("main", "sign/a#b&c").endswith("...sign/a%23b%26c?expand=1")


def test_settings_need_a_token_and_pull_requests_do_not() -> None:
    with pytest.raises(EnvironmentFault) as fault:
        found("https://github.com/o/r").settings()
    assert (fault.value.reason, fault.value.exit_code) == ("no-token", 4)
    assert isinstance(found("https://github.com/o/r").host(), GitHub)
    assert isinstance(found("https://github.com/o/r", GH_TOKEN="a").settings(), GitHubSettings)

"""Each script calls one use case and says what came of it, in one word, in outputs and in the summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from keyturn.actions import Job, run_job
from keyturn.errors import NothingToDo, RefusedError
from keyturn.forge.host import HostError
from keyturn.policy import parse
from keyturn.signing import KeySigner, load_signer, new_key, prove, public_pem
from keyturn.tree import MemoryTree
from unit.test_actions_declared import script_of
from unit.test_actions_outputs import runner_reads
from unit.test_policy import VALID

COMMIT = "ab" * 20
PULL = SimpleNamespace(url="https://forge.example/alice/updates/pull/5")
Ran = Callable[..., tuple[int, dict[str, str], str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    for name in ("output", "summary"):
        (tmp_path / name).write_text("")
    (tmp_path / "event.json").write_text(json.dumps({"repository": {"default_branch": "main"}}))
    return {
        "GITHUB_SERVER_URL": "https://forge.example",
        "GITHUB_API_URL": "https://forge.example/api/v3",
        "GITHUB_REPOSITORY": "alice/updates",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_WORKFLOW_REF": "alice/updates/.github/workflows/x.yml@refs/heads/main",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "GITHUB_WORKSPACE": str(tmp_path),
        "RUNNER_TEMP": str(tmp_path),
        "KEYTURN_TOKEN": "t0ken",
    }


class Host:
    """A host that notes what it is asked to do."""

    def __init__(self, slug: str, *, may_dispatch: bool = True) -> None:
        self.slug = slug
        self.may_dispatch = may_dispatch
        self.dispatched: list[str] = []

    def open_pull_request(self, branch: str, title: str, body: str) -> SimpleNamespace:
        return PULL

    def dispatch(self, workflow: str) -> None:
        if not self.may_dispatch:
            raise HostError("the permission actions is missing", reason="permission")
        self.dispatched.append(workflow)


@pytest.fixture
def forge(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Jobs get a host and a context that reach nothing."""
    made = SimpleNamespace(event=lambda topic: COMMIT, is_merged=lambda topic: False, refresh=lambda: None)
    made.hosts = {}
    made.may_dispatch = True

    def host(self: Job, slug: str = "") -> Host:
        return made.hosts.setdefault(
            slug or self.slug, Host(slug or self.slug, may_dispatch=made.may_dispatch)
        )

    @contextmanager
    def context(self: Job, slug: str = "", branch: str = "") -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(forge=made)

    monkeypatch.setattr(Job, "host", host)
    monkeypatch.setattr(Job, "context", context)
    return made


@pytest.fixture
def ran(environment: dict[str, str], forge: SimpleNamespace) -> Ran:
    def run(script: ModuleType, **inputs: str) -> tuple[int, dict[str, str], str]:
        given = {f"KEYTURN_INPUT_{name.upper()}": value for name, value in inputs.items()}
        code = run_job(script.main, script.INPUTS, script.OUTPUTS, environment | given)
        outputs = runner_reads(Path(environment["GITHUB_OUTPUT"]))
        return code, outputs, Path(environment["GITHUB_STEP_SUMMARY"]).read_text()

    return run


def checked(*topics: str, state: object = None, whole: bool = True) -> SimpleNamespace:
    events = tuple(
        SimpleNamespace(topic=topic, state=state, pull=PULL, missing=("alice", "bob")) for topic in topics
    )

    def require_whole() -> None:
        if not whole:
            raise RefusedError("one event could not be checked", reason="check-failed")

    return SimpleNamespace(
        events=events,
        event=lambda topic: next((event for event in events if event.topic == topic), None),
        summary="the summary of the events",
        require_whole=require_whole,
    )


@pytest.mark.parametrize("command", ["signing-event", "collect", "propose", "publish", "monitor", "watch"])
def test_another_branchs_run_does_nothing(command: str, ran: Ran, environment: dict[str, str]) -> None:
    environment["GITHUB_REF"] = "refs/heads/sign/x"
    code, outputs, _ = ran(script_of(command))
    assert (code, outputs["state"], outputs["reason"]) == (3, "failed", "not-default-branch")


def test_signing_events_are_told_by_branch_pull_request_and_missing_signers(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = script_of("signing-event")
    monkeypatch.setattr(
        script, "check_events", lambda *_, **__: checked("a", "b", state=script.EventState.READY)
    )
    code, outputs, summary = ran(script)
    assert code == 0
    assert outputs["state"] == "checked"
    assert outputs["events"] == outputs["ready"] == "sign/a,sign/b"
    assert outputs["missing"] == "alice,bob"
    assert "the summary of the events" in summary


def test_one_event_that_could_not_be_checked_fails_the_job_after_the_others_are_told(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = script_of("signing-event")
    monkeypatch.setattr(script, "check_events", lambda *_, **__: checked("a", whole=False))
    code, outputs, _ = ran(script)
    assert (code, outputs["state"], outputs["events"]) == (3, "failed", "sign/a")


def staged(*, changed: bool) -> SimpleNamespace:
    signed = (("timestamp", 4),)
    said = "the live site serves timestamp 3"
    return SimpleNamespace(
        commit=COMMIT, timestamp=4, changed=changed, root_digest="ff", signed=signed, said=said
    )


@pytest.mark.parametrize(("changed", "state"), [(True, "staged"), (False, "nothing")])
def test_staging_says_whether_there_is_something_to_deploy(
    *, changed: bool, state: str, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = script_of("publish")
    monkeypatch.setattr(script, "signers", lambda job, context: [])
    monkeypatch.setattr(script.publishing, "stage", lambda *_: staged(changed=changed))
    code, outputs, summary = ran(script)
    assert (code, outputs["state"], outputs["changed"]) == (0, state, str(changed).lower())
    assert (outputs["commit"], outputs["timestamp"], outputs["root-digest"]) == (COMMIT, "4", "ff")
    assert "timestamp 4" in summary


class Turned:
    """A main whose policy keeps the online key somewhere, and what is opened for it."""

    def __init__(self, script: ModuleType, patch: pytest.MonkeyPatch, uri: str) -> None:
        text = VALID.replace("env:KEYTURN_ONLINE_KEY", uri).encode()
        self.pem = new_key("ed25519", None).pem
        self.main: dict[str, bytes] = {"keyturn.yml": text}
        self.opened: list[str] = []
        patch.setattr(script, "load_signer", self.load)
        patch.setattr(script.publishing, "stage", lambda *_: staged(changed=True))

    def load(self, uri: str, **_: object) -> KeySigner:
        self.opened.append(uri)
        return replace(self.signer(self.pem), uri=uri)

    @staticmethod
    def signer(pem: bytes) -> KeySigner:
        return load_signer("env:KEY", env={"KEY": pem.decode()}, ask_passphrase=None)

    def list_online(self, signer: KeySigner) -> None:
        self.main["keyring/online.pub"] = public_pem(signer.public)
        self.main["keyring/online.proof"] = prove(
            signer, parse(self.main["keyturn.yml"]).name, "online"
        ).encode()

    def put(self, forge: SimpleNamespace) -> None:
        forge.main = lambda: COMMIT
        forge.url = "https://forge.example/alice/updates"
        forge.tree = lambda _: MemoryTree(self.main)


@pytest.mark.parametrize(
    ("uri", "kms"),
    [
        ("env:KEYTURN_ONLINE_KEY", ""),
        ("awskms:alias/online", "aws"),
        ("gcpkms:projects/p", "gcp"),
        ("azurekms:my-vault/online", "azure"),
        ("vault:online", "vault"),
    ],
)
def test_the_online_key_is_opened_where_the_policy_keeps_it(
    uri: str,
    kms: str,
    ran: Ran,
    forge: SimpleNamespace,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = script_of("publish")
    turned = Turned(script, monkeypatch, uri)
    turned.list_online(turned.signer(turned.pem))
    turned.put(forge)
    environment["KEYTURN_ROOT"] = "ab" * 32
    code, outputs, _ = ran(script, kms=kms, old_key="env:OLD")
    assert (code, outputs["state"], turned.opened) == (0, "staged", [uri, "env:OLD"])
    # The library of another service would not be there.
    for other in {"", "aws", "gcp", "azure", "vault"} - {kms}:
        code, outputs, _ = ran(script, kms=other)
        assert (code, outputs["reason"]) == (2, "bad-input")
    assert turned.opened == [uri, "env:OLD"]


def test_a_service_that_was_turned_to_another_key_signs_nothing(
    ran: Ran,
    forge: SimpleNamespace,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = script_of("publish")
    turned = Turned(script, monkeypatch, "awskms:alias/online")
    turned.list_online(turned.signer(new_key("ed25519", None).pem))
    turned.put(forge)
    environment["KEYTURN_ROOT"] = "ab" * 32
    code, outputs, _ = ran(script, kms="aws")
    assert (code, outputs["state"], outputs["reason"]) == (3, "failed", "foreign-key")
    assert "keyring/online.pub holds" in capsys.readouterr().out


def test_an_unknown_step_is_refused_with_those_that_there_are(
    ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    code, outputs, _ = ran(script_of("publish"), step="all")
    assert (code, outputs["reason"]) == (2, "bad-input")
    assert "stage, build, live, record" in capsys.readouterr().out


@pytest.mark.parametrize("step", ["build", "live", "record"])
def test_the_later_steps_need_the_commit(step: str, ran: Ran) -> None:
    code, outputs, _ = ran(script_of("publish"), step=step, url="https://updates.example/")
    assert (code, outputs["reason"]) == (2, "missing-input")


def test_a_site_that_lags_behind_is_a_warning(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = script_of("publish")
    check = SimpleNamespace(stale=True, timestamp=3, said="the site still serves timestamp 3 instead of 4")
    monkeypatch.setattr(script.publishing, "check_live", lambda *_, **__: check)
    code, outputs, _ = ran(script, step="live", commit=COMMIT, url="https://updates.example/")
    assert (code, outputs["state"], outputs["timestamp"]) == (0, "stale", "3")
    assert outputs["page-url"] == "https://updates.example/"
    assert "::warning" in capsys.readouterr().out


RELEASE = {"app": "hello", "version": "v1.0.0", "directory": "bundle"}
PROPOSED = SimpleNamespace(topic="release-hello-1.0.0", targets=("hello/hello-1.0.0.tar.gz",))


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "bundle").mkdir()
    script = script_of("release")
    monkeypatch.setattr(script.proposing, "release", lambda *_, **__: PROPOSED)
    monkeypatch.setattr(script, "check_events", lambda *_, topics, **__: checked(*topics))
    status = SimpleNamespace(report=SimpleNamespace(roles=()))
    monkeypatch.setattr(script, "trusting_main", lambda context: context)
    monkeypatch.setattr(script, "load_event", lambda context, topic: None)
    monkeypatch.setattr(script, "status_of", lambda loaded: status)
    monkeypatch.setattr(script.comment, "title", lambda status: "Sign")
    return script


def test_a_release_of_the_default_branch_is_checked_at_once(
    ran: Ran, release: ModuleType, forge: SimpleNamespace
) -> None:
    code, outputs, _ = ran(release, **RELEASE)
    assert (code, outputs["state"], outputs["version"]) == (0, "proposed", "1.0.0")
    assert (outputs["event"], outputs["pull-request"]) == ("sign/release-hello-1.0.0", PULL.url)
    assert outputs["missing"] == "alice,bob"
    assert forge.hosts["alice/updates"].dispatched == []


def test_a_release_of_a_tag_leaves_the_verdict_to_the_default_branchs_workflow(
    ran: Ran, release: ModuleType, forge: SimpleNamespace, environment: dict[str, str]
) -> None:
    environment["GITHUB_REF"] = "refs/tags/v1.0.0"
    code, outputs, _ = ran(release, **RELEASE)
    assert (code, outputs["pull-request"]) == (0, PULL.url)
    assert forge.hosts["alice/updates"].dispatched == ["keyturn-signing-event.yml"]


def test_without_the_permission_to_start_it_the_release_stands_and_says_so(
    ran: Ran,
    release: ModuleType,
    forge: SimpleNamespace,
    environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment["GITHUB_REF"] = "refs/tags/v1.0.0"
    forge.may_dispatch = False
    assert ran(release, **RELEASE)[0] == 0
    assert "the permission actions is missing" in capsys.readouterr().out


def test_a_release_to_another_repository_starts_nothing_there(
    ran: Ran, release: ModuleType, forge: SimpleNamespace
) -> None:
    code, outputs, _ = ran(release, **RELEASE, repository="bob/updates")
    assert (code, outputs["pull-request"]) == (0, PULL.url)
    assert forge.hosts["bob/updates"].dispatched == []


def test_a_release_that_is_proposed_already_still_gets_its_pull_request(
    ran: Ran, release: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*_: object, **__: object) -> None:
        raise NothingToDo("this is what the event says already", where="sign/release-hello-1.0.0")

    monkeypatch.setattr(release.proposing, "release", again)
    code, outputs, _ = ran(release, **RELEASE)
    assert (code, outputs["state"], outputs["pull-request"]) == (0, "nothing", PULL.url)


@pytest.mark.parametrize(
    ("change", "reason"), [({"version": "one"}, "bad-version"), ({"directory": "nowhere"}, "no-directory")]
)
def test_a_release_that_cannot_be_is_refused_before_anything_is_pushed(
    ran: Ran, release: ModuleType, change: dict[str, str], reason: str
) -> None:
    code, outputs, _ = ran(release, **(RELEASE | change))
    assert (code, outputs["reason"], outputs["event"]) == (2, reason, "")


def test_the_monitor_fails_while_something_is_wrong_and_names_the_issue(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = script_of("monitor")
    ill = SimpleNamespace(about="live", what="the site is down", todo="Look.", urgent=True)
    health = SimpleNamespace(well=False, ills=(ill,), issue=7, timestamp=None, exit_code=3)
    monkeypatch.setattr(script, "monitor", lambda *_, **__: health)
    code, outputs, summary = ran(script)
    assert (code, outputs["state"], outputs["issue"], outputs["findings"]) == (3, "unwell", "7", "1")
    assert "the site is down" in summary

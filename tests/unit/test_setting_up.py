"""Setting a repository up, and telling what drifted since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from keyturn import __version__
from keyturn.errors import ExitCode, UsageError
from keyturn.flow import workflow_files as files
from keyturn.flow.setting_up import (
    Checked,
    Diagnosis,
    Standing,
    Weight,
    Wish,
    check,
    check_workflows,
    require_environment,
    secret_of,
    set_up,
    settings_to_make,
)
from keyturn.flow.workflow_files import ActionPin, compare, pinned_text, released_action, workflow_texts
from keyturn.forge.host import HostError
from keyturn.forge.settings import (
    Actions,
    BranchRules,
    DeploymentEnvironment,
    Merging,
    PagesSite,
    RequiredCheck,
    Workflow,
)
from keyturn.tree import MemoryTree
from unit.fakesettings import FakeSettings

ROOT = "ab" * 32
SHA = "12" * 20
SITE = "https://acme.github.io/updates/"
WISH = Wish("main", SITE, "KEYTURN_ONLINE_KEY", ROOT, trusted=True)
PIN = ActionPin("acme/keyturn", SHA, f"v{__version__}")
TEXT = """\
jobs:
  sign:
    steps:
      - uses: actions/checkout@0000000000000000000000000000000000000000 # v4
      - uses: keyturn/keyturn/action/publish@0000000000000000000000000000000000000000 # v0.1.0
      - uses: keyturn/keyturn@0000000000000000000000000000000000000000 # v0.1.0
"""


def ready() -> FakeSettings:
    settings = FakeSettings()
    set_up(settings, WISH, secret="PEM")
    return settings


def wrong(settings: FakeSettings, wish: Wish = WISH) -> dict[str, str]:
    return {one.setting.id: one.found for one in check(settings, wish) if one.standing is not Standing.RIGHT}


# Setting up


def test_a_new_repository_gets_every_setting_and_then_all_is_well() -> None:
    settings = FakeSettings()
    made = set_up(settings, WISH, secret="PEM")
    assert {one.standing for one in made} == {Standing.RIGHT, Standing.MADE}
    assert wrong(settings) == {}


def test_setting_up_twice_writes_nothing_the_second_time() -> None:
    settings = ready()
    settings.writes.clear()
    set_up(settings, WISH, secret="PEM")
    assert settings.writes == []


def test_what_is_asked_of_main_is_the_check_of_actions_up_to_date_and_merge_commits_only() -> None:
    assert ready().branch_rules == BranchRules(
        required=(RequiredCheck("keyturn", 15368),),
        up_to_date=True,
        merge_methods=("merge",),
        no_force=True,
        no_deletion=True,
    )


def test_the_online_key_is_not_sent_unless_the_person_says_so() -> None:
    settings = FakeSettings()
    made = {one.setting.id: one for one in set_up(settings, WISH)}
    assert settings.secrets == {}
    assert (made["secret"].standing, "--set-secret" in made["secret"].todo) == (Standing.DRIFT, True)


def test_a_root_that_only_the_repository_vouches_for_is_not_pinned() -> None:
    settings = FakeSettings()
    made = {one.setting.id: one for one in set_up(settings, replace(WISH, trusted=False))}
    assert settings.variables == {}
    assert "--root-digest" in made["root"].todo


def test_before_founding_there_is_no_root_to_pin() -> None:
    assert "root" not in {one.setting.id for one in check(FakeSettings(), replace(WISH, root=None))}


def test_a_key_in_a_kms_is_no_secret() -> None:
    ids = {one.setting.id for one in check(FakeSettings(), replace(WISH, secret=None))}
    assert not ids & {"secret", "shared-secret"}
    assert secret_of("awskms:arn:aws:kms:eu:1:key/2") is None
    assert secret_of("env:KEY") == "KEY"


def test_without_rules_for_environments_a_secret_key_is_refused() -> None:
    settings = FakeSettings(refusals={"restrict_environment": "plan"})
    with pytest.raises(UsageError) as refused:
        require_environment(settings, WISH)
    assert refused.value.reason == "no-environment-rules"
    assert "KMS" in refused.value.todo


def test_without_rules_for_environments_a_key_in_a_kms_will_do() -> None:
    require_environment(FakeSettings(refusals={"restrict_environment": "plan"}), replace(WISH, secret=None))


def test_another_refusal_of_the_environment_is_told_as_it_is() -> None:
    with pytest.raises(HostError) as told:
        require_environment(FakeSettings(refusals={"restrict_environment": "permission"}), WISH)
    assert told.value.reason == "permission"


def test_a_refusal_leaves_the_other_settings_made() -> None:
    settings = FakeSettings(refusals={"let_actions_propose": "host"})
    made = {one.setting.id: one for one in set_up(settings, WISH, secret="PEM")}
    assert made["pull-requests"].standing is Standing.DRIFT
    assert "refuses let_actions_propose" in made["pull-requests"].found
    assert made["ruleset"].standing is Standing.MADE


@pytest.mark.parametrize("reason", ["authentication", "unreachable", "rate-limit"])
@pytest.mark.parametrize("method", ["pages", "deploy_pages_by_workflow"])
def test_what_would_stop_every_other_setting_too_ends_it(method: str, reason: str) -> None:
    with pytest.raises(HostError) as told:
        set_up(FakeSettings(refusals={method: reason}), WISH)
    assert told.value.reason == reason


def test_by_hand_every_setting_has_its_page_and_its_value() -> None:
    listed = settings_to_make(replace(WISH, root=None), "https://github.com/acme/updates")
    assert [one.id for one in listed][:2] == ["environment", "secret"]
    assert [one.id for one in listed][-1] == "ruleset"
    for one in listed:
        assert one.page.startswith("https://github.com/acme/updates/")
        assert one.wanted and "{" not in one.wanted + one.what


# What drifted

DRIFTS: dict[str, tuple[Callable[[FakeSettings], object], str]] = {
    "default-branch": (lambda s: setattr(s, "default_branch", "develop"), "develop"),
    "actions": (lambda s: setattr(s, "allowed", Actions(False, "all", True)), "switched off"),
    "pull-requests": (lambda s: setattr(s, "allowed", Actions(True, "all", False)), "not allowed"),
    "environment": (lambda s: s.environments.clear(), "there is none"),
    "secret": (lambda s: s.secrets.clear(), "not there"),
    "shared-secret": (lambda s: s.shared.add("KEYTURN_ONLINE_KEY"), "there is one"),
    "root": (lambda s: s.set_variable("keyturn", "KEYTURN_ROOT", "cd" * 32), "cd" * 32),
    "pages": (lambda s: setattr(s, "site", PagesSite(False, SITE)), "a branch is served"),
    "site": (lambda s: setattr(s, "site", PagesSite(True, "https://up.example/")), "https://up.example/"),
    "merge-commits": (lambda s: setattr(s, "merging", Merging(False, False, False)), "not allowed"),
    "other-merges": (lambda s: setattr(s, "merging", Merging(True, True, False)), "squash offered too"),
    "ruleset": (
        lambda s: setattr(s, "branch_rules", replace(s.branch_rules, up_to_date=False)),
        "a branch need not be up to date",
    ),
    "schedules": (
        lambda s: s.known.append(Workflow(1, ".github/workflows/keyturn-monitor.yml", False)),
        "switched off: keyturn-monitor.yml",
    ),
}


def test_every_setting_has_its_drift_here() -> None:
    assert set(DRIFTS) == {one.setting.id for one in check(ready(), WISH)}


@pytest.mark.parametrize("name", list(DRIFTS))
def test_a_drift_is_found_and_only_that_one(name: str) -> None:
    settings = ready()
    DRIFTS[name][0](settings)
    assert wrong(settings) == {name: DRIFTS[name][1]}


@pytest.mark.parametrize("name", sorted(set(DRIFTS) - {"shared-secret", "site"}))
def test_what_can_be_mended_is(name: str) -> None:
    settings = ready()
    DRIFTS[name][0](settings)
    set_up(settings, WISH, secret="PEM")
    assert wrong(settings) == {}


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (DeploymentEnvironment(None), "jobs of every branch may use it"),
        (DeploymentEnvironment(("main", "dev")), "its branches are: main, dev"),
        (DeploymentEnvironment(()), "its branches are: none"),
        (DeploymentEnvironment(("main",), reviewers=True), "somebody has to approve each job"),
        (DeploymentEnvironment(("main",), waits=True), "each job waits"),
    ],
)
def test_an_environment_is_for_main_alone_and_nobody_is_waited_for(
    there: DeploymentEnvironment, told: str
) -> None:
    settings = ready()
    settings.environments["keyturn"] = there
    assert wrong(settings) == {"environment": told}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"required": ()}, "the check keyturn is not required"),
        ({"required": (RequiredCheck("keyturn", None),)}, "anybody may post the check keyturn"),
        ({"required": (RequiredCheck("keyturn", 1),)}, "anybody may post the check keyturn"),
        ({"merge_methods": ("merge", "squash")}, "other ways than merge commits are allowed"),
        ({"merge_methods": None}, "other ways than merge commits are allowed"),
        ({"no_force": False}, "its history can be replaced"),
        ({"no_deletion": False}, "it can be deleted"),
        ({"bypass": True}, "somebody is exempt"),
    ],
)
def test_every_part_of_the_rules_of_main_counts(change: dict[str, object], told: str) -> None:
    settings = ready()
    settings.branch_rules = replace(settings.branch_rules, **change)  # type: ignore[arg-type]
    assert wrong(settings) == {"ruleset": told}


def test_other_checks_beside_ours_are_nobody_s_business() -> None:
    settings = ready()
    rules = settings.branch_rules
    settings.branch_rules = replace(rules, required=(RequiredCheck("lint", None), *rules.required))
    assert wrong(settings) == {}


def test_actions_of_this_owner_only_do_not_include_ours() -> None:
    settings = ready()
    settings.allowed = Actions(True, "local_only", True)
    assert wrong(settings) == {"actions": "only actions of this owner are allowed"}


def test_no_site_is_no_site() -> None:
    settings = ready()
    settings.site = None
    assert wrong(settings) == {"pages": "there is no site"}


def test_a_workflow_of_somebody_else_may_be_switched_off() -> None:
    settings = ready()
    settings.known.append(Workflow(1, ".github/workflows/lint.yml", False))
    assert wrong(settings) == {}


def test_what_the_token_may_not_see_is_unknown_and_not_well() -> None:
    settings = ready()
    settings.refusals["shared_secret_names"] = "permission"
    checked = check(settings, WISH)
    assert [one.setting.id for one in checked if one.standing is Standing.UNKNOWN] == ["shared-secret"]
    assert Diagnosis(checked, trusted=True).exit_code is ExitCode.ENVIRONMENT


def test_the_exit_code_tells_well_from_drift_and_notes_do_not_count() -> None:
    settings = ready()
    assert Diagnosis(check(settings, WISH), trusted=True).exit_code is ExitCode.DONE
    settings.merging = Merging(True, True, True)
    assert Diagnosis(check(settings, WISH), trusted=True).exit_code is ExitCode.DONE
    settings.site = None
    settings.refusals["rules"] = "permission"
    told = Diagnosis(check(settings, WISH), trusted=True)
    assert told.exit_code is ExitCode.INVALID
    assert told.to_dict()["well"] is False


# Workflows


def test_our_actions_are_pinned_and_those_of_others_stay() -> None:
    assert pinned_text(TEXT, ActionPin("me/fork", SHA, "v2.1.0")) == (
        TEXT.replace(
            f"keyturn/keyturn/action/publish@{'0' * 40} # v0.1.0", f"me/fork/action/publish@{SHA} # v2.1.0"
        ).replace(f"keyturn/keyturn@{'0' * 40} # v0.1.0", f"me/fork@{SHA} # v2.1.0")
    )


@pytest.mark.parametrize(
    "text", ["keyturn", f"keyturn@{SHA}", "a/b@v1", "a/b@main", f"a/b/c@{SHA}", f"a/b@{SHA[1:]}"]
)
def test_only_a_whole_commit_is_a_pin(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        ActionPin.parse(text, "v1")
    assert refused.value.reason == "bad-action"


@pytest.mark.parametrize("version", ["", "v1 evil", "v1\n- run: evil", "-x"])
def test_a_version_cannot_break_out_of_its_comment(version: str) -> None:
    with pytest.raises(UsageError):
        ActionPin.parse(f"a/b@{SHA}", version)


def test_a_version_that_was_not_released_asks_for_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="was not released") as refused:
        released_action()
    assert "--action" in refused.value.todo
    monkeypatch.setattr(files, "RELEASED", PIN)
    assert released_action() is PIN


def test_a_workflow_is_the_same_whatever_commit_its_actions_are_pinned_to() -> None:
    other = ActionPin("me/fork", "34" * 20, "v9")
    assert compare(pinned_text(TEXT, other), TEXT) == files.Comparison(same=True, pin=other)


def test_a_workflow_with_a_changed_line_or_two_pins_is_another() -> None:
    text = pinned_text(TEXT, PIN)
    assert not compare(text + "# more\n", TEXT).same
    assert not compare(text.replace(f"keyturn@{SHA}", f"keyturn@{'34' * 20}", 1), TEXT).same


def test_a_workflow_without_actions_of_ours_is_compared_as_it_is() -> None:
    assert compare("on: push\n", "on: push\n") == files.Comparison(same=True, pin=None)


def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "workflow_texts", lambda: {"keyturn-publish.yml": TEXT})


def workflow_on_main(text: str | None, name: str = "keyturn-publish.yml") -> dict[str, Checked]:
    tree = MemoryTree({} if text is None else {f".github/workflows/{name}": text.encode()})
    return {one.setting.id: one for one in check_workflows(tree, "https://github.com/acme/updates", WISH)}


def test_workflows_on_main_are_those_of_this_version(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped(monkeypatch)
    told = workflow_on_main(pinned_text(TEXT, PIN))["workflow:keyturn-publish.yml"]
    assert told.standing is Standing.RIGHT


@pytest.mark.parametrize(
    ("text", "weight", "found"),
    [
        (None, Weight.BROKEN, "missing"),
        (pinned_text(TEXT, PIN) + "# evil\n", Weight.OPEN, "other content"),
        (pinned_text(TEXT, replace(PIN, version="v0.0.9")), Weight.NOTE, "the same, with actions of v0.0.9"),
        (
            pinned_text(TEXT, replace(PIN, version="v0.0.9")) + "# more\n",
            Weight.NOTE,
            "other content, with actions of v0.0.9",
        ),
    ],
)
def test_a_changed_workflow_is_told_from_an_older_one(
    monkeypatch: pytest.MonkeyPatch, text: str | None, weight: Weight, found: str
) -> None:
    shipped(monkeypatch)
    told = workflow_on_main(text)["workflow:keyturn-publish.yml"]
    assert (told.standing, told.setting.weight, told.found) == (Standing.DRIFT, weight, found)


def test_a_workflow_that_only_looks_like_ours_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped(monkeypatch)
    told = workflow_on_main("on: push\n", "keyturn-extra.yml")
    assert told["workflow:keyturn-extra.yml"].setting.weight is Weight.NOTE


def test_the_workflows_fit_the_branch_and_the_secret_of_the_repository() -> None:
    texts = files.adapted_texts("trunk", "MY_KEY")
    publish = texts["keyturn-publish.yml"]
    assert "MY_KEY: ${{ secrets.MY_KEY }}" in publish
    assert "KEYTURN_ONLINE_KEY" not in publish
    assert 'branches: ["trunk"]' in publish
    assert "[main]" not in "".join(texts.values())


def test_main_and_the_usual_secret_need_no_change() -> None:
    assert files.adapted_texts("main", "KEYTURN_ONLINE_KEY") == workflow_texts()
    assert files.adapted_texts("main", None) == workflow_texts()


def test_the_steps_that_log_in_to_a_kms_are_nothing_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped(monkeypatch)
    tree = MemoryTree({".github/workflows/keyturn-publish.yml": pinned_text(TEXT, PIN).encode() + b"# login"})
    (told,) = check_workflows(tree, "https://github.com/acme/updates", replace(WISH, secret=None))
    assert (told.standing, told.setting.weight) == (Standing.DRIFT, Weight.NOTE)


def test_the_workflows_that_are_written_all_use_the_pinned_commit() -> None:
    written = files.workflow_files(PIN)
    assert ".github/workflows/keyturn-publish.yml" in written
    for path, data in written.items():
        assert files.is_workflow_of_ours(path)
        assert b"keyturn/keyturn" not in data
        assert b"0" * 40 not in data
        name = path.removeprefix(files.WORKFLOWS)
        assert compare(data.decode(), workflow_texts()[name]).same

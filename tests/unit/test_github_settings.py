"""What GitHub may answer about settings, told by an interface that says what a test wants it to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from keyturn.forge import github_settings
from keyturn.forge.api import Api
from keyturn.forge.github_settings import GITHUB_ACTIONS, GitHubSettings
from keyturn.forge.host import HostError
from keyturn.forge.refusals import Refusal
from keyturn.forge.settings import Actions, DeploymentEnvironment, Facts, Merging, PagesSite

HERE = "/repos/acme/updates"
UPGRADE = "Upgrade to GitHub Pro or make this repository public to enable this feature."
ADMIN = {"default_branch": "main", "private": True, "permissions": {"admin": True}}
Answers = Mapping[str, tuple[int, object]]
Make = Callable[..., GitHubSettings]


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Settings on an interface with these answers by method and path; 404 for everything else."""

    def make(answers: Answers, *, api: str = "https://api.github.com") -> GitHubSettings:
        class Scripted(Api):
            def _once(
                self,
                verb: str,
                path: str,
                parameters: Mapping[str, str | int] | None = None,
                body: object = None,
            ) -> tuple[object, Mapping[str, str]]:
                status, value = answers.get(f"{verb} {path}", (404, {"message": "Not Found"}))
                if status >= 400:
                    raise self.refuse(Refusal(verb, path, status, {}, value))
                return value, {}

        monkeypatch.setattr(github_settings, "Api", Scripted)
        return GitHubSettings("acme/updates", api=api, token="t")

    return make


def environment(policy: Mapping[str, bool] | None, *kinds: str) -> tuple[int, object]:
    rules = [{"type": kind} for kind in kinds]
    one = {"name": "keyturn", "protection_rules": rules, "deployment_branch_policy": policy}
    return 200, {"environments": [one]}


CUSTOM = {"protected_branches": False, "custom_branch_policies": True}


@pytest.mark.parametrize(
    ("listed", "policies", "expected"),
    [
        (environment(None), [], DeploymentEnvironment(None)),
        (
            environment({"protected_branches": True, "custom_branch_policies": False}, "branch_policy"),
            [],
            DeploymentEnvironment(("protected branches",)),
        ),
        (
            environment(CUSTOM, "required_reviewers", "wait_timer"),
            [{"name": "main"}, {"name": "v*", "type": "tag"}],
            DeploymentEnvironment(("main", "tag v*"), reviewers=True, waits=True),
        ),
    ],
)
def test_an_environment_is_read(
    github: Make, listed: tuple[int, object], policies: list[object], expected: DeploymentEnvironment
) -> None:
    at = f"GET {HERE}/environments"
    settings = github(
        {at: listed, f"{at}/keyturn/deployment-branch-policies": (200, {"branch_policies": policies})}
    )
    assert settings.environment("keyturn") == expected
    assert settings.environment("other") is None


@pytest.mark.parametrize(
    "refusal",
    [(422, {"message": "the billing plan"}), (404, {"message": "Not Found"}), (403, {"message": UPGRADE})],
)
def test_a_plan_without_rules_for_environments_is_told(github: Make, refusal: tuple[int, object]) -> None:
    settings = github({f"GET {HERE}": (200, ADMIN), f"PUT {HERE}/environments/keyturn": refusal})
    with pytest.raises(HostError) as told:
        settings.restrict_environment("keyturn", "main")
    assert told.value.reason == "plan"
    assert "KMS" in told.value.todo


def test_settings_that_are_hidden_from_the_token_are_no_question_of_the_plan(github: Make) -> None:
    settings = github({f"GET {HERE}": (200, {**ADMIN, "permissions": {"admin": False}})})
    with pytest.raises(HostError) as told:
        settings.restrict_environment("keyturn", "main")
    assert told.value.reason == "permission"


def test_a_missing_permission_of_the_token_is_told_as_it_is(github: Make) -> None:
    refusal = (403, {"message": "Resource not accessible by personal access token"})
    settings = github({f"PUT {HERE}/environments/keyturn": refusal, f"GET {HERE}/rulesets": refusal})
    for ask in (
        lambda: settings.restrict_environment("keyturn", "main"),
        lambda: settings.require("main", github_settings.BranchRules()),
    ):
        with pytest.raises(HostError) as told:
            ask()
        assert told.value.reason == "permission"


def test_a_plan_without_rulesets_is_told(github: Make) -> None:
    upgrade = (403, {"message": UPGRADE})
    settings = github({f"GET {HERE}/rulesets": upgrade, f"GET {HERE}/rules/branches/main": upgrade})
    for ask in (
        lambda: settings.rules("main"),
        lambda: settings.require("main", github_settings.BranchRules()),
    ):
        with pytest.raises(HostError) as told:
            ask()
        assert told.value.reason == "plan"


def test_rules_of_an_organization_count_too_and_the_narrowest_way_to_merge_holds(github: Make) -> None:
    pulls = [
        {
            "type": "pull_request",
            "ruleset_id": number,
            "ruleset_source_type": "Organization",
            "parameters": what,
        }
        for number, what in enumerate(
            ({"allowed_merge_methods": ["merge", "squash"]}, {"allowed_merge_methods": ["merge"]}, {})
        )
    ]
    settings = github({f"GET {HERE}/rules/branches/main": (200, pulls)})
    rules = settings.rules("main")
    assert (rules.merge_methods, rules.bypass) == (("merge",), False)


def test_the_app_of_actions_has_a_number_of_its_own_on_each_server(github: Make) -> None:
    own = "https://git.acme.example/api/v3"
    assert github({}).actions_app == GITHUB_ACTIONS
    assert github({}, api=own).actions_app == GITHUB_ACTIONS
    assert github({"GET /apps/github-actions": (200, {"id": 7})}, api=own).actions_app == 7


def test_what_is_left_out_for_those_who_may_not_change_it_is_not_held_against_it(github: Make) -> None:
    settings = github({f"GET {HERE}": (200, {"default_branch": "main", "private": False})})
    assert settings.facts() == Facts("main", False, Merging(True, True, True))


def test_actions_that_are_off_have_nothing_allowed(github: Make) -> None:
    settings = github(
        {
            f"GET {HERE}/actions/permissions": (200, {"enabled": False}),
            f"GET {HERE}/actions/permissions/workflow": (200, {"can_approve_pull_request_reviews": False}),
        }
    )
    assert settings.actions() == Actions(False, "all", False)


def test_a_site_from_a_branch_is_told_from_one_by_a_workflow(github: Make) -> None:
    site = {"build_type": "legacy", "html_url": "https://acme.github.io/updates/"}
    assert github({f"GET {HERE}/pages": (200, site)}).pages() == PagesSite(False, site["html_url"])
    assert github({f"GET {HERE}/pages": (200, {"build_type": "workflow"})}).pages() == PagesSite(True, "")
    assert github({}).pages() is None


@pytest.mark.parametrize("key", ["", "not base64!", "AAAA", "\u00e9"])
def test_a_key_that_seals_nothing_is_refused_before_the_secret_leaves(github: Make, key: str) -> None:
    at = f"{HERE}/environments/keyturn/secrets/public-key"
    with pytest.raises(HostError) as told:
        github({f"GET {at}": (200, {"key": key, "key_id": "1"})}).set_secret("keyturn", "NAME", "sesame")
    assert told.value.reason == "malformed"
    assert "sesame" not in str(told.value)


def test_ways_to_merge_that_are_no_list_of_texts_are_refused(github: Make) -> None:
    rule = {"type": "pull_request", "ruleset_id": 1, "parameters": {"allowed_merge_methods": "merge"}}
    with pytest.raises(HostError) as told:
        github({f"GET {HERE}/rules/branches/main": (200, [rule])}).rules("main")
    assert told.value.reason == "malformed"

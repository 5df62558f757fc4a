"""A repository's settings on GitHub, through its REST interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

from github.PublicKey import encrypt

from keyturn.forge.answers import Record, malformed
from keyturn.forge.api import Api, absent
from keyturn.forge.host import HostError
from keyturn.forge.patience import Patience
from keyturn.forge.settings import (
    Actions,
    BranchRules,
    DeploymentEnvironment,
    Facts,
    Merging,
    PagesSite,
    RequiredCheck,
    Workflow,
)

_PUBLIC = "https://api.github.com"
GITHUB_ACTIONS = 15368
"""Number of the app GitHub Actions on github.com."""
RULESET = "keyturn"
"""Name of the ruleset that is ours."""
_EVERY_BRANCH = "protected branches"


class GitHubSettings:
    """See :class:`keyturn.forge.settings.Settings`.

    Args:
        slug: ``owner/repository``.
        api: Address of the REST interface, without a slash at the end.
        server: Address of the pages for people, without a slash at the end.
        token: An access token of somebody who administers the repository.
        patience: How long a request is tried.
    """

    def __init__(
        self,
        slug: str,
        *,
        api: str = _PUBLIC,
        server: str = "https://github.com",
        token: str,
        patience: Patience | None = None,
    ) -> None:
        self._api = Api(slug, api=api, token=token, patience=patience or Patience())
        self._server = server

    @property
    def slug(self) -> str:
        """See :class:`keyturn.forge.settings.Settings`."""
        return self._api.slug

    @property
    def url(self) -> str:
        """See :class:`keyturn.forge.settings.Settings`."""
        return f"{self._server}/{self.slug}"

    @property
    def actions_app(self) -> int:
        """See :class:`keyturn.forge.settings.Settings`."""
        if self._api.address == _PUBLIC:
            return GITHUB_ACTIONS
        # Every other server numbers its apps itself.
        told = self._api.find("/apps/github-actions")
        return told.number("id") if told else GITHUB_ACTIONS

    def facts(self) -> Facts:
        """See :class:`keyturn.forge.settings.Settings`."""
        told = self._api.get(self._api.repository)
        return Facts(
            default_branch=told.text("default_branch"),
            private=told.flag("private"),
            merging=Merging(
                merge=_allowed(told, "allow_merge_commit"),
                squash=_allowed(told, "allow_squash_merge"),
                rebase=_allowed(told, "allow_rebase_merge"),
            ),
        )

    def set_default_branch(self, name: str) -> None:
        """See :class:`keyturn.forge.settings.Settings`."""
        self._api.command("PATCH", self._api.repository, {"default_branch": name})

    def set_merging(self, merging: Merging) -> None:
        """See :class:`keyturn.forge.settings.Settings`."""
        self._api.command(
            "PATCH",
            self._api.repository,
            {
                "allow_merge_commit": merging.merge,
                "allow_squash_merge": merging.squash,
                "allow_rebase_merge": merging.rebase,
            },
        )

    def actions(self) -> Actions:
        """See :class:`keyturn.forge.settings.Settings`."""
        general = self._api.get(self._path("actions/permissions"))
        workflow = self._api.get(self._path("actions/permissions/workflow"))
        return Actions(
            enabled=general.flag("enabled"),
            allowed=general.text("allowed_actions", default="all"),
            may_propose=workflow.flag("can_approve_pull_request_reviews"),
        )

    def enable_actions(self) -> None:
        """See :class:`keyturn.forge.settings.Settings`."""
        self._api.command(
            "PUT", self._path("actions/permissions"), {"enabled": True, "allowed_actions": "all"}
        )

    def let_actions_propose(self) -> None:
        """See :class:`keyturn.forge.settings.Settings`."""
        path = self._path("actions/permissions/workflow")
        # What workflows may do beyond this is said in each of them; the default is left as it is.
        kept = self._api.get(path).text("default_workflow_permissions")
        self._api.command(
            "PUT", path, {"default_workflow_permissions": kept, "can_approve_pull_request_reviews": True}
        )

    def pages(self) -> PagesSite | None:
        """See :class:`keyturn.forge.settings.Settings`."""
        told = self._api.find(self._path("pages"))
        if told is None:
            return None
        return PagesSite(
            by_workflow=told.text("build_type", default="") == "workflow",
            url=told.text("html_url", default=""),
        )

    def deploy_pages_by_workflow(self) -> None:
        """See :class:`keyturn.forge.settings.Settings`."""
        wanted = {"build_type": "workflow"}
        if self.pages() is None:
            self._create("pages", wanted, lambda: self.pages() is not None)
        else:
            self._api.command("PUT", self._path("pages"), wanted)

    def environment(self, name: str) -> DeploymentEnvironment | None:
        """See :class:`keyturn.forge.settings.Settings`."""
        every = self._api.pages(self._path("environments"), "environments")
        told = next((each for each in every if each.text("name").lower() == name.lower()), None)
        if told is None:
            return None
        kinds = {rule.text("type") for rule in told.records("protection_rules")}
        return DeploymentEnvironment(
            branches=self._branches(name, told.optional("deployment_branch_policy")),
            reviewers="required_reviewers" in kinds,
            waits="wait_timer" in kinds,
        )

    def _branches(self, name: str, policy: Record | None) -> tuple[str, ...] | None:
        if policy is None:
            return None
        if not policy.flag("custom_branch_policies"):
            return (_EVERY_BRANCH,)
        return tuple(sorted(_described(each) for each in self._branch_policies(name)))

    def _branch_policies(self, name: str) -> Iterator[Record]:
        return self._api.pages(f"{self._environment(name)}/deployment-branch-policies", "branch_policies")

    def restrict_environment(self, name: str, branch: str) -> None:
        """See :class:`keyturn.forge.settings.Settings`."""
        try:
            self._restrict(name, branch)
        except HostError as error:
            if error.reason not in ("not-found", "unprocessable") and not _wants_another_plan(error):
                raise
            self._require_admin()
            raise HostError(
                f"the owner's plan has no rules for environments here ({error.what})",
                where=f"{self.url}/settings/environments",
                todo="Keep the online key in a KMS, or make the repository public.",
                reason="plan",
            ) from error

    def _require_admin(self) -> None:
        """Tell a token that may see the repository only, for which settings are as if they were not there."""
        rights = self._api.get(self._api.repository).optional("permissions")
        if rights is not None and rights.has("admin") and not rights.flag("admin"):
            raise HostError(
                "the token's owner does not administer the repository",
                where=self.url,
                todo="Give a token of somebody who does.",
                reason="permission",
            )

    def _restrict(self, name: str, branch: str) -> None:
        only = {"protected_branches": False, "custom_branch_policies": True}
        wanted = {"wait_timer": 0, "reviewers": None, "deployment_branch_policy": only}
        self._api.command("PUT", self._environment(name), wanted)
        policies = f"{self._environment(name)}/deployment-branch-policies"
        there = tuple(self._branch_policies(name))
        if not any(_described(each) == branch for each in there):
            self._create(
                policies.removeprefix(self._path("")),
                {"name": branch, "type": "branch"},
                lambda: any(_described(each) == branch for each in self._branch_policies(name)),
            )
        for each in there:
            if _described(each) != branch:
                self._api.remove(f"{policies}/{each.number('id')}")

    def variable(self, environment: str, name: str) -> str | None:
        """See :class:`keyturn.forge.settings.Settings`."""
        path = f"{self._environment(environment)}/variables"
        every = absent(lambda: tuple(self._api.pages(path, "variables"))) or ()
        return next((each.text("value") for each in every if each.text("name") == name), None)

    def set_variable(self, environment: str, name: str, value: str) -> None:
        """See :class:`keyturn.forge.settings.Settings`."""
        path = f"environments/{_quoted(environment)}/variables"
        content = {"name": name, "value": value}
        if self.variable(environment, name) is None:
            self._create(path, content, lambda: self.variable(environment, name) == value)
        else:
            self._api.command("PATCH", self._path(f"{path}/{_quoted(name)}"), content)

    def secret_names(self, environment: str) -> frozenset[str]:
        """See :class:`keyturn.forge.settings.Settings`."""
        return self._names(f"{self._environment(environment)}/secrets")

    def shared_secret_names(self) -> frozenset[str]:
        """See :class:`keyturn.forge.settings.Settings`."""
        return self._names(self._path("actions/secrets")) | self._names(
            self._path("actions/organization-secrets")
        )

    def _names(self, path: str) -> frozenset[str]:
        names = absent(lambda: [each.text("name").upper() for each in self._api.pages(path, "secrets")])
        return frozenset(names or ())

    def set_secret(self, environment: str, name: str, value: str) -> None:
        """See :class:`keyturn.forge.settings.Settings`."""
        path = f"{self._environment(environment)}/secrets"
        key = self._api.get(f"{path}/public-key")
        try:
            sealed = encrypt(key.text("key"), value)
        except (ValueError, TypeError) as error:
            raise malformed("the public key of an environment") from error
        self._api.command(
            "PUT", f"{path}/{_quoted(name)}", {"encrypted_value": sealed, "key_id": key.text("key_id")}
        )

    def rules(self, branch: str) -> BranchRules:
        """See :class:`keyturn.forge.settings.Settings`."""
        try:
            return self._rules(branch)
        except HostError as error:
            if not _wants_another_plan(error):
                raise
            raise self._without_rulesets() from error

    def _rules(self, branch: str) -> BranchRules:
        active = tuple(self._api.pages(self._path(f"rules/branches/{_quoted(branch)}")))
        own = {
            rule.number("ruleset_id")
            for rule in active
            if rule.text("ruleset_source_type", default="") == "Repository"
        }
        kinds = {rule.text("type") for rule in active}
        checks = [rule.record("parameters") for rule in active if rule.text("type") == _CHECKS]
        methods = [
            set(_texts(rule.record("parameters"), "allowed_merge_methods"))
            for rule in active
            if rule.text("type") == _PULLS and rule.record("parameters").has("allowed_merge_methods")
        ]
        return BranchRules(
            required=tuple(_required(each) for asked in checks for each in asked.records(_CHECKS)),
            up_to_date=any(asked.flag("strict_required_status_checks_policy") for asked in checks),
            merge_methods=tuple(sorted(set.intersection(*methods))) if methods else None,
            no_force="non_fast_forward" in kinds,
            no_deletion="deletion" in kinds,
            bypass=any(self._has_bypass(number) for number in sorted(own)),
        )

    def _has_bypass(self, ruleset: int) -> bool:
        told = self._api.get(self._path(f"rulesets/{ruleset}"))
        return told.has("bypass_actors") and bool(told.records("bypass_actors"))

    def require(self, branch: str, rules: BranchRules) -> None:
        """See :class:`keyturn.forge.settings.Settings`."""
        wanted = {
            "name": RULESET,
            "target": "branch",
            "enforcement": "active",
            "bypass_actors": [],
            "conditions": {"ref_name": {"include": [f"refs/heads/{branch}"], "exclude": []}},
            "rules": _asked(rules),
        }
        try:
            ours = self._ours()
            if ours is None:
                self._create("rulesets", wanted, lambda: self._ours() is not None)
            else:
                self._api.command("PUT", self._path(f"rulesets/{ours}"), wanted)
        except HostError as error:
            if not _wants_another_plan(error):
                raise
            raise self._without_rulesets() from error

    def _ours(self) -> int | None:
        listed = self._api.pages(self._path("rulesets"))
        return next((each.number("id") for each in listed if each.text("name") == RULESET), None)

    def _without_rulesets(self) -> HostError:
        return HostError(
            "the owner's plan has no rulesets here",
            where=f"{self.url}/settings/rules",
            todo="Merge with care: publishing verifies everything again in any case.",
            reason="plan",
        )

    def workflows(self) -> tuple[Workflow, ...]:
        """See :class:`keyturn.forge.settings.Settings`."""
        return tuple(
            Workflow(each.number("id"), each.text("path"), enabled=each.text("state") == "active")
            for each in self._api.pages(self._path("actions/workflows"), "workflows")
        )

    def enable_workflow(self, workflow: Workflow) -> None:
        """See :class:`keyturn.forge.settings.Settings`."""
        self._api.command("PUT", self._path(f"actions/workflows/{workflow.id}/enable"))

    def _path(self, below: str) -> str:
        return f"{self._api.repository}/{below}"

    def _environment(self, name: str) -> str:
        return self._path(f"environments/{_quoted(name)}")

    def _create(self, below: str, body: Mapping[str, object], there: Callable[[], bool]) -> None:
        self._api.write(
            "POST",
            self._path(below),
            body,
            read=lambda told: True,
            happened=lambda: True if there() else None,
        )


_CHECKS = "required_status_checks"
_PULLS = "pull_request"


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _wants_another_plan(error: HostError) -> bool:
    return "upgrade to " in error.what.lower()


def _allowed(told: Record, name: str) -> bool:
    # Left out for those who may not administer the repository; then nobody can say that it is not.
    return told.flag(name) if told.has(name) else True


def _described(policy: Record) -> str:
    kind, name = policy.text("type", default="branch"), policy.text("name")
    return name if kind == "branch" else f"{kind} {name}"


def _texts(told: Record, name: str) -> tuple[str, ...]:
    values = told.raw(name)
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise malformed(name)
    return tuple(values)


def _required(check: Record) -> RequiredCheck:
    app = check.number("integration_id") if check.has("integration_id") else None
    return RequiredCheck(check.text("context"), app)


def _asked(rules: BranchRules) -> list[dict[str, object]]:
    asked: list[dict[str, object]] = []
    if rules.no_deletion:
        asked.append({"type": "deletion"})
    if rules.no_force:
        asked.append({"type": "non_fast_forward"})
    if rules.merge_methods is not None:
        review = {
            "required_approving_review_count": 0,
            "dismiss_stale_reviews_on_push": False,
            "require_code_owner_review": False,
            "require_last_push_approval": False,
            "required_review_thread_resolution": False,
            "allowed_merge_methods": list(rules.merge_methods),
        }
        asked.append({"type": _PULLS, "parameters": review})
    if rules.required:
        checks = [
            {"context": check.name, **({} if check.app is None else {"integration_id": check.app})}
            for check in rules.required
        ]
        strict = {_CHECKS: checks, "strict_required_status_checks_policy": rules.up_to_date}
        asked.append({"type": _CHECKS, "parameters": strict})
    return asked

"""The settings of a repository in memory, as new as GitHub makes one."""

from __future__ import annotations

from dataclasses import dataclass, field

from keyturn.forge.host import HostError
from keyturn.forge.settings import (
    Actions,
    BranchRules,
    DeploymentEnvironment,
    Facts,
    Merging,
    PagesSite,
    Workflow,
)


@dataclass
class FakeSettings:
    """What tests change at will; ``refusals`` has, by method, why it does not do it."""

    slug: str = "acme/updates"
    url: str = "https://github.com/acme/updates"
    actions_app: int = 15368
    default_branch: str = "main"
    merging: Merging = field(default_factory=lambda: Merging(True, True, True))
    allowed: Actions = field(default_factory=lambda: Actions(True, "all", False))
    site: PagesSite | None = None
    environments: dict[str, DeploymentEnvironment] = field(default_factory=dict)
    variables: dict[tuple[str, str], str] = field(default_factory=dict)
    secrets: dict[tuple[str, str], str] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    branch_rules: BranchRules = field(default_factory=BranchRules)
    known: list[Workflow] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    def _called(self, name: str, *, write: bool = False) -> None:
        if name in self.refusals:
            raise HostError(f"refuses {name}", reason=self.refusals[name])
        if write:
            self.writes.append(name)

    def facts(self) -> Facts:
        self._called("facts")
        return Facts(self.default_branch, False, self.merging)

    def set_default_branch(self, name: str) -> None:
        self._called("set_default_branch", write=True)
        self.default_branch = name

    def set_merging(self, merging: Merging) -> None:
        self._called("set_merging", write=True)
        self.merging = merging

    def actions(self) -> Actions:
        self._called("actions")
        return self.allowed

    def enable_actions(self) -> None:
        self._called("enable_actions", write=True)
        self.allowed = Actions(True, "all", self.allowed.may_propose)

    def let_actions_propose(self) -> None:
        self._called("let_actions_propose", write=True)
        self.allowed = Actions(self.allowed.enabled, self.allowed.allowed, True)

    def pages(self) -> PagesSite | None:
        self._called("pages")
        return self.site

    def deploy_pages_by_workflow(self) -> None:
        self._called("deploy_pages_by_workflow", write=True)
        self.site = PagesSite(True, "https://acme.github.io/updates/")

    def environment(self, name: str) -> DeploymentEnvironment | None:
        self._called("environment")
        return self.environments.get(name)

    def restrict_environment(self, name: str, branch: str) -> None:
        self._called("restrict_environment", write=True)
        self.environments[name] = DeploymentEnvironment((branch,))

    def variable(self, environment: str, name: str) -> str | None:
        self._called("variable")
        return self.variables.get((environment, name))

    def set_variable(self, environment: str, name: str, value: str) -> None:
        self._called("set_variable", write=True)
        self.variables[environment, name] = value

    def secret_names(self, environment: str) -> frozenset[str]:
        self._called("secret_names")
        return frozenset(name for where, name in self.secrets if where == environment)

    def shared_secret_names(self) -> frozenset[str]:
        self._called("shared_secret_names")
        return frozenset(self.shared)

    def set_secret(self, environment: str, name: str, value: str) -> None:
        self._called("set_secret", write=True)
        self.secrets[environment, name] = value

    def rules(self, branch: str) -> BranchRules:
        self._called("rules")
        return self.branch_rules

    def require(self, branch: str, rules: BranchRules) -> None:
        self._called("require", write=True)
        self.branch_rules = rules

    def workflows(self) -> tuple[Workflow, ...]:
        self._called("workflows")
        return tuple(self.known)

    def enable_workflow(self, workflow: Workflow) -> None:
        self._called("enable_workflow", write=True)
        self.known = [
            Workflow(each.id, each.path, each.enabled or each.id == workflow.id) for each in self.known
        ]

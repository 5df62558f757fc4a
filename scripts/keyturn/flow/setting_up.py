"""Setting a repository up on a code host, and finding out later whether it is still so (DESIGN section 4).

One table says what each setting should be, where a person changes it and what is lost without it. From it
come the list that ``keyturn init`` prints, what it sets with a token, and what ``keyturn doctor`` checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from keyturn import __version__
from keyturn.errors import ExitCode, RefusedError, UsageError
from keyturn.flow.context import Context, content_of, pinned_digest, require_policy
from keyturn.flow.workflow_files import PUBLISH, WORKFLOWS, adapted_texts, compare, is_workflow_of_ours
from keyturn.forge.host import CHECK, HostError
from keyturn.forge.settings import BranchRules, Merging, RequiredCheck, Settings
from keyturn.policy import Policy
from keyturn.state import State
from keyturn.tree import Tree

ENVIRONMENT = "keyturn"
"""The environment of the one job that holds the online key."""
ROOT_VARIABLE = "KEYTURN_ROOT"
"""Its variable that pins the root digest."""
_ENV_KEY = "env:"


class Weight(Enum):
    """How bad it is that a setting is another."""

    BROKEN = "broken"
    """Something does not work."""
    OPEN = "open"
    """A guard rail is missing, or something can be had by more people than should."""
    NOTE = "note"
    """Good to know."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a repository's settings follow from.

    Args:
        branch: The branch that holds what was decided.
        site: Where the policy says that the site is.
        secret: The environment secret that holds the online key; None if it is in a KMS.
        root: The root digest; None while nothing is founded.
        trusted: Whether this machine has that digest from a person, and not from the repository alone.
    """

    branch: str
    site: str
    secret: str | None
    root: str | None = None
    trusted: bool = False

    @classmethod
    def of(cls, policy: Policy, root: str | None = None, *, trusted: bool = False) -> Wish:
        """What follows from a policy."""
        return cls(policy.branch, policy.publish.url, secret_of(policy.online.key), root, trusted)


def secret_of(online_key: str) -> str | None:
    """The name of the secret that an online key's URI means; None if the key is in a KMS.

    Args:
        online_key: The key's URI.
    """
    return online_key.removeprefix(_ENV_KEY) if online_key.startswith(_ENV_KEY) else None


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that should be set, as a person would set it.

    Args:
        id: A stable word.
        what: What it is about.
        page: The page where it is changed.
        wanted: What it should be.
        why: What is lost otherwise.
        weight: How bad that is.
    """

    id: str
    what: str
    page: str
    wanted: str
    why: str
    weight: Weight

    def to_dict(self) -> dict[str, object]:
        """The setting as ``--json`` shows it."""
        return {
            "id": self.id,
            "what": self.what,
            "page": self.page,
            "should-be": self.wanted,
            "why": self.why,
            "weight": self.weight.value,
        }


class Standing(Enum):
    """How it is with a setting."""

    RIGHT = "right"
    MADE = "made"
    """It was not right, and now is."""
    DRIFT = "drift"
    UNKNOWN = "unknown"
    """It cannot be found out with this token."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of one setting.

    Args:
        setting: The setting.
        standing: How it is.
        found: What it is instead; empty where all is well.
        todo: What to do if it is not as simple as going to the page.
    """

    setting: Setting
    standing: Standing
    found: str = ""
    todo: str = ""

    def to_dict(self) -> dict[str, object]:
        """What was found, as ``--json`` shows it."""
        return {
            **self.setting.to_dict(),
            "standing": self.standing.value,
            "is": self.found,
            "todo": self.todo,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All settings.

    Args:
        checked: One by one.
        trusted: Whether the root digest that was compared is one that a person gave or pinned here.
    """

    checked: tuple[Checked, ...]
    trusted: bool

    @property
    def drifted(self) -> tuple[Checked, ...]:
        """Those that are not right, notes left out."""
        return tuple(
            each
            for each in self.checked
            if each.standing is Standing.DRIFT and each.setting.weight is not Weight.NOTE
        )

    @property
    def exit_code(self) -> ExitCode:
        """0 if all is well, 3 if something drifted, 4 if something could not be found out."""
        if self.drifted:
            return ExitCode.INVALID
        unknown = any(each.standing is Standing.UNKNOWN for each in self.checked)
        return ExitCode.ENVIRONMENT if unknown else ExitCode.DONE

    def to_dict(self) -> dict[str, object]:
        """All of it as ``--json`` shows it."""
        return {
            "well": self.exit_code is ExitCode.DONE,
            "root-digest-trusted": self.trusted,
            "settings": [each.to_dict() for each in self.checked],
        }


def settings_to_make(wish: Wish, url: str) -> tuple[Setting, ...]:
    """Everything that a person without a token sets by hand, in an order that works.

    Args:
        wish: What it follows from.
        url: The repository's page.
    """
    return tuple(rule.setting(wish, url) for rule in _RULES if rule.by_hand and rule.applies(wish))


def require_environment(settings: Settings, wish: Wish) -> None:
    """Have the environment before anything else, and refuse an online key that it could not guard.

    Args:
        settings: The repository's.
        wish: What it should be.

    Raises:
        UsageError: The owner's plan has no rules for environments, and the online key would be a secret
            there (reason ``no-environment-rules``): whoever can push a branch could read it.
        HostError: The host does not do it.
    """
    try:
        settings.restrict_environment(ENVIRONMENT, wish.branch)
    except HostError as error:
        if error.reason != "plan":
            raise
        if wish.secret is not None:
            raise UsageError(
                "the owner's plan has no rules for environments in this repository, so whoever can push "
                "a branch could read an online key that is kept there",
                where=f"{settings.url}/settings/environments",
                todo="Keep the online key in a KMS (--online-key awskms:..., gcpkms:..., azurekms:...), or "
                "make the repository public.",
                reason="no-environment-rules",
            ) from error


def set_up(settings: Settings, wish: Wish, *, secret: str | None = None) -> tuple[Checked, ...]:
    """Make every setting that can be made, and say how each is then.

    Args:
        settings: The repository's.
        wish: What it should be.
        secret: The online key as text, if the person wants it sent; None to leave it alone.

    Raises:
        HostError: The host cannot be reached, or does not accept the token at all.
    """
    return tuple(_made(rule, settings, wish, secret) for rule in _RULES if rule.applies(wish))


def check(settings: Settings, wish: Wish) -> tuple[Checked, ...]:
    """Compare every setting with what it should be; nothing is changed.

    Args:
        settings: The repository's.
        wish: What it should be.

    Raises:
        HostError: The host cannot be reached, or does not accept the token at all.
    """
    return tuple(_checked(rule, settings, wish) for rule in _RULES if rule.applies(wish))


def doctor(
    context: Context, settings: Settings, *, fix: bool = False, secret: str | None = None
) -> Diagnosis:
    """Whether the repository is still set up as it should be.

    Args:
        context: Where.
        settings: The repository's.
        fix: Whether to make what can be made.
        secret: The online key as text, if the person wants it sent with ``fix``.

    Raises:
        RefusedError: The repository's root is not the one that is pinned (reason ``other-root``).
        UsageError: There is no policy.
        HostError: The host cannot be reached, or does not accept the token at all.
    """
    context.forge.refresh()
    main = context.forge.tree(context.forge.main())
    wish = _wish(context, main)
    checked = set_up(settings, wish, secret=secret) if fix else check(settings, wish)
    return Diagnosis(checked=(*checked, *check_workflows(main, settings.url, wish)), trusted=wish.trusted)


def _wish(context: Context, main: Tree) -> Wish:
    policy = require_policy(main)
    first = State(main).roots.get(1)
    pinned = pinned_digest(context.remembered, context.root_digest)
    if first and pinned and first.digest != pinned:
        raise RefusedError(
            f"the repository's root digest is {first.digest}, and {pinned} is the one to trust",
            where=context.forge.url,
            todo="Stop, and ask the other signers: a repository never changes its first root.",
            reason="other-root",
        )
    # Who has signed root 1 knows it before it is merged, and publishing begins with the merge.
    return Wish.of(policy, first.digest if first else pinned, trusted=pinned is not None)


def check_workflows(main: Tree, url: str, wish: Wish) -> tuple[Checked, ...]:
    """Compare the workflows on ``main`` with those of this version.

    Args:
        main: The tree of ``main``.
        url: The repository's page.
        wish: What the settings follow from.
    """
    page = f"{url}/blob/{wish.branch}"
    shipped = adapted_texts(wish.branch, wish.secret)
    there = {path.removeprefix(WORKFLOWS) for path in main.entries() if is_workflow_of_ours(path)}
    return tuple(
        _with_login(wish, name, _compared(name, shipped.get(name), content_of(main, WORKFLOWS + name), page))
        for name in sorted({*shipped, *there})
    )


def _with_login(wish: Wish, name: str, one: Checked) -> Checked:
    """With a key in a KMS the workflow that publishes has steps of the owner's own, for people to judge."""
    if wish.secret is not None or name != PUBLISH or one.setting.weight is not Weight.OPEN:
        return one
    setting = replace(one.setting, weight=Weight.NOTE)
    return replace(
        one, setting=setting, todo="It may differ by the steps that log in to the KMS, and no others."
    )


def _compared(name: str, shipped: str | None, data: bytes | None, page: str) -> Checked:
    setting = Setting(
        id=f"workflow:{name}",
        what=f"workflow {name}",
        page=f"{page}/{WORKFLOWS}{name}",
        wanted="as this version of keyturn writes it",
        why="What a workflow does with the repository's permissions is what this file says.",
        weight=Weight.OPEN,
    )
    if shipped is None:
        setting = replace(setting, weight=Weight.NOTE)
        return Checked(setting, Standing.DRIFT, "not one that this version knows")
    if data is None:
        return Checked(replace(setting, weight=Weight.BROKEN), Standing.DRIFT, "missing", _REWRITE)
    found = compare(data.decode("utf-8", "replace"), shipped)
    version = found.pin.version if found.pin else ""
    other = bool(version) and version.removeprefix("v") != __version__
    if found.same and not other:
        return Checked(setting, Standing.RIGHT)
    told = "the same" if found.same else "other content"
    if other:
        setting = replace(setting, weight=Weight.NOTE)
        return Checked(setting, Standing.DRIFT, f"{told}, with actions of {version}", _REWRITE)
    return Checked(setting, Standing.DRIFT, told, _REWRITE)


_REWRITE = "Write it anew with `keyturn doctor --write-workflows DIR`, and bring it in by a pull request."


def _checked(rule: _Rule, settings: Settings, wish: Wish) -> Checked:
    setting = rule.setting(wish, settings.url)
    try:
        found = rule.look(settings, wish)
    except HostError as error:
        if error.reason in _HOPELESS:
            raise
        return Checked(setting, Standing.UNKNOWN, error.what, error.todo)
    return Checked(setting, Standing.RIGHT if found is None else Standing.DRIFT, found or "")


_HOPELESS = frozenset({"authentication", "unreachable", "rate-limit"})
"""Reasons for which there is no use in trying the next setting."""


def _made(rule: _Rule, settings: Settings, wish: Wish, secret: str | None) -> Checked:
    before = _checked(rule, settings, wish)
    if before.standing is not Standing.DRIFT or rule.make is None:
        return before
    if rule.id == "root" and not wish.trusted:
        return replace(before, todo="Give the digest that you got from a founder: --root-digest SHA256.")
    if rule.id == "secret" and secret is None:
        return replace(before, todo="Set it on that page, or let keyturn send it: --set-secret.")
    try:
        rule.make(settings, wish, secret or "")
    except HostError as error:
        if error.reason in _HOPELESS:
            raise
        return replace(before, found=f"{before.found}; {error.what}", todo=error.todo)
    after = _checked(rule, settings, wish)
    return replace(after, standing=Standing.MADE) if after.standing is Standing.RIGHT else after


# Each function says what a setting is instead of what it should be; None if it is as it should be.


def _default_branch(settings: Settings, wish: Wish) -> str | None:
    name = settings.facts().default_branch
    return None if name == wish.branch else name


def _actions(settings: Settings, wish: Wish) -> str | None:
    actions = settings.actions()
    if not actions.enabled:
        return "switched off"
    return "only actions of this owner are allowed" if actions.allowed == "local_only" else None


def _proposing(settings: Settings, wish: Wish) -> str | None:
    return None if settings.actions().may_propose else "not allowed"


def _environment(settings: Settings, wish: Wish) -> str | None:
    there = settings.environment(ENVIRONMENT)
    if there is None:
        return "there is none"
    wrong = []
    if there.branches != (wish.branch,):
        wrong.append(
            "jobs of every branch may use it"
            if there.branches is None
            else f"its branches are: {', '.join(there.branches) or 'none'}"
        )
    if there.reviewers:
        wrong.append("somebody has to approve each job")
    if there.waits:
        wrong.append("each job waits")
    return "; ".join(wrong) or None


def _root(settings: Settings, wish: Wish) -> str | None:
    value = settings.variable(ENVIRONMENT, ROOT_VARIABLE)
    return None if value == wish.root else value or "not set"


def _secret(settings: Settings, wish: Wish) -> str | None:
    return None if wish.secret in settings.secret_names(ENVIRONMENT) else "not there"


def _shared_secret(settings: Settings, wish: Wish) -> str | None:
    return "there is one" if wish.secret in settings.shared_secret_names() else None


def _pages(settings: Settings, wish: Wish) -> str | None:
    site = settings.pages()
    if site is None:
        return "there is no site"
    return None if site.by_workflow else "a branch is served"


def _address(settings: Settings, wish: Wish) -> str | None:
    site = settings.pages()
    if site is None or not site.url:
        return None
    return None if site.url.rstrip("/").lower() == wish.site.rstrip("/").lower() else site.url


def _merge_commits(settings: Settings, wish: Wish) -> str | None:
    return None if settings.facts().merging.merge else "not allowed"


def _other_merges(settings: Settings, wish: Wish) -> str | None:
    merging = settings.facts().merging
    ways = [name for name, on in (("squash", merging.squash), ("rebase", merging.rebase)) if on]
    return f"{' and '.join(ways)} offered too" if ways else None


def _rules_wanted(settings: Settings) -> BranchRules:
    return BranchRules(
        required=(RequiredCheck(CHECK, settings.actions_app),),
        up_to_date=True,
        merge_methods=("merge",),
        no_force=True,
        no_deletion=True,
    )


def _ruleset(settings: Settings, wish: Wish) -> str | None:
    rules = settings.rules(wish.branch)
    ours = [check for check in rules.required if check.name == CHECK]
    wrong = {
        f"the check {CHECK} is not required": not ours,
        f"anybody may post the check {CHECK}": bool(ours)
        and all(check.app != settings.actions_app for check in ours),
        "a branch need not be up to date": not rules.up_to_date,
        "other ways than merge commits are allowed": rules.merge_methods != ("merge",),
        "its history can be replaced": not rules.no_force,
        "it can be deleted": not rules.no_deletion,
        "somebody is exempt": rules.bypass,
    }
    return "; ".join(what for what, so in wrong.items() if so) or None


def _schedules(settings: Settings, wish: Wish) -> str | None:
    off = [each.path for each in settings.workflows() if is_workflow_of_ours(each.path) and not each.enabled]
    return f"switched off: {', '.join(path.removeprefix(WORKFLOWS) for path in off)}" if off else None


def _enable_workflows(settings: Settings, wish: Wish, secret: str) -> None:
    for each in settings.workflows():
        if is_workflow_of_ours(each.path) and not each.enabled:
            settings.enable_workflow(each)


def _always(wish: Wish) -> bool:
    return True


def _with_secret(wish: Wish) -> bool:
    return wish.secret is not None


@dataclass(frozen=True, slots=True)
class _Rule:
    """One line of the table.

    Args:
        id: A stable word.
        what: What it is about.
        page: The page where it is changed, below the repository's.
        wanted: What it should be, with ``{branch}``, ``{site}``, ``{secret}`` and ``{root}`` from the wish.
        why: What is lost otherwise.
        weight: How bad that is.
        look: Says what it is instead; None if it is right.
        make: Makes it right, given the online key as text; None where only a person can.
        applies: Whether the wish asks for it at all.
        by_hand: Whether somebody who sets up a new repository by hand has to do something.
    """

    id: str
    what: str
    page: str
    wanted: str
    why: str
    weight: Weight
    look: Callable[[Settings, Wish], str | None]
    make: Callable[[Settings, Wish, str], None] | None
    applies: Callable[[Wish], bool] = _always
    by_hand: bool = True

    def setting(self, wish: Wish, url: str) -> Setting:
        """The line for one repository."""
        words = {
            "branch": wish.branch,
            "site": wish.site,
            "secret": wish.secret or "",
            "root": wish.root or "the root digest, once root 1 is signed",
        }
        return Setting(
            id=self.id,
            what=self.what.format(**words),
            page=url + self.page,
            wanted=self.wanted.format(**words),
            why=self.why,
            weight=self.weight,
        )


_RULES: Sequence[_Rule] = (
    _Rule(
        "environment",
        f"environment {ENVIRONMENT}",
        "/settings/environments",
        "deployment branches and tags: selected, only {branch}; no required reviewers, no wait timer",
        "Whoever can push a branch could use the online key; or each scheduled timestamp waits for somebody.",
        Weight.OPEN,
        _environment,
        lambda settings, wish, _: settings.restrict_environment(ENVIRONMENT, wish.branch),
    ),
    _Rule(
        "secret",
        f"secret of the environment {ENVIRONMENT}",
        "/settings/environments",
        "{secret}: the private half of the online key, as PEM text",
        "Nothing can be published.",
        Weight.BROKEN,
        _secret,
        lambda settings, wish, secret: settings.set_secret(ENVIRONMENT, wish.secret or "", secret),
        applies=_with_secret,
    ),
    _Rule(
        "shared-secret",
        "secret {secret} of the repository or organization",
        "/settings/secrets/actions",
        "none: the online key is a secret of the environment only",
        "Whoever can push a branch can read it there.",
        Weight.OPEN,
        _shared_secret,
        None,
        applies=_with_secret,
        by_hand=False,
    ),
    _Rule(
        "root",
        f"variable {ROOT_VARIABLE} of the environment {ENVIRONMENT}",
        "/settings/environments",
        "{root}",
        "Publishing starts from this digest, and refuses without it.",
        Weight.BROKEN,
        _root,
        lambda settings, wish, _: settings.set_variable(ENVIRONMENT, ROOT_VARIABLE, wish.root or ""),
        applies=lambda wish: wish.root is not None,
        by_hand=False,
    ),
    _Rule(
        "default-branch",
        "default branch",
        "/settings",
        "{branch}",
        "Workflows that are trusted are those of the default branch.",
        Weight.BROKEN,
        _default_branch,
        lambda settings, wish, _: settings.set_default_branch(wish.branch),
    ),
    _Rule(
        "actions",
        "Actions permissions",
        "/settings/actions",
        "actions of other repositories are allowed",
        "No workflow runs.",
        Weight.BROKEN,
        _actions,
        lambda settings, wish, _: settings.enable_actions(),
    ),
    _Rule(
        "pull-requests",
        "Workflow permissions",
        "/settings/actions",
        "Allow GitHub Actions to create and approve pull requests: on",
        "No signing event is opened by itself: no release, no renewal.",
        Weight.BROKEN,
        _proposing,
        lambda settings, wish, _: settings.let_actions_propose(),
    ),
    _Rule(
        "pages",
        "source of Pages",
        "/settings/pages",
        "GitHub Actions",
        "Nothing reaches clients.",
        Weight.BROKEN,
        _pages,
        lambda settings, wish, _: settings.deploy_pages_by_workflow(),
    ),
    _Rule(
        "site",
        "address of Pages",
        "/settings/pages",
        "{site}, as publish.url of the policy says",
        "Clients look elsewhere than where the site is.",
        Weight.BROKEN,
        _address,
        None,
        by_hand=False,
    ),
    _Rule(
        "merge-commits",
        "pull requests: merge commits",
        "/settings",
        "allowed",
        "Signing events cannot be merged.",
        Weight.BROKEN,
        _merge_commits,
        lambda settings, wish, _: settings.set_merging(replace(settings.facts().merging, merge=True)),
    ),
    _Rule(
        "other-merges",
        "pull requests: squash and rebase",
        "/settings",
        "off",
        "The page offers buttons that the ruleset refuses.",
        Weight.NOTE,
        _other_merges,
        lambda settings, wish, _: settings.set_merging(Merging(merge=True, squash=False, rebase=False)),
    ),
    # Last: from here on {branch} changes by pull requests only.
    _Rule(
        "ruleset",
        "ruleset of {branch}",
        "/settings/rules",
        f"active; required check {CHECK} with source GitHub Actions, branches up to date before merging; "
        "pull requests with merge commits only; no force pushes, no deletion; nobody exempt",
        "An event that is not ready can be merged by mistake; publishing would stop until that is undone.",
        Weight.OPEN,
        _ruleset,
        lambda settings, wish, _: settings.require(wish.branch, _rules_wanted(settings)),
    ),
    _Rule(
        "schedules",
        "workflows",
        "/actions",
        "all of keyturn's enabled",
        "Timestamps expire, and nobody is told. GitHub stops schedules after 60 days without activity.",
        Weight.BROKEN,
        _schedules,
        _enable_workflows,
        by_hand=False,
    ),
)

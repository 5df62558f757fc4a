"""Accounts and the tokens that act for them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Literal

from lab.forge.access import SCOPES
from lab.forge.model import BOT, BOT_ID, Repository, Token, User
from lab.forge.wire import not_found


class People:
    """Who there is, what they prove themselves with, and which repositories they may be let into."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.repositories: dict[str, Repository] = {}
        self._ids = count(1001)
        self._add_user(BOT, BOT_ID, "Bot")

    def new_id(self) -> int:
        """A number that nothing else has."""
        return next(self._ids)

    def repository(self, slug: str) -> Repository:
        """A repository by ``owner/name``."""
        found = self.repositories.get(slug.lower())
        if found is None:
            raise not_found()
        return found

    def user(self, login: str, id: int | None = None) -> str:  # noqa: A002 - as GitHub calls it
        """Have a person.

        Args:
            login: The login.
            id: The numeric id; None for the next free one.

        Returns:
            A token that acts as that person.
        """
        self._add_user(login, id, "User")
        value = f"ghp_lab_{login}"
        self.tokens[value] = Token(value, login)
        return value

    def organisation(self, login: str) -> None:
        """Have an organisation, which owns repositories and has no token."""
        self._add_user(login, None, "Organization")

    def _add_user(self, login: str, number: int | None, kind: Literal["User", "Bot", "Organization"]) -> None:
        if login.lower() not in self.users:
            self.users[login.lower()] = User(login, number or self.new_id(), kind)

    def account(self, login: str) -> User:
        """The account of a login; accounts that are gone are called ghost."""
        return self.users.get(login.lower()) or User("ghost", 10137)

    def rename(self, login: str, new: str) -> None:
        """Give an account another login; its id stays, and the old login is free for anybody."""
        user = self.users.pop(login.lower())
        self.users[new.lower()] = User(new, user.id, user.kind)
        self.tokens = {
            value: Token(value, new, token.slug, token.scopes, token.run) if token.login == login else token
            for value, token in self.tokens.items()
        }
        for repository in self.repositories.values():
            if role := repository.collaborators.pop(login.lower(), None):
                repository.collaborators[new.lower()] = role

    def mint(self, slug: str, permissions: Mapping[str, str], *, run: int | None = None) -> str:
        """The token of a job: acts as github-actions[bot] in one repository with exactly these scopes.

        Args:
            slug: The repository.
            permissions: Like a workflow's ``permissions:``, for instance ``{"pull-requests": "write"}``.
            run: Id of the workflow run.
        """
        for scope, level in permissions.items():
            if scope not in SCOPES or level not in ("read", "write", "none"):
                raise ValueError(f"not a permission of a job: {scope}: {level}")
        value = f"ghs_lab_{self.new_id()}"
        self.tokens[value] = Token(value, BOT, self.repository(slug).slug, dict(permissions), run)
        return value

    def fine_grained(self, login: str, slug: str, permissions: Mapping[str, str]) -> str:
        """A token that somebody made for one repository, to be kept as a secret of another.

        Args:
            login: Who made it.
            slug: The repository.
            permissions: What can be done with it.
        """
        value = f"github_pat_lab_{self.new_id()}"
        self.tokens[value] = Token(value, login, self.repository(slug).slug, dict(permissions))
        return value

    def revoke(self, token: str) -> None:
        """A job is over: its token is worth nothing any more."""
        self.tokens.pop(token, None)

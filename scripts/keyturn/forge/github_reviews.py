"""Reviews of a pull request, and who edited them, which only GraphQL says."""

from __future__ import annotations

from typing import overload

from keyturn.forge.answers import Record, malformed
from keyturn.forge.api import Api
from keyturn.forge.host import Account, HostError, Review

_MOST_PAGES = 100
# Ids of reviews are longer than GraphQL's numbers, so they come as texts.
_QUERY = """
query Reviews($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviews(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes {
          fullDatabaseId
          url
          body
          state
          submittedAt
          lastEditedAt
          commit { oid }
          author { login ...on User { databaseId } ...on Bot { databaseId } ...on Mannequin { databaseId } }
          editor { login ...on User { databaseId } ...on Bot { databaseId } ...on Mannequin { databaseId } }
        }
      }
    }
  }
}
"""


def read_reviews(api: Api, number: int) -> tuple[Review, ...]:
    """All submitted reviews of a pull request, oldest first.

    A review that is not submitted yet is left out, and one whose author's account is gone: nobody owns it.

    Args:
        api: The repository's API.
        number: The pull request.

    Raises:
        HostError: There is no such pull request, or GitHub cannot say.
    """
    owner, _, name = api.slug.partition("/")
    found: list[Review] = []
    after: str | None = None
    for _ in range(_MOST_PAGES):
        variables = {"owner": owner, "name": name, "number": number, "after": after}
        repository = api.graphql(_QUERY, variables).optional("repository")
        pull = repository.optional("pullRequest") if repository else None
        if pull is None:
            raise HostError(f"GitHub finds no pull request {number}", where=api.slug, reason="not-found")
        listed = pull.record("reviews")
        read = (_review(node) for node in listed.records("nodes"))
        found += [review for review in read if review is not None]
        page = listed.record("pageInfo")
        if not page.flag("hasNextPage"):
            return tuple(found)
        after = page.text("endCursor")
    raise malformed("reviews, a list without end")


def _review(node: Record) -> Review | None:
    author = _actor(node.optional("author"))
    if author is None or node.text("state") == "PENDING" or not node.has("submittedAt"):
        return None
    commit = node.optional("commit")
    return Review(
        id=node.number("fullDatabaseId"),
        url=node.text("url"),
        author=author,
        body=node.text("body", default=""),
        state=node.text("state"),
        commit=commit.commit("oid") if commit else "",
        submitted=node.moment("submittedAt"),
        editor=_actor(node.optional("editor")),
        edited=node.moment("lastEditedAt") if node.has("lastEditedAt") else None,
    )


def _actor(actor: Record | None) -> Account | None:
    """Who did it; an account without a number, such as an organisation's, is nobody's."""
    if actor is None or not actor.has("databaseId"):
        return None
    return Account(actor.text("login"), actor.number("databaseId"))


@overload
def account(found: Record) -> Account: ...
@overload
def account(found: Record | None) -> Account | None: ...
def account(found: Record | None) -> Account | None:
    """An account as the REST API has it; None if it is gone.

    Args:
        found: The answer's part about it.
    """
    return Account(found.text("login"), found.number("id")) if found is not None else None

"""The job collect: signatures in reviews become commits, if they are the owner's and of what is proposed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from integration.desk import PEOPLE, RUN, Desk, push
from integration.team import NOW, Team, with_proposal
from keyturn.errors import EnvironmentFault, ExitCode
from keyturn.flow import changing, events, found
from keyturn.flow.collecting import Collected, author_of, collect
from keyturn.flow.context import identify_by
from keyturn.forge.host import Account, HostError, Push, Review
from keyturn.forge.local import LocalForge
from keyturn.git import Commit
from keyturn.signing import SignatureBlock, sign_payload
from keyturn.signing import render as render_block
from keyturn.signing.block import BEGIN, END
from keyturn.signing.ledger import DESPITE
from keyturn.verify import EventState
from unit.fakehost import FakeHost

pytestmark = pytest.mark.slow

ROBOT = Account("github-actions[bot]", 41898282)


class Round(Desk):
    """A release that waits for signatures, with its pull request."""

    def __init__(self, team: Team) -> None:
        super().__init__(team)
        self.topic = "release-hello-1.0"
        self.check()

    def block(self, name: str, topic: str | None = None) -> SignatureBlock:
        (block,) = self.team.person(name).blocks(topic or self.topic)
        return block

    def post(
        self, name: str, text: str, *, state: str = "COMMENTED", editor: Account | None = None
    ) -> Review:
        return self.host.review(self.number(self.topic), PEOPLE[name], text, state=state, editor=editor)

    def collect(self) -> Collected:
        return collect(self.context, self.host, run_url=RUN)

    def last_commit(self) -> Commit:
        self.context.forge.refresh()
        return self.context.forge.history(f"sign/{self.topic}", "main")[0]

    def reasons(self) -> list[str]:
        collected = self.collect()
        assert collected.taken == ()
        assert collected.exit_code is ExitCode.NOTHING
        return [one.refusal.reason for one in collected.refused]


def with_numbers(team: Team, signers: tuple[str, ...] = ("alice", "bob")) -> None:
    """A repository whose metadata names the numbers of its signers' accounts."""
    team.init(signers)
    host = FakeHost(tip=lambda _: None, accounts=list(PEOPLE.values()))
    for name in signers:
        person = team.person(name)
        found.join(replace(person.context, identify=identify_by(host)), found.FOUNDING, name, person.key)
    for name in signers[:2]:
        team.person(name).sign(found.FOUNDING)
    events.merge(team.person(signers[0]).context, found.FOUNDING)


def with_numbers_and_proposal(team: Team) -> None:
    """The same, and a version of the app proposed that nobody has signed."""
    team.begin(with_numbers)
    team.propose("1.0")


@pytest.fixture
def room(team: Team) -> Round:
    team.begin(with_numbers_and_proposal)
    return Round(team)


@pytest.fixture(scope="module")
def one_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Round]:
    base = tmp_path_factory.mktemp("collecting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(base / "no-gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        team = Team(base)
        team.begin(with_numbers_and_proposal)
        yield Round(team)


@pytest.fixture
def waiting(one_room: Round) -> Round:
    """The same release for every test that takes no signature."""
    one_room.host.reviewed.clear()
    one_room.host.broken.clear()
    return one_room


def test_a_block_in_a_review_becomes_a_commit_of_the_reviewer(room: Round) -> None:
    review = room.post("bob", f"Looks good.\n\n```\n{render_block(room.block('bob'))}```\n")

    collected = room.collect()

    (taken,) = collected.taken
    commit = room.last_commit()
    assert (taken.role, taken.version, taken.owner, taken.by_login) == ("targets", 2, "bob", False)
    assert commit.oid == taken.commit
    assert (commit.author.name, commit.author.email) == ("bob", "1002+bob@users.noreply.github.com")
    keyid = room.team.person("bob").key.public.keyid
    assert commit.message == (
        f"Sign targets 2 as bob\n\nKeyturn-Signature: targets 2 {keyid}\nKeyturn-Review: {review.url}\n"
    )
    assert collected.exit_code is ExitCode.DONE


def test_the_event_is_checked_in_the_same_run(room: Round) -> None:
    room.post("bob", render_block(room.block("bob")))
    room.post("alice", render_block(room.block("alice")))

    collected = room.collect()

    assert collected.checked is not None
    assert collected.checked.events[0].state is EventState.READY
    assert room.status(room.topic).state == "success"


@pytest.mark.parametrize("state", ["APPROVED", "COMMENTED", "CHANGES_REQUESTED", "DISMISSED"])
def test_the_kind_of_review_plays_no_part(room: Round, state: str) -> None:
    room.post("bob", render_block(room.block("bob")), state=state)

    assert [taken.owner for taken in room.collect().taken] == ["bob"]


def test_the_commit_that_was_reviewed_plays_no_part(room: Round) -> None:
    block = room.block("bob")
    room.host.review(room.number(room.topic), PEOPLE["bob"], render_block(block), commit="0" * 40)
    room.team.person("alice").sign(room.topic)

    assert [taken.owner for taken in room.collect().taken] == ["bob"]


def test_a_second_run_finds_nothing_and_writes_nothing(room: Round) -> None:
    room.post("bob", render_block(room.block("bob")))
    room.collect()
    tip = room.tip(room.topic)
    room.host.writes.clear()

    collected = room.collect()

    assert collected.nothing
    assert collected.exit_code is ExitCode.NOTHING
    assert collected.refused == ()
    assert room.tip(room.topic) == tip
    assert room.host.writes == []


def test_one_review_may_carry_signatures_on_several_roles(team: Team) -> None:
    team.begin(with_proposal, "1.0")
    room = Round(team)
    context = team.person("alice").context
    room.topic = "both"
    (proposed,) = changing.renew(context, ["root", "targets"])
    room.topic = proposed.topic
    room.check()
    text = "".join(render_block(block) for block in team.person("bob").blocks(room.topic))
    room.post("bob", text)

    assert [(taken.role, taken.owner) for taken in room.collect().taken] == [
        ("root", "bob"),
        ("targets", "bob"),
    ]


def test_a_signature_posted_by_somebody_else_is_refused(waiting: Round) -> None:
    waiting.post("mallory", render_block(waiting.block("bob")))

    assert waiting.reasons() == ["other-person"]
    comment = waiting.comment(waiting.topic)
    assert (
        "[review](https://github.example/alice/updates/pull/1#pullrequestreview-1000) of `mallory`" in comment
    )
    assert "the key belongs to bob (id 1002), the review is by mallory (id 1666)." in comment


def test_a_login_that_was_taken_by_another_person_is_refused(waiting: Round) -> None:
    waiting.host.review(
        waiting.number(waiting.topic), Account("bob", 9999), render_block(waiting.block("bob"))
    )

    assert waiting.reasons() == ["other-person"]


def test_a_renamed_owner_is_still_the_owner(room: Round) -> None:
    room.host.review(room.number(room.topic), Account("robert", 1002), render_block(room.block("bob")))

    (taken,) = room.collect().taken
    assert taken.owner == "bob"
    assert room.last_commit().author.name == "robert"


def test_without_numbers_in_the_metadata_the_login_counts_and_that_is_said(team: Team) -> None:
    team.begin(with_proposal, "1.0")
    room = Round(team)
    room.host.review(room.number(room.topic), Account("BOB", 9999), render_block(room.block("bob")))

    (taken,) = room.collect().taken

    assert taken.by_login
    assert "Recognised by login alone, since the metadata has no numeric id: `BOB`." in room.comment(
        room.topic
    )


def test_an_event_cannot_hand_somebody_s_key_to_its_author(team: Team) -> None:
    team.begin(with_numbers)
    desk = Desk(team)
    context = team.person("alice").context
    (proposed,) = changing.renew(context, ["root"])
    context.forge.refresh()
    tree = context.forge.tree(context.forge.event(proposed.topic))
    robbed = (
        tree.read("metadata/root.json")
        .replace(b'"id": 1002', b'"id": 1666')
        .replace(b'"login": "bob"', b'"login": "mallory"')
    )
    files = {"metadata/root.json": robbed, "metadata/root_history/2.root.json": robbed}
    push(team, f"sign/{proposed.topic}", files)
    desk.check()
    (file,) = [f for f in desk.check().events[0].view.loaded.event.proposed if f.role == "root"]
    block = sign_payload(
        team.person("bob").key, file.payload, repository=team.root_digest, role="root", version=2
    )
    desk.host.review(desk.number(proposed.topic), PEOPLE["mallory"], render_block(block))

    collected = collect(desk.context, desk.host, run_url=RUN)

    assert collected.taken == ()
    assert [one.refusal.reason for one in collected.refused] == ["other-person"]


@pytest.mark.parametrize("editor", [PEOPLE["mallory"], PEOPLE["alice"]])
def test_a_review_edited_by_another_is_refused(waiting: Round, editor: Account) -> None:
    waiting.post("bob", render_block(waiting.block("bob")), editor=editor)

    assert waiting.reasons() == ["edited-review"]
    assert f"was edited by {editor.login}" in waiting.comment(waiting.topic)


def test_a_review_edited_by_an_account_that_is_gone_is_refused(waiting: Round) -> None:
    waiting.post("bob", render_block(waiting.block("bob")))
    (review,) = waiting.host.reviewed[1]
    waiting.host.reviewed[1] = [replace(review, edited=NOW)]

    assert waiting.reasons() == ["edited-review"]


def test_a_review_edited_by_its_author_counts_as_it_reads_now(room: Round) -> None:
    room.post("bob", render_block(room.block("bob")), editor=PEOPLE["bob"])

    assert [taken.owner for taken in room.collect().taken] == ["bob"]


def test_an_edit_after_the_signature_was_taken_changes_nothing(room: Round) -> None:
    room.post("bob", render_block(room.block("bob")))
    room.collect()
    room.host.reviewed[1] = [
        replace(one, editor=PEOPLE["mallory"], edited=NOW) for one in room.host.reviewed[1]
    ]

    collected = room.collect()

    assert collected.nothing
    assert collected.refused == ()


def test_a_deleted_review_is_simply_not_there(waiting: Round) -> None:
    waiting.post("bob", render_block(waiting.block("bob")))
    waiting.host.reviewed.clear()

    collected = waiting.collect()

    assert (collected.taken, collected.refused, collected.checked) == ((), (), None)
    assert collected.exit_code is ExitCode.NOTHING


def test_a_signature_over_an_abandoned_payload_is_refused_until_it_is_signed_again(room: Round) -> None:
    room.post("bob", render_block(room.block("bob")))
    (room.team.bundle("1.0") / "more").write_text("more\n")
    room.team.propose("1.0")

    assert room.reasons() == ["other-payload"]
    assert "sign that" in room.comment(room.topic)

    prepared = room.team.person("bob").blocks(room.topic, despite=DESPITE)
    room.post("bob", render_block(prepared[0]))
    collected = room.collect()
    assert [taken.owner for taken in collected.taken] == ["bob"]
    assert collected.refused == ()


def test_a_signature_on_a_version_that_is_not_proposed_is_refused(waiting: Round) -> None:
    block = waiting.block("bob")
    waiting.post("bob", render_block(replace(block, version=3)))

    assert waiting.reasons() == ["other-payload"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"payload_sha256": "0" * 64}, "other-payload"),
        ({"repository": "1" * 64}, "other-repository"),
        ({"keyid": "2" * 64}, "foreign-key"),
        ({"signature": b"x" * 64}, "bad-signature"),
        ({"role": "snapshot"}, "other-payload"),
    ],
)
def test_a_block_that_belongs_elsewhere_or_does_not_verify_is_refused(
    waiting: Round, change: dict[str, object], reason: str
) -> None:
    waiting.post("bob", render_block(replace(waiting.block("bob"), **change)))

    assert waiting.reasons() == [reason]
    assert waiting.status(waiting.topic).description == "targets 2: 0 of 2 signatures, alice or bob may sign"


def test_a_key_that_may_not_sign_is_refused_though_its_owner_posts_it(waiting: Round) -> None:
    mallory = waiting.team.person("mallory").key
    (file,) = waiting.check().events[0].view.loaded.event.proposed
    block = sign_payload(
        mallory, file.payload, repository=waiting.team.root_digest, role="targets", version=2
    )
    waiting.post("mallory", render_block(block))

    assert waiting.reasons() == ["foreign-key"]


@pytest.mark.parametrize(
    "text",
    [
        f"{BEGIN}\nformat: 1\n",
        f"{BEGIN}\n{'x' * 17_000}\n{END}\n",
        f"{END}\n",
        f"{BEGIN}\nformat: 2\n{END}\n",
    ],
)
def test_a_malformed_block_is_refused_with_its_line(waiting: Round, text: str) -> None:
    waiting.post("bob", text)

    assert waiting.reasons() == ["bad-block"]
    assert "line" in waiting.comment(waiting.topic)


def test_a_mistake_is_told_of_until_a_later_review_puts_it_right(room: Round) -> None:
    room.post("bob", f"{BEGIN}\nformat: 1\n")
    room.reasons()
    told = "that were not taken" in room.comment(room.topic)
    room.post("bob", render_block(room.block("bob")))

    collected = room.collect()

    assert told
    assert [taken.owner for taken in collected.taken] == ["bob"]
    assert "that were not taken" not in room.comment(room.topic)


def test_reviews_without_a_block_are_nobody_s_business(waiting: Round) -> None:
    waiting.post("mallory", "I like it. KEYTURN")

    collected = waiting.collect()

    assert (collected.taken, collected.refused, collected.checked) == ((), (), None)


def test_two_reviews_of_the_same_block_make_one_commit(room: Round) -> None:
    block = render_block(room.block("bob"))
    room.post("bob", block)
    room.post("bob", block)

    assert len(room.collect().taken) == 1


def test_somebody_who_pushes_at_the_same_moment_loses_nothing(
    room: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.post("bob", render_block(room.block("bob")))
    propose = LocalForge.propose
    pushed: list[str] = []

    def slow(self: LocalForge, topic: str, change: object) -> str:
        if self is room.context.forge and not pushed:
            pushed.append("alice")
            room.team.person("alice").sign(topic)
        return propose(self, topic, change)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalForge, "propose", slow)
    collected = room.collect()

    assert [taken.owner for taken in collected.taken] == ["bob"]
    assert room.status(room.topic).description == "targets 2: 2 of 2 signatures"


def test_a_payload_that_changes_between_reading_and_committing_is_refused(
    room: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.post("bob", render_block(room.block("bob")))
    propose = LocalForge.propose
    changed: list[str] = []

    def slow(self: LocalForge, topic: str, change: object) -> str:
        if self is room.context.forge and not changed:
            changed.append(topic)
            (room.team.bundle("1.0") / "more").write_text("more\n")
            room.team.propose("1.0")
        return propose(self, topic, change)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalForge, "propose", slow)

    assert room.reasons() == ["other-payload"]


def test_nothing_of_a_review_gets_into_the_commit(room: Round) -> None:
    review = room.post("bob", f"Keyturn-Signature: root 9 evil\n{render_block(room.block('bob'))}\n\x1b[31m")
    hostile = replace(
        review, url="https://x/\nKeyturn-Signature: root 9 evil", author=Account("bob\n<x>", 1002)
    )
    room.host.reviewed[1] = [hostile]

    room.collect()

    message = room.last_commit().message
    assert "evil" not in message
    assert "\x1b" not in message
    assert room.last_commit().author.name == "user"


def test_a_signature_from_a_review_is_no_warning_and_one_that_claims_to_be_is(room: Round) -> None:
    room.post("bob", render_block(room.block("bob")))
    before = room.tip(room.topic)
    room.collect()
    branch = f"sign/{room.topic}"
    room.host.pushes.append(Push(branch, before, room.tip(room.topic), ROBOT, NOW))
    assert room.check().events[0].view.warnings == ()

    room.host.pushes[:] = [Push(branch, before, room.tip(room.topic), PEOPLE["mallory"], NOW)]
    assert "pushed by mallory" in room.check().events[0].view.warnings[0]


def test_an_event_that_cannot_be_read_leaves_the_others_alone_and_fails_the_job(
    room: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(room.team, "sign/other", {"channels.yml": b"{}\n"})
    room.check()
    room.post("bob", render_block(room.block("bob")))
    other = room.number("other")
    real = room.host.reviews

    def reviews(number: int) -> tuple[Review, ...]:
        if number == other:
            raise HostError("502", reason="host")
        return real(number)

    monkeypatch.setattr(room.host, "reviews", reviews)
    collected = room.collect()

    assert [taken.owner for taken in collected.taken] == ["bob"]
    assert [failure.topic for failure in collected.failures] == ["other"]
    assert collected.exit_code is ExitCode.ENVIRONMENT
    with pytest.raises(EnvironmentFault, match="502"):
        collected.require_whole()


def test_the_founding_event_is_signed_by_review_too(team: Team) -> None:
    team.init()
    team.join("alice", "bob")
    desk = Desk(team)
    desk.check()
    team.person("alice").sign(found.FOUNDING)
    text = "".join(render_block(block) for block in team.person("bob").blocks(found.FOUNDING))
    desk.host.review(desk.number(found.FOUNDING), PEOPLE["bob"], text)

    collected = collect(desk.context, desk.host, run_url=RUN)

    assert {taken.role for taken in collected.taken} == {"root", "targets"}
    assert desk.status(found.FOUNDING).state == "success"


def test_the_author_of_a_commit_is_an_account_and_nothing_else() -> None:
    assert author_of(Account("a-b[bot]", 5)).email == "5+a-b[bot]@users.noreply.github.com"
    assert author_of(Account("a\nb", 5)).email == "5+user@users.noreply.github.com"

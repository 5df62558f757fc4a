"""What a pull request says of its event: all of it there, all of it text, and always the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from keyturn.errors import EnvironmentFault
from keyturn.flow import comment
from keyturn.flow.comment import EventView, render_event
from keyturn.flow.context import Loaded
from keyturn.flow.events import Status
from keyturn.flow.markdown import advice, bounded, code, markdown_escape
from keyturn.flow.overlapping import Overlap
from keyturn.flow.provenance import LeftBehind
from keyturn.flow.reviewing import Offer, Refusal, Reviewed
from keyturn.forge.host import Account, Review
from keyturn.signing import SignatureBlock
from keyturn.trial import Outcome
from keyturn.verify import (
    RULES,
    Count,
    Difference,
    Event,
    EventState,
    Finding,
    KeyMark,
    Report,
    RoleStatus,
    Severity,
    differences,
    verify_event,
)
from unit.repository import release, released

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
SLY = "\x00\x1b\x7f\u200b\u202e\u2028\ufeff`|<>[]()!@#&*_~\\-+=:/.\n\r\t \"'$%^{}0123456789abcdefGHw"
SNIPPETS = (
    "@alice",
    "@org/team",
    "#1",
    "GH-1",
    "alice/updates#1",
    "alice/updates@5935457",
    "https://x.example/",
    "www.x.example",
    "a@b.example",
    "<script>alert(1)</script>",
    "<!-- x -->",
    "![x](http://x/y.png)",
    "[x](javascript:alert)",
    "[x]: http://x",
    "**x**",
    "~~~",
    "```",
    "| a | b |",
    "&lt;",
    "&#64;alice",
    "\n# head",
    "\n- item",
    "1. item",
    "---",
    ":smile:",
    "5935457abc",
    "\u202eevil\u202c",
    "$x^2$",
    "fixes #3",
)
texts = st.lists(
    st.one_of(
        st.text(st.characters(codec=None), max_size=8), st.text(SLY, max_size=12), st.sampled_from(SNIPPETS)
    ),
    max_size=6,
).map("".join)

HARMLESS = {
    "paragraph_open",
    "paragraph_close",
    "inline",
    "text",
    "code_inline",
}
LINKED_BY_THE_HOST = re.compile(r"[@#<>]|https?:|www\.|\bGH-\d|[0-9a-f]{7,}|:\w+:|[a-z]-\d", re.IGNORECASE)
"""What GitHub turns into mentions, references and links after the Markdown is rendered, but not in code."""


def tokens(text: str) -> Iterator[Token]:
    for token in MARKDOWN.parse(text):
        yield token
        yield from token.children or ()


def outside_code(text: str) -> str:
    return " ".join(token.content for token in tokens(text) if token.type == "text")


@given(texts)
@settings(max_examples=400)
@example("x@y")
@example("deadbeefdeadbeef")
@example("\\`@alice`")
@example("``@alice``")
@example("a `b")
def test_words_from_outside_are_words_and_code_and_nothing_else(text: str) -> None:
    shown = f"- **KT1** error: {markdown_escape(text)}"

    kinds = {token.type for token in tokens(markdown_escape(text) or "x")}
    assert kinds <= HARMLESS
    assert not LINKED_BY_THE_HOST.search(outside_code(shown))
    assert "\n" not in shown


@given(texts, texts)
@settings(max_examples=300)
def test_a_name_is_one_code_span_wherever_it_stands(one: str, other: str) -> None:
    inner = [token for token in tokens(f"x {code(one)} y {code(other)} z") if token.type != "inline"]
    assert [token.type for token in inner] == [
        "paragraph_open",
        "text",
        "code_inline",
        "text",
        "code_inline",
        "text",
        "paragraph_close",
    ]


@given(texts)
@settings(max_examples=200)
def test_a_table_keeps_its_cells(text: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| {code(text)} | {markdown_escape(text) or 'x'} |\n"
    kinds = [token.type for token in MARKDOWN.parse(table)]
    assert kinds.count("td_open") == 2
    assert kinds.count("tr_open") == 2


@given(texts)
def test_nothing_that_hides_or_moves_is_left(text: str) -> None:
    assert code(text).isprintable()
    assert markdown_escape(text).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("alice may sign (or bob).", "alice may sign (or bob)."),
        ("is version 3, main already has 2", "is version 3, main already has 2"),
        ("changes src/main.py here", "changes `src/main.py` here"),
        ("ask @alice now", "ask `@alice` now"),
        ("a|b`c", "`a\\u007cb\\u0060c`"),
        ("two  blanks", "two `\\u0020blanks`"),
        ("ends in 2.", "ends in 2."),
        ("1. begins", "`1`. begins"),
        (
            "payload abcdef0123, of bob (id 7), in x.y (a.b)",
            "payload `abcdef0123`, of bob (id 7), in `x.y` (`a.b`)",
        ),
        ("a.b c.d: e", "`a.b c.d`: e"),
        ("\x1b[31mred", "`\\u001b[31mred`"),
        ("not utf-8: \udcff", "not `utf-8`: `\\udcff`"),
        ("", ""),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert markdown_escape(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", '`""`'), (" a", "`\\u0020a`"), ("a  b", "`a \\u0020b`"), ("x" * 500, f"`{'x' * 397}...`")],
)
def test_names_that_would_not_show_are_made_to(text: str, shown: str) -> None:
    assert code(text) == shown


def test_what_is_too_long_is_cut_at_a_line_and_says_so() -> None:
    text = "".join(f"line {number}\n" for number in range(100))
    cut = bounded(text, 200, "Cut.")
    assert len(cut) <= 200
    assert cut.endswith("\n\nCut.\n")
    assert all(line.startswith("line") for line in cut.splitlines()[:-2])


def test_a_fence_that_is_open_at_the_cut_is_closed() -> None:
    cut = bounded("```console\n" + "$ x\n" * 100, 100, "Cut.")
    assert next(token.type for token in MARKDOWN.parse(cut)) == "fence"
    assert outside_code(cut) == "Cut."


def test_what_the_rules_say_of_themselves_needs_no_escape() -> None:
    for rule in RULES:
        assert not LINKED_BY_THE_HOST.search(outside_code(advice(rule.mend)))


# The comment of an event


def view_of(event: Event, topic: str = "release-hello-1.0", **more: object) -> EventView:
    report = verify_event(event)
    loaded = Loaded(topic=topic, url="https://x.example/r", event=event, own=event.head, merged=False)
    status = Status(topic, report.state, report, differences(event), "ab" * 32)
    return replace(EventView(loaded, status, "https://github.example/a/u/pull/5"), **more)  # type: ignore[arg-type]


def proposed() -> Event:
    draft = released()
    release(draft, "2.0")
    return draft.event()


def test_every_section_reads_as_it_should() -> None:
    text = render_event(view_of(proposed()))

    assert text.startswith("### Keyturn: `sign/release-hello-1.0` is **")
    assert "| role | version | threshold of | signatures | signed by | may still sign |" in text
    assert "#### What changes" in text


def test_the_same_event_gives_the_same_text() -> None:
    assert render_event(view_of(proposed())) == render_event(view_of(proposed()))


MARK_A = KeyMark("alice", "a" * 64, "0123456789abcdef" * 4)
MARK_B = KeyMark("bob", "b" * 64, "fedcba9876543210" * 4)


@cache
def view_of_proposed() -> EventView:
    return view_of(proposed())


def with_report(state: EventState, *, roles: tuple[RoleStatus, ...] = (), **more: object) -> EventView:
    view = view_of_proposed()
    report = Report(state, more.pop("findings", ()), roles, more.pop("missing_keys", ()))  # type: ignore[arg-type]
    status = replace(view.status, state=state, report=report, **more)  # type: ignore[arg-type]
    return replace(view, status=status)


def targets_2(*signed: KeyMark) -> RoleStatus:
    missing = tuple(mark for mark in (MARK_A, MARK_B) if mark not in signed)
    return RoleStatus("targets", 2, "cd" * 32, (Count("root 1", 2, signed, missing),))


def root_2() -> RoleStatus:
    old = Count("root 1", 2, (MARK_A,), (MARK_B,))
    new = Count("root 2", 1, (MARK_A,), (MARK_B,))
    return RoleStatus("root", 2, "ef" * 32, (old, new))


def test_a_pending_event_says_who_signed_who_may_and_how() -> None:
    text = render_event(with_report(EventState.PENDING, roles=(targets_2(MARK_A),)))

    assert (
        "| `targets` | 2 | `root 1` | **1 of 2** "
        "| `alice` `0123 4567 89ab cdef` | `bob` `fedc ba98 7654 3210` |" in text
    )
    assert f"- `targets 2`: `{'cd' * 32}`" in text
    assert "$ keyturn sign https://github.example/a/u/pull/5\n" in text
    assert "$ keyturn sign https://github.example/a/u/pull/5 --export DIR\n" in text
    assert "$ keyturn sign --from DIR --key URI --out FILE\n" in text
    assert "`keyturn attach https://github.example/a/u/pull/5 FILE`" in text


def test_a_root_is_counted_under_the_old_and_the_new_one_apart() -> None:
    text = render_event(with_report(EventState.PENDING, roles=(root_2(),)))

    assert "| `root` | 2 | `root 1` | **1 of 2** |" in text
    assert "| `root` | 2 | `root 2` | 1 of 1 |" in text
    assert "each by itself" in text


def test_a_ready_event_says_that_it_was_tried_and_tells_nobody_to_sign() -> None:
    view = with_report(EventState.READY, roles=(targets_2(MARK_A, MARK_B),), trial=Outcome(None, 1))
    text = render_event(view)

    assert "is **ready**" in text
    assert "a stock client updates" in text
    assert "keyturn sign" not in text


def test_loud_changes_come_first() -> None:
    quiet = Difference("targets", "target-added", "a", None, "1 byte", loud=False)
    loud = Difference("root", "threshold", "root", "2 of 3", "1 of 3", loud=True)
    text = render_event(with_report(EventState.PENDING, differences=(quiet, loud)))

    assert "- **!! `root`: threshold `root`** (changed): `2 of 3` → `1 of 3`" in text
    assert text.index("!!") < text.index("target-added")


def test_findings_say_how_to_mend_them_and_errors_come_first() -> None:
    mild = Finding(
        "KT405", Severity.WARNING, "it drifts", "keyturn.yml", "why", "Run `keyturn propose policy`."
    )
    bad = Finding("KT103", Severity.ERROR, "is version 1", "metadata/x.json", "why", "Propose again.")
    text = render_event(with_report(EventState.INVALID, findings=(mild, bad)))

    assert "- **KT103** **error**, `metadata/x.json`: is version 1. To mend it: Propose again." in text
    assert "it drifts. To mend it: Run `keyturn propose policy`." in text
    assert text.index("KT103") < text.index("KT405")


def review(login: str = "bob", number: int = 1002) -> Review:
    when = datetime(2026, 1, 1, tzinfo=timezone.utc)
    url = "https://github.example/a/u/pull/5#pullrequestreview-9"
    return Review(9, url, Account(login, number), "", "COMMENTED", "c" * 40, when)


def test_refused_reviews_say_who_why_and_what_to_do() -> None:
    refusal = Refusal(review(), "other-payload", "the signature is over another payload", "Sign that.")
    text = render_event(replace(view_of(proposed()), reviewed=Reviewed(refusals=(refusal,))))

    assert (
        "- The [review](https://github.example/a/u/pull/5#pullrequestreview-9) of `bob`: "
        "the signature is over another payload. Sign that." in text
    )


def test_only_the_newest_of_very_many_refusals_are_shown() -> None:
    refusals = tuple(Refusal(review(f"u{n}"), "bad-block", "x" * 300, "Again.") for n in range(200))
    text = render_event(replace(view_of(proposed()), reviewed=Reviewed(refusals=refusals)))

    assert "`u199`" in text
    assert "`u0`" not in text
    assert "Older ones are left out." in text


def test_a_signature_that_waits_and_one_known_by_login_are_told_of() -> None:
    block = SignatureBlock("1" * 64, "targets", 2, "2" * 64, "3" * 64, b"x")
    reviewed = Reviewed(offers=(Offer(review(), block, by_login=True),))
    text = render_event(replace(view_of(proposed()), reviewed=reviewed))

    assert "A signature of `bob` in a review is about to be committed." in text
    assert "Recognised by login alone" in text


def test_what_was_left_behind_names_owner_version_and_payload() -> None:
    left = (LeftBehind("bob", "targets", 2, "ab" * 32),)
    assert f"- `bob`: `targets 2`, payload `{'ab' * 32}`" in render_event(
        replace(view_of(proposed()), left_behind=left)
    )


def test_only_those_who_cannot_be_asked_are_mentioned_and_only_logins_are() -> None:
    view = replace(view_of(proposed()), unrequested=("bob", "org/team", "x y"))
    text = render_event(view)

    assert "requested of @bob, `org/team`, `x y`:" in text
    assert text.count("@") == 1


def test_a_comment_stays_below_what_the_host_takes_whatever_is_in_the_event() -> None:
    many = tuple(
        Difference("targets", "target-added", f"{n}/{'x' * 300}", None, "y" * 5000, loud=True)
        for n in range(5000)
    )
    broken = tuple(Finding("KT301", Severity.ERROR, "z" * 900, f"p{n}", "w", "m") for n in range(5000))
    view = with_report(EventState.INVALID, differences=many, findings=broken, missing_keys=("a" * 39,) * 5000)
    left = tuple(LeftBehind("bob", "targets", n, "ab" * 32) for n in range(5000))
    overlaps = tuple(Overlap(f"t{n}", roles=("targets",) * 50, findings=broken[:50]) for n in range(500))
    warnings = ("w" * 1000,) * 500
    text = render_event(
        replace(view, left_behind=left, overlaps=overlaps, warnings=warnings, unrequested=("bob",) * 500)
    )

    assert len(text) + len(comment.MARK) < 61_000
    assert "**Cut here.**" in text


@given(texts, texts)
@settings(max_examples=150, deadline=None)
def test_nothing_from_outside_becomes_more_than_text_in_the_comment(one: str, other: str) -> None:
    finding = Finding("KT301", Severity.ERROR, one, other, "why", "Mend it.")
    mark = KeyMark(one, other, one)
    view = with_report(
        EventState.PENDING,
        roles=(RoleStatus(one, 2, other, (Count(one, 1, (mark,), (mark,)),)),),
        differences=(Difference(one, "field", other, one, other, loud=True),),
        findings=(finding,),
        topic=one,
    )
    view = replace(
        view,
        address=other,
        warnings=(one,),
        left_behind=(LeftBehind(one, other, 1, one),),
        unrequested=(one,),
        overlaps=(Overlap(one, (other,), (one,), (finding,), url=other),),
        reviewed=Reviewed(
            refusals=(Refusal(replace(review(one), url=other), "bad-block", one, other),),
            offers=(
                Offer(
                    review(other), SignatureBlock("1" * 64, "x", 1, "2" * 64, "3" * 64, b"x"), by_login=True
                ),
            ),
        ),
    )
    text = render_event(view)
    plain = outside_code(text)
    mentioned = re.compile(r"requested of @[A-Za-z0-9-]+:")

    assert not LINKED_BY_THE_HOST.search(mentioned.sub("", plain))
    kinds = {token.type for token in tokens(text)}
    assert not kinds & {"html_inline", "html_block", "image", "blockquote_open", "ordered_list_open", "hr"}
    links = [token.attrs["href"] for token in tokens(text) if token.type == "link_open"]
    assert all(link == other for link in links)


# Title and status


@pytest.mark.parametrize(
    ("topic", "shown"),
    [
        ("release-hello-1.0", "Sign: release-hello-1.0"),
        ("`x` @alice #1", "Sign: \\u0060x\\u0060 \\u0040alice \\u00231"),
        ("\u202eevil", "Sign: \\u202eevil"),
        ("x" * 200, f"Sign: {'x' * 87}..."),
    ],
)
def test_a_title_has_no_character_that_means_anything(topic: str, shown: str) -> None:
    view = with_report(EventState.INVALID, topic=topic)
    assert comment.title(view.status) == shown


@given(texts)
def test_titles_and_status_lines_are_plain_and_short(text: str) -> None:
    mark = KeyMark(text, "k", "f")
    role = RoleStatus(text, 1, "d", (Count(text, 2, (mark,), (mark, mark)),))
    for state in EventState:
        view = with_report(state, roles=(role,), missing_keys=(text,), topic=text)
        for line in (comment.status_line(view.status), comment.title(view.status)):
            assert len(line) <= 140
            assert line.isascii()
            assert line.isprintable()


@pytest.mark.parametrize("state", list(EventState))
def test_only_ready_is_success(state: EventState) -> None:
    posted = comment.state_of(with_report(state).status)
    assert (posted == "success") is (state is EventState.READY)
    assert (posted == "failure") is (state is EventState.INVALID)


def test_the_line_of_a_root_has_both_counts() -> None:
    line = comment.status_line(with_report(EventState.PENDING, roles=(root_2(),)).status)
    assert line == ("root 2: 1 of 2 signatures under root 1, bob may sign, 1 of 1 signatures under root 2")


def test_a_failed_check_says_that_it_judges_nothing() -> None:
    error = EnvironmentFault("x", reason="host")
    assert comment.failed_line(error) == "the check failed (host); it says nothing about the event"
    assert comment.failed_line(None).startswith("the check failed;")

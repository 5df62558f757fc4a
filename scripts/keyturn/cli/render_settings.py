"""How the settings of a repository are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from keyturn.cli.lines import Level, Line, Lines, Span, Style, bad, detail, good, line, strong, verdict
from keyturn.errors import ExitCode
from keyturn.flow.setting_up import Checked, Diagnosis, Setting, Standing, Weight, Wish

_LOOKS: Mapping[Standing, tuple[str, Style]] = {
    Standing.RIGHT: ("ok", "good"),
    Standing.MADE: ("set", "good"),
    Standing.DRIFT: ("wrong", "bad"),
    Standing.UNKNOWN: ("unknown", "warn"),
}


def by_hand(settings: Sequence[Setting], wish: Wish) -> Lines:
    """What somebody sets who gave no token."""
    lines: list[Line] = [line(strong("settings to make, since there is no token (GH_TOKEN, or gh):"))]
    for number, setting in enumerate(settings, 1):
        lines.append(line(f"  {number}. {setting.what}: {setting.wanted}"))
        lines.append(line(f"     {setting.page}"))
    if wish.secret is not None:
        lines.append(
            line(
                "  If that page of the environment offers no choice of branches, your plan has none for this "
                "repository: do not keep the key there, use a KMS."
            )
        )
    return (*lines, _later())


def made(checked: Sequence[Checked]) -> Lines:
    """What was set, and what is left."""
    return (*(text for each in checked for text in _checked(each, Level.NORMAL)), _later())


def _later() -> Line:
    return line(
        strong("then: "),
        "once root 1 is signed, `keyturn doctor --fix` writes the root digest into the environment",
    )


def diagnosis(result: Diagnosis) -> Lines:
    """What ``doctor`` found."""
    lines = [text for each in result.checked for text in _checked(each, Level.VERDICT)]
    if not result.trusted and any(each.setting.id == "root" for each in result.checked):
        lines.append(
            line(
                "This machine pins no root here: the digest compared with is what the repository says itself."
            )
        )
    return (*lines, _summary(result))


def _summary(result: Diagnosis) -> Line:
    if result.exit_code is ExitCode.DONE:
        return verdict(good("all is set up"))
    if result.exit_code is ExitCode.ENVIRONMENT:
        return verdict(Span("not all of it could be found out", "warn"))
    number = len(result.drifted)
    return verdict(bad(f"{number} setting{'s' if number > 1 else ''} to mend"))


def _checked(one: Checked, level: Level) -> Iterable[Line]:
    word, style = _LOOKS[one.standing]
    if one.standing is Standing.RIGHT:
        yield detail(Span(f"{word:>8}", style), f"  {one.setting.what}: {one.setting.wanted}")
        return
    if one.standing is Standing.MADE:
        yield line(Span(f"{word:>8}", style), f"  {one.setting.what}: {one.setting.wanted}")
        return
    if one.standing is Standing.DRIFT and one.setting.weight is Weight.NOTE:
        yield line(Span(f"{'note':>8}", "warn"), f"  {one.setting.what}: {one.found}")
        return
    yield line(Span(f"{word:>8}", style), f"  {one.setting.what}: {one.found}", level=level)
    yield line(f"          should be: {one.setting.wanted}")
    yield line(f"          where: {one.setting.page}")
    yield line(f"          {one.setting.weight.value}: {one.setting.why}")
    if one.todo:
        yield line(f"          todo: {one.todo}")

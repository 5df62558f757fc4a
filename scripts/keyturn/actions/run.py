"""The frame around every script: from the environment to an exit code, whatever happens in between.

"Nothing to do" and "still waiting for somebody" are good ends of a job; a refusal, a fault and a crash are
not, and each of them has an exit code of its own (SPEC: States of a signing event).
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keyturn import __version__
from keyturn.actions.environment import Job
from keyturn.actions.outputs import Outputs, annotate, debug, tell
from keyturn.errors import ExitCode, KeyturnError, NothingToDo, PendingError
from keyturn.flow.markdown import advice
from keyturn.policy import PolicyError

STATE = "state"
REASON = "reason"
ALWAYS = (STATE, REASON)
"""Outputs of every action."""


@dataclass(frozen=True, slots=True)
class Input:
    """An input of an action.

    Args:
        name: Its name in ``with:``.
        default: What the script takes where it is empty.
        required: Whether it must be given.
    """

    name: str
    default: str = ""
    required: bool = False


def run_job(
    main: Callable[[Job, Outputs], ExitCode | None],
    inputs: Sequence[Input],
    outputs: Sequence[str],
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Run the script of an action.

    Args:
        main: What the action does; it sets the output ``state``, and may name another exit code than 0.
        inputs: Every input that it reads, but for the token.
        outputs: Every output that it may set, beside ``state`` and ``reason``.
        environment: The job's variables.

    Returns:
        Exit code of the process.
    """
    said = Outputs((*ALWAYS, *outputs), environment)
    try:
        code = _ends(main, inputs, said, environment)
    except KeyboardInterrupt:
        said.set(state="failed", reason="interrupted")
        code = ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - nobody is shown a traceback
        code = _crashes(said, error)
    try:
        said.write()
    except OSError as error:
        annotate("error", f"the outputs could not be written: {error}")
        return code or ExitCode.ENVIRONMENT
    return code


def _ends(
    main: Callable[[Job, Outputs], ExitCode | None],
    inputs: Sequence[Input],
    said: Outputs,
    environment: Mapping[str, str],
) -> ExitCode:
    try:
        job = Job.read(environment, {given.name: given.default for given in inputs})
        for given in inputs:
            if given.required:
                job.require(given.name)
        return main(job, said) or ExitCode.DONE
    except (NothingToDo, PendingError) as wait:
        return _waits(said, wait)
    except KeyturnError as error:
        return _fails(said, error)


def _waits(said: Outputs, wait: NothingToDo | PendingError) -> ExitCode:
    state = "nothing" if isinstance(wait, NothingToDo) else "pending"
    said.set(state=state, reason=wait.reason)
    tell(f"{'nothing to do' if state == 'nothing' else 'pending'}: {wait}")
    said.say(_paragraph("Nothing to do" if state == "nothing" else "Waiting", wait))
    return ExitCode.DONE


def _fails(said: Outputs, error: KeyturnError) -> ExitCode:
    said.set(state="failed", reason=error.reason)
    said.say(_paragraph("Failed", error))
    if isinstance(error, PolicyError):
        for problem in error.problems:
            annotate(
                "error",
                f"{problem.where}: {problem.what}. {problem.todo}",
                title="keyturn: policy",
                file=error.file,
                line=problem.line,
            )
    else:
        text = f"{error}\n{error.todo}" if error.todo else str(error)
        annotate("error", text, title=f"keyturn: {error.reason}")
    return error.exit_code


def _crashes(said: Outputs, error: Exception) -> ExitCode:
    said.set(state="failed", reason="internal")
    text = f"an error of Keyturn {__version__} itself ({type(error).__name__})"
    todo = "Run the job again with debug logging and send what it says to the project."
    said.say(f"**Failed:** {text}\n\n{todo}")
    annotate("error", f"{text}\n{todo}", title="keyturn: internal")
    debug("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    return ExitCode.INTERNAL


def _paragraph(title: str, error: KeyturnError) -> str:
    parts = [f"**{title}:** {advice(str(error))}"]
    if error.todo:
        parts.append(advice(error.todo))
    return "\n\n".join(parts)

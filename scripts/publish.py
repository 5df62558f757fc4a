"""The action ``publish``: one of the four steps that put what was merged on the site.

Only the step ``stage`` sees the online key. The others verify everything again from the root digest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from keyturn.actions import Input, Job, Outputs, annotate, run_job
from keyturn.errors import NothingToDo, UsageError
from keyturn.flow import publishing
from keyturn.flow.context import Context, require_policy
from keyturn.flow.live import look
from keyturn.flow.markdown import code, markdown_escape
from keyturn.flow.tending import tend
from keyturn.signing import KeySigner, load_signer
from keyturn.state import State

INPUTS = (
    Input("step", default="stage"),
    Input("commit"),
    Input("directory"),
    Input("url"),
    Input("old-key"),
    Input("kms"),
    Input("attempts", default="20"),
    Input("pause", default="30"),
)
OUTPUTS = ("commit", "timestamp", "changed", "directory", "page-url", "root-digest", "client")

KMS: Mapping[str, str] = {"awskms": "aws", "gcpkms": "gcp", "azurekms": "azure", "vault": "vault"}
"""The input that goes with the scheme of an online key."""


def main(job: Job, outputs: Outputs) -> None:
    """Run the step that the input ``step`` names."""
    job.require_trusted()
    step = STEPS.get(job.inputs["step"])
    if step is None:
        raise UsageError(
            f"there is no step {job.inputs['step']!r}",
            where="the input step",
            todo=f"Name one of {', '.join(STEPS)}.",
            reason="bad-input",
        )
    with job.context() as context:
        step(job, context, outputs)


def stage(job: Job, context: Context, outputs: Outputs) -> None:
    """Sign online and write ahead."""
    staged = publishing.stage(context, signers(job, context), look)
    outputs.set(
        state="staged" if staged.changed else "nothing",
        commit=staged.commit,
        timestamp=staged.timestamp,
        changed=staged.changed,
        root_digest=staged.root_digest,
    )
    signed = " and ".join(f"{role} {version}" for role, version in staged.signed) or "nothing"
    next_step = "is to be deployed" if staged.changed else "is what the site has already"
    outputs.say(
        f"**Signed online:** {signed}. Commit {code(staged.commit[:12])} of `keyturn/staged`, timestamp "
        f"{staged.timestamp}, {next_step}.\n\n{markdown_escape(staged.said)}"
    )


def signers(job: Job, context: Context) -> list[KeySigner]:
    """The online key that the policy names, and the one before it if it is given.

    Raises:
        NothingToDo: There is nothing to publish before the founding event is merged.
    """
    context.forge.refresh()
    main = context.forge.tree(context.forge.main())
    # With a root digest there was a founding: then a main without a root is no beginning, but a loss.
    if job.root_digest is None and not State(main).roots:
        raise NothingToDo("the repository is not founded yet", where=context.forge.url, reason="not-founded")
    policy = require_policy(main)
    require_kms(policy.online.key, job.inputs["kms"])
    online = load_signer(policy.online.key, env=job.environment, ask_passphrase=None)
    publishing.require_online_key(main, policy, online)
    old = job.inputs["old-key"]
    return [online, *([load_signer(old, env=job.environment, ask_passphrase=None)] if old else [])]


def require_kms(uri: str, kms: str) -> None:
    """Have the input ``kms`` name the service that ``keyturn.yml`` names.

    Raises:
        UsageError: It names another, or none (reason ``bad-input``).
    """
    wanted = KMS.get(uri.partition(":")[0], "")
    if kms != wanted:
        raise UsageError(
            f"keyturn.yml keeps the online key in {wanted or 'an environment variable'}, and the input says "
            f"{kms or 'nothing'!r}",
            where="the input kms",
            todo=f"Give the step stage the input kms: {wanted}" if wanted else "Leave it out.",
            reason="bad-input",
        )


def build(job: Job, context: Context, outputs: Outputs) -> None:
    """Verify what was staged, let a stock client go there, and write the site."""
    directory = Path(job.inputs["directory"] or job.temporary / "keyturn-site")
    built = publishing.build(context, job.require("commit"), job.workspace / directory)
    client = f"a stock client went to timestamp {built.timestamp} and downloaded {built.tried} targets"
    outputs.set(
        state="built",
        commit=built.commit,
        timestamp=built.timestamp,
        changed=True,
        directory=str(built.directory),
        page_url=built.url,
        root_digest=built.root_digest,
        client=client,
    )
    outputs.say(f"**Built:** before the deployment {client}, from the last published state and from root 1.")


def live(job: Job, context: Context, outputs: Outputs) -> None:
    """Let a stock client update from the site that is served."""
    context.forge.refresh()
    url = job.inputs["url"] or require_policy(context.forge.tree(context.forge.main())).publish.url
    outputs.set(commit=job.require("commit"), page_url=url)
    seconds = job.number("pause")
    check = publishing.check_live(
        context,
        job.require("commit"),
        url,
        attempts=job.number("attempts"),
        pause=lambda: time.sleep(seconds),
    )
    outputs.set(state="stale" if check.stale else "live", timestamp=check.timestamp, client=check.said)
    if check.stale:
        annotate("warning", check.said)
    outputs.say(f"**{'Lags behind' if check.stale else 'Live'}:** {code(url)}: {markdown_escape(check.said)}")


def record(job: Job, context: Context, outputs: Outputs) -> None:
    """Record that what was staged is out, and bring the host's releases in line with it."""
    commit = job.require("commit")
    moved = publishing.record(context, commit)
    outputs.set(state="recorded" if moved else "nothing", commit=commit)
    outputs.say(f"**Recorded:** `keyturn/published` is {code(commit[:12])}.")
    tended = tend(context, job.host())
    for what, tags in (("Signed now", tended.settled), ("Removed, since nothing names them", tended.swept)):
        if tags:
            outputs.say(f"**{what}:** releases {', '.join(code(tag) for tag in tags)}.")


STEPS: Mapping[str, Callable[[Job, Context, Outputs], None]] = {
    "stage": stage,
    "build": build,
    "live": live,
    "record": record,
}

if __name__ == "__main__":
    sys.exit(run_job(main, INPUTS, OUTPUTS))

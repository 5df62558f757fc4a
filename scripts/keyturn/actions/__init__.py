"""What every script of an action has in common: its surroundings, its outputs, how it ends.

``environment``
    a job as GitHub Actions describes it, and from it the context and the host of the use cases.
``outputs``
    outputs, summaries and annotations, with what others wrote made harmless.
``reports``
    what was found about signing events, as outputs.
``run``
    the frame around a script: errors become words, every output is written, nobody sees a traceback.

A script in ``scripts/`` declares its inputs and outputs, calls one use case and says what came of it.
"""

from keyturn.actions.environment import Job
from keyturn.actions.outputs import Outputs, annotate
from keyturn.actions.reports import EVENT_OUTPUTS, about_events
from keyturn.actions.run import Input, run_job

__all__ = ["EVENT_OUTPUTS", "Input", "Job", "Outputs", "about_events", "annotate", "run_job"]

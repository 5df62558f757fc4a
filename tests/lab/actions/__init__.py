"""GitHub Actions on this machine: real workflow files and actions on the events of the forge.

Jobs run in `act` in host mode. Where act is not GitHub, somebody else does it:

1. It ignores branches, paths and types of triggers: :mod:`~lab.actions.triggers` matches them, on what
   GitHub's own parser reads (:mod:`~lab.actions.node`).
2. It leaks INPUT_* into the steps of composite actions: :mod:`lab.strict` runs actions without.
3. It hands this machine's environment on: :mod:`~lab.actions.act` starts it with next to none.
4. It enforces neither permissions nor concurrency groups: :mod:`~lab.actions.runner` has a token minted for
   each job, :mod:`~lab.actions.dispatcher` keeps the groups.
5. It lacks variables such as GITHUB_ACTOR_ID: :mod:`~lab.actions.runner` supplies them.
6. It knows of no events: what a job does with its token starts nothing but dispatches (triggers).
7. It caches actions by name: each lab has a cache of its own.
8. It runs the files of the current directory: each run gets the version that its event calls for (triggers).
9. It gives all jobs of a file the same secrets and token, whatever their environment: each job gets a file
   (:func:`~lab.actions.workflow.single_job`) and a run of act of its own.
10. It lets a job read outputs that an action set and did not declare: test_static.py compares names.
11. It hands outputs on that hold a secret: the runner drops them.

One thing stays: act evaluates ``${{ }}`` in the value of an action's input a second time. What somebody else
wrote must not come as an input here; on GitHub it is text.
"""

"""Every rule for signing events, in the order in which findings are shown."""

from __future__ import annotations

from keyturn.verify import (
    rules_changes,
    rules_clients,
    rules_drift,
    rules_event,
    rules_files,
    rules_history,
    rules_keys,
    rules_root,
    rules_trial,
)
from keyturn.verify.event import Event
from keyturn.verify.model import Rule

ROOT_RULES: tuple[Rule[Event], ...] = (*rules_root.ROOT_RULES, *rules_history.BASELINE_RULES)
"""KT0xx."""
EVENT_RULES: tuple[Rule[Event], ...] = (
    *rules_event.EVENT_RULES,
    *sorted((*rules_changes.CHANGE_RULES, *rules_trial.TRIAL_RULES), key=lambda rule: rule.id),
    *rules_history.HISTORY_RULES,
    *rules_keys.KEY_RULES,
    *rules_clients.SIZE_RULES,
)
"""KT1xx."""
FILE_RULES: tuple[Rule[Event], ...] = (*rules_files.FILE_RULES, *rules_clients.CLIENT_RULES)
"""KT3xx."""
POLICY_RULES: tuple[Rule[Event], ...] = (*rules_files.POLICY_RULES, *rules_drift.DRIFT_RULES)
"""KT4xx."""
RULES: tuple[Rule[Event], ...] = (*ROOT_RULES, *EVENT_RULES, *FILE_RULES, *POLICY_RULES)

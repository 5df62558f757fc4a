"""Does a client still update? A stock TUF client goes from one state to another (DESIGN section 4).

Before an event is merged it goes from what is published to what would be, with every key replaced by a
throw-away key, since people have not signed yet and the online key is not here (:func:`try_event`). Before a
site is deployed it goes there over HTTP, with the real bytes (:func:`update_between`). Both times it goes
from root 1 alone, too.
"""

from __future__ import annotations

from keyturn.trial.built_site import serve_directory, update_between
from keyturn.trial.event import Outcome, try_event
from keyturn.trial.stock_client import StockClient

__all__ = ["Outcome", "StockClient", "serve_directory", "try_event", "update_between"]

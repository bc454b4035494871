"""What evaluates watchlists, wherever that is done."""

from __future__ import annotations

from app.settings import Settings
from app.store.postgres.engine import Database
from app.valuation.groups import DEFAULT_GROUPS
from app.watch.evaluate import Evaluator
from app.watch.ledger import StoredLedger
from app.watch.measures import Measures


def make_evaluator(settings: Settings, database: Database) -> Evaluator:
    """What holds the watchlists' rules against a chain's book: the monitor has it, and the run for cron."""
    groups = DEFAULT_GROUPS.with_overrides(settings.asset_groups)
    return Evaluator(StoredLedger(database), Measures(database, groups=groups))

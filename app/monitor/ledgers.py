"""Which totals are worth a row: what was stored last of each measure, and how much has changed since."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from app.monitor.derived import counts_of, emptied, has_moved
from app.monitor.options import MonitorOptions
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database
from app.store.risk import Totals
from app.store.risk_reads import load_totals_at


class StoredTotals:
    """The newest stored totals by deployment and measure, with the time of their block."""

    def __init__(self, database: Database, options: MonitorOptions) -> None:
        self._database = database
        self._options = options
        self._kept: dict[tuple[str, str], tuple[Totals, int]] = {}

    @property
    def is_empty(self) -> bool:
        """Nothing was ever stored."""
        return not self._kept

    async def load(self, deployment_ids: Iterable[str], block: StoredBlock | None) -> None:
        """Take what is stored as of a block; None: nothing."""
        self._kept = {}
        if block is None:
            return
        async with self._database.read() as session:
            for name in deployment_ids:
                for totals, stored_at in (await load_totals_at(session, name, [block]))[block.id]:
                    self._kept[name, totals.measure] = (totals, stored_at)

    def due(
        self, now: Mapping[tuple[str, str], Totals], timestamp: int, changed: Collection[str], *, everything: bool
    ) -> list[Totals]:
        """The rows worth storing at a block: where a status changed (`changed`: deployments), where `everything` is,
        and where a sum moved noticeably and no row was stored for a while."""
        gone = {name: emptied(kept) for name, (kept, _) in self._kept.items() if name not in now}
        rows: list[Totals] = []
        for name, totals in {**now, **gone}.items():
            kept, stored_at = self._kept.get(name, (None, 0))
            if kept is not None and name in gone and not any(counts_of(kept)):
                continue
            is_rested = timestamp - stored_at >= self._options.totals_seconds
            if (
                kept is None
                or everything
                or name[0] in changed
                or counts_of(kept) != counts_of(totals)
                or (is_rested and has_moved(kept, totals, self._options.totals_move))
            ):
                rows.append(totals)
        return rows

    def stored(self, rows: Iterable[Totals], timestamp: int) -> None:
        """These are stored now."""
        self._kept |= {(one.deployment_id, one.measure): (one, timestamp) for one in rows}

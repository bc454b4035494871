"""One chain's book in memory, kept current from the store."""

from app.book.keeper import BlockReplaced, Keeper, Moved
from app.book.reading import Reading
from app.book.sums import BAND_EDGES, LedgerSums, ledger_sums

__all__ = ["BAND_EDGES", "BlockReplaced", "Keeper", "LedgerSums", "Moved", "Reading", "ledger_sums"]

"""All accounts in memory as columns of numbers, revalued at each block; approximate, and it says by how much."""

from app.valuation.book.book import MOVES, Book
from app.valuation.book.chosen import Chosen, ChosenAt
from app.valuation.book.curve import LiquidationCurve
from app.valuation.book.factors import GroupOf, Shock
from app.valuation.book.population import Ledger, StaleScreen
from app.valuation.book.screen import Bands, LedgerTotals, Ranked, Screen

__all__ = [
    "MOVES",
    "Bands",
    "Book",
    "Chosen",
    "ChosenAt",
    "GroupOf",
    "Ledger",
    "LedgerTotals",
    "LiquidationCurve",
    "Ranked",
    "Screen",
    "Shock",
    "StaleScreen",
]

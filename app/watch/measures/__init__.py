"""What rules measure of the members of watchlists and of markets, at one block: the book picks, integers answer."""

from app.watch.measures.asked import BEYOND, Asked, Found
from app.watch.measures.measure import Measures

__all__ = ["BEYOND", "Asked", "Found", "Measures"]

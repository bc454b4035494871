"""What rules measure of the members of watchlists and of markets, at one block: the book picks, integers answer."""

from app.watch.measures.asked import Asked, Found
from app.watch.measures.measure import Measures

__all__ = ["Asked", "Found", "Measures"]

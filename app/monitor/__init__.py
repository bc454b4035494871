"""The live loop: at each committed block the book, the board, and what changed."""

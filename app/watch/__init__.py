"""Watching: rules held against the book, the episodes that come of it, and what is said of them."""

"""Watchlists over thousands of seeded histories of values, reorgs, deaths and failing receivers, against a model."""

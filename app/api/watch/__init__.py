"""Watchlists, their rules, episodes, channels and deliveries: everything that needs a key."""

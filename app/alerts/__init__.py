"""Sending what was found to people and machines: from the outbox, at least once, to nowhere it must not go."""

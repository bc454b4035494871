"""Postgres itself: connections, types, locks, notifications, migrations; nothing of what is stored."""

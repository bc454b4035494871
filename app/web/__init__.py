"""The lookup page: server-rendered, works before scripts load."""

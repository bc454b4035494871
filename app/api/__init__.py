"""The REST API: reads the store, values it, answers. Never talks to a node."""

"""The schema, as SQLAlchemy Core metadata: one module a subject. `migrations/` must always lead exactly here."""

"""A store with years of history, filled by COPY, and questions about its past."""

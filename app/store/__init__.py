"""The only SQL. Functions take a session and return domain values."""

"""What the API answers and takes, as types; one module a subject."""

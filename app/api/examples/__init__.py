"""Examples in the API's own documentation; one module a subject."""

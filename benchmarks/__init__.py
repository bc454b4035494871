"""Measured claims: each module runs one part against what a user would take instead, in interleaved rounds."""

"""I/O with nodes: JSON-RPC, heads, logs, block-pinned multicalls. Knows no protocol and no SQL."""

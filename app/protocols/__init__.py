"""Protocol adapters: pure functions from logs and call results to exact risk. They never see a node, a
database or a clock. Adding a protocol is adding a folder here, one in `abis/` and one in `tests/protocols/`.
"""

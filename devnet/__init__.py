"""A local chain with the real protocol contracts: the demo, the integration tests and the benchmarks live on it."""

"""The seeded simulation: an indexer lives and dies over a model chain while node, database and process fail it.

One seed fixes the chain, what the node says and when the indexer dies. `make simulate` runs many seeds.
"""

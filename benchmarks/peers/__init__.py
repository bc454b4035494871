"""The product beside other indexers: one chain, one contract, the same events, the same Postgres."""

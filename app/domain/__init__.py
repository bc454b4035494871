"""Pure values: what a chain, a market, an account and a risk are. Standard library only, no I/O, no clock."""

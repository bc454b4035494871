"""What names of wallets are resolved with."""

from __future__ import annotations

from app.naming import ens_names
from app.settings import load_settings


async def test_names_are_resolved_where_their_chain_has_a_node() -> None:
    async with ens_names(load_settings({"RPC_URL_10": "http://127.0.0.1:9"})) as names:
        assert names is None
    async with ens_names(load_settings({"RPC_URL_10": "http://127.0.0.1:9", "ENS_CHAIN": "10"})) as names:
        assert names is not None

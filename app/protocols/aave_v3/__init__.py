"""Aave V3, 3.0 to 3.7, and forks such as SparkLend: exact account data by the rules of each version."""

from __future__ import annotations

from app.protocols.aave_v3.state import AaveAdapter

ADAPTER = AaveAdapter()

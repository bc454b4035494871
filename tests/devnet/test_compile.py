"""What decides whether the compiler runs, and how imports are found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from devnet.compile import AAVE_V3_6, OWN_CONTRACTS, _cache_key, _imports, _resolve

SOURCE = """
pragma solidity ^0.8.0;
import './Near.sol';
import {A, B} from "../far/Ab.sol";
import {
  C
} from 'package/C.sol';
// import without quotes is a word in a comment
"""


def test_every_form_of_import_is_found() -> None:
    assert list(_imports(SOURCE)) == ["./Near.sol", "../far/Ab.sol", "package/C.sol"]


def test_relative_imports_are_resolved_against_the_importer() -> None:
    assert _resolve("root/a/b/X.sol", "../c/Y.sol") == "root/a/c/Y.sol"
    assert _resolve("root/a/X.sol", "package/C.sol") == "package/C.sol"


@pytest.mark.parametrize("unit", [AAVE_V3_6, OWN_CONTRACTS], ids=lambda unit: unit.name)
def test_other_settings_compile_again(unit: object) -> None:
    assert isinstance(unit, type(AAVE_V3_6))
    keys = {
        _cache_key(unit),
        _cache_key(replace(unit, optimizer_runs=1)),
        _cache_key(replace(unit, evm_version="paris")),
    }
    assert len(keys) == 3

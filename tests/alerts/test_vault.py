"""Secrets at rest: unreadable without a key, readable after the key was replaced, and the key file is its owner's."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from app.alerts.vault import KEY_FILE, Vault, keep_key, new_key
from app.errors import Refused

MARKER = "SECRETMARKER"


def test_what_is_sealed_is_opened_with_its_key_only() -> None:
    vault = Vault([new_key()])
    sealed = vault.seal({"token": MARKER})
    assert MARKER.encode() not in sealed
    assert vault.open(sealed) == {"token": MARKER}
    for other in (Vault([new_key()]), Vault()):
        with pytest.raises(Refused, match="SECRETS_KEY") as refusal:
            other.open(sealed)
        assert MARKER not in str(refusal.value)
    with pytest.raises(Refused, match="no key of it opens"):
        vault.open(sealed[:-2] + b"AA")


def test_a_new_key_reads_what_the_old_one_wrote_and_then_does_without_it() -> None:
    old, new = new_key(), new_key()
    sealed = Vault([old]).seal({"token": MARKER})
    resealed = Vault([new, old]).reseal(sealed)
    assert Vault([new]).open(resealed) == {"token": MARKER}
    with pytest.raises(Refused):
        Vault([old]).open(resealed)


def test_what_is_no_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(Refused, match="SECRETS_KEY") as refusal:
        Vault([MARKER])
    assert MARKER not in str(refusal.value)


def test_the_key_file_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    key = keep_key(folder)
    assert keep_key(folder) == key
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert Vault([key]).open(Vault([key]).seal({})) == {}
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="DATA_DIR"):
        keep_key(tmp_path / "file")

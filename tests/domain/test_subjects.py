"""A subject and its text name each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.subjects import subject_from_text, subject_to_text, wallet_of
from app.domain.watch import ChainSubject, MarketSubject, Subject

_slugs = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=20)
_wallets = st.binary(min_size=20, max_size=20).map(Address)
_subjects: st.SearchStrategy[Subject] = st.one_of(
    st.builds(AccountKey, _slugs, _wallets, st.text(max_size=12)),
    st.builds(MarketSubject, _slugs),
    st.builds(ChainSubject, st.integers(1, 2**63)),
)


@given(_subjects)
def test_what_is_written_of_a_subject_reads_as_that_subject(subject: Subject) -> None:
    assert subject_from_text(subject_to_text(subject)) == subject


@given(_subjects, _subjects)
def test_subjects_that_differ_have_texts_that_differ(one: Subject, other: Subject) -> None:
    assert (one == other) == (subject_to_text(one) == subject_to_text(other))


@pytest.mark.parametrize("text", ["", "account:", "account:pool:0x12:", "market:", "chain:x", "wallet:1", "chain"])
def test_a_text_that_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a subject"):
        subject_from_text(text)


def test_only_an_account_has_a_wallet() -> None:
    assert wallet_of(AccountKey("pool", Address(b"\1" * 20))) == Address(b"\1" * 20)
    assert wallet_of(MarketSubject("pool")) is None

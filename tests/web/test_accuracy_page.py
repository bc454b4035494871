"""The accuracy page: the API's own strings, words where nothing was checked, linked from every page."""

from __future__ import annotations

from app.api.examples.accuracy import ACCURACY
from app.api.schemas.accuracy import AccuracyView
from tests.web import builders as b
from tests.web.test_pages import client_of


async def page(source: b.StubSource, path: str = "/accuracy") -> str:
    async with client_of(source) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    return answer.text


async def test_every_number_is_the_apis_own() -> None:
    text = await page(b.StubSource())
    for number in ("0.999997500000000000", "0.024390243902439025", "400,000", "2050000000", "2000000000", "23,450,001"):
        assert number in text, number
    assert ">99.9997 %<" in text  # rounded down: never shown as whole
    assert ">2.44 %<" in text  # rounded up


async def test_only_what_is_wholly_exact_reads_so() -> None:
    exact = {**ACCURACY["total"], "exact_share": "1.000000000000000000", "worst_relative_error": "0.000000000000000000"}
    text = await page(b.StubSource(accuracy=AccuracyView.model_validate({**ACCURACY, "total": exact, "items": []})))
    assert ">100 %<" in text
    assert ">0<" in text


async def test_nothing_checked_says_so_without_a_number() -> None:
    figures = {**ACCURACY["total"], "checked_accounts": 0, "exact_share": None, "since_timestamp": None}
    text = await page(b.StubSource(accuracy=AccuracyView.model_validate({**ACCURACY, "total": figures, "items": []})))
    assert "No account has been checked yet" in text
    assert "Share exact" not in text


async def test_an_open_finding_is_said_to_be_open() -> None:
    finding = {**ACCURACY["findings"][0], "repaired_block": None, "expected": [None]}
    text = await page(b.StubSource(accuracy=AccuracyView.model_validate({**ACCURACY, "findings": [finding]})))
    assert ">open<" in text
    assert ">nothing<" in text


async def test_it_is_linked_from_the_front_page() -> None:
    assert 'href="/accuracy"' in await page(b.StubSource(), "/")

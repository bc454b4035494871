"""Watchlists in a real browser, from logging in to acknowledging: with cookies, forms and live news."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser, Page, expect

from app.api.frame.addresses import to_checksum
from app.store.postgres.engine import Database
from tests.fakes.site import EPOCH
from tests.web.watch_world import ALICE, Watching, begin

pytestmark = [
    pytest.mark.browser,
    pytest.mark.database,
    pytest.mark.asyncio(loop_scope="session"),
]


@pytest_asyncio.fixture(loop_scope="session")
async def served(database_url: str) -> AsyncIterator[tuple[Watching, str]]:
    """The test's world behind a real server on loopback."""
    database = Database(database_url)
    world = await begin(database)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(world.site.app, log_level="error", lifespan="on", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        yield world, f"http://127.0.0.1:{listening.getsockname()[1]}"
        world.site.app.state.read_context.stream.close()
        server.should_exit = True
        await serving
    await world.client.aclose()
    await database.dispose()


async def open_page(browser: Browser, url: str, faults: list[str], *, scripts: bool = True) -> Page:
    context = await browser.new_context(base_url=url, java_script_enabled=scripts)
    page = await context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if "Content Security" in message.text else None)
    return page


@pytest.mark.parametrize("scripts", [True, False])
async def test_log_in_make_a_list_watch_a_wallet_see_an_episode_and_acknowledge_it(
    served: tuple[Watching, str], browser: Browser, scripts: bool
) -> None:
    world, url = served
    faults: list[str] = []
    page = await open_page(browser, url, faults, scripts=scripts)

    await page.goto(f"/wallet/{to_checksum(ALICE)}")
    await page.get_by_role("link", name="Watch this wallet").click()
    await page.get_by_label("Key").fill(world.key.text)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_label("A new list, named").fill("treasury")
    await page.get_by_label("Label").fill("cold")
    await page.get_by_role("button", name="Watch").click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("treasury")
    await expect(page.get_by_text("No rule yet")).to_be_visible()
    await page.get_by_role("link", name="Wallets, rules, channels").click()
    await page.get_by_role("button", name="Add the chosen").click()
    await expect(page.get_by_text("status is liquidatable (critical)")).to_be_visible()
    await page.get_by_role("link", name="Back to the list").click()
    await expect(page.get_by_text("Nothing found")).to_be_visible()

    await world.find(int(page.url.rpartition("/")[2]))
    if scripts:  # news of a block bring it, without anybody's doing
        await world.site.commit(9, [])
        world.site.now = EPOCH + 10
    else:
        await page.reload()
    await expect(page.get_by_text("1 open episode, 1 critical", exact=True)).to_be_visible(timeout=15_000)
    await page.get_by_text("Block and numbers").click()
    await expect(page.get_by_text("1.0423 against 1.05")).to_be_visible()
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.get_by_text("nobody is reminded of it any more")).to_be_visible()
    await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)

    await page.get_by_role("button", name="Log out").click()
    await page.goto("/watchlists")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Watchlists need a key")
    assert faults == []
    await page.context.close()


@pytest.mark.parametrize("width", [360, 1100])
async def test_no_page_is_wider_than_its_window(served: tuple[Watching, str], browser: Browser, width: int) -> None:
    world, url = served
    await world.log_in()
    list_id = await world.make_list("a list with quite a long name, of the third edition", ALICE)
    await world.find(list_id)
    await world.give_up()
    page = await open_page(browser, url, [])
    await page.set_viewport_size({"width": width, "height": 800})
    await page.context.add_cookies([{"name": "waterline_key", "value": world.key.text, "url": url}])
    for path in ("/watchlists", f"/watchlists/{list_id}", f"/watchlists/{list_id}/edit"):
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
    await page.context.close()

"""The pages in a real browser: what only scripts, styles and keyboards can show."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, expect

from tests.web import builders as b
from tests.web import perp_builders as p
from tests.web.served import Served
from tests.web.stress_builders import crowded, simulation

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PATH = f"/wallet/{b.CHECKSUMMED}"
BAD = b.CHECKSUMMED.replace("Ef1", "EF1")
STATES = {
    "healthy": b.wallet(b.account()),
    "liquidatable": b.wallet(b.liquidatable_account()),
    "unknown": b.wallet(b.unknown_account()),
    "no debt": b.wallet(b.no_debt_account()),
    "stale": b.wallet(b.account(as_of=b.stale_as_of())),
    "empty": b.wallet(),
    "perp": b.wallet(p.perp_account(p.eth_long(), p.btc_short())),
    "three kinds": b.wallet(
        p.drowned_perp(),
        p.liquidatable_perp(),
        p.converted_account(),
        p.idle_perp(),
        troubled_deployments=[p.trouble()],
    ),
    "many": b.wallet(
        b.liquidatable_account(),
        b.unknown_account(chain_id=42161, as_of=b.as_of(chain_id=42161, chain="Arbitrum One")),
        b.account(
            name="A protocol with quite a long name, third edition",
            chain_id=10,
            as_of=b.as_of(chain_id=10, chain="Optimism"),
            positions=[
                b.weth_position(
                    symbol="A-very-long-token-symbol-somebody-made-up",
                    supplied="123456789012345678.000000000000000001",
                    supplied_value="258499999999999999999.12345678",
                ),
                b.usdc_position(),
            ],
        ),
    ),
}


@pytest.fixture
def served() -> Iterator[Served]:
    past = b.history(b.point(0, "0.5"), b.point(300, "0.9", is_change=True), b.point(700, "0.875"))
    stresses = [simulation(), crowded()]
    with Served(b.StubSource(past=past, stresses=stresses)) as server:
        yield server


class Watched:
    """Pages that remember everything they should not have done."""

    def __init__(self, browser: Browser, served: Served) -> None:
        self._browser = browser
        self._served = served
        self.faults: list[str] = []
        self.tolerated: list[str] = []

    async def page(self, **options: object) -> Page:
        context = await self._browser.new_context(base_url=self._served.url, **options)  # type: ignore[arg-type]
        page = await context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        page.on("request", self._request)
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in self.tolerated):
            self.faults.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(self._served.url + "/"):
            self.faults.append(f"foreign request: {request.url}")


@pytest_asyncio.fixture(loop_scope="session")
async def watched(browser: Browser, served: Served) -> AsyncIterator[Watched]:
    """Every test that opens a page fails on a console error or a request to another origin."""
    watched = Watched(browser, served)
    yield watched
    for context in list(browser.contexts):
        await context.close()
    assert watched.faults == []


@pytest.mark.parametrize(
    "typed", [b.CHECKSUMMED.lower(), b.CHECKSUMMED, f"https://etherscan.io/address/{b.CHECKSUMMED}#internaltx"]
)
async def test_a_search_by_keyboard_alone_leads_to_the_wallet(watched: Watched, served: Served, typed: str) -> None:
    page = await watched.page()
    await page.goto("/")
    await page.keyboard.type(typed)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(served.url + PATH)
    await expect(page.locator(".verdict .far")).to_have_text("12.4 % from liquidation if WETH falls to 1,834.20 USD")


async def test_a_bad_checksum_is_corrected_with_one_more_step(watched: Watched, served: Served) -> None:
    watched.tolerated.append("400 (Bad Request)")
    page = await watched.page()
    await page.goto("/")
    await page.get_by_label("Wallet address").fill(BAD)
    await page.get_by_role("button", name="Look up").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("This address fails its checksum")
    await page.get_by_role("link", name=b.CHECKSUMMED).click()
    await expect(page).to_have_url(served.url + PATH)


async def test_recently_viewed_wallets_are_offered_and_forgotten_on_demand(watched: Watched) -> None:
    page = await watched.page()
    await page.goto(PATH)
    await page.goto("/")
    recent = page.get_by_role("region", name="Viewed recently on this device")
    await expect(recent.get_by_role("link")).to_have_text(b.CHECKSUMMED)
    await recent.get_by_role("button", name="Forget these").click()
    await expect(recent).to_be_hidden()
    await page.reload()
    await expect(recent).to_be_hidden()


async def test_a_new_block_arrives_without_a_reload_as_soon_as_it_is_told(watched: Watched, served: Served) -> None:
    optimism = b.account(chain_id=10, as_of=b.as_of(chain_id=10, chain="Optimism"))
    served.source.view = b.wallet(b.account(), optimism)
    page = await watched.page()
    await page.clock.install()
    async with page.expect_response("**/live"):  # asked for when the stream opens
        await page.goto(PATH)
    await page.clock.pause_at(await page.evaluate("Date.now() / 1000 + 1"))  # from here on no timer fires: no polling
    await page.evaluate("window.sameDocument = true")
    await expect(page.locator("[data-key=a1-hf]")).to_have_text("1.1416")
    link = page.locator(".fleet a[href='#account-2']")
    await link.focus()
    fresh = b.as_of(block_number=23_456_790, block_hash="0x" + "cd34" * 16, lag_seconds=1)
    served.source.view = b.wallet(b.liquidatable_account(as_of=fresh), optimism)
    served.publish(1, 23_456_790)
    await expect(page.locator("[data-key=a1-hf]")).to_have_text("0.9879")
    await expect(page.locator("[data-key=a1-hf]")).to_have_class("changed")
    await expect(page.locator("[data-key=a1-c]")).not_to_have_class("changed")
    await expect(page.locator(".bar")).to_contain_text("23,456,790")
    await expect(page.locator("#announce")).to_have_text("Liquidatable.")
    await expect(page).to_have_title("Liquidatable now at health factor 0.9879 · 0x5aAe…eAed · Waterline")
    await expect(link).to_be_focused()
    assert await page.evaluate("window.sameDocument")


async def test_without_a_stream_the_page_is_polled(watched: Watched, served: Served) -> None:
    page = await watched.page()
    await page.add_init_script("delete window.EventSource")
    await page.clock.install()
    await page.goto(PATH)
    fresh = b.as_of(block_number=23_456_790, block_hash="0x" + "cd34" * 16)
    served.source.view = b.wallet(b.account(as_of=fresh))
    await page.clock.run_for(10_000)
    await expect(page.locator(".bar")).to_contain_text("23,456,790")
    assert served.streams == 0


async def test_digits_that_move_are_not_read_out_at_every_block(watched: Watched, served: Served) -> None:
    page = await watched.page()
    await page.goto(PATH)
    fresh = b.as_of(block_number=23_456_790, block_hash="0x" + "cd34" * 16)
    served.source.view = b.wallet(b.account(as_of=fresh, health_factor="1.1399"))
    served.publish(1, 23_456_790)
    await expect(page.locator("[data-key=a1-hf]")).to_have_text("1.1399")
    await expect(page.locator("#announce")).to_be_empty()


async def test_when_the_feed_stops_the_page_greys_out_and_recovers_by_itself(watched: Watched, served: Served) -> None:
    watched.tolerated += ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY"]
    page = await watched.page()
    await page.clock.install()
    await page.goto(PATH)
    live, banner = page.locator("#live"), page.locator("#stale-banner")
    await expect(banner).to_be_hidden()
    served.stop()
    await page.clock.run_for(60_000)
    await expect(page.locator(".bar [data-age-text]")).to_have_text(re.compile(r"^(6[7-9]|7\d) s$"))
    await expect(banner).to_be_hidden()
    await page.clock.run_for(60_000)
    await expect(live).to_contain_class("stale")
    await expect(banner).to_be_visible()
    await expect(banner).to_contain_text("Ethereum: no newer block for 2 min; the server cannot be reached.")
    await expect(page.locator("#announce")).to_contain_text("Stale")
    filtered = await page.locator(".account").evaluate("e => getComputedStyle(e).filter")
    assert filtered == "grayscale(1)"

    fresh = b.as_of(block_number=23_456_800, block_hash="0x" + "cd34" * 16, lag_seconds=2)
    served.source.view = b.wallet(b.account(as_of=fresh))
    served.start()
    await page.clock.run_for(60_000)
    await expect(page.locator(".bar")).to_contain_text("23,456,800")
    await expect(live).not_to_contain_class("stale")
    await expect(page.locator("#stale-banner")).to_be_hidden()


async def test_a_phone_never_scrolls_sideways_and_keeps_the_summary_in_sight(watched: Watched, served: Served) -> None:
    page = await watched.page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for state, view in STATES.items():
        served.source.view = view
        await page.goto(PATH)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, state
        await page.evaluate("window.scrollTo(0, 400)")
        assert await page.locator(".bar").evaluate("e => e.getBoundingClientRect().top") >= 0, state


async def test_the_other_pages_fit_a_phone_too(watched: Watched) -> None:
    watched.tolerated.append("400 (Bad Request)")
    page = await watched.page(viewport={"width": 360, "height": 740})
    for path in ("/", "/search?q=nothing", f"/search?q={BAD}"):
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path


CONTRAST = """() => {
  const parse = (text) => {
    const srgb = text.match(/color\\(srgb ([^)]*)\\)/);
    if (srgb) {
      const [r, g, b, a] = srgb[1].replace("/", " ").split(/\\s+/).map(Number);
      return [r * 255, g * 255, b * 255, a ?? 1];
    }
    const [r, g, b, a] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a ?? 1];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] > 0.9) return colour;
    }
    return [255, 255, 255, 1];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    const unseen = !walker.currentNode.textContent.trim() || !e.checkVisibility();
    if (unseen || e.closest(".sr, .skip, title, option")) continue;
    const style = getComputedStyle(e);
    const ink = light(parse(e.closest("svg") ? style.fill : style.color)), ground = light(behind(e));
    const ratio = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) poor.push(`${walker.currentNode.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_all_text_stands_out_enough_in_light_and_dark(watched: Watched, served: Served, scheme: str) -> None:
    page = await watched.page(color_scheme=scheme)
    for state in ("healthy", "liquidatable", "unknown", "no debt", "perp", "three kinds", "many", "empty"):
        served.source.view = STATES[state]
        await page.goto(PATH)
        assert await page.evaluate(CONTRAST) == [], state
    await page.goto("/")
    assert await page.evaluate(CONTRAST) == []


async def test_dark_is_dark_and_light_is_light(watched: Watched) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        page = await watched.page(color_scheme=scheme)
        await page.goto(PATH)
        colour = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds[scheme] = sum(int(v) for v in colour.removeprefix("rgb(").removesuffix(")").split(","))
    assert grounds["dark"] < 100
    assert grounds["light"] > 650


ACCESS = """() => {
  const faults = [];
  const say = (what, e) => faults.push(`${what}: ${e.outerHTML.slice(0, 90)}`);
  for (const e of document.querySelectorAll("input, select")) if (!e.labels.length) say("no label", e);
  for (const e of document.querySelectorAll("a, button")) {
    if (!(e.textContent.trim() || e.getAttribute("aria-label"))) say("no name", e);
  }
  for (const e of document.querySelectorAll("svg")) {
    const named = e.getAttribute("role") === "img" && e.getAttribute("aria-label");
    if (!named && e.getAttribute("aria-hidden") !== "true" && !e.parentElement.closest("svg")) say("unnamed image", e);
  }
  for (const e of document.querySelectorAll("th")) if (!e.scope) say("no scope", e);
  for (const e of document.querySelectorAll("table")) if (!e.querySelector("th")) say("no headers", e);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`id twice: ${id}`);
  for (const e of document.querySelectorAll("[aria-labelledby]")) {
    if (!document.getElementById(e.getAttribute("aria-labelledby"))) say("label missing", e);
  }
  if (document.querySelectorAll("h1").length !== 1 + (document.querySelector("#empty") ? 1 : 0)) faults.push("h1");
  for (const landmark of ["header", "main", "footer"]) {
    if (document.querySelectorAll(`body > ${landmark}`).length !== 1) faults.push(landmark);
  }
  if (!document.documentElement.lang) faults.push("lang");
  return faults;
}"""


async def test_everything_is_named_for_those_who_do_not_see_it(watched: Watched, served: Served) -> None:
    page = await watched.page()
    for state, view in STATES.items():
        served.source.view = view
        await page.goto(PATH)
        assert await page.evaluate(ACCESS) == [], state
    await page.goto("/")
    assert await page.evaluate(ACCESS) == []


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(watched: Watched) -> None:
    page = await watched.page()
    await page.goto(PATH)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    reached = set()
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement === document.body"):
            break
        reached.add(await page.evaluate("document.activeElement.textContent.trim() || document.activeElement.name"))
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
    assert {"Copy", "Ethereum explorer", "JSON", "block_number", "Show", "API"} <= reached


async def test_pages_work_without_scripts(watched: Watched, served: Served) -> None:
    page = await watched.page(java_script_enabled=False)
    await page.goto("/")
    await page.get_by_label("Wallet address").fill(b.CHECKSUMMED.lower())
    await page.get_by_role("button", name="Look up").click()
    await expect(page).to_have_url(served.url + PATH)
    await expect(page.locator(".verdict")).to_contain_text("12.4 % from liquidation")
    await page.get_by_label("Block number").fill("23456789")
    await page.get_by_role("button", name="Show", exact=True).click()
    await expect(page.locator(".past").first).to_contain_text("A past block.")


async def test_a_past_block_opens_no_stream(watched: Watched, served: Served) -> None:
    page = await watched.page()
    await page.goto(f"{PATH}?chain_id=1&block_number=23456789")
    await expect(page.locator(".banner.past")).to_be_visible()
    await page.goto("/")
    assert served.streams == 0


async def test_motion_is_left_out_for_those_who_ask(watched: Watched) -> None:
    page = await watched.page(reduced_motion="reduce")
    await page.goto(PATH)
    animated = "e => { e.classList.add('changed'); return getComputedStyle(e).animationName; }"
    assert await page.locator("[data-key=a1-hf]").evaluate(animated) == "none"


async def test_hostile_symbols_run_nothing(watched: Watched, served: Served) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\">"
    served.source.view = b.wallet(b.account(name=evil, positions=[b.weth_position(symbol=evil)]))
    page = await watched.page()
    await page.goto(PATH)
    await expect(page.locator("tbody th").first).to_have_text(evil)
    assert "owned" not in await page.title() or evil in await page.title()

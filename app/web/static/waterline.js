// The pages work without this. It keeps a wallet page at the newest block, counts ages up, and greys the page out
// by itself when no news arrives. No build step, no dependency, nothing from elsewhere.
"use strict";

const POLL_WITH_STREAM = 15000; // safety net under a stream that is open but silent
const POLL_WITHOUT = 4000;
const REQUEST_TIMEOUT = 10000;
const LEAST_GAP = 250; // between two fetches, however fast blocks come
const HISTORY_EVERY = 15000;
const RECONNECT = [1000, 2000, 5000, 10000, 30000];
const RECENT = "waterline.recent";

// ---- recently viewed, on this device only

function recentWallets() {
  try {
    const kept = JSON.parse(localStorage.getItem(RECENT) || "[]");
    return Array.isArray(kept) ? kept.filter((a) => /^0x[0-9a-fA-F]{40}$/.test(a)).slice(0, 8) : [];
  } catch {
    return [];
  }
}

function keepRecent(wallets) {
  try {
    localStorage.setItem(RECENT, JSON.stringify(wallets.slice(0, 8)));
  } catch { /* storage is full or forbidden: nothing is remembered */ }
}

function showRecent(section) {
  const wallets = recentWallets();
  section.hidden = wallets.length === 0;
  section.querySelector("ul").replaceChildren(...wallets.map((address) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = "/wallet/" + address;
    link.textContent = address;
    item.append(link);
    return item;
  }));
}

// ---- ages

function ageText(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= 2 * size) return Math.floor(seconds / size) + " " + unit;
  }
  return Math.max(0, Math.floor(seconds)) + " s";
}

// ---- the live part

class Live {
  constructor(wallet) {
    this.wallet = wallet;
    this.receivedAt = Date.now();
    this.historyAt = Date.now();
    this.fetchedAt = 0;
    this.busy = false;
    this.wanted = false;
    this.reached = true;
    this.connected = false;
    this.failures = 0;
    this.serverReason = this.banner().querySelector("[data-stale-text]").textContent;
    this.serverStale = !this.banner().hidden;
    setInterval(() => this.tick(), 1000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.refresh(); });
    this.listen();
    this.poll();
  }

  part() { return document.getElementById("live"); }
  banner() { return document.getElementById("stale-banner"); }

  // A stream that the server refused is not retried by the browser itself, so it is made anew here.
  listen() {
    if (!window.EventSource) return;
    const source = new EventSource(this.wallet.dataset.stream);
    source.onopen = () => { this.connected = true; this.failures = 0; this.refresh(); };
    source.addEventListener("block", (event) => { if (this.concerns(event.data)) this.refresh(); });
    source.onerror = () => {
      this.connected = false;
      if (source.readyState !== EventSource.CLOSED) return;
      source.close();
      setTimeout(() => this.listen(), RECONNECT[Math.min(this.failures++, RECONNECT.length - 1)]);
    };
    window.addEventListener("pagehide", () => source.close(), { once: true });
  }

  concerns(data) {
    try {
      const chain = JSON.parse(data).chain_id + ":";
      return this.part().dataset.chains.split(/\s+/).some((entry) => entry.startsWith(chain));
    } catch {
      return true; // not understood: better one fetch too many
    }
  }

  poll() {
    setTimeout(() => { this.refresh(); this.poll(); }, this.connected ? POLL_WITH_STREAM : POLL_WITHOUT);
  }

  // One request at a time; news that comes meanwhile asks for one more after it.
  async refresh() {
    if (document.hidden) return;
    if (this.busy) { this.wanted = true; return; }
    this.busy = true;
    this.wanted = false;
    try {
      const gap = this.fetchedAt + LEAST_GAP - Date.now();
      if (gap > 0) await new Promise((done) => setTimeout(done, gap));
      this.fetchedAt = Date.now();
      const next = await this.fetchPart(this.wallet.dataset.live, "live");
      this.reached = true;
      this.swap(next);
      await this.refreshHistory();
    } catch {
      this.reached = false; // what is shown stays, ages, and greys out
    } finally {
      this.busy = false;
      this.tick();
      if (this.wanted) this.refresh();
    }
  }

  async fetchPart(url, id) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT), cache: "no-store" });
    if (!answer.ok) throw new Error("status " + answer.status);
    const part = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
    if (!part) throw new Error("no part");
    return part;
  }

  async refreshHistory() {
    if (Date.now() - this.historyAt < HISTORY_EVERY) return;
    this.historyAt = Date.now();
    const next = await this.fetchPart(this.wallet.dataset.history, "history");
    document.getElementById("history").replaceWith(document.adoptNode(next));
  }

  swap(next) {
    const old = this.part();
    if (next.dataset.blocks === old.dataset.blocks) return; // the same blocks: nothing can have changed
    const before = new Map();
    for (const e of old.querySelectorAll("[data-key]")) before.set(e.dataset.key, e.textContent);
    const held = old.contains(document.activeElement) ? document.activeElement : null;
    const announced = old.dataset.announce;
    old.replaceWith(document.adoptNode(next));
    this.receivedAt = Date.now();
    this.serverStale = !this.banner().hidden;
    this.serverReason = this.banner().querySelector("[data-stale-text]").textContent;
    for (const e of next.querySelectorAll("[data-key]")) {
      if (before.has(e.dataset.key) && before.get(e.dataset.key) !== e.textContent) e.classList.add("changed");
    }
    if (held) this.focusAgain(held, next);
    if (next.dataset.title) document.title = next.dataset.title;
    if (next.dataset.announce !== announced) {
      document.getElementById("announce").textContent = next.dataset.announce;
    }
  }

  focusAgain(held, next) {
    const href = held.getAttribute("href");
    const same = held.id ? document.getElementById(held.id)
      : [...next.querySelectorAll("a[href]")].find((a) => a.getAttribute("href") === href);
    if (same) same.focus({ preventScroll: true });
  }

  // Once a second: ages go up, and past a chain's limit what rests on it is greyed, whoever is to blame.
  tick() {
    const part = this.part();
    const elapsed = Math.max(0, (Date.now() - this.receivedAt) / 1000);
    for (const e of part.querySelectorAll("[data-age]")) {
      e.querySelector("[data-age-text]").textContent = ageText(Number(e.dataset.age) + elapsed);
    }
    const reasons = [];
    let late = 0;
    const chains = part.dataset.chains.trim().split(/\s+/).filter(Boolean);
    for (const entry of chains) {
      const [id, lag, limit] = entry.split(":");
      if (lag === "" || Number(lag) + elapsed <= Number(limit)) continue;
      late += 1;
      const name = part.querySelector(`.on-chain[data-chain="${CSS.escape(id)}"]`).firstChild.textContent.split(" block")[0].trim();
      reasons.push(`${name}: no newer block for ${ageText(Number(lag) + elapsed)}`);
      for (const account of part.querySelectorAll(`.account[data-chain="${CSS.escape(id)}"]`)) account.classList.add("stale");
    }
    part.classList.toggle("unreached", !this.reached);
    if (late === 0 || this.serverStale) return;
    if (!this.reached) reasons.push("the server cannot be reached");
    const banner = this.banner();
    const text = reasons.join("; ") + ".";
    banner.hidden = false;
    banner.querySelector("[data-stale-text]").textContent = text;
    part.querySelector("section.fades")?.classList.add("stale");
    if (late === chains.length && !part.classList.contains("stale")) {
      part.classList.add("stale");
      document.getElementById("announce").textContent = "Stale: no news arrives, the numbers may no longer hold.";
    }
  }
}

// ---- start

const recent = document.getElementById("recent");
if (recent) {
  showRecent(recent);
  recent.querySelector("[data-forget]").addEventListener("click", () => { keepRecent([]); showRecent(recent); });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

const wallet = document.getElementById("wallet");
if (wallet) {
  const address = wallet.dataset.address;
  keepRecent([address, ...recentWallets().filter((known) => known !== address)]);
  if (wallet.dataset.live) new Live(wallet);
}

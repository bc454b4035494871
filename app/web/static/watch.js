// Keeps a watchlist's page alive: at news of a block the part that changes is fetched again. Without it the page is as
// of when it was loaded. Nothing is replaced while somebody is using it.
"use strict";
(() => {
  const place = document.getElementById("watch");
  if (!place || !window.EventSource) return;
  const pauseMs = 4000;
  let timer = null, last = 0;

  const inUse = () => place.contains(document.activeElement) && document.activeElement !== document.body;
  const openOnes = () => [...place.querySelectorAll("details")].map((one) => one.open);

  async function refresh() {
    timer = null;
    if (inUse() || document.hidden) return later();
    last = Date.now();
    let answer;
    try {
      answer = await fetch(place.dataset.live, { credentials: "same-origin", headers: { Accept: "text/html" } });
    } catch { return; }
    if (!answer.ok) { place.classList.add("stale"); return; }
    const text = await answer.text();
    if (inUse()) return later();
    const said = document.getElementById("watch-live").dataset.announce;
    const open = openOnes();
    place.innerHTML = text;
    place.classList.remove("stale");
    [...place.querySelectorAll("details")].forEach((one, index) => { one.open = !!open[index]; });
    const live = document.getElementById("watch-live");
    document.title = live.dataset.title;
    if (live.dataset.announce !== said) document.getElementById("announce").textContent = live.dataset.announce;
  }

  function later() {
    if (timer === null) timer = setTimeout(refresh, Math.max(300, last + pauseMs - Date.now()));
  }

  const stream = new EventSource(place.dataset.stream);
  stream.addEventListener("block", later);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) later(); });
  window.addEventListener("pagehide", () => stream.close());
})();

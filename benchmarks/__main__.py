"""`python -m benchmarks [names]`: every benchmark but the long ones, or those named, each in a process of its own; one
line a figure.

A figure that is short of its goal is a finding, not a failure: the exit code is 0. It is 1 when a benchmark breaks,
2 for a name that is none.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

BENCHMARKS = {
    "chain_heads": "bar 11: block mined to head handled",
    "chain_logs": "bar 5: logs to typed rows",
    "store_ingest": "bar 12: states nobody saw before",
    "store_blocks": "bars 13 and 14: blocks of changes",
    "book": "bars 6, 6b, 7: a million accounts revalued",
    "api_wallet": "bar 15: the wallet answer over HTTP",
    "watch": "bar w1: a watchlist of 100,000 wallets at a new block",
    "block_latency": "bar 10: block mined to rows visible",
    "chain_reads": "bars 2, 3, 4: bulk account reads",
    "storage_growth": "growth of the store a day, and what audits cost",
    "block_loop": "bar 1: every account of a market at a new block",
    "alert_latency": "bar 17: block mined to the webhook's receipt, 10,000 wallets watched",
    "block_loop_all": "bar 1a: the same with every protocol on one chain",
}
"""Module by name, the quick ones first, and what it measures."""
LONG = {
    "history": "bar 16: a wallet at an old block among ten million rows of history, several minutes",
    "peers": "bars 8, 9, 10: history and blocks beside Ponder and Subsquid, a quarter of an hour",
}
"""Run only when named: they take longer than all others together."""


def main(names: list[str]) -> int:
    """Run these benchmarks, all but the long ones when none is named; the exit code."""
    broken = []
    for place, name in enumerate(names or BENCHMARKS, 1):
        _say(f"[{place}/{len(names or BENCHMARKS)}] {name}: {(BENCHMARKS | LONG)[name]}")
        started = time.monotonic()
        code = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        _say(f"    {'done' if code == 0 else f'broke with exit code {code}'} in {time.monotonic() - started:.0f} s")
        if code:
            broken.append(name)
    for name in LONG if not names else ():
        _say(f"not run, because not named: {name}: {LONG[name]}")
    if broken:
        _say(f"broken: {', '.join(broken)}")
    return 1 if broken else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of: {', '.join(BENCHMARKS | LONG)}")
    given = parser.parse_args().names
    unknown = [name for name in given if name not in BENCHMARKS | LONG]
    if unknown:
        parser.error(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(BENCHMARKS | LONG)}")
    sys.exit(main(given))

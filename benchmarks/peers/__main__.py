"""Bars 8, 9 and 10 beside Ponder and Subsquid, which are fetched at the first use. A quarter of an hour.

`python -m benchmarks.peers [dense] [sparse] [realtime] [--scale 0.1]`: with a scale the chains are shorter, for trying
it out; the figures then say nothing about the bars.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from app.store.postgres.embedded import EmbeddedPostgres
from benchmarks.harness import report
from benchmarks.peers.history import dense, sparse
from benchmarks.peers.install import installed
from benchmarks.peers.latency import realtime

PARTS = ("dense", "sparse", "realtime")


def main(parts: list[str], scale: float) -> None:
    """Run these parts and print their figures, each as soon as it is there."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every process started here is ended
    for peer in ("ponder", "subsquid"):
        installed(peer)
    with TemporaryDirectory(prefix="waterline-peers-") as folder, EmbeddedPostgres(Path(folder) / "data") as postgres:
        for part in parts:
            match part:
                case "dense":
                    report(dense(postgres, Path(folder), scale))
                case "sparse":
                    report(sparse(postgres, Path(folder), scale))
                case _:
                    report(realtime(postgres, Path(folder)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="part", help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--scale", type=float, default=1.0)
    given = parser.parse_args()
    main(given.parts or list(PARTS), given.scale)

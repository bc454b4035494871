"""Static files under names that carry their content's hash: cached for ever, replaced the moment they change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file, read once."""

    name: str
    body: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Sixteen hex digits of the content's SHA-256: its version in the URL, its ETag in the answer."""
        return hashlib.sha256(self.body).hexdigest()[:16]

    @property
    def url(self) -> str:
        """`/static/<digest>/<name>`."""
        return f"/static/{self.digest}/{self.name}"


def load_assets(folder: Path = STATIC) -> Mapping[str, Asset]:
    """Every servable file of `folder` by name.

    Raises:
        ValueError: a file of a kind the page does not serve.
    """
    assets = {}
    for path in sorted(folder.iterdir()):
        if path.suffix not in _MEDIA_TYPES:
            raise ValueError(f"static file of unknown kind: {path.name}")
        assets[path.name] = Asset(path.name, path.read_bytes(), _MEDIA_TYPES[path.suffix])
    return assets

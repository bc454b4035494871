"""Secrets at rest: encrypted with the operator's keys, opened only by whoever sends.

Fernet (AES-128-CBC with HMAC-SHA256) of the package `cryptography`. Several keys may be given: the first encrypts, all
decrypt, so that a key can be replaced (`waterline channel rekey`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.errors import Refused

KEY_FILE = "secrets.key"
"""Below DATA_DIR, where `waterline up` and `waterline demo` keep the key of an embedded database's secrets."""
_NO_KEY = (
    "SECRETS_KEY is not set, so no secret can be kept: set it to a key from `waterline channel key`, or name an"
    " environment variable CHANNEL_SECRET_<NAME> that holds the secret"
)


class Vault:
    """Seals secrets and opens them."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """
        Args:
            keys: Fernet keys, the one that encrypts first; none: nothing can be sealed or opened.

        Raises:
            Refused: one is not a key.
        """
        try:
            self._keys = MultiFernet([Fernet(key) for key in keys]) if keys else None
        except ValueError:
            raise Refused("SECRETS_KEY: not a key; `waterline channel key` makes one") from None

    def seal(self, secret: Mapping[str, object]) -> bytes:
        """Encrypt a secret, a JSON object.

        Raises:
            Refused: there is no key.
        """
        return self._require_keys().encrypt(json.dumps(secret).encode())

    def open(self, sealed: bytes) -> dict[str, object]:
        """The secret.

        Raises:
            Refused: there is no key, or none that fits.
        """
        keys = self._require_keys()
        try:
            secret: dict[str, object] = json.loads(keys.decrypt(sealed))
        except InvalidToken:
            raise Refused("SECRETS_KEY: no key of it opens this channel's secret; give the older keys too") from None
        return secret

    def reseal(self, sealed: bytes) -> bytes:
        """The same secret encrypted with the first key.

        Raises:
            Refused: as `open`.
        """
        return self.seal(self.open(sealed))

    def _require_keys(self) -> MultiFernet:
        if self._keys is None:
            raise Refused(_NO_KEY)
        return self._keys


def new_key() -> str:
    """A key for SECRETS_KEY."""
    return Fernet.generate_key().decode()


def keep_key(folder: Path) -> str:
    """The key in `folder`, made when there is none, and readable by its owner only.

    Raises:
        Refused: it cannot be read or made.
    """
    path = folder / KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text().strip()
        with os.fdopen(descriptor, "w") as file:
            key = new_key()
            file.write(key + "\n")
        return key
    except OSError as error:
        raise Refused(f"DATA_DIR: {path}: {error.strerror}") from None

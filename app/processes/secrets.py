"""What opens the secrets of channels."""

from __future__ import annotations

from collections.abc import Mapping

from app.alerts.vault import KEY_FILE, Vault
from app.errors import Refused
from app.settings import Settings


def vault_of(settings: Settings) -> Vault:
    """What seals and opens secrets: SECRETS_KEY, or else the key file of an embedded database.

    Raises:
        Refused: the file cannot be read, or holds no key.
    """
    path = settings.data_dir / KEY_FILE
    if settings.secrets_keys or not path.exists():
        return Vault(settings.secrets_keys)
    try:
        return Vault([path.read_text().strip()])
    except OSError as error:
        raise Refused(f"DATA_DIR: {path}: {error.strerror}") from None


def environment_of(settings: Settings) -> Mapping[str, str]:
    """Secrets of channels that are in the environment, by the names of their variables."""
    return {name: value.get_secret_value() for name, value in settings.channel_secrets.items()}

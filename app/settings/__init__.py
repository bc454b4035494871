"""Every setting of a process, read and checked in one place."""

from app.settings.chains import ChainSettings, EndpointSettings
from app.settings.settings import ENVIRONMENT_FIELDS, Settings, environment_with, load_settings
from app.settings.urls import SecretUrl

__all__ = [
    "ENVIRONMENT_FIELDS",
    "ChainSettings",
    "EndpointSettings",
    "SecretUrl",
    "Settings",
    "environment_with",
    "load_settings",
]

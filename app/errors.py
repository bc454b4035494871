"""The project's own failures, by what the caller can do about them.

Every failure that crosses a package border is one of three kinds; foreign exceptions (web3, psycopg, aiohttp)
are translated once, where they enter. Messages never hold an RPC URL, a password or a key.
"""


class WaterlineError(Exception):
    """Base of every failure raised on purpose."""


class Retryable(WaterlineError):
    """The same call may succeed later: a node that lags, a dropped connection, a throttled request."""


class Fatal(WaterlineError):
    """This process or chain must stop: going on would store or serve something false."""


class Refused(WaterlineError):
    """The input is at fault (a setting, an address, a file); the message says what to change."""

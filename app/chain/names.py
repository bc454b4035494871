"""ENS names: what address a name stands for, by the registry and the name's own resolver, at one block.

Names are normalised as ENSIP-15 says (by the `ens` package of web3), and hashed as EIP-137 says. Only what stands on
chain counts: a resolver that would send its asker to a URL (EIP-3668) is not followed, because whoever registers a
name would then choose what this process connects to; nor are wildcards (ENSIP-10).
"""

from __future__ import annotations

from ens.exceptions import InvalidName
from ens.utils import normal_name_to_hash, normalize_name

from app.chain.reader import ChainReader
from app.domain.chain import ZERO_ADDRESS, Address, CallResult, ContractCall, ReadPlan, Returned
from app.errors import Fatal, Refused, Retryable

REGISTRY = Address.from_hex("0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e")
"""The ENS registry with fallback, the same on every chain that has one (docs.ens.domains, deployments)."""
_RESOLVER = bytes.fromhex("0178b8bf")
"""resolver(bytes32), EIP-137."""
_ADDR = bytes.fromhex("3b3b57de")
"""addr(bytes32), EIP-137."""
_LONGEST = 255


class EnsNames:
    """Resolves names on one chain."""

    def __init__(self, reader: ChainReader) -> None:
        """
        Args:
            reader: of the chain the names are registered on. Nothing is sent before the first name.
        """
        self._reader = reader
        self._is_verified = False

    async def resolve(self, name: str) -> Address | None:
        """The address of a name at the chain's newest block; None when it has none there.

        Raises:
            Refused: the name cannot be one, or the setting's endpoints serve another chain.
            Retryable: the chain cannot be reached.
        """
        node = name_hash(name)
        try:
            if not self._is_verified:
                await self._reader.verify()
                self._is_verified = True
            header = await self._reader.fetch_header("latest")
            if header is None:
                raise Retryable("the chain on which names are resolved has no block")
            return await self._reader.read(read_address(node), header.block)
        except Retryable:
            self._is_verified = False  # endpoints that went away are looked at again with the next name
            raise
        except Fatal as error:
            self._is_verified = False
            raise Refused(f"names cannot be resolved: {error}") from error


def name_hash(name: str) -> bytes:
    """The node of a name: its hash once it is normalised.

    Raises:
        Refused: ENSIP-15 does not allow it.
    """
    if not 0 < len(name) <= _LONGEST:
        raise Refused(f"a name has 1 to {_LONGEST} characters")
    try:
        return bytes(normal_name_to_hash(normalize_name(name)))
    except (InvalidName, ValueError):
        raise Refused("not a name that ENS allows (ENSIP-15)") from None


def read_address(node: bytes) -> ReadPlan[Address | None]:
    """Who resolves a node, and what he says."""
    (found,) = yield [ContractCall(REGISTRY, _RESOLVER + node)]
    resolver = _address(found)
    if resolver is None:
        return None
    (answered,) = yield [ContractCall(resolver, _ADDR + node)]
    return _address(answered)


def _address(result: CallResult) -> Address | None:
    """An address as the ABI has it; None for zero, for a revert, and for what is none."""
    if not isinstance(result, Returned) or len(result.data) < 32 or any(result.data[:12]):
        return None
    address = Address(result.data[12:32])
    return None if address == ZERO_ADDRESS else address

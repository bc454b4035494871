"""Array types of the book, and arrays that grow."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int32]
"""Numbers of factors, accounts, ledgers."""
Positions: TypeAlias = NDArray[np.intp]
"""Places in another array."""
Counts: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


def grown(array: NDArray[Any], room: int) -> NDArray[Any]:
    """The same values with room for `room` in the last dimension; what is added is zero."""
    larger = np.zeros((*array.shape[:-1], room), array.dtype)
    larger[..., : array.shape[-1]] = array
    return larger

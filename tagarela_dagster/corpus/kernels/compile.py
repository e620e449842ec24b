"""How kernels are compiled: Numba, to machine code that is kept beside the source.

The first call in a fresh checkout compiles (seconds), later processes load the file. Kernels run
without the interpreter's lock, and divide as NumPy does (no exception inside a loop).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def jit(function: Function) -> Function:
    """Compile ``function`` at its first call; plain Python stays its source and its meaning."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast(Function, compiled)

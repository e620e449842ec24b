"""Eight bytes of an array at once, as kernels read and write them: not checked, not aligned.

Little-endian machines only, as Arrow's buffers are.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, bits: int) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), ir.IntType(bits).as_pointer())


def _load(bits: int, result: Any) -> Any:
    @intrinsic
    def load(typing_context: Any, data: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = _pointer(context, builder, signature.args[0], *arguments, bits)
            return builder.load(pointer, align=1)

        return result(data, types.intp), generate

    return load


load64 = _load(64, types.uint64)
"""``load64(data, index)``: ``data[index:index + 8]`` as a uint64."""
load32 = _load(32, types.uint32)
"""``load32(data, index)``: ``data[index:index + 4]`` as a uint32."""


@intrinsic
def store64(typing_context: Any, data: Any, index: Any, value: Any) -> Any:
    """``store64(data, index, value)``: write a uint64 to ``data[index:index + 8]``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, place, word = arguments
        pointer = _pointer(context, builder, signature.args[0], array, place, 64)
        builder.store(word, pointer, align=1)
        return context.get_dummy_value()

    return types.void(data, types.intp, types.uint64), generate


def _count_zeros(instruction: str) -> Any:
    @intrinsic
    def count(typing_context: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            zero_is_64 = ir.Constant(ir.IntType(1), 0)
            return getattr(builder, instruction)(arguments[0], zero_is_64)

        return types.int64(types.uint64), generate

    return count


leading_zeros = _count_zeros("ctlz")
"""Zero bits above the highest one of a uint64; 64 of zero."""
trailing_zeros = _count_zeros("cttz")
"""Zero bits below the lowest one of a uint64; 64 of zero."""


@intrinsic
def count_ones(typing_context: Any, value: Any) -> Any:
    """``count_ones(value)``: the bits of a uint64 that are 1."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate

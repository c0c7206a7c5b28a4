"""Many tensors of float32, one behind the other, into one in the dtype of matrix products."""

from numba import njit

from . import stack_layout as at
from .layout import BFLOAT16, FLOAT32
from .numba_grad_shift import size_of
from .numba_grad_vector import INLINE_PASS
from .numba_rows import write
from .numba_vector import load
from .numba_words import take, word
from .vector_width import VALUES


@njit(**INLINE_PASS)
def stack_tasks(p, kind):
    """Take tasks until there are none left, a tensor each."""
    task = take(p, at.NEXT_TASK)
    while task < word(p, at.TASKS):
        row = word(p, at.TABLE) + 8 * at.ROW_WORDS * task
        source = word(row, at.SOURCE)
        target = word(p, at.TARGET) + size_of(kind) * word(row, at.START)
        for i in range(0, word(row, at.COUNT), VALUES):
            write(target, i, load(source, i), kind)
        task = take(p, at.NEXT_TASK)


def stack_float32(parameters):
    """Into float32."""
    stack_tasks(parameters, FLOAT32)


def stack_bfloat16(parameters):
    """Into bfloat16."""
    stack_tasks(parameters, BFLOAT16)

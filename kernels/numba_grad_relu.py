"""Bias and squared ReLU of the channel mix, ``relu(x + bias) ** 2``, and its backward."""

from numba import njit

from . import grad_layout as at
from .grad_layout import CHUNK_ROWS
from .layout import BFLOAT16, FLOAT32
from .numba_grad_shift import size_of
from .numba_grad_shift_back import accumulate
from .numba_grad_vector import INLINE_PASS, positive
from .numba_rows import clear, read, write
from .numba_tasks import next_task
from .numba_vector import load
from .numba_words import take, word
from .vector_width import VALUES


@njit(**INLINE_PASS)
def relu_rows(p, task, backward, kind):
    """The rows of one task."""
    width = word(p, at.WIDTH)
    bias, part = word(p, at.RELU_BIAS), word(p, at.PARTS) + 4 * task * width
    if backward:
        clear(part, width)
    for row in range(task * CHUNK_ROWS, min(word(p, at.TOTAL), (task + 1) * CHUNK_ROWS)):
        start = size_of(kind) * row * width
        for i in range(0, width, VALUES):
            x = positive(read(word(p, at.RELU_X) + start, i, kind) + load(bias, i))
            if backward:
                d = read(word(p, at.RELU_DY) + start, i, kind) * (x + x)
                write(word(p, at.RELU_DX) + start, i, d, kind)
                accumulate(part, i, d)
            else:
                write(word(p, at.RELU_Y) + start, i, x * x, kind)


@njit(**INLINE_PASS)
def relu_tasks(p, backward, kind):
    """Take tasks until there are none left."""
    tasks, thread = word(p, at.TASKS), take(p, at.NEXT_SCRATCH)
    task = next_task(p, at.NEXT_TASK, tasks, thread)
    while task < tasks:
        relu_rows(p, task, backward, kind)
        task = next_task(p, at.NEXT_TASK, tasks, thread)


def relu_float32(parameters):
    """Forward in float32."""
    relu_tasks(parameters, False, FLOAT32)


def relu_bfloat16(parameters):
    """Forward in bfloat16."""
    relu_tasks(parameters, False, BFLOAT16)


def relu_back_float32(parameters):
    """Backward in float32."""
    relu_tasks(parameters, True, FLOAT32)


def relu_back_bfloat16(parameters):
    """Backward in bfloat16."""
    relu_tasks(parameters, True, BFLOAT16)

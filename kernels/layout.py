"""What all compiled kernels share in memory: how tensors are described to them, how many tokens they gather."""

CHUNK = 16  # tokens that are gathered, and in the backward computed again, at a time
FLOAT32, BFLOAT16 = 0, 1  # kinds of tensors

APART = 16 * 1024
"""Floats between the working memories of two threads, 64 KiB: a core asks ahead for some twenty rows more like those
that it has read, and would take them out of the other one's cache. Rows are up to 1.75 KiB long."""

PAGE = 1024
"""Floats of 4 KiB, between states: what a core asks ahead there is a few lines."""

# A tensor is described by five words of the parameter block: address, strides of batch, token, head in bytes, kind.
TENSOR_WORDS = 5

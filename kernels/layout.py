"""What all compiled kernels share in memory: how tensors are described to them, how many tokens they gather."""

CHUNK = 16  # tokens that are gathered, and in the backward computed again, at a time
FLOAT32, BFLOAT16 = 0, 1  # kinds of tensors

APART = 1024
"""Floats between what two threads write again and again, a page of 4 KiB: a core asks for lines behind those that it
reads, in vain, and would take them out of the other one's cache."""

# A tensor is described by five words of the parameter block: address, strides of batch, token, head in bytes, kind.
TENSOR_WORDS = 5

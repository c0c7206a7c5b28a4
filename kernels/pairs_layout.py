"""What forward and backward both know of the tokens that `numba_pairs` takes in pairs."""

PAIRED_CHUNK = 32  # tokens in a chunk
LEAST_DECAY = 0.5  # the model's fastest is 0.545
LEAST_PRODUCT = LEAST_DECAY**PAIRED_CHUNK

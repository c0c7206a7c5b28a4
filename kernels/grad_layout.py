"""Parameter blocks of the passes of training: which word (int64) holds what. Addresses unless said otherwise.

Rows are the tokens of a batch, ``B * steps * 8`` of C channels, one after the other. "Wide" tensors are float32,
"thin" ones of the kind that matrix products take: bfloat16 under autocast, otherwise float32.
"""

BANDS = 8  # tokens of a time step
CHUNK_STEPS = 16  # time steps of a task of the shift
CHUNK_ROWS = 64  # rows of a task of the other passes
MIXES = ("r", "w", "k", "v", "a", "g")

# What all of them begin with; TASKS, TOTAL (rows) and WIDTH (C) are numbers.
NEXT_TASK, NEXT_SCRATCH, TASKS, TOTAL, WIDTH, SCRATCH, SCRATCH_BYTES, PARTS = range(8)

# Layer norm, 2D token shift and mixes. STEPS, EPSILON (bits of a float32), ADDS, GATES are numbers.
STEPS, EPSILON, ADDS, GATES = range(8, 12)
SHIFT_X, SHIFT_OUT, SHIFT_BIAS, SHIFT_SKIP, SHIFT_SUM, SHIFT_STATS = range(12, 18)
SHIFT_NORM_WEIGHT, SHIFT_NORM_BIAS, SHIFT_CONV, SHIFT_SHARES, SHIFT_GATE_WEIGHT, SHIFT_LOGITS = range(18, 24)
SHIFT_MIXED = 24  # six
SHIFT_DSUM, SHIFT_DX, SHIFT_DOUT, SHIFT_DLOGITS = range(30, 34)
SHIFT_DMIXED = 34  # six, and a second one of v
SHIFT_WORDS = 41
# rows of its partial sums
PART_SHARES, PART_CONV, PART_GATE, PART_NORM_WEIGHT, PART_NORM_BIAS, PART_BIAS = 0, 6, 15, 16, 17, 18
SHIFT_PARTS = 19

RING = 3  # time steps
PADDED = BANDS + 2  # rows of a step with a row of zeros on either side


def shift_forward_floats(width: int) -> int:
    """Scratch memory of a thread: normalised steps, and sums of a head."""
    return RING * PADDED * width + BANDS * 64


def shift_backward_floats(width: int) -> int:
    """Scratch memory of a thread: normalised steps and gradients of the shift; direct gradients; sums to throw away."""
    return 2 * RING * PADDED * width + RING * BANDS * width + BANDS * width + SHIFT_PARTS * width


# What surrounds the recurrence. HEADS, FIRST (block 0) and GROUP_EPSILON (bits) are numbers.
HEADS, FIRST, GROUP_EPSILON = range(8, 11)
(
    R,
    K_RAW,
    V_RAW,
    LOW_W,
    LOW_A,
    LOW_V,
    V_FIRST,
    W0,
    A0,
    V0,
    K_K,
    K_A,
    R_K,
    GROUP_WEIGHT,
    GROUP_BIAS,
    G,
    Y,
    W,
    K,
    V,
    A,
    B,
    Z,
) = range(11, 34)
DZ, DY, DG, DBONUS, DV_BONUS = range(34, 39)
DR, DW, DK, DV, DA, DB, DV_FIRST = range(39, 46)
DR_OUT, DK_OUT, DV_OUT, DLOW_W, DLOW_A, DLOW_V, DV_FIRST_OUT = range(46, 53)
ATTENTION_WORDS = 53
# rows of the partial sums of the passes before and behind the recurrence
PART_W0, PART_A0, PART_V0, PART_K_K, PART_K_A, PART_R_K = range(6)
PREPARE_PARTS = 6
PART_GROUP_WEIGHT, PART_GROUP_BIAS = range(2)
COMBINE_PARTS = 2
ATTENTION_FLOATS = 128  # scratch memory of a thread

# Squared ReLU.
RELU_X, RELU_BIAS, RELU_Y, RELU_DY, RELU_DX = range(8, 13)
RELU_WORDS = 13

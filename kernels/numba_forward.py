"""Bi-WKV-7 forward in plain loops, compiled by numba.

The state is kept as S[key, value]: SIMD runs over the values, so that no horizontal sum is needed, and a task takes
one block of values of one head, since blocks do not depend on one another. S a of the next token is summed up in the
sweep that updates S.
"""

import numpy as np
from numba import njit

N = 64
VALUES = 16  # values a block
BLOCKS = N // VALUES
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}  # no nnan, ninf: a NaN must stay one


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def forward_tasks(r, d, k, v, a, b, gate, y, first, last):  # type: ignore[no-untyped-def]  # numba infers
    """Tasks first..last of ``B * H * BLOCKS``; arrays ``(B, T, H, N)``, d the decay itself."""
    _, tokens, heads, _ = r.shape
    S = np.empty((N, VALUES), np.float32)
    s = np.empty(VALUES, np.float32)
    s_next = np.empty(VALUES, np.float32)
    out = np.empty(VALUES, np.float32)
    vt = np.empty(VALUES, np.float32)
    for task in range(first, last):
        block = task % BLOCKS
        h = (task // BLOCKS) % heads
        n = task // (BLOCKS * heads)
        low = block * VALUES
        for direction in range(2):
            S[:] = 0.0
            s[:] = 0.0
            for i in range(tokens):
                t = i if direction == 0 else tokens - 1 - i
                # the last token has no next: its own a serves, the sum is not used
                u = t if i == tokens - 1 else (t + 1 if direction == 0 else t - 1)
                for l in range(VALUES):
                    vt[l] = v[n, t, h, low + l]
                    s_next[l] = 0.0
                    out[l] = 0.0
                for j in range(N):
                    dj = d[n, t, h, j]
                    bj = b[n, t, h, j]
                    kj = k[n, t, h, j]
                    rj = r[n, t, h, j]
                    aj = a[n, u, h, j]
                    for l in range(VALUES):
                        x = S[j, l] * dj + s[l] * bj + vt[l] * kj
                        S[j, l] = x
                        out[l] += x * rj
                        s_next[l] += x * aj
                g = gate[n, t, h]
                if direction == 0:
                    for l in range(VALUES):
                        y[n, t, h, low + l] = g * out[l]
                        s[l] = s_next[l]
                else:
                    for l in range(VALUES):
                        y[n, t, h, low + l] += (np.float32(1.0) - g) * out[l]
                        s[l] = s_next[l]

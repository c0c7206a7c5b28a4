"""Bi-WKV-7 backward in plain loops, compiled by numba.

The state is kept as S[value, key], so that the sums over values (dr, dk, da, db, dd) are plain vector additions. States are
kept every `CHUNK` tokens on a first pass; then, from the last chunk to the first, the chunk's states are computed
again from the one before it. Nothing is ever divided by a decay.
"""

import numpy as np
from numba import njit

from .numba_forward import BLOCKS, FASTMATH, VALUES, N

CHUNK = 16


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def _advance(before, after, s, d, k, v, a, b, n, t, h, low):  # type: ignore[no-untyped-def]
    """One token: S_t from S_{t-1}; s receives S_{t-1} a."""
    for i in range(VALUES):
        total = np.float32(0.0)
        for j in range(N):
            total += before[i, j] * a[n, t, h, j]
        s[i] = total
        vi = v[n, t, h, low + i]
        for j in range(N):
            after[i, j] = before[i, j] * d[n, t, h, j] + total * b[n, t, h, j] + vi * k[n, t, h, j]


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def backward_tasks(dy, r, d, k, v, a, b, gate, dr, dd, dk, dv, da, db, dgate, first, last):  # type: ignore[no-untyped-def]
    """Tasks first..last of ``B * H * parts``.

    Gradients are ``(parts, B, T, H, N)``, zero on entry; part p holds the sum over the directions and value blocks
    that it takes care of.
    """
    parts = dr.shape[0]
    _, tokens, heads, _ = r.shape
    chunks = (tokens + CHUNK - 1) // CHUNK
    kept = np.empty((chunks, VALUES, N), np.float32)
    states = np.empty((CHUNK + 1, VALUES, N), np.float32)
    s = np.empty((CHUNK, VALUES), np.float32)
    G = np.empty((VALUES, N), np.float32)
    rho = np.empty(N, np.float32)
    one = np.float32(1.0)
    for task in range(first, last):
        part = task % parts
        h = (task // parts) % heads
        n = task // (parts * heads)
        for unit in range(part, 2 * BLOCKS, parts):
            direction = unit // BLOCKS
            low = (unit % BLOCKS) * VALUES
            states[0] = 0.0
            for c in range(chunks):
                kept[c] = states[0]
                if c < chunks - 1:
                    for i in range(CHUNK * c, CHUNK * (c + 1)):
                        t = i if direction == 0 else tokens - 1 - i
                        _advance(states[0], states[0], s[0], d, k, v, a, b, n, t, h, low)
            G[:] = 0.0
            for c in range(chunks - 1, -1, -1):
                start = CHUNK * c
                length = min(CHUNK, tokens - start)
                states[0] = kept[c]
                for i in range(length):
                    t = start + i if direction == 0 else tokens - 1 - start - i
                    _advance(states[i], states[i + 1], s[i], d, k, v, a, b, n, t, h, low)
                for i in range(length - 1, -1, -1):
                    t = start + i if direction == 0 else tokens - 1 - start - i
                    g = gate[n, t, h] if direction == 0 else one - gate[n, t, h]
                    rt, dt, kt, at, bt = r[n, t, h], d[n, t, h], k[n, t, h], a[n, t, h], b[n, t, h]
                    ddt, dkt, dat, dbt = dd[part, n, t, h], dk[part, n, t, h], da[part, n, t, h], db[part, n, t, h]
                    drt = dr[part, n, t, h]
                    rho[:] = 0.0
                    for m in range(VALUES):
                        dym = dy[n, t, h, low + m]
                        gdy = g * dym
                        vm = v[n, t, h, low + m]
                        sm = s[i, m]
                        before = states[i, m]
                        after = states[i + 1, m]
                        row = G[m]
                        dvm = np.float32(0.0)
                        dsm = np.float32(0.0)
                        for j in range(N):
                            x = row[j] + gdy * rt[j]
                            row[j] = x
                            dvm += x * kt[j]
                            dsm += x * bt[j]
                        for j in range(N):
                            rho[j] += after[j] * dym
                        for j in range(N):
                            dkt[j] += row[j] * vm
                        for j in range(N):
                            dbt[j] += row[j] * sm
                        for j in range(N):
                            ddt[j] += row[j] * before[j]
                        for j in range(N):
                            dat[j] += before[j] * dsm
                        for j in range(N):
                            row[j] = row[j] * dt[j] + dsm * at[j]
                        dv[part, n, t, h, low + m] += dvm
                    dg = np.float32(0.0)
                    for j in range(N):
                        drt[j] += g * rho[j]
                        dg += rho[j] * rt[j]
                    dgate[part, n, t, h] += dg if direction == 0 else -dg

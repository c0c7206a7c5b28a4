"""Log-mels in plain torch: what every faster way is held to, and the way for devices that have no other.

The mel matrix is made once, and frames pass through one batched real FFT in chunks that stay in the cache, so that
memory doesn't grow with the recording.
"""

from __future__ import annotations

import functools

import torch

from arwkv_core.constants import (
    FFT_SAMPLES,
    HOP_SAMPLES,
    MEL_HIGH_HZ,
    MEL_LOW_HZ,
    N_MELS,
    SAMPLE_RATE,
    WINDOW_SAMPLES,
)

PREEMPHASIS = 0.97
ENERGY_FLOOR = torch.finfo(torch.float32).eps  # 1.1920929e-07, before the logarithm

_CHUNK_FRAMES = {"cpu": 256, "cuda": 8192}  # 256 padded frames are 1 MB: they fit a core's second-level cache
_LEAST_ROWS = 64
"""Smaller matrix products take other code paths that sum in another order. Padding a chunk up to this many
rows makes a frame's numbers independent of how many other frames are computed with it."""


@torch.no_grad()
def fill(waveform: torch.Tensor, out: torch.Tensor) -> None:
    """Write the log-mels of all complete frames of `waveform` (samples,) into `out` (frames, 128)."""
    device, frames = out.device, len(out)
    chunk = min(_CHUNK_FRAMES.get(device.type, 2048), max(frames, _LEAST_ROWS))
    window, mel = hann_window(device), _mel_matrix_on(device)
    padded = torch.zeros(chunk, FFT_SAMPLES, dtype=torch.float32, device=device)
    emphasised = padded[:, :WINDOW_SAMPLES]
    for start in range(0, frames, chunk):
        n = min(chunk, frames - start)
        first = start * HOP_SAMPLES
        samples = waveform[first : first + (n - 1) * HOP_SAMPLES + WINDOW_SAMPLES]
        samples = samples.to(torch.float32).contiguous()
        framed = samples.as_strided((n, WINDOW_SAMPLES), (HOP_SAMPLES, 1))
        centred = framed - framed.mean(dim=1, keepdim=True)
        shifted = emphasised[:n]  # x - 0.97 * (x delayed by a sample; the first sample is its own neighbour)
        torch.mul(centred[:, :-1], PREEMPHASIS, out=shifted[:, 1:])
        torch.mul(centred[:, :1], PREEMPHASIS, out=shifted[:, :1])
        torch.sub(centred, shifted, out=shifted).mul_(window)
        rows = max(n, min(_LEAST_ROWS, chunk))  # rows after n hold stale frames or zeros, and are dropped
        power = torch.fft.rfft(padded[:rows]).abs().square_()  # (rows, 513)
        with torch.autocast(device.type, enabled=False):  # the caller's would round the product to bfloat16
            energy = power @ mel
        out[start : start + n] = energy[:n].clamp_(min=ENERGY_FLOOR).log_()


@functools.lru_cache(maxsize=8)
def hann_window(device: torch.device) -> torch.Tensor:
    """The window of a frame: (800,) float32."""
    return torch.hann_window(WINDOW_SAMPLES, periodic=False, dtype=torch.float32).to(device)


@functools.lru_cache(maxsize=8)
def _mel_matrix_on(device: torch.device) -> torch.Tensor:
    return mel_matrix().to(device)


def mel_matrix() -> torch.Tensor:
    """Triangular HTK-mel filters from 50 Hz to 14 kHz.

    Returns
    -------
    torch.Tensor, shape (513, 128), float32
        Weight of each FFT bin in each mel bin. Triangles are linear in mel, not in Hz, as Kaldi has them.
    """
    low, high = (_mel(torch.tensor(hz, dtype=torch.float64)).item() for hz in (MEL_LOW_HZ, MEL_HIGH_HZ))
    delta = (high - low) / (N_MELS + 1)
    band = torch.arange(N_MELS, dtype=torch.float32)  # (128,)
    left, centre, right = low + band * delta, low + (band + 1.0) * delta, low + (band + 2.0) * delta
    bins = torch.arange(FFT_SAMPLES // 2, dtype=torch.float32)
    mel = _mel(SAMPLE_RATE / FFT_SAMPLES * bins)[:, None]  # (512, 1)
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    triangles = torch.minimum(rising, falling).clamp_(min=0.0)
    return torch.nn.functional.pad(triangles, (0, 0, 0, 1))  # the bin at the Nyquist frequency takes no part


def _mel(hz: torch.Tensor) -> torch.Tensor:
    return 1127.0 * (1.0 + hz / 700.0).log()

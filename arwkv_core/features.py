"""Log-mels: the Kaldi-compatible filter bank that the model hears, at once or from a stream of blocks.

Equal to ``torchaudio.compliance.kaldi.fbank(x, htk_compat=True, sample_frequency=32000, use_energy=False,
window_type="hanning", num_mel_bins=128, dither=0, frame_shift=10, low_freq=50, high_freq=14000)`` but for the
rounding of the last two steps, the sums over mel bands and the logarithm. The Fourier transform is torch's own, to the
bit: in bins far below the loudest one, errors of rounding are most of what there is, and others would be other sounds.

On the CPU a compiled kernel makes them (`arwkv_kernels.numba_mel`); `features_torch` has the same in plain torch.

A frame depends on its own 800 samples only. A stream may therefore be cut anywhere: it keeps the samples of
frames that aren't complete yet (at most 799) and gives the same numbers as the whole.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from arwkv_core import features_torch
from arwkv_core.constants import HOP_SAMPLES, N_MELS, SAMPLE_RATE, WINDOW_SAMPLES
from arwkv_core.errors import AudioError, FeatureError
from arwkv_core.features_torch import hann_window, mel_matrix
from arwkv_core.seam import stretches

if TYPE_CHECKING:
    from arwkv_kernels.numba_mel_cpu import Plan

logger = logging.getLogger("arwkv.features")

_PIECE_FRAMES = 1 << 16
"""Frames that are computed at once, so that samples of another type are not all converted at once."""

Waveform = TypeVar("Waveform", np.ndarray, torch.Tensor)


def frame_count(samples: int) -> int:
    """Number of complete frames in `samples` samples at 32 kHz; 0 for fewer than 800 (25 ms)."""
    return 0 if samples < WINDOW_SAMPLES else 1 + (samples - WINDOW_SAMPLES) // HOP_SAMPLES


def log_mel(waveform: Waveform) -> Waveform:
    """Log-mel spectrogram of a waveform, not normalised.

    Parameters
    ----------
    waveform : numpy.ndarray or torch.Tensor, shape (samples,), floating
        Mono at 32 kHz, full scale at ±1. A tensor is computed on its own device, without gradients.

    Returns
    -------
    numpy.ndarray or torch.Tensor, shape (frames, 128), float32
        Natural logarithm of the mel energies, of the kind that came in. A frame is 25 ms, the hop 10 ms; only
        complete frames are given: ``1 + (samples - 800) // 320``, or none of fewer than 800 samples.

    Raises
    ------
    FeatureError
        If `waveform` is no array or tensor, has another number of axes than one, or isn't of floating type.
    """
    _check(waveform)
    frames = frame_count(len(waveform))
    if isinstance(waveform, torch.Tensor):
        out = torch.empty(frames, N_MELS, dtype=torch.float32, device=waveform.device)
        if out.device.type == "cpu":
            _fill(waveform, out.numpy(), torch.get_num_threads())
        else:
            features_torch.fill(waveform, out)
        return out
    array = np.empty((frames, N_MELS), dtype=np.float32)
    _fill(waveform, array, torch.get_num_threads())
    return array


class LogMelStream:
    """Log-mels of a waveform that comes in blocks of any size; together they equal `log_mel` of the whole.

    They are made by the calling thread alone. A block takes it a millisecond, mostly beside a model at work: threads
    that help it would then wait for the next block in a loop, which takes a core from the model for longer than that.

    Examples
    --------
    >>> stream = LogMelStream()
    >>> frames = [stream.push(block) for block in blocks] + [stream.flush()]
    """

    def __init__(self) -> None:
        self._tail = np.empty(0, dtype=np.float32)  # samples of frames that aren't complete yet
        self.frames = 0
        """Frames given so far."""

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples and give the frames that they complete.

        Parameters
        ----------
        samples : numpy.ndarray, shape (n,), floating
            Mono at 32 kHz; n may be 0.

        Returns
        -------
        numpy.ndarray, shape (frames, 128), float32
            Possibly of zero frames.

        Raises
        ------
        FeatureError
            As `log_mel`.
        """
        _check(samples)
        frames = np.empty((frame_count(len(self._tail) + len(samples)), N_MELS), dtype=np.float32)
        done = 0
        for waveform in stretches(self._tail, samples, HOP_SAMPLES, WINDOW_SAMPLES):
            first, done = done, done + frame_count(len(waveform))
            _fill(waveform, frames[first:done], threads=1)
            rest = waveform[(done - first) * HOP_SAMPLES :]
        self._tail = rest.copy()  # so that the block can be freed
        self.frames += len(frames)
        return frames

    def flush(self) -> np.ndarray:
        """End the waveform: samples short of a frame are dropped, and the next push begins a new waveform.

        Returns
        -------
        numpy.ndarray, shape (0, 128), float32
            Frames still owed: none, since every push gives all that are complete.
        """
        self._tail = np.empty(0, dtype=np.float32)
        return np.empty((0, N_MELS), dtype=np.float32)


def log_mel_blocks(audio: Iterable[np.ndarray]) -> Generator[np.ndarray, None, None]:
    """Log-mels of a recording, block by block.

    Parameters
    ----------
    audio : AudioStream or iterable of numpy.ndarray, shape (n,)
        Mono blocks at 32 kHz.

    Yields
    ------
    numpy.ndarray, shape (frames, 128), float32
        At least one frame at a time.

    Raises
    ------
    AudioError
        At the end, if the recording was shorter than one frame.
    """
    stream = LogMelStream()
    samples = 0
    for block in audio:
        samples += len(block)
        frames = stream.push(block)
        if len(frames):
            yield frames
    require_one_frame(samples, getattr(audio, "path", None))


def require_one_frame(samples: int, path: object = None) -> None:
    """Refuse a recording that is too short to be heard at all.

    Parameters
    ----------
    samples : int
        Its length at 32 kHz.
    path : object, optional
        Its name, for the message.

    Raises
    ------
    AudioError
        If `samples` is less than one frame (800).
    """
    if samples < WINDOW_SAMPLES:
        name = "the recording" if path is None else path
        least, found = (f"{1000 * n / SAMPLE_RATE:.3g} ms ({n} samples)" for n in (WINDOW_SAMPLES, samples))
        raise AudioError(f"{name}: too short to analyse: expected at least {least} at 32 kHz, found {found}")


def _check(waveform: object) -> None:
    expected = "expected a floating numpy array or torch tensor of shape (samples,), mono at 32 kHz"
    if not isinstance(waveform, np.ndarray | torch.Tensor):
        raise FeatureError(f"log_mel: {expected}, found {type(waveform).__name__}")
    if waveform.ndim != 1:
        hint = "; average the channels or take one of them" if waveform.ndim == 2 else ""
        raise FeatureError(f"log_mel: {expected}, found shape {tuple(waveform.shape)}{hint}")
    floating = waveform.dtype.is_floating_point if torch.is_tensor(waveform) else waveform.dtype.kind == "f"
    if not floating:
        raise FeatureError(f"log_mel: {expected}, found {waveform.dtype}; divide integers by full scale")


def _fill(waveform: np.ndarray | torch.Tensor, out: np.ndarray, threads: int) -> None:
    """Write the log-mels of all complete frames of `waveform` (samples,) into `out` (frames, 128), on the CPU."""
    plan = _cpu_plan()
    for start in range(0, len(out), _PIECE_FRAMES):
        rows = out[start : start + _PIECE_FRAMES]
        first = start * HOP_SAMPLES
        samples = _float32(waveform[first : first + (len(rows) - 1) * HOP_SAMPLES + WINDOW_SAMPLES])
        if plan is None:
            # a copy: theirs may be read-only or mapped
            features_torch.fill(torch.from_numpy(samples.copy()), torch.from_numpy(rows))
        else:
            from arwkv_kernels import numba_mel_cpu

            numba_mel_cpu.fill(samples, rows, plan, threads)


def _float32(samples: np.ndarray | torch.Tensor) -> np.ndarray:
    """The samples side by side in memory, copied only where they weren't."""
    if isinstance(samples, torch.Tensor):
        samples = samples.detach().to(torch.float32).numpy()
    return np.ascontiguousarray(samples, dtype=np.float32)


@functools.lru_cache(maxsize=1)
def _cpu_plan() -> Plan | None:
    """What the compiled kernel needs; None where it can't run."""
    try:
        from arwkv_kernels import numba_mel_cpu

        plan = numba_mel_cpu.plan(hann_window(torch.device("cpu")).numpy(), mel_matrix().numpy())
        reason = "torch brings no Fourier transform that a kernel can call"
    except Exception as error:  # whatever a compiler may raise: plain torch is slower, but right
        plan = None
        reason = f"the kernel can't be compiled ({type(error).__name__}: {error})"
    if plan is None:
        logger.info("log-mels by plain torch: %s", reason)
    return plan

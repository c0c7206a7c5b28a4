"""Numbers of the front end and of the patch grid, each derived from the one before it."""

SAMPLE_RATE = 32_000
"""Samples a second that the model hears (Hz)."""

HOP_SECONDS = 0.010
HOP_SAMPLES = round(HOP_SECONDS * SAMPLE_RATE)  # 320

WINDOW_SECONDS = 0.025
WINDOW_SAMPLES = round(WINDOW_SECONDS * SAMPLE_RATE)  # 800: samples under one frame

FFT_SAMPLES = 1 << (WINDOW_SAMPLES - 1).bit_length()  # 1024: the next power of two

N_MELS = 128
MEL_LOW_HZ = 50.0
MEL_HIGH_HZ = 14_000.0

PATCH = 16
"""Side of a square patch: frames by mel bins."""

FRAMES_PER_STEP = PATCH
STEP_SECONDS = FRAMES_PER_STEP * HOP_SECONDS  # 0.16
BANDS = N_MELS // PATCH  # 8 frequency bands, one token each

MODEL_STEPS = 62
"""Time steps in the published position table."""
MODEL_FRAMES = MODEL_STEPS * FRAMES_PER_STEP  # 992

FBANK_MEAN = -4.421761
FBANK_STD = 4.32408
"""Normalisation of the published checkpoints: ``(fbank - FBANK_MEAN) / FBANK_STD``."""

DEFAULT_MODEL = "a-rwkv-t-open"
"""The model that ships with the package and is used where none is named."""

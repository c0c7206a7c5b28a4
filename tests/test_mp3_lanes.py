"""The compiled loops of the front end are right for vectors of every width, not only for that of the tests' CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

PROGRAM = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import numpy as np
import soxr
from mp3_sounds import encode, ffmpeg_samples, sound
from arwkv_core.mp3 import reference
from arwkv_core.mp3.own_frames import decoder_of
from arwkv_core.mp3.stream_kind import kind_of
from arwkv_core.own_resampler import OwnResampler
from arwkv_kernels import vector_width

for rate, channels, kind in ((44_100, 2, "clicks"), (44_100, 2, "opposite"), (22_050, 1, "clipped")):
    path = encode(Path(sys.argv[2]) / "a.mp3", sound(kind, 0.3, rate, channels), rate, 64_000)
    data = path.read_bytes()[ffmpeg_samples(path)[1] :]
    found = decoder_of(kind_of(data[:4])).decode(data, 1000)[0]
    np.testing.assert_allclose(found, reference.decode(data).mean(axis=1), rtol=0, atol=1e-6)

samples = np.random.default_rng(0).standard_normal(50_000).astype(np.float32)
for source, target in ((44_100, 32_000), (48_000, 32_000), (22_050, 32_000)):
    expected = soxr.ResampleStream(source, target, 1, dtype="float32", quality="HQ").resample_chunk(samples, last=True)
    own = OwnResampler(source, target, samples[:0], 0, 0)
    found = np.concatenate([own.push(samples), own.flush(len(expected))])[: len(expected)]
    np.testing.assert_allclose(found[16:], expected[16:], rtol=0, atol=1e-5)
print(vector_width.VALUES)
"""


@pytest.mark.parametrize("lanes", ["8", "16", "32"])
def test_vectors_of_any_width(lanes: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), str(tmp_path)]
    environment = os.environ | {"ARWKV_VECTOR_LANES": lanes}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == lanes

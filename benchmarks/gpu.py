"""Bi-WKV-7 on a GPU: right first, then how fast, beside attention and the published way of running both directions.

    python benchmarks/gpu.py [--device cuda|emulator] [--dtype bfloat16] [--repeats 20] [--minutes 60] [--model NAME]
                             [--format table|json]

Values and gradients are held against the plain loop in float64, for lengths, numbers of heads and dtypes that cross
tiles, and ends of long sequences; so are the scores of half a minute of sound against those of the CPU. If anything
is off the script says what, ends with exit code 1, and times nothing. ``--device emulator`` runs the same on a CPU,
over small shapes: it shows that the script works, and its times are no GPU's.

Rows: our forward and backward; our forward kernel in one direction over inputs and flipped copies, concatenated;
torch's attention (SDPA, its flash kernel on a GPU) over as many tokens and heads. Times are medians of CUDA events
after three runs that are not counted; memory is the peak of a call on top of its inputs.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import soundfile
import torch
from gpu_machine import Machine, concatenated, machine
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from arwkv_core import load
from arwkv_core.benchmark.correctness import WrongOutput, require_close
from arwkv_core.benchmark.kernel_inputs import NAMES, kernel_inputs
from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.errors import ArwkvError
from arwkv_kernels import cuda_launch, reference

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 2e-2}
CHECKED = [(1, 1, 1), (2, 15, 3), (1, 16, 12), (2, 17, 1), (1, 63, 3), (1, 496, 3)]
CHECKED_EMULATED = [(1, 1, 1), (2, 17, 3)]
SHAPES = {  # sequences, tokens, heads
    "T, 1 window": (1, 496, 3),
    "T, 64 windows": (64, 496, 3),
    "S, 64 windows": (64, 496, 6),
    "B, 64 windows": (64, 496, 12),
    "S, 16,384 tokens": (1, 16_384, 6),
    "B, 262,144 tokens": (1, 262_144, 12),
}
SHAPES_EMULATED = {"small": (1, 33, 2)}
LONGEST_ATTENTION = 65_536
CHECKED_SECONDS = 30
SCORE_TOLERANCE = 0.005
"""Between devices, both in float32: in bfloat16 scores differ by some hundredths on one device already."""

Row = dict[str, object]


def inputs_on(here: Machine, shape: tuple[int, int, int], dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """r, w, k, v, a, b, gate and a gradient of y."""
    inputs = kernel_inputs(*shape, dtype)
    dy = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    return [x.to(here.device) for x in inputs], dy.to(here.device)


def check(here: Machine, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    """Hold values, gradients, both sweeps and the concatenated path against the float64 loop.

    Raises
    ------
    WrongOutput
        If one is off; names it.
    """
    inputs, dy = inputs_on(here, shape, dtype)
    exact = [x.cpu().double() for x in inputs]
    incoming = dy.cpu().double()
    wanted = [reference.bi_wkv7(*exact), *reference.bi_wkv7_backward(incoming, *exact)]
    state = torch.zeros(shape[0], shape[2], 64, 64, device=here.device)
    with here.executor() as run:
        found = [cuda_launch.forward(run, *inputs), *cuda_launch.backward(run, dy, *inputs)]
        sweeps = [cuda_launch.sweep(run, *inputs[:6], state, reverse)[0] for reverse in (False, True)]
        found += [*sweeps, concatenated(run, *inputs)]
    wanted += [
        *(reference.wkv7_sweep(*exact[:6], state.cpu().double(), reverse)[0] for reverse in (False, True)),
        wanted[0],
    ]
    names = ["y", *(f"d{name}" for name in NAMES), "sweep", "reversed sweep", "concatenated y"]
    for name, x, z in zip(names, found, wanted, strict=True):
        require_close(f"{name} of {shape}, {dtype}", x.cpu(), z, TOLERANCE[dtype])


def check_ends(here: Machine, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    """Hold both ends of long sequences against the loop; `kernel_inputs` lets them see nothing of what is between."""
    inputs, _ = inputs_on(here, shape, dtype)
    with here.executor() as run:
        y = cuda_launch.forward(run, *inputs).cpu()
    end = min(128, shape[1] // 2)
    for place in (slice(0, end), slice(shape[1] - end, shape[1])):
        exact = [x[:, place].cpu().double() for x in inputs]
        require_close(
            f"an end of y of {shape}, {dtype}", y[:, place], reference.bi_wkv7(*exact), TOLERANCE[dtype]
        )


def measure(
    here: Machine, title: str, shape: tuple[int, int, int], dtype: torch.dtype, repeats: int
) -> Iterator[Row]:
    """One row for each way of getting there."""
    inputs, dy = inputs_on(here, shape, dtype)
    query, key, value = (inputs[i].transpose(1, 2).contiguous() for i in (0, 2, 3))

    def attention() -> Tensor:
        only = (
            sdpa_kernel(SDPBackend.FLASH_ATTENTION)
            if here.is_gpu and dtype != torch.float32
            else nullcontext()
        )
        with only:
            return torch.nn.functional.scaled_dot_product_attention(query, key, value)

    with here.executor() as run:
        calls: dict[str, Callable[[], object]] = {
            "forward": lambda: cuda_launch.forward(run, *inputs),
            "backward": lambda: cuda_launch.backward(run, dy, *inputs),
            "cat + flip, forward": lambda: concatenated(run, *inputs),
        }
        if shape[1] <= LONGEST_ATTENTION:
            calls["attention, forward"] = attention
        for what, call in calls.items():
            yield {
                "shape": title,
                "batch": shape[0],
                "tokens": shape[1],
                "heads": shape[2],
                "what": what,
                "seconds": here.seconds(call, repeats),
                "peak_bytes": here.peak_bytes(call),
            }


def sound_of(path: Path, seconds: float) -> Path:
    """Write noise that comes and goes."""
    random = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for second in range(round(seconds)):
            file.write((random.standard_normal(SAMPLE_RATE) * 0.1 * (second % 7)).clip(-1, 1))
    return path


def tag_row(here: Machine, model: str, minutes: float) -> Row:
    """Tag a recording from its file to its tags, after the scores of a short one were held against the CPU's."""
    with tempfile.TemporaryDirectory() as folder:
        short = sound_of(Path(folder) / "short.wav", CHECKED_SECONDS)
        tagger, plain = (load(model, device=one, precision="fp32") for one in (str(here.device), "cpu"))
        found, wanted = (one.step_scores(short).values for one in (tagger, plain))
        off = float(np.abs(found - wanted).max())
        if not off <= SCORE_TOLERANCE:
            raise WrongOutput(
                f"scores of {model} on {here.name}: off by {off:.3f}, expected {SCORE_TOLERANCE} at most"
            )
        path = sound_of(Path(folder) / "long.wav", 60 * minutes)
        tagger = load(model, device=str(here.device))  # in the precision that it chooses for itself
        start = time.perf_counter()
        tagger.tag(path)
        seconds = time.perf_counter() - start
    return {
        "what": f"tag {minutes:g} min, {model}",
        "seconds": seconds,
        "times_real_time": 60 * minutes / seconds,
    }


def show(here: Machine, rows: list[Row]) -> None:
    """Print the table."""
    note = "" if here.is_gpu else "; times are not a GPU's"
    print(f"{here.name}, torch {torch.__version__}: values, gradients and scores are right{note}")
    print(f"{'':20}{'':22}{'ms':>12}{'peak MB':>12}")
    for row in rows:
        peak = row.get("peak_bytes")
        memory = "–" if peak is None else f"{float(str(peak)) / 1e6:.1f}"
        print(
            f"{row.get('shape', '')!s:20}{row['what']!s:22}{1e3 * float(str(row['seconds'])):12.3f}{memory:>12}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "emulator"], default="cuda")
    parser.add_argument("--dtype", choices=list(DTYPES), default="bfloat16", help="of what is timed")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--minutes", type=float, help="of sound to tag; 60, or half a minute on the emulator")
    parser.add_argument("--model", default="a-rwkv-t-open")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    options = parser.parse_args()
    try:
        here = machine(options.device)
        shapes = SHAPES if here.is_gpu else SHAPES_EMULATED
        for shape in CHECKED if here.is_gpu else CHECKED_EMULATED:
            for dtype in DTYPES.values():
                check(here, shape, dtype)
        dtype = DTYPES[options.dtype]
        for shape in shapes.values():
            check_ends(here, shape, dtype)
        minutes = options.minutes or (60 if here.is_gpu else 0.5)
        tagged = tag_row(here, options.model, minutes)
        rows = [
            row
            for title, shape in shapes.items()
            for row in measure(here, title, shape, dtype, options.repeats)
        ]
    except ArwkvError as error:
        sys.exit(f"{error}\nnothing is timed")
    if options.format == "json":
        document = {"schema_version": 1, "device": here.name, "is_gpu": here.is_gpu, "rows": [*rows, tagged]}
        print(json.dumps(document, indent=1))
    else:
        show(here, [*rows, tagged])


if __name__ == "__main__":
    main()

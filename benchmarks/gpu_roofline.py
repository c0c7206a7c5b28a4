"""What Bi-WKV-7 must cost on a GPU, counted and not measured: our CUDA kernels, and the published path beside them.

    python benchmarks/gpu_roofline.py [--dtype bfloat16] [--batch 1 32 256] [--gradients] [--no-compiler]
                                      [--format table|markdown|json]

For each card, model and length: bytes a token and head, how full the multiprocessors are, what is slowest, and the
least time that a layer takes, for our path and the published one by the same formulas. Needs no GPU. Registers are
those of the compiler's report where NVRTC is installed, and otherwise as many as the source allows. The assumptions are
printed below the table.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import gpu_cards
import gpu_work
import torch
from gpu_cards import CARDS, LAUNCH_SECONDS, REGISTERS, SCHEDULERS, WARP, Card, paragraphs
from gpu_work import Work, ours, published

from arwkv_core.errors import ArwkvError
from arwkv_kernels import build
from arwkv_kernels.cuda_launch import BACKWARD, BACKWARD_THREADS, KERNELS, SWEEP_THREADS

HEADS = {"T": 3, "S": 6, "B": 12}
WINDOW_TOKENS = 496
LONG_TOKENS = (16_384, 262_144)
LEAST_BLOCKS = {4: 4, 8: 2}
"""Warps of a block -> blocks of a multiprocessor that the source asks the compiler to leave registers for."""


Row = dict[str, object]


@dataclass(frozen=True)
class Estimate:
    """Of all launches of a call, on one card.

    Attributes
    ----------
    seconds : float
        The least that they take.
    bytes : float
        A token and head.
    slowest : str
        What most of the time goes to: memory, multiply-adds, chain or launches.
    blocks, resident : int
        Of the longest launch: blocks, and how many a multiprocessor holds at once.
    occupancy : float
        Of the longest launch: warps that a multiprocessor has, of those it could have.
    """

    seconds: float
    bytes: float
    slowest: str
    blocks: int
    resident: int
    occupancy: float


def parts(work: Work, card: Card, registers: Mapping[str, int]) -> dict[str, float]:
    """Seconds that memory, multiply-adds and the chain of one launch take, each by itself."""
    found = {"memory": work.bytes / card.bandwidth, "multiply-adds": 0.0, "chain": 0.0}
    if work.blocks:
        resident = residents(work, card, registers)
        busiest = -(-work.blocks // card.multiprocessors)  # blocks of the multiprocessor that has most
        issuing = min(SCHEDULERS, min(busiest, resident) * work.warps) / SCHEDULERS
        cycles = busiest * work.tokens * work.fmas / (card.fmas * issuing)
        found["multiply-adds"] = cycles / card.hertz
        found["chain"] = -(-busiest // resident) * work.tokens * work.chain / card.hertz
    return found


def residents(work: Work, card: Card, registers: Mapping[str, int]) -> int:
    """Blocks of a launch that a multiprocessor holds."""
    return card.resident(work.warps, work.registers or registers[work.name], work.shared_bytes)


def estimate(works: list[Work], places: int, card: Card, registers: Mapping[str, int]) -> Estimate:
    """The least time of launches over ``places`` tokens × heads."""
    shares = dict.fromkeys(("memory", "multiply-adds", "chain"), 0.0)
    times = []
    for work in works:
        found = parts(work, card, registers)
        slowest = max(found, key=lambda name: found[name])
        shares[slowest] += found[slowest]
        times.append(found[slowest])
    shares["launches"] = LAUNCH_SECONDS * len(works)
    longest = max((work for work in works if work.blocks), key=lambda work: times[works.index(work)])
    resident = residents(longest, card, registers)
    held = min(resident, -(-longest.blocks // card.multiprocessors))
    return Estimate(
        sum(shares.values()),
        sum(work.bytes for work in works) / places,
        max(shares, key=lambda name: shares[name]),
        longest.blocks,
        resident,
        held * longest.warps * WARP / card.threads,
    )


def registers_of(card: Card, ask_compiler: bool) -> tuple[dict[str, int], str]:
    """Registers a thread of our kernels, and where they are known from."""
    why = ""
    if ask_compiler:
        try:
            (code,) = build([card.arch])
        except ArwkvError as error:
            why = f" ({error})"
        else:
            return {one.kernel: one.registers for one in code.kernels}, "the compiler's report"
    bounds = {}
    for name in KERNELS:
        threads = BACKWARD_THREADS if name.startswith(BACKWARD) else SWEEP_THREADS
        bounds[name] = REGISTERS // (threads * LEAST_BLOCKS[threads // WARP])
    return bounds, f"the source's bounds{why}"


def rows(
    dtype: torch.dtype, batches: list[int], gradients: bool, ask_compiler: bool
) -> tuple[list[Row], list[str]]:
    """The table, and what it rests on."""
    found: list[Row] = []
    sources = {}
    for card in CARDS:
        registers, sources[card.name] = registers_of(card, ask_compiler)
        shapes = [(batch, WINDOW_TOKENS) for batch in batches] + [(1, tokens) for tokens in LONG_TOKENS]
        for model, heads in HEADS.items():
            for batch, tokens in shapes:
                places = batch * tokens * heads
                mine = ours(batch, tokens, heads, dtype, card.multiprocessors, gradients)
                theirs = published(batch, tokens, heads, dtype, gradients)
                for path, works in (("ours", mine), ("published", theirs)):
                    one = estimate(works, places, card, registers)
                    shape = {"card": card.name, "model": model, "batch": batch, "tokens": tokens}
                    found.append({**shape, "path": path, "launches": len(works), **asdict(one)})
    notes = [f"{name}: registers are those of {source}." for name, source in sources.items()]
    return found, [*notes, *paragraphs(gpu_cards.ASSUMPTIONS), *paragraphs(gpu_work.ASSUMPTIONS)]


HEADER = (
    "card",
    "model",
    "batch × tokens",
    "path",
    "B/token·head",
    "blocks",
    "a SM",
    "occupancy",
    "slowest",
    "ms",
)


def cells(row: Row) -> list[str]:
    """A row as it is printed."""
    return [
        str(row["card"]),
        str(row["model"]),
        f"{row['batch']} × {row['tokens']:,}",
        str(row["path"]),
        f"{row['bytes']:,.0f}",
        f"{row['blocks']:,}",
        str(row["resident"]),
        f"{row['occupancy']:.0%}",
        str(row["slowest"]),
        f"{1e3 * float(str(row['seconds'])):.3f}",
    ]


def table(found: list[Row]) -> list[str]:
    """Lines for a terminal, header first."""
    lines = [list(HEADER), *(cells(row) for row in found)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def markdown(found: list[Row]) -> list[str]:
    """Lines for a page, a row for each shape and path: milliseconds on each card, what is slowest, occupancy."""
    cards = list(dict.fromkeys(str(row["card"]) for row in found))
    shapes: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in found:
        _, model, shape, path, *_ = cells(row)
        shapes.setdefault((model, shape, path), {})[str(row["card"])] = row
    lines = [["model", "batch × tokens", "path", "B/token·head", *(f"{card}, ms" for card in cards)]]
    lines.append(["---"] * len(lines[0]))
    for shape, by_card in shapes.items():
        parts = [cells(by_card[card]) for card in cards]
        figures = [f"{part[9]} ({part[8]}, {part[7]})" for part in parts]
        lines.append([*shape, parts[0][4], *figures])
    return ["| " + " | ".join(line) + " |" for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32, 256], help="windows of 496 tokens")
    parser.add_argument(
        "--gradients", action="store_true", help="forward and backward, instead of forward alone"
    )
    parser.add_argument(
        "--no-compiler",
        action="store_true",
        help="take the source's bounds for registers, and compile nothing",
    )
    parser.add_argument("--format", choices=["table", "markdown", "json"], default="table")
    options = parser.parse_args()
    found, notes = rows(
        getattr(torch, options.dtype), options.batch, options.gradients, not options.no_compiler
    )
    if options.format == "json":
        print(json.dumps({"schema_version": 1, "rows": found, "assumptions": notes}, indent=1))
        return
    lines = markdown(found) if options.format == "markdown" else table(found)
    print("\n".join(lines), end="\n\n")
    print("\n".join(f"- {note}" for note in notes))


if __name__ == "__main__":
    main()

"""``arwkv kernels``: which backend of the model's kernel runs here; and the CUDA kernels, compiled ahead of time."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arwkv_cli.exit_codes import ExitCode
from arwkv_cli.listing import FormatOption, ListingFormat, listing_group, print_json, print_rows

if TYPE_CHECKING:
    from arwkv_kernels.cuda_cache import CudaCode

SCHEMA_VERSION = 1

app = listing_group(
    "kernels", "List the backends of the model's kernel, compile the CUDA kernels ahead of their use."
)


@app.command("list")
def list_command(format: FormatOption = ListingFormat.TABLE) -> None:
    """List the backends on every device of this machine, which one is taken, and why others can't run."""
    from arwkv_kernels import survey

    standings = survey()
    if format is ListingFormat.JSON:
        print_json({"schema_version": SCHEMA_VERSION, "backends": [asdict(one) for one in standings]})
        return
    rows = [
        [
            one.device,
            one.backend,
            "chosen" if one.chosen else "",
            "runs" if one.reason is None else one.reason,
        ]
        for one in standings
    ]
    print_rows(["device", "backend", "", ""], rows)


@app.command("build")
def build_command(
    arch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARCH",
            help="Compile for this architecture, such as sm_90, or all; may be repeated. By default those of "
            "the GPUs in this machine.",
        ),
    ] = None,
    report: Annotated[
        bool,
        typer.Option("--report", help="Show registers, shared memory, stack and spills of every kernel."),
    ] = False,
    format: FormatOption = ListingFormat.TABLE,
) -> None:
    """Compile the CUDA kernels and keep them, so that the first run on a GPU does not have to; needs no GPU.

    NVRTC compiles, which comes with the CUDA builds of torch. The exit code is 1 if the kernels can't be compiled or
    kept.
    """
    from arwkv_kernels import build

    built: list[CudaCode] = []
    for code in build(arch or ()):
        took = "was compiled already" if code.cached else f"compiled in {code.seconds:.1f} s"
        typer.echo(f"{code.arch}: {took}", err=True)
        built.append(code)
    if format is ListingFormat.JSON:
        print_json({"schema_version": SCHEMA_VERSION, "builds": [_as_json(code, report) for code in built]})
    elif report:
        header = ["arch", "kernel", "registers", "shared B", "stack B", "spill stores B", "spill loads B"]
        print_rows(header, [row for code in built for row in _report(code)], numbers=5)
    else:
        print_rows(["arch", "file"], [[code.arch, str(code.file or "not kept")] for code in built])
    if not all(code.file for code in built):
        raise typer.Exit(ExitCode.FAILED)


def _report(code: CudaCode) -> list[list[str]]:
    return [
        [
            code.arch,
            one.kernel,
            str(one.registers),
            str(one.shared_bytes),
            str(one.stack_bytes),
            str(one.spill_store_bytes),
            str(one.spill_load_bytes),
        ]
        for one in code.kernels
    ]


def _as_json(code: CudaCode, report: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "arch": code.arch,
        "bytes": len(code.code),
        "cached": code.cached,
        "seconds": round(code.seconds, 3),
        "file": str(code.file) if code.file else None,
    }
    return document | ({"kernels": [asdict(kernel) for kernel in code.kernels]} if report else {})

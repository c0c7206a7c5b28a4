"""Write the tables of ``docs/kernels.md`` that programs know: what the CUDA kernels need, and what they must cost.

    python docs/write_kernels.py

Needs NVRTC, but no GPU. To be run after a change to the kernels or to the cost model; a test compares the page with
what the compiler says, where it is of the page's version.
"""

import re
import subprocess
import sys
from pathlib import Path

from arwkv_kernels import build, cuda_launch
from arwkv_kernels.cuda_launch import BACKWARD, NARROW, SUFFIXES, WIDE
from arwkv_kernels.cuda_target import EVERY
from arwkv_kernels.nvrtc import nvrtc

PAGE = Path(__file__).with_name("kernels.md")
MODEL = PAGE.parents[1] / "benchmarks" / "gpu_roofline.py"


def section(name: str) -> re.Pattern[str]:
    """What lies between a section's two marks."""
    return re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL)


def shared_bytes(kernel: str) -> int:
    """Shared memory of a block of a kernel, as it is launched."""
    (dtype,) = (dtype for dtype, suffix in SUFFIXES.items() if kernel.endswith(f"_{suffix}"))
    if kernel.startswith(BACKWARD):
        return cuda_launch.backward_shared_bytes(dtype)
    return cuda_launch.sweep_shared_bytes(dtype, NARROW if "narrow" in kernel else WIDE)


def column(arch: str) -> dict[str, str]:
    """Registers of each kernel, and its spills if it has any."""
    (code,) = build([arch])
    return {
        one.kernel: f"{one.registers}"
        + (f" + {one.spill_store_bytes} B" if one.spill_store_bytes or one.spill_load_bytes else "")
        for one in code.kernels
    }


def resources() -> str:
    """The table of registers."""
    columns = {arch: column(arch) for arch in EVERY}
    lines = [["kernel", "shared B", *columns], ["---"] * (2 + len(columns))]
    for kernel in cuda_launch.KERNELS:
        found = [by_kernel[kernel] for by_kernel in columns.values()]
        lines.append([f"`{kernel}`", f"{shared_bytes(kernel):,}", *found])
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"Compiled by NVRTC {nvrtc().version_text}.\n\n{rows}\n"


def cost() -> str:
    """The cost model's table and what it rests on."""
    command = [sys.executable, str(MODEL), "--format", "markdown", "--dtype", "bfloat16"]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout


def main() -> None:
    """Put both tables into the page."""
    page = PAGE.read_text("utf-8")
    for name, render in (("resources", resources), ("cost", cost)):
        text = render()
        page = section(name).sub(lambda _, text=text: text, page)
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()

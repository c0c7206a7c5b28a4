"""Run by the cache tests in processes of their own: gets code from a slow compiler, tells whether that was asked."""

import sys
import time
from pathlib import Path
from typing import Any

from arwkv_kernels.cuda_cache import cuda_code
from arwkv_kernels.cuda_target import Target


def main() -> None:
    """Take the source and the seconds that the compiler needs; print ``start`` when it starts, then what was had."""
    sys.path.insert(0, str(Path(__file__).parent))
    from cuda_fakes import FakeCompiler

    class SlowCompiler(FakeCompiler):
        def compile(self, *arguments: Any) -> Any:
            print("start", flush=True)
            time.sleep(float(sys.argv[2]))
            return super().compile(*arguments)

    code = cuda_code(Path(sys.argv[1]), Target("sm_90"), SlowCompiler())  # type: ignore[arg-type]
    print("cached" if code.cached else "compiled", flush=True)


if __name__ == "__main__":
    main()

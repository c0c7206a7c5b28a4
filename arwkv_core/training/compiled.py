"""Whether what training would compile can be compiled; else the plain path is taken, slower but right."""

from __future__ import annotations

import logging
from collections.abc import Callable

logger = logging.getLogger("arwkv.training")


def compiles(prepare: Callable[[], None], what: str) -> bool:
    """Whether a compiled path runs on this machine; if not, why is logged.

    Parameters
    ----------
    prepare : callable
        Imports and compiles it, and raises what an import or a compiler may raise.
    what : str
        Its name, for the message.
    """
    try:
        prepare()
    except ImportError as error:
        reason = f"numba can't be imported ({error})"
    except Exception as error:  # whatever a compiler may raise
        reason = f"compiling fails ({type(error).__name__}: {str(error).strip().splitlines()[-1]})"
    else:
        return True
    logger.warning("training without %s, which would be faster: %s", what, reason)
    return False

"""Functions as operators of torch: they can be compiled, exported and differentiated through."""

from collections.abc import Callable
from typing import Any

import torch

NAMESPACE = "arwkv"


def register_operator(
    name: str,
    function: Callable[..., Any],
    fake: Callable[..., Any],
    backward: Callable[..., Any] | None = None,
    remember: Callable[..., None] | None = None,
) -> Any:
    """Make a function the operator ``arwkv::name``, and return that.

    `torch.library.custom_op` would do the same, but brings in the compiler of torch at the first call, which takes a
    second and is used by none of the commands.

    Parameters
    ----------
    name : str
    function : callable
        Changes none of its tensors and returns none of them. Its annotations are the operator's schema.
    fake : callable
        Makes results of the right shape and dtype, without looking at numbers.
    backward, remember : callable, optional
        As for `torch.library.register_autograd`, which calls the latter ``setup_context``. Without them, asking for
        gradients is an error.
    """

    def refuse(context: Any, *gradients: Any) -> None:
        raise RuntimeError(f"{qualified} is for inference: it has no gradients")

    qualified = f"{NAMESPACE}::{name}"
    schema = torch.library.infer_schema(function, mutates_args=())
    torch.library.define(qualified, schema, tags=(torch.Tag.pt2_compliant_tag,))
    torch.library.impl(qualified, "default", function)
    torch.library.register_fake(qualified, fake)
    torch.library.register_autograd(qualified, backward or refuse, setup_context=remember)
    return getattr(getattr(torch.ops, NAMESPACE), name).default

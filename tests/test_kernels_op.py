"""The operator as torch sees it: registration, compilation, errors."""

import subprocess
import sys

import kernel_cases as cases
import pytest
import torch
from torch import Tensor

from arwkv_kernels import bi_wkv7, reference


def leaves(tokens: int = 5, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [x.to(dtype).clone().requires_grad_() for x in cases.inputs(1, tokens, 2)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_opcheck(dtype: torch.dtype) -> None:
    bi_wkv7(*leaves())  # imports the module that registers the operator
    inputs = leaves(dtype=dtype)
    inputs[1] = leaves()[1]  # w in float32
    torch.library.opcheck(torch.ops.arwkv.bi_wkv7.default, inputs)


def test_opcheck_of_the_backward() -> None:
    inputs = [x.detach() for x in leaves()]
    torch.library.opcheck(torch.ops.arwkv.bi_wkv7_backward.default, [torch.ones_like(inputs[0]), *inputs])


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_without_a_graph_break(backend: str) -> None:
    def double(*inputs: Tensor) -> Tensor:
        return 2 * bi_wkv7(*inputs)

    plain, compiled = leaves(), leaves()
    expected = double(*plain)
    expected.sum().backward()
    y = torch.compile(double, fullgraph=True, backend=backend)(*compiled)
    y.sum().backward()
    assert torch.equal(y, expected)
    for name, x, z in zip(cases.NAMES, compiled, plain, strict=True):
        assert x.grad is not None
        assert z.grad is not None
        assert torch.equal(x.grad, z.grad), f"d{name} differs"


@pytest.mark.parametrize("backend", ["numba", "torch", "reference"])
def test_dtypes_may_be_mixed(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARWKV_BACKEND", backend)
    dtypes = (
        torch.bfloat16,
        torch.float32,
        torch.bfloat16,
        torch.bfloat16,
        torch.float32,
        torch.float16,
        torch.bfloat16,
    )
    mixed = [x.detach().to(dtype).requires_grad_() for x, dtype in zip(leaves(20), dtypes, strict=True)]
    exact = [x.detach().double() for x in mixed]
    y = bi_wkv7(*mixed)
    y.backward(torch.ones_like(y))
    assert y.dtype == torch.bfloat16
    cases.assert_close("y", y.detach(), reference.bi_wkv7(*exact), 2e-2)
    gradients = reference.bi_wkv7_backward(torch.ones_like(exact[0]), *exact)
    for name, x, gradient in zip(cases.NAMES, mixed, gradients, strict=True):
        assert x.grad is not None
        assert x.grad.dtype == x.dtype
        cases.assert_close(f"d{name}", x.grad, gradient, 2e-2 if x.dtype == torch.bfloat16 else 1e-3)


def test_runs_on_meta_tensors() -> None:
    y = bi_wkv7(*(x.to("meta") for x in cases.inputs(2, 7, 3)))
    assert y.shape == (2, 7, 3, 64)
    assert y.device.type == "meta"


def test_double_precision_goes_to_a_backend_that_has_it() -> None:
    exact = cases.in_dtype(cases.inputs(1, 4, 1), torch.float64)
    expected, _ = cases.expected(1, 4, 1, "trained", torch.float64)
    cases.assert_close("y", bi_wkv7(*exact), expected, 1e-12)


@pytest.mark.parametrize(
    ("name", "change", "error", "message"),
    [
        ("r", lambda x: x[..., :32], ValueError, r"r: expected shape \(B, T, H, 64\), found \(1, 5, 2, 32\)"),
        ("r", lambda x: x[0], ValueError, r"r: expected shape \(B, T, H, 64\), found \(5, 2, 64\)"),
        ("w", lambda x: x[:, :4], ValueError, r"w: expected shape \(1, 5, 2, 64\), .*found \(1, 4, 2, 64\)"),
        (
            "gate",
            lambda x: x[..., None],
            ValueError,
            r"gate: expected shape \(1, 5, 2\), .*found \(1, 5, 2, 1\)",
        ),
        (
            "k",
            lambda x: x.double(),
            TypeError,
            r"k: float64 can't be mixed: .*torch.float32, .*found torch.float64",
        ),
        ("r", lambda x: x.int(), TypeError, r"r: expected dtype float32, .*found torch.int32"),
        ("b", lambda x: x.to("meta"), ValueError, r"b: expected on device cpu, .*found on meta"),
    ],
)
def test_errors_name_the_tensor(name: str, change: object, error: type[Exception], message: str) -> None:
    inputs = dict(zip(cases.NAMES, cases.inputs(1, 5, 2), strict=True))
    inputs[name] = change(inputs[name])  # type: ignore[operator]  # a function of a tensor
    with pytest.raises(error, match=message):
        bi_wkv7(**inputs)


@pytest.mark.parametrize("shape", [(0, 5, 2, 64), (1, 0, 2, 64), (1, 5, 0, 64)])
def test_nothing_to_compute_is_refused(shape: tuple[int, ...]) -> None:
    empty = torch.zeros(shape)
    with pytest.raises(ValueError, match="r: expected at least one sequence, token and head"):
        bi_wkv7(empty, empty, empty, empty, empty, empty, empty[..., 0])


def test_importing_the_package_brings_in_neither_torch_nor_numba() -> None:
    program = "import sys, arwkv_kernels; print([name for name in ('torch', 'numba') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_importing_the_operator_does_not_bring_in_numba() -> None:
    program = "import sys; from arwkv_kernels import bi_wkv7; print('numba' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_calling_the_operator_does_not_bring_in_the_compiler_of_torch() -> None:
    program = (
        "import sys, torch; from arwkv_kernels import bi_wkv7; x = torch.zeros(1, 1, 1, 64);"
        "bi_wkv7(x, x, x, x, x, x, x[..., 0]); print('torch._dynamo' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"

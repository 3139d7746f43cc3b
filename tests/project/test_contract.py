"""The promises that every resizer, every network and every transform keeps: each test runs on all of them."""

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor, nn

import resizenet as rn
from contract import EVAL_TRANSFORMS, LEARNED, MODELS, MODULES, RESIZERS, TRANSFORMS, Case, each

layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)


def run(module: nn.Module, x: Tensor) -> Tensor:
    """The output, with the same random numbers every time."""
    torch.manual_seed(1)
    with torch.no_grad():
        return module(x)


def check_same(twin: nn.Module, module: nn.Module, x: Tensor) -> None:
    assert torch.equal(run(twin, x), run(module, x))


@each(*MODULES, *TRANSFORMS)
def test_the_input_is_never_edited(case: Case) -> None:
    x = case.batch()
    before = x.clone()
    run(case.module(), x)
    assert torch.equal(x, before)


@each(*MODULES)
def test_the_output_shares_no_memory_with_the_input(case: Case) -> None:
    x = case.batch()
    before = x.clone()
    run(case.module(), x).add_(1)
    assert torch.equal(x, before)


@each(*MODULES, *EVAL_TRANSFORMS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_output_has_the_dtype_of_the_input(case: Case, dtype: torch.dtype) -> None:
    assert run(case.module().to(dtype), case.batch(dtype=dtype)).dtype == dtype


@each(*TRANSFORMS)
def test_transforms_keep_uint8(case: Case) -> None:
    assert run(case.module(), torch.randint(256, (2, *case.image), dtype=torch.uint8)).dtype == torch.uint8


@each(*RESIZERS)
@layouts
def test_resizers_keep_the_memory_format(case: Case, layout: torch.memory_format) -> None:
    assert run(case.module(), case.batch().contiguous(memory_format=layout)).is_contiguous(memory_format=layout)


@each(*RESIZERS)
@pytest.mark.parametrize("training", [True, False])
def test_resizers_with_filters_in_channels_last_return_it(case: Case, training: bool) -> None:
    module = case.module().to(memory_format=torch.channels_last).train(training)
    has_filters = isinstance(module, (rn.Resizer, rn.LinearResizer))  # fused copies lay theirs out for themselves
    layout = torch.channels_last if has_filters else torch.contiguous_format
    assert run(module, case.batch()).is_contiguous(memory_format=layout)


@each(*MODULES)
def test_the_output_is_on_the_device_of_the_input(case: Case) -> None:
    assert run(case.module().to("meta"), case.batch().to("meta")).device.type == "meta"


@each(*MODULES)
def test_under_autocast_the_output_has_its_dtype(case: Case) -> None:
    module, x = case.module(), case.batch()
    with torch.autocast("cpu", torch.bfloat16):
        assert run(module, x).dtype == torch.bfloat16


@each(*MODULES, *EVAL_TRANSFORMS)
def test_a_batch_equals_its_images_one_by_one(case: Case) -> None:
    module, x = case.module().double(), case.batch(3, torch.float64)
    one_by_one = torch.cat([run(module, image[None]) for image in x])
    torch.testing.assert_close(run(module, x), one_by_one, rtol=1e-12, atol=1e-12)  # float64 in another order


@each(*MODULES, *EVAL_TRANSFORMS)
def test_an_empty_batch_stays_empty(case: Case) -> None:
    module = case.module()
    assert run(module, case.batch(0)).shape == (0, *run(module, case.batch(1)).shape[1:])


@each(*MODULES, *TRANSFORMS)
def test_modules_pickle(case: Case) -> None:
    module = case.module()
    check_same(pickle.loads(pickle.dumps(module)), module, case.batch())


@each(*MODULES, *TRANSFORMS)
def test_deep_copies_share_no_parameter(case: Case) -> None:
    module = case.module()
    twin = copy.deepcopy(module)
    assert type(twin) is type(module)
    check_same(twin, module, case.batch())
    assert not {p.data_ptr() for p in twin.parameters()} & {p.data_ptr() for p in module.parameters()}


@each(*MODULES, *TRANSFORMS)
def test_state_dicts_load_with_weights_only(case: Case) -> None:
    module, other = case.module(), case.module()
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    check_same(other, module, case.batch())


def check_compiled(case: Case, backend: str) -> None:
    torch._dynamo.reset()
    module = case.module()
    compiled = torch.compile(module, fullgraph=True, backend=backend)
    for x in (case.batch(), torch.rand(2, case.image[0], 31, 37)):
        torch.testing.assert_close(run(compiled, x), run(module, x), rtol=1e-4, atol=1e-4)  # sums in another order


@each(*[case for case in MODULES if case.name in {"fixed", "linear", "learned", "resized"}])
def test_modules_compile_without_graph_breaks(case: Case) -> None:
    check_compiled(case, "aot_eager")


@pytest.mark.slow
@each(*MODULES)
def test_modules_compile_with_inductor(case: Case) -> None:
    check_compiled(case, "inductor")


@each(*[case for case in MODULES if case.name in {"fixed", "linear", "learned", "small stem"}])
def test_modules_export(case: Case) -> None:
    module, x = case.module(), case.batch()
    exported = torch.export.export(module, (x,)).module()
    torch.testing.assert_close(run(exported, x), run(module, x), rtol=0, atol=1e-6)  # the same kernels


@each(*RESIZERS, MODELS[0], MODELS[3])
def test_gradients_are_those_of_the_function(case: Case) -> None:
    module = case.module().double()
    x = torch.rand(1, case.image[0], 5, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,), fast_mode=True)


@each(*LEARNED, *MODELS)
def test_every_parameter_gets_a_finite_gradient(case: Case) -> None:
    module = case.module().train()
    module(case.batch()).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    assert [name for name, grad in gradients.items() if grad is None or not grad.isfinite().all()] == []


@pytest.mark.cuda
@each(*MODULES, *EVAL_TRANSFORMS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_cuda_computes_what_the_cpu_computes(case: Case, dtype: torch.dtype) -> None:
    module, x = case.module().to(dtype), case.batch(dtype=dtype)
    expected = run(module, x)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # TF32 has 11 bits, too few here
        out = run(module.cuda(), x.cuda())
    assert out.is_cuda
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-3}[dtype]
    torch.testing.assert_close(out.cpu(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.cuda
@each(*RESIZERS)
def test_cuda_keeps_channels_last(case: Case) -> None:
    x = case.batch().cuda().contiguous(memory_format=torch.channels_last)
    assert run(case.module().cuda(), x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.cuda
@each(*MODULES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_under_cuda_autocast_the_output_has_its_dtype(case: Case, dtype: torch.dtype) -> None:
    module, x = case.module().cuda(), case.batch().cuda()
    with torch.autocast("cuda", dtype):
        assert run(module, x).dtype == dtype

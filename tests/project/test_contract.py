"""What everything promises: checkers written once and run on every resizer, on our networks and on every transform."""

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor, nn

import resizenet as rn
from contract import EVAL_TRANSFORMS, LEARNED, MODELS, MODULES, RESIZERS, TRANSFORMS, Case, each


def run(module: nn.Module, x: Tensor) -> Tensor:
    """The output, with the same draws every time."""
    torch.manual_seed(1)
    with torch.no_grad():
        return module(x)


@each(*MODULES, *TRANSFORMS)
def test_the_input_is_never_edited(case: Case) -> None:
    x = case.batch()
    before = x.clone()
    run(case.module(), x)
    assert torch.equal(x, before)


@each(*MODULES)
def test_editing_the_output_leaves_the_input_alone(case: Case) -> None:
    x = case.batch()
    before = x.clone()
    run(case.module(), x).add_(1)
    assert torch.equal(x, before)


@each(*MODULES, *EVAL_TRANSFORMS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_dtype_stays(case: Case, dtype: torch.dtype) -> None:
    assert run(case.module().to(dtype), case.batch(dtype=dtype)).dtype == dtype


@each(*TRANSFORMS)
def test_transforms_keep_uint8(case: Case) -> None:
    assert run(case.module(), torch.randint(256, (2, *case.image), dtype=torch.uint8)).dtype == torch.uint8


@each(*RESIZERS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_resizers_keep_the_memory_format(case: Case, layout: torch.memory_format) -> None:
    assert run(case.module(), case.batch().contiguous(memory_format=layout)).is_contiguous(memory_format=layout)


@each(*RESIZERS)
@pytest.mark.parametrize("training", [True, False])
def test_resizers_with_weights_in_channels_last_return_it(case: Case, training: bool) -> None:
    module = case.module().to(memory_format=torch.channels_last).train(training)
    weighty = isinstance(
        module, (rn.Resizer, rn.LinearResizer)
    )  # the others have no filters of a resizer's own, or made them by fuse()
    layout = torch.channels_last if weighty else torch.contiguous_format
    assert run(module, case.batch()).is_contiguous(memory_format=layout)


@each(*MODULES)
def test_the_device_stays(case: Case) -> None:
    assert run(case.module().to("meta"), case.batch().to("meta")).device.type == "meta"


@each(*MODULES)
def test_under_autocast_the_result_has_its_dtype(case: Case) -> None:
    module, x = case.module(), case.batch()
    with torch.autocast("cpu", torch.bfloat16):
        assert run(module, x).dtype == torch.bfloat16


@each(*MODULES, *EVAL_TRANSFORMS)
def test_a_batch_is_its_images_one_by_one(case: Case) -> None:
    module, x = case.module().double(), case.batch(3, torch.float64)
    one_by_one = torch.cat([run(module, image[None]) for image in x])
    torch.testing.assert_close(run(module, x), one_by_one, rtol=1e-12, atol=1e-12)  # float64, sums in another order


@each(*MODULES, *EVAL_TRANSFORMS)
def test_an_empty_batch_stays_empty(case: Case) -> None:
    module = case.module()
    assert run(module, case.batch(0)).shape == (0, *run(module, case.batch(1)).shape[1:])


@each(*MODULES, *TRANSFORMS)
def test_pickled_modules_do_the_same(case: Case) -> None:
    module, x = case.module(), case.batch()
    assert torch.equal(run(pickle.loads(pickle.dumps(module)), x), run(module, x))


@each(*MODULES, *TRANSFORMS)
def test_copies_do_the_same_and_share_nothing(case: Case) -> None:
    module, x = case.module(), case.batch()
    twin = copy.deepcopy(module)
    assert type(twin) is type(module)
    assert torch.equal(run(twin, x), run(module, x))
    assert not {p.data_ptr() for p in twin.parameters()} & {p.data_ptr() for p in module.parameters()}


@each(*MODULES, *TRANSFORMS)
def test_state_dicts_load_with_weights_only(case: Case) -> None:
    module, other, x = case.module(), case.module(), case.batch()
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(run(other, x), run(module, x))


def check_compiled(case: Case, backend: str, *, dynamic: bool | None = None) -> None:
    torch._dynamo.reset()
    module = case.module()
    compiled = torch.compile(module, fullgraph=True, backend=backend, dynamic=dynamic)
    for x in (case.batch(), torch.rand(2, case.image[0], 31, 37)):
        torch.testing.assert_close(
            run(compiled, x), run(module, x), rtol=1e-4, atol=1e-4
        )  # fused kernels add in another order


@each(*[case for case in MODULES if case.name in {"fixed", "linear", "learned", "resized"}])
def test_compiled_without_a_graph_break_modules_do_the_same(case: Case) -> None:
    check_compiled(case, "aot_eager")


@pytest.mark.slow
@each(*MODULES)
def test_compiled_by_inductor_modules_do_the_same(case: Case) -> None:
    check_compiled(case, "inductor")


@each(*[case for case in MODULES if case.name in {"fixed", "linear", "learned", "small stem"}])
def test_exported_modules_do_the_same(case: Case) -> None:
    module, x = case.module(), case.batch()
    exported = torch.export.export(module, (x,)).module()
    torch.testing.assert_close(run(exported, x), run(module, x), rtol=0, atol=1e-6)  # the same kernels


@each(*RESIZERS, MODELS[0], MODELS[3])
def test_gradients_are_those_of_the_function(case: Case) -> None:
    module = case.module().double()
    x = torch.rand(1, case.image[0], 5, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,), fast_mode=True)


@each(*LEARNED, *MODELS)
def test_every_parameter_gets_a_gradient(case: Case) -> None:
    module = case.module().train()
    module(case.batch()).square().sum().backward()
    assert [
        name
        for name, parameter in module.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all()
    ] == []


@pytest.mark.cuda
@each(*MODULES, *EVAL_TRANSFORMS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_cuda_gives_what_the_cpu_gives(case: Case, dtype: torch.dtype) -> None:
    module, x = case.module().to(dtype), case.batch(dtype=dtype)
    expected = run(module, x)
    with torch.backends.cudnn.flags(
        enabled=True, allow_tf32=False
    ):  # whose 11 bits are not enough where large numbers cancel
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
def test_cuda_autocast_decides_the_dtype(case: Case, dtype: torch.dtype) -> None:
    module, x = case.module().cuda(), case.batch().cuda()
    with torch.autocast("cuda", dtype):
        assert run(module, x).dtype == dtype

"""The three forms of a bottleneck are the same function, before and after training."""

import io
from dataclasses import asdict, replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from rich.console import Console

from explorer.design import Architecture, Task, parse_name
from explorer.host.errors import InputError
from explorer.training.network.build import build
from explorer.training.network.forms import FORMS, convert, in_form, refuse_without_forms
from explorer.training.network.verify import verify
from explorer.training.streams import stream
from explorer.verbs.verify import print_verification

TASK = Task(3, 16, 5)
NAMES = [
    "11-4x3d-w16",
    "11-4x3d-w16-plain",
    "14-3x4d-w8-b1.1.2",
    "11-4x3d-w16-preact",
    "14-4x3d-w16-b2.1.1-preact-plain",
    "11-12x1d-w16-k5",  # more than ten paths: their numbers do not sort as text
    "11-1x7d-w16",
    "11-2.4.8x3.5.2d-w16",
    "11-4x3d-w16-deep-pool-se4",
    "11-4x3d-w16-preact-pad-eca",
]


def random_state(architecture: Architecture, task: Task = TASK) -> dict[str, torch.Tensor]:
    """Weights and running statistics that are all different, in float64."""
    network = build(architecture, task, stream(0, "initialisation")).double()
    network.train()(torch.randn(8, task.channels, task.image_size, task.image_size, dtype=torch.double))
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.dim() == 1 and tensor.is_floating_point():
            tensor.add_(
                torch.rand(tensor.shape, generator=torch.Generator().manual_seed(len(name)), dtype=torch.double)
            )
    return {name: tensor.clone() for name, tensor in state.items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS)
def test_weights_convert_there_and_back_without_a_bit_lost(name: str, form: str) -> None:
    architecture = parse_name(name)
    state = random_state(architecture)
    converted = convert(state, architecture, TASK, "grouped", form)
    assert set(converted) == set(in_form(architecture, TASK, form).state_dict())
    shuffled = dict(sorted(converted.items()))
    for source in (converted, shuffled):
        back = convert(source, architecture, TASK, form, "grouped")
        assert set(back) == set(state)
        assert all(torch.equal(back[key], state[key]) for key in state)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_gradients_and_trained_weights_agree_to_1e_10(name: str) -> None:
    architecture = parse_name(name)
    state = random_state(architecture)
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(6, 3, 16, 16, generator=generator, dtype=torch.double)
    labels = torch.randint(5, (6,), generator=generator)
    found = {}
    for form in FORMS:
        network = in_form(architecture, TASK, form).double()
        network.load_state_dict(convert(state, architecture, TASK, "grouped", form))
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
        inputs = images.clone().requires_grad_(True)
        first = network.train()(inputs)
        F.cross_entropy(first, labels).backward()  # type: ignore[no-untyped-call]
        assert inputs.grad is not None
        gradients = {key: weight.grad for key, weight in network.named_parameters() if weight.grad is not None}
        parts = {
            f"gradient {key}": value.clone()
            for key, value in convert(gradients, architecture, TASK, form, "grouped").items()
        }
        for _ in range(4):
            optimizer.step()
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        parts |= convert(network.state_dict(), architecture, TASK, form, "grouped")
        found[form] = {**parts, "first": first, "images": inputs.grad, "last": network.eval()(images)}
    for form in ("sum", "concat"):
        for key, expected in found["grouped"].items():
            torch.testing.assert_close(found[form][key], expected, rtol=0, atol=1e-10, msg=f"{form} {key}")
    moved = found["grouped"]["layer1.0.conv2.weight"] - state["layer1.0.conv2.weight"]
    assert moved.abs().max() > 1e-3  # training did something


def test_forms_of_one_network_convert_directly_into_each_other() -> None:
    architecture = parse_name("11-4x3d-w16-preact")
    state = random_state(architecture)
    summed = convert(state, architecture, TASK, "grouped", "sum")
    direct = convert(summed, architecture, TASK, "sum", "concat")
    expected = convert(state, architecture, TASK, "grouped", "concat")
    assert set(direct) == set(expected)
    assert all(torch.equal(direct[key], expected[key]) for key in expected)


def test_a_batch_norm_inside_each_path_of_the_sum_would_be_another_function() -> None:
    """The pitfall of the paper's footnote 6: our form (a) has one batch norm behind the sum."""
    keys = set(in_form(parse_name("11-4x3d-w16"), TASK, "sum").state_dict())
    assert "layer1.0.bn3.weight" in keys
    assert "layer1.0.bn2.3.weight" in keys
    shared = set(in_form(parse_name("11-4x3d-w16-preact"), TASK, "sum").state_dict())
    assert "layer1.0.bn1.weight" in shared  # before the split, so it is not split
    assert "layer1.0.bn3.3.weight" in shared


@pytest.mark.parametrize(
    "name", ["wrn-10-1", "11-4x4d-inception", "8-2x12d-alexnet_cifar", "11-4x4d-semid4", "11-4x4d-s2"]
)
def test_blocks_with_one_form_say_why(name: str) -> None:
    with pytest.raises(ValueError, match="has no equivalent forms: "):
        refuse_without_forms(parse_name(name))


def test_verification_finds_all_referees_and_forms_in_agreement_and_tells_times() -> None:
    found = verify(parse_name("11-4x3d-w16"), TASK, device="cpu", batch_size=2, repeats=1, seed=0)
    assert found.agrees
    assert [form.form for form in found.forms] == ["sum", "concat", "grouped"]
    assert all(form.forward > 0 and form.backward > 0 for form in found.forms)
    assert max(form.apart.trained for form in found.forms) < 1e-12
    assert not found.vague
    assert len({(referee.params, referee.macs) for referee in found.referees}) == 1


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("11-2x3d-w16", 4),  # one pixel on the last map
        *[pytest.param("resnext50_32x4d", size, marks=pytest.mark.real) for size in (33, 40)],
    ],
)
def test_correct_networks_agree_on_images_of_any_size(name: str, size: int) -> None:
    found = verify(parse_name(name), Task(3, size, 10), device="cpu", batch_size=2, repeats=1, seed=0)
    assert found.agrees
    assert not found.vague


@pytest.mark.real
def test_a_network_that_enlarges_roundings_agrees_and_is_told_to_be_vague() -> None:
    """Without shortcuts a deep one is chaotic: any fixed tolerance would call rounding a defect, or miss one."""
    found = verify(parse_name("110-4x4d-w16-plain"), Task(3, 8, 10), device="cpu", batch_size=2, repeats=1, seed=0)
    assert max(form.apart.evaluated for form in found.forms) > 1e-3
    assert found.agrees
    assert "evaluated" in found.vague
    assert "outputs" not in found.vague


def test_a_verification_without_agreement_says_so() -> None:
    found = verify(parse_name("11-2x3d-w16"), TASK, device="cpu", batch_size=1, repeats=1, seed=0)
    assert not replace(found, referees=[*found.referees, replace(found.referees[0], macs=1)]).agrees
    for kind in asdict(found.forms[0].apart):
        for distance in (1e-9, float("nan")):
            other = replace(found.forms[0], apart=replace(found.forms[0].apart, **{kind: distance}))
            assert not replace(found, forms=[other, *found.forms[1:]]).agrees


def test_what_rounding_alone_might_hide_is_told() -> None:
    found = verify(parse_name("11-2x3d-w16"), TASK, device="cpu", batch_size=1, repeats=1, seed=0)
    assert found.rounding is not None
    vague = replace(found, rounding=replace(found.rounding, trained=2e-4, evaluated=float("nan")))
    assert vague.vague == ["trained", "evaluated"]
    console = Console(file=io.StringIO(), width=200)
    print_verification(vague, console)
    assert "it might hide a difference in: after 3 steps, then outputs." in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_batch_in_which_batch_norm_sees_one_value_is_refused() -> None:
    with pytest.raises(InputError, match=r"batch_size=1: the last maps of 11-2x3d-w16 have one pixel .* batch_size=2 "):
        verify(parse_name("11-2x3d-w16"), Task(3, 4, 10), device="cpu", batch_size=1, repeats=1, seed=0)

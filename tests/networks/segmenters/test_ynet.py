"""Y-Net: cost, any size, one segmenter for both stages, and the outputs of the originals."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from atrous.errors import DataError, ShapeError, UnknownNameError
from atrous.networks.catalog import build_network
from atrous.networks.convert.espnet import is_espnet
from atrous.networks.convert.ynet import convert_ynet, is_ynet
from atrous.networks.segmenters.ynet import FRACTIONS, start_from_segmenter, ynet, ynet_seg

BLOCKS = pytest.mark.parametrize("block", ["esp", "residual"])


def num_params(network):
    return sum(p.numel() for p in network.parameters())


def authors_shapes(block, *, num_classes=8, num_labels=None, has_dead_branch=False):
    """Names and shapes of the authors' file, written from SPEC 5; whole if there are labels."""
    shapes = {}

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    def unit(name, channels_in, channels, kernel=3):
        shapes[f"{name}.conv.weight"] = (channels, channels_in, kernel, kernel)
        norm(f"{name}.bn", channels)

    def blocks(names, channels):
        n = channels // 4
        for name in names:
            if block == "residual":
                unit(f"{name}.c1", channels, channels)
                unit(f"{name}.c2", channels, channels)
                continue
            shapes[f"{name}.c1.conv.weight"] = (n, channels, 3, 3)
            for dilation in (1, 2, 4, 8, *([16] if has_dead_branch else [])):
                shapes[f"{name}.d{dilation}.conv.weight"] = (n, n, 3, 3)
            norm(f"{name}.bn", channels)

    def sequential(name, *convs):
        for index, (shape, has_norm) in convs:
            shapes[f"{name}.{index}.weight"] = shape
            if has_norm:
                norm(f"{name}.{index + 1}", shape[0])

    c = num_classes
    p = "" if num_labels is None else "segNet."
    unit(f"{p}level1", 3, 16, 7)
    unit(f"{p}level2.conv", 16, 128)
    blocks([f"{p}level2_0", f"{p}level2_1"], 128)
    norm(f"{p}br_2.bn", 256)
    unit(f"{p}level3_0.conv", 256, 256)
    blocks([f"{p}level{b}" for b in ("3_1", "3_2", "4_1", "4_2", "4_3")], 256)
    norm(f"{p}br_4.bn", 512)
    for i in (1, 2, 3, 4):
        for name, shape in (
            (f"p{i}", (128, 512)),
            (f"p{i}0", (64, c + 256)),
            (f"p0{i}", (c, 16 + c)),
        ):
            sequential(f"{p}{name}.features", (1, ((*shape, 1, 1), True)))
    sequential(
        f"{p}classifier",
        (0, ((128, 1024, 1, 1), True)),
        (3, ((c, 128, 3, 3), True)),
        (6, ((c, c, 1, 1), True)),
    )
    sequential(f"{p}class_1", (0, ((c, c + 512, 3, 3), True)), (3, ((c, c, 1, 1), True)))
    sequential(f"{p}class_0", (0, ((c, 16 + 5 * c, 3, 3), True)), (3, ((c, c, 7, 7), False)))
    if num_labels is not None:
        for level, before, channels in ((4, 512, 128), (5, 256, 64)):
            unit(f"level{level}_0.conv", before, channels)
            blocks([f"level{level}_1", f"level{level}_2"], channels)
            norm(f"br_con_{level}.bn", 2 * channels)
        for name, shape in (("fc1", (64, 128)), ("fc2", (num_labels, 64))):
            shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


@pytest.mark.parametrize(
    ("block", "alone", "whole"), [("esp", 2_755_488, 3_913_381), ("residual", 7_624_608, 9_110_437)]
)
def test_parameters_are_the_authors_less_the_branch_that_they_never_use(block, alone, whole):
    # A dilated 3x3 convolution from n to n channels in each ESP block of the later code.
    widths = [128] * 4 + [256] * 5 + [64] * 2
    unused = sum(9 * (width // 4) ** 2 for width in widths) if block == "esp" else 0
    with torch.device("meta"):
        assert num_params(ynet_seg(block=block)) == alone
        assert num_params(ynet(block=block)) + unused == whole


def test_four_diagnoses_need_65_parameters_less_than_five():
    with torch.device("meta"):
        assert num_params(ynet()) - num_params(ynet(num_labels=4)) == 65


@pytest.mark.parametrize(
    ("factory", "block", "gmacs"),
    [
        (ynet_seg, "esp", 7.785),
        (ynet, "esp", 8.236),
        (ynet_seg, "residual", 22.054),
        (ynet, "residual", 22.776),
    ],
)
def test_macs_are_the_measured_ones_of_the_originals(factory, block, gmacs):
    with torch.device("meta"):
        network, x = factory(block=block).eval(), torch.empty(1, 3, 384, 384)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    assert counter.get_total_flops() / 2 / 1e9 == pytest.approx(gmacs, abs=5e-4)


@pytest.mark.parametrize(
    ("size", "pools"),
    [(48, (40, 32, 24, 18)), (96, (80, 64, 48, 36)), (192, (160, 128, 96, 72))],
)
def test_fractions_are_the_authors_lengths_at_384(size, pools):
    assert tuple(size * fraction for fraction in FRACTIONS) == pools


@BLOCKS
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (33, 34), (97, 131)])
def test_any_size_gives_mask_logits_of_that_size_and_label_logits(block, size):
    network = ynet(num_classes=3, num_labels=4, block=block).eval()
    masks, labels = network(torch.rand(3, 3, *size))
    assert masks.shape == (3, 3, *size)
    assert labels.shape == (3, 4)


@pytest.mark.parametrize("in_channels", [1, 4])
def test_classes_and_channels_are_free(in_channels):
    network = ynet_seg(num_classes=1, in_channels=in_channels).eval()
    assert network(torch.rand(1, in_channels, 16, 24)).shape == (1, 1, 16, 24)


def test_a_volume_gives_logits_of_its_size():
    network = ynet(num_classes=2, num_labels=3, spatial_dims=3).eval()
    masks, labels = network(torch.rand(1, 3, 9, 10, 17))
    assert (masks.shape, labels.shape) == ((1, 2, 9, 10, 17), (1, 3))


@BLOCKS
def test_every_parameter_learns(block):
    network = ynet(num_classes=3, block=block)
    masks, labels = network(torch.rand(2, 3, 64, 48))
    (masks.square().mean() + labels.square().mean()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_how_maps_are_resized_matters():
    network, other = ynet_seg(num_classes=3).eval(), ynet_seg(num_classes=3, align_corners=False)
    other.load_state_dict(network.state_dict())
    x = torch.rand(1, 3, 32, 40)
    assert not torch.allclose(network(x), other.eval()(x), atol=1e-3)


@BLOCKS
def test_a_trained_segmenter_gives_the_same_masks_inside_the_whole(block):
    segmenter = ynet_seg(num_classes=3, block=block)
    segmenter(torch.rand(2, 3, 64, 48))  # so that its running statistics differ from the start's
    network = ynet(num_classes=3, block=block)
    start_from_segmenter(network, segmenter)
    x = torch.rand(1, 3, 40, 48)
    assert torch.equal(network.eval()(x)[0], segmenter.eval()(x))


@pytest.mark.parametrize(
    "arguments", [{"num_classes": 4}, {"block": "residual"}, {"align_corners": False}]
)
def test_a_segmenter_that_does_not_fit_the_whole_is_refused(arguments):
    with pytest.raises(ShapeError, match=r"build (it|the Y-Net that it goes into) with the same"):
        start_from_segmenter(ynet(), ynet_seg(**arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"num_classes": 0}, "at least one class"), ({"num_labels": 0}, "at least one label")],
)
def test_nothing_to_tell_is_refused(arguments, message):
    with pytest.raises(ShapeError, match=message):
        ynet(**arguments)


def test_a_misspelt_block_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'residual'"):
        ynet_seg(block="residuals")


@BLOCKS
@pytest.mark.parametrize("num_labels", [None, 4])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_form_is_recognised_and_loads(block, num_labels, prefix):
    shapes = authors_shapes(block, num_classes=6, num_labels=num_labels, has_dead_branch=True)
    state = {f"{prefix}{key}": torch.empty(s, device="meta") for key, s in shapes.items()}
    assert is_ynet(state)
    assert not is_espnet(state)
    name, arguments, tensors = convert_ynet(state)
    expected = {"num_classes": 6, "in_channels": 3, "block": block, "align_corners": True}
    if num_labels is not None:
        expected["num_labels"] = num_labels
    assert (name, arguments) == ("ynet_seg" if num_labels is None else "ynet", expected)
    with torch.device("meta"):
        network = build_network(name, arguments)
    assert {key: tuple(t.shape) for key, t in tensors.items()} == {
        key: tuple(t.shape) for key, t in network.state_dict().items()
    }


def test_a_tensor_of_another_network_is_named(rule_weights):
    state = rule_weights({**authors_shapes("esp"), "level6.gate.weight": (1,)})
    with pytest.raises(DataError, match=r"'level6\.gate\.weight' that ynet_seg has not"):
        convert_ynet(state)


def test_a_file_that_lacks_tensors_is_refused(rule_weights):
    shapes = authors_shapes("esp", num_labels=5)
    del shapes["fc2.weight"]
    with pytest.raises(DataError, match=r"lacks \['fc2\.weight'\]"):
        convert_ynet(rule_weights(shapes))


def test_the_segmenter_of_residual_blocks_alone_has_its_last_channels_turned(rule_weights):
    alone = convert_ynet(rule_weights(authors_shapes("residual")))[2]["merge1.conv.weight"]
    theirs = rule_weights(authors_shapes("residual"))["class_0.0.weight"]
    assert torch.equal(alone[:, 16:24], theirs[:, :8])
    assert torch.equal(alone[:, :16], theirs[:, 8:24])
    assert torch.equal(alone[:, 24:], theirs[:, 24:])


@pytest.mark.real
@pytest.mark.parametrize("block", ["esp", "residual"])
def test_the_shapes_written_here_are_those_of_the_original(block, reference):
    letter = {"esp": "C", "residual": "D"}[block]
    for case, num_labels in (("stage2file", None), ("stage2", 5)):
        name = f"ynet_{case}_ResNet{letter}1" + ("_YNet" if num_labels else "")
        shapes = authors_shapes(block, num_labels=num_labels, has_dead_branch=True)
        assert reference.shapes(name) == shapes
    assert reference.shapes(f"ynet_stage1_ResNet{letter}1") == authors_shapes(block)

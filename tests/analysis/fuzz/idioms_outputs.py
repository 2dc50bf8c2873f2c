"""Models whose output or call is out of the ordinary: objects, own calls, hooks, decorators."""

from collections import namedtuple
from dataclasses import dataclass
from random import Random

import torch
from tests.analysis.fuzz.case import DTYPE, Case, Step
from tests.analysis.fuzz.idioms_state import conv
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads
from torch.utils.checkpoint import checkpoint


@dataclass
class Answer:
    """What a segmenter returns."""

    mask: Tensor
    aux: Tensor


@dataclass
class Outer:
    """An answer inside another object."""

    name: str
    answer: Answer


class Plain:
    """An object with attributes and nothing else."""

    def __init__(self, mask, aux):
        self.title, self.mask, self.aux = "plain", mask, aux


class Slotted:
    """An object without a dict."""

    __slots__ = ("aux", "mask")

    def __init__(self, mask, aux):
        self.mask, self.aux = mask, aux


Pair = namedtuple("Pair", ["mask", "aux"])


def objects(r: Random) -> Case:
    """The mask sees 9x9, what runs last sees less."""
    wrap = r.choice(
        [
            Answer, Plain, Pair, lambda m, a: Outer("outer", Answer(m, a)),
            lambda m, a: {"mask": m, "aux": a}, lambda m, a: [None, {"x": (m, a)}],
            lambda m, a: Slotted(a, m), lambda m, a: Plain([m], a),
        ]
    )  # fmt: skip

    def run(x, body, head, aux):
        features = body(x)
        return wrap(head(features), aux(features))

    return Case(
        kind="output: object",
        make=lambda: Step(run, conv(), conv(k=7), conv(k=1)),
        tiles=True,
        counts=True,
    )


def own_call(r: Random) -> Case:
    """A class with its own `__call__`, or parts of which only `forward` is called."""

    class Called(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = conv(), conv()

        def __call__(self, x):
            return self.forward(x)

        def forward(self, x):
            y = self.a(x)
            return self.b(y) + F.avg_pool2d(y, 9, 1, 4)

    class Direct(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(conv(), conv())

        def forward(self, x):
            return F.avg_pool2d(self.inner.forward(x), 5, 1, 2)

    return Case(kind="output: own call", make=r.choice([Called, Direct]), tiles=True, counts=True)


def hooked(r: Random) -> Case:
    """Hooks on the model itself and on its layers."""
    way = r.randrange(4)

    def make():
        model = nn.Sequential(conv(), conv())
        if way == 0:
            model.register_forward_hook(lambda m, i, o: F.avg_pool2d(o, 5, 1, 2))
        elif way == 1:
            model.register_forward_pre_hook(lambda m, i: (F.avg_pool2d(i[0], 5, 1, 2),))
        elif way == 2:
            model[0].register_forward_hook(lambda m, i, o: o + F.avg_pool2d(o, 7, 1, 3))
        else:
            model.register_forward_hook(lambda m, i, o: {"out": F.avg_pool2d(o, 5, 1, 2), "in": i})
        return model

    return Case(kind="output: hooks", make=make, tiles=True, counts=True)


def decorated(r: Random) -> Case:
    """Forward under a decorator or a context of torch."""
    layers = lambda self, x: self.b(F.relu(self.a(x)))  # noqa: E731 - used by all of them

    def body(self, x):
        with torch.profiler.record_function("stem"):
            return layers(self, x)

    def checkpointed(self, x):
        return checkpoint(self.b, checkpoint(self.a, x, use_reentrant=False), use_reentrant=False)

    def cast(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
            return layers(self, x)

    def graded(self, x):
        with torch.enable_grad():
            return layers(self, x).detach()

    forward = r.choice(
        [
            torch.inference_mode()(layers), torch.no_grad()(layers), body, checkpointed, cast,
            graded,
        ]
    )  # fmt: skip

    def make():
        class Decorated(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = conv(), conv()

        Decorated.forward = forward
        return Decorated()

    return Case(kind="output: decorated", make=make, tiles=True, counts=True)


class Doubled(torch.autograd.Function):
    """A function with its own gradient."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


def words(r: Random) -> Case:
    """Ops that cost nothing and that no number should be doubted for."""

    def losses(x, a):
        y = a(x)
        return {"out": y, "loss": F.mse_loss(y, x) + F.smooth_l1_loss(y, x) + F.huber_loss(y, x)}

    def foreach(x, a):
        parts = torch._foreach_mul([a(x), x], 2.0)
        return parts[0] + parts[1]

    def own_function(x, a):
        return Doubled.apply(a(x))

    def real_view(x, a):
        return torch.view_as_real(torch.complex(a(x), x)).sum(-1)

    def assertion(x, a):
        torch._assert(x.ndim == 4, "four")
        return a(x)

    run = r.choice([losses, foreach, own_function, real_view, assertion])
    return Case(kind="output: words", make=lambda: Step(run, conv()), tiles=True, counts=True)


def nothing(r: Random) -> Case:
    """The model computes nothing, or hands its input on."""
    make = r.choice(
        [
            lambda: nn.Sequential(nn.Identity()),
            lambda: Step(lambda x: x[:, :, 1:-1]),
            lambda: Step(lambda x: {"in": x}),
        ]
    )
    return Case(kind="output: nothing computed", make=make, may_refuse=True)


def no_image(r: Random) -> Case:
    """Inputs without spatial axes: costs, and no field."""
    mlp = lambda: nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2)).double()  # noqa: E731
    makes = [
        (mlp, ((4, 16),)),
        (mlp, ((16,),)),
        (lambda: Step(lambda x: (x * 2).sum()), ((),)),
        (lambda: Step(lambda x, f: torch.linalg.svd(f(x))[1], nn.Linear(6, 6)), ((2, 5, 6),)),
    ]
    make, shapes = r.choice(makes)
    return Case(kind="output: no image", make=make, shapes=shapes, is_image=False)


def ranks(r: Random) -> Case:
    """Outputs and ops whose ranks differ, and empty tensors."""

    def singular(x, a):
        return torch.linalg.svd(a(x))[1]

    def quantile(x, a):
        return torch.quantile(a(x).flatten(2), torch.tensor([0.1, 0.9]).to(x), dim=-1)

    def empty(x, a):
        return a(x).mean() + x[:0].reshape(0, x.shape[1]).sum()

    def scalar(x, a):
        return a(x).sum()

    run = r.choice([singular, quantile, empty, scalar])
    return Case(kind="output: ranks", make=lambda: Step(run, conv()), shapes=((1, 3, 12, 12),))


def control(r: Random) -> Case:
    """Control flow of torch's own, which may be refused in one line."""

    def cond(x, a):
        return torch.cond(x.sum() > 0, lambda t: t * 2, lambda t: t + 1, (a(x),))

    def by_value(x, a):
        return a(x) if x.sum() > 0 else x

    def with_numpy(x, a):
        return a(x) * float(x.detach().numpy().shape[1])

    def by_written_number(x, a):
        number = torch.full((), 5)
        number.zero_()
        number.add_(2)
        return x if number == 5 else a(x)

    run = r.choice([cond, by_value, with_numpy, by_written_number])
    return Case(kind="output: control flow", make=lambda: Step(run, conv()), may_refuse=True)


def tokens(r: Random) -> Case:
    """Transformers over patches: everything sees everything."""

    def encoder(x, patch, layer):
        t = layer(patch(x).flatten(2).transpose(1, 2))
        return t.transpose(1, 2).unflatten(2, (x.shape[2] // 4, x.shape[3] // 4))

    def heads(x, patch, layer):
        t = patch(x).flatten(2).transpose(1, 2)
        t = layer(t, t, t, need_weights=False)[0]
        return t.transpose(1, 2).unflatten(2, (x.shape[2] // 4, x.shape[3] // 4))

    patch = lambda: nn.Conv2d(3, 8, 4, 4, dtype=DTYPE)  # noqa: E731
    makes = [
        lambda: Step(
            encoder, patch(), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        ).eval(),
        lambda: Step(heads, patch(), nn.MultiheadAttention(8, 2, batch_first=True)).eval(),
    ]
    return Case(
        kind="output: tokens",
        make=r.choice(makes),
        shapes=((1, 3, 24, 24),),
        macs=None,
    )

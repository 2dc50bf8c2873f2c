"""Teach the analysis an op that is not torch's own."""

from typing import get_args

import torch

from atrous.analysis.rules import op_name, own, rule_of
from atrous.analysis.rules.own import KINDS, CostRule, FieldRule, Kind
from atrous.analysis.tracing.macs import cost_of
from atrous.errors import AtrousError


def register(
    op: str | torch._ops.OpOverload | torch._ops.OpOverloadPacket,
    *,
    macs: CostRule | int | None = None,
    field: FieldRule | Kind | None = None,
) -> None:
    """State what an op costs and sees; what is stated is taken for true.

    The op needs a fake kernel (`torch.library.register_fake`), which tells the shape of its result.
    Registering again replaces what was stated.

    Args:
        op: The op, or its name with namespace, such as `"mine::blur"`.
        macs: Multiply-accumulates of a call, or a number for every call; 0 if it has none.
        field: What its outputs see: `"pointwise"`, `"channels"`, `"whole"`, or a rule. A rule gets
            the call, whose arguments are read by name (`call["x"]`, `call.dep("x")`), and gives a
            dependence for each output; docs/analysis.md has an example.

    Raises:
        AtrousError: If the name has no namespace, nothing is stated, or there is no such kind.

    Example:
        >>> register("mine::scale", macs=0, field="pointwise")
    """
    name = op if isinstance(op, str) else _name(op)
    if "::" not in name:
        raise AtrousError(
            f"The op is {name!r}; expected a name with its namespace, such as 'mine::blur'."
        )
    if name.startswith(("aten::", "torchvision::")):
        raise AtrousError(f"{name} is torch's own, and its rule is fixed; register your own ops.")
    if macs is None and field is None:
        raise AtrousError(f"Nothing is stated about {name}; give macs, field or both.")
    if macs is not None:
        own.COSTS[name] = own.always(macs) if isinstance(macs, int) else macs
    if isinstance(field, str):
        if field not in KINDS:
            raise AtrousError(
                f"`field` is {field!r}; it must be one of {', '.join(get_args(Kind))}, or a rule."
            )
        own.FIELDS[name] = KINDS[field]
    elif field is not None:
        own.FIELDS[name] = field
    rule_of.cache_clear()
    cost_of.cache_clear()


def _name(op: torch._ops.OpOverload | torch._ops.OpOverloadPacket) -> str:
    if isinstance(op, torch._ops.OpOverload):
        return op_name(op)
    return str(op._qualified_op_name)

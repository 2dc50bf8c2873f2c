"""What a data set holds, and what is wrong with it."""

from atrous.data.check.check import check_layout

__all__ = ["check_layout"]

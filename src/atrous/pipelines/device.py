"""What `--device` may be."""


def checked_device(name: str) -> str:
    """The device's name, if torch has it here.

    Raises:
        DataError: If it is no device, or not on this machine.
    """
    import torch

    from atrous.errors import DataError

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"--device {name!r} is not usable here ({reason}); try cpu.") from error
    return name

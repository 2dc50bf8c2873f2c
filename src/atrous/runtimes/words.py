"""What an engine's error says, in one line: engines raise errors of many classes and many lines."""


def first_line(error: Exception) -> str:
    """The first line of an error with words in it, or its class, at most 200 characters."""
    return f"{_lines(error)[0]:.200}"


def last_line(error: Exception) -> str:
    """The last line likewise, which of some engines alone names the cause."""
    return f"{_lines(error)[-1]:.200}"


def _lines(error: Exception) -> list[str]:
    lines = [line.strip() for line in str(error).splitlines()]
    return [line for line in lines if line] or [type(error).__name__]

"""What a command says instead of a traceback."""


class CommandError(Exception):
    """What the user asked for cannot be done; the message is all that is shown."""


def first_line(error: Exception) -> str:
    """Return the first line of a message, or the name of an error that has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]

"""What users can mend: the errors that the command line shows in one line; and the exit codes that are no report's."""

USAGE = 2
INTERRUPTED = 130


class UserError(ValueError):
    """Wrong usage, or settings, contracts or pages that cannot be used; the message names the file and what is wrong in it."""


class RulebookError(UserError):
    """A page that cannot be read, or a rulebook that is missing; the message names the file and what to write instead."""

"""One exception for each failure that a user can meet.

Every message is one sentence that quotes what was given and says what to do next. The command
line prints the message and exits with a status other than 0; nothing else catches these.
"""


class SemgfinError(Exception):
    """Base of every failure that a user can meet."""


class RecordingError(SemgfinError):
    """A recording is missing, unreadable, empty, or not of the schema it claims."""


class CheckpointError(SemgfinError):
    """A checkpoint is missing, incomplete, corrupt, pickled, or does not match its contract."""


class ContractMismatchError(SemgfinError):
    """A stream or recording does not fit the checkpoint: channels, rate, unit or classes."""


class StreamError(SemgfinError):
    """A stream was not found, describes itself wrongly, or ended before it should have."""


class OptionError(SemgfinError):
    """A command-line option, a scenario key or a configuration value is not usable."""


class TrainingError(SemgfinError):
    """Training cannot start or go on: no windows, foreign resume state, non-finite loss."""


class SystemLibraryError(SemgfinError):
    """A library of the operating system (liblsl, Qt's libraries, CUDA) is missing."""

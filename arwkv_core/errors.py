"""Errors that are the user's to mend: each message names the file, what was expected and what was found."""


class ArwkvError(Exception):
    """Base of every error that the command line prints as one line, without a traceback."""


class UsageError(ArwkvError):
    """An option or a combination of options that can't work (exit code 2)."""


class AudioError(ArwkvError):
    """A recording that can't be opened or decoded, or that holds too little sound."""


class FeatureError(ArwkvError):
    """A waveform of a shape or type from which no log-mels can be made."""


class CheckpointError(ArwkvError):
    """A weight file that is truncated, foreign or of other shapes than its architecture."""


class ModelNotFound(ArwkvError):
    """A model name that is neither in the zoo nor a path."""


class ConfigError(ArwkvError):
    """A ``config.toml`` with a missing, unknown or unusable entry."""


class LabelError(ArwkvError):
    """A class that the label list does not know, or a damaged label list."""


class ScoreFileError(ArwkvError):
    """Kept scores that can't be read, or that another run is writing."""


class ContextError(ArwkvError):
    """A recording too long for the memory that there is to be heard at once."""


class DatasetError(ArwkvError):
    """Labelled sounds from which nothing can be learnt; the message lists all that is wrong with them."""

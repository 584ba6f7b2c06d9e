"""Exceptions for authors of algorithms.

The text of an :class:`AlgorithmError` is sent to the researcher as it is: never put data in it.
Of any other exception only the type and the place in the code leave the data station.
"""


class AlgorithmError(Exception):
    """An algorithm cannot go on; the text is for the researcher."""


class PrivacyViolation(AlgorithmError):
    """Going on would disclose something."""


class PrivacyThresholdViolation(PrivacyViolation):
    """A privacy threshold is not met, such as a minimum number of records."""


class DataError(AlgorithmError):
    """Something is wrong with the data."""


class DataReadError(DataError):
    """The data cannot be read."""


class DataTypeError(DataError):
    """The data are of the wrong type."""


class AlgorithmRuntimeError(AlgorithmError):
    """Something went wrong while the algorithm ran."""


class AlgorithmExecutionError(AlgorithmRuntimeError):
    """A step of the algorithm failed."""


class MaxIterationsReached(AlgorithmRuntimeError):
    """The algorithm used up its iterations."""


class ConvergenceError(AlgorithmRuntimeError):
    """The algorithm did not converge."""


class ClientError(AlgorithmError):
    """Talking to the server, through the node's proxy, failed."""


class SubtakCreationError(ClientError):  # the contract's spelling
    """A subtask could not be created."""


class CollectOrganizationError(ClientError):
    """Organizations could not be listed."""


class CollectResultsError(ClientError):
    """Results could not be collected."""


class InputError(AlgorithmError):
    """The input is wrong."""


class UserInputError(InputError):
    """The researcher's input is wrong."""


class DeserializationError(InputError):
    """The input cannot be read as JSON."""


DeserializationException = DeserializationError


class SerializationError(AlgorithmError, TypeError):
    """A value cannot be expressed as JSON."""


class EnvironmentVariableError(InputError):
    """An environment variable has an unusable value."""


class EnvironmentVariableNotFoundError(EnvironmentVariableError):
    """An environment variable is not set."""


class AlgorithmInitializationError(AlgorithmError):
    """The algorithm could not be started."""


class AlgorithmModuleNotFoundError(AlgorithmInitializationError):
    """The algorithm's package is not installed."""


class MethodNotFoundError(AlgorithmInitializationError):
    """The algorithm has no such function."""


class NodePermissionException(AlgorithmError):
    """The data station does not allow this."""

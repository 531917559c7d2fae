"""Errors that a user can act on. The command line prints one line and exits with 2.

Every message names the file (or the option), the problem and the fix.
"""


class PhyskitError(Exception):
    """Base of every error that is the input's fault and not physkit's."""


class InputError(PhyskitError):
    """A video, crops, signal or predictions file that cannot be used."""


class WeightsError(PhyskitError):
    """A weights file that is damaged, unsafe, or another model's."""


class UnknownNameError(PhyskitError):
    """A name that no registry holds; the message suggests the nearest one."""


class MissingExtraError(PhyskitError):
    """A feature whose optional packages are not installed; the message names the extra."""


class BackendError(PhyskitError):
    """A backend, chosen by name, that cannot run on the device at hand."""

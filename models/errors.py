"""Errors that Evenset raises; each is also the built-in error that a caller would expect."""

from __future__ import annotations


class EvensetError(Exception):
    """Base of all errors of Evenset."""


class InvalidInput(EvensetError, ValueError):
    """An argument, field, sample or file that a workflow cannot use; nothing was written."""


class InvalidType(InvalidInput, TypeError):
    """An argument of the wrong type, or one that is missing or unknown."""


class ImageError(EvensetError, ValueError):
    """An image that cannot be read; its text says why."""


class RunError(EvensetError):
    """A run ended early."""


class DatabaseUnavailable(EvensetError, ConnectionError):
    """The database stopped answering."""

"""What can go wrong with a source, classified once: worth another try, or not.

Every message says what was asked of whom, what came back, and what to do about it.
"""

from __future__ import annotations


class SourceError(Exception):
    """A source could not deliver.

    Attributes:
        message: What happened and where (file, request, key).
        remedy: What the reader can do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}. {remedy}")
        self.message = message
        self.remedy = remedy


class TransientError(SourceError):
    """Time may heal it: no connection, a time-out, 408, 429, 5xx."""


class PermanentError(SourceError):
    """Only a person can heal it: credentials, a wrong name, every other 4xx, a missing file."""


class MalformedError(PermanentError):
    """The bytes arrived and stay landed, but they are not what the format promises."""

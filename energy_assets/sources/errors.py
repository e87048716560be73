"""What can go wrong with a source, classified once: worth another try, or not, and how far it reaches.

Every message says what was asked of whom, what came back, and what to do about it. Only `DeniedError` and
`UnreachableError` end the collecting of a source; every other error fails the days of the unit or file it struck, and
no others.
"""

from __future__ import annotations

from energy_assets.secrets import masked


class SourceError(Exception):
    """A source could not deliver.

    Attributes:
        message: What happened and where (file, request, key); secrets that a server repeats are masked in it.
        remedy: What the reader can do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        self.message, self.remedy = masked(message), masked(remedy)
        super().__init__(f"{self.message}. {self.remedy}")


class TransientError(SourceError):
    """Time may heal it: no connection, a time-out, 408, 429, 5xx."""


class UnreachableError(TransientError):
    """Nothing listens there. Every other request of the source would be refused too, so it ends this try of it."""


class PermanentError(SourceError):
    """Only a person can heal it: a wrong name, every other 4xx, a missing file."""


class DeniedError(PermanentError):
    """Access is refused: HTTP 401 or 403, no or expired credentials, a secret that cannot be read.

    Nothing else this source asks for will be answered either, and asking on may lock the account.
    """


class MalformedError(PermanentError):
    """The bytes arrived and stay landed, but they are not what the format promises."""

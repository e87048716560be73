"""Where bytes lie: one root, a local folder or a bucket, for landing, lake and reports.

What belongs here: turning `storage` of site.yaml into the handles of the libraries that read and write.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from obstore.store import LocalStore, ObjectStore, from_url

from energy_assets.landing import Landing


def unmakable(folder: Path) -> str | None:
    """Why a folder cannot be there; None where it is, or can be made.

    Args:
        folder: An absolute path.
    """
    if folder.is_dir():
        return None
    above = next(one for one in (folder, *folder.parents) if one.exists())
    if not above.is_dir():
        return f"{above} is a file, so the folder {folder} cannot be made"
    if not os.access(above, os.W_OK | os.X_OK):
        return f"{above} gives this user no permission to make {folder}"
    return None


@dataclass(frozen=True)
class Storage:
    """A root folder or bucket prefix, and the options object stores want (endpoint, region, keys).

    Options are named as the Rust object_store library names them (`aws_endpoint`, `aws_region`, …); what is not
    given comes from the environment.
    """

    root: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder of this machine."""
        return "://" not in self.root

    @property
    def object_options(self) -> dict[str, str]:
        """The options, with plain http allowed where an endpoint asks for it."""
        plain = any(
            ("endpoint" in key or "base_url" in key) and value.startswith("http://")
            for key, value in self.options.items()
        )
        return dict(self.options) | ({"allow_http": "true"} if plain else {})

    def path(self, *parts: str) -> str:
        """The path or URL of something below the root."""
        return "/".join([self.root.rstrip("/"), *parts])

    def store(self) -> ObjectStore:
        """The object store at the root; a local folder is created."""
        if self.is_local:
            Path(self.root).mkdir(parents=True, exist_ok=True)
            return LocalStore(self.root)
        options = dict(self.options)
        plain = "allow_http" in self.object_options
        # obstore's overloads know one typed config per cloud; the keys are checked when the store is made.
        return from_url(self.root, config=options, client_options={"allow_http": plain})  # type: ignore[call-overload,no-any-return]

    def landing(self) -> Landing:
        """The landing zone below the root."""
        return Landing(self.store())

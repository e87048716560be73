"""A container on a real Azure Blob server (Azurite) for tests of what lies in object stores."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from energy_assets.storage import Storage

ACCOUNT = "devstoreaccount1"
KEY = base64.b64encode(b"no secret: the key of a server that lives as long as a test").decode()
INSTALLED = Path(__file__).parents[1] / ".venv" / "azurite" / "node_modules" / ".bin" / "azurite-blob"


@contextmanager
def azure_container() -> Iterator[Storage]:
    """A storage root in a fresh container; skips where Azurite is not installed."""
    command = shutil.which("azurite-blob") or (str(INSTALLED) if INSTALLED.exists() else None)
    if command is None:
        pytest.skip("Azurite is not installed; tools/test_servers.sh installs it where there is npm")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    how = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    server = subprocess.Popen([command, *where, *how], env={"PATH": _path(), "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"})
    endpoint, name = f"http://127.0.0.1:{port}/{ACCOUNT}", f"lake-{uuid4().hex[:12]}"
    try:
        _create(endpoint, name)
        options = {
            "azure_storage_account_name": ACCOUNT,
            "azure_storage_account_key": KEY,
            "azure_storage_endpoint": endpoint,
        }
        yield Storage(f"az://{name}/root", options)
    finally:
        server.terminate()
        server.wait(10)


def _path() -> str:
    """Where node is."""
    return str(Path(shutil.which("node") or "/usr/bin/node").parent)


def _create(endpoint: str, name: str) -> None:
    """Create a container with a request signed by the account's key, once the server answers."""
    for _ in range(100):
        headers = {"x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": "2021-08-06"}
        told = "".join(f"{key}:{value}\n" for key, value in sorted(headers.items()))
        text = "PUT" + "\n" * 12 + told + f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
        signed = headers | {"Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"}
        try:
            httpx.put(f"{endpoint}/{name}?restype=container", headers=signed).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("Azurite did not answer within 10 seconds")

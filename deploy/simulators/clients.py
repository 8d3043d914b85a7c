"""Who may call the simulated workforce systems: a file, read again whenever it changes.

`{client_id: {"jwks": {"keys": [...]}, "organisations": ["RBV"] or ["*"], "api_key": "..."}}`; a client has
keys, an API key, or both. Nobody is in it by default, and a file that cannot be read admits nobody.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passport_shared.formats import strict
from passport_shared.wire.clients import CLIENT_ID

EVERY_ORGANISATION = "*"
MAX_FILE_BYTES = 1_048_576
MAX_CLIENTS = 1_000
MIN_API_KEY_CHARS = 16


@dataclass(frozen=True)
class SystemClient:
    """A program that may call on behalf of `organisations`."""

    client_id: str
    organisations: frozenset[str]
    jwks: tuple[Mapping[str, Any], ...] = ()
    api_key: str | None = field(default=None, repr=False)

    def may_call_for(self, ods: str) -> bool:
        """Whether it is enabled for this organisation."""
        return ods in self.organisations or EVERY_ORGANISATION in self.organisations


class SystemClients:
    """The clients of the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[object, Mapping[str, SystemClient]] = (None, {})

    def client(self, client_id: str) -> SystemClient | None:
        """The client with this id."""
        return self._all().get(client_id)

    def by_api_key(self, key: str) -> SystemClient | None:
        """The client with this API key."""
        for client in self._all().values():
            if client.api_key is not None and hmac.compare_digest(client.api_key.encode(), key.encode()):
                return client
        return None

    def _all(self) -> Mapping[str, SystemClient]:
        try:
            stat = self._path.stat()
            version = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if version != self._read[0]:
                self._read = (version, _clients(self._path))
        except (OSError, strict.StrictError, ValueError):
            return {}
        return self._read[1]


def register(
    path: Path,
    client_id: str,
    *,
    organisations: Sequence[str],
    jwks: Mapping[str, Any] | None = None,
    api_key: str | None = None,
) -> None:
    """Add a client to the file, or replace it; the file is made if it is not there.

    Raises:
        ValueError: neither keys nor an API key of at least 16 characters, or a file that cannot be read.
    """
    entry: dict[str, Any] = {"organisations": list(organisations)}
    if jwks is not None:
        entry["jwks"] = dict(jwks)
    if api_key is not None:
        entry["api_key"] = api_key
    _client(client_id, entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = strict.loads_object(path.read_bytes(), max_bytes=MAX_FILE_BYTES) if path.exists() else {}
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(strict.dumps({**known, client_id: entry}))
    beside.replace(path)


def _clients(path: Path) -> dict[str, SystemClient]:
    entries = strict.loads_object(path.read_bytes(), max_bytes=MAX_FILE_BYTES)
    if len(entries) > MAX_CLIENTS:
        raise ValueError("too many clients")
    return {client_id: _client(client_id, entry) for client_id, entry in entries.items()}


def _client(client_id: str, entry: Any) -> SystemClient:
    organisations = entry.get("organisations", []) if isinstance(entry, dict) else []
    if not CLIENT_ID.match(client_id) or not _texts(organisations):
        raise ValueError("a client has an id and a list of organisations")
    keys = entry.get("jwks", {}).get("keys", [])
    api_key = entry.get("api_key")
    if api_key is not None and (not isinstance(api_key, str) or len(api_key) < MIN_API_KEY_CHARS):
        raise ValueError(f"an API key has at least {MIN_API_KEY_CHARS} characters")
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise ValueError("jwks is a JWK Set")
    if not keys and api_key is None:
        raise ValueError("a client has keys or an API key")
    return SystemClient(client_id, frozenset(organisations), tuple(keys), api_key)


def _texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)

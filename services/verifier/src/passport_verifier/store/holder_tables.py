"""Tables of holder sessions of staff apps."""

from __future__ import annotations

from passport_shared.service import holder_sessions
from passport_verifier.store.metadata import metadata

holders = holder_sessions.tables(metadata)

"""The one collection of tables of the issuer: every module of tables adds to it, migrations read it."""

from __future__ import annotations

from passport_shared.service.db import new_metadata

metadata = new_metadata()

"""Forms of the identifiers the registry accepts: ODS codes, EIDs, movement types (design.md §2).

Identifiers are compared as strings. These functions refuse what would have to be normalised.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

ODS_CODE = re.compile(r"[A-Z0-9]{3,6}", re.ASCII)
MOVEMENT_TYPE = re.compile(r"[A-Z][A-Z0-9_]{1,39}", re.ASCII)
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.ASCII)
MAX_ENTITY_ID_CHARS = 255


def is_ods_code(text: str) -> bool:
    """Return whether the text is an ODS code in upper case."""
    return ODS_CODE.fullmatch(text) is not None


def entity_id_fault(entity_id: str, ods_code: str) -> str | None:
    """Return why the text cannot be this organisation's Entity Identifier, or None if it can.

    An EID is `https://host[:port]/…/<ODS>`: https, lower-case host name, no user, query, fragment, empty or
    dotted segment, and the ODS code as its last segment.
    """
    if len(entity_id) > MAX_ENTITY_ID_CHARS:
        return f"is longer than {MAX_ENTITY_ID_CHARS} characters"
    if not entity_id.startswith("https://") or not re.fullmatch(r"[!-~]+", entity_id):
        return "must be an https URL of printable ASCII"
    if any(sign in entity_id for sign in "?#@\\%"):
        return "must have no user, query, fragment, backslash or percent-encoding"
    try:
        parts = urlsplit(entity_id)
    except ValueError:  # brackets without an address between them
        return "must name a host"
    fault = _host_fault(parts)
    if fault is not None:
        return fault
    segments = parts.path.split("/")[1:]
    if not segments or any(part in {"", ".", ".."} for part in segments):
        return "must end in the organisation's ODS code, without empty or dotted segments"
    if segments[-1] != ods_code:
        return f"must end in /{ods_code}"
    return None


def _host_fault(parts: SplitResult) -> str | None:
    authority = parts.netloc
    try:
        port = parts.port
    except ValueError:
        return "has a port that is not a number"
    host = parts.hostname or ""
    expected = host if port is None else f"{host}:{port}"
    if authority != expected or not _HOST.fullmatch(host) or port == 443:
        return "must name its host in lower case, without the default port"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return "must name a host, not an address"

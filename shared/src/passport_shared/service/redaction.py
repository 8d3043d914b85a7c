"""What never reaches a log line: tokens, disclosures, claims, keys, codes and facts about people.

A value is dropped for the name it stands under, or for its shape wherever it stands. This is the net under
the rule, not the rule: callers log ids. Exceptions lose the messages of libraries that quote values in them.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any

REDACTED = "[redacted]"
MAX_TEXT = 2_000
MAX_DEPTH = 6

# Compared without case, hyphens and underscores.
_SECRET_NAMES = frozenset(
    [
        "token",
        "accesstoken",
        "refreshtoken",
        "idtoken",
        "clientassertion",
        "assertion",
        "vptoken",
        "presentation",
        "presentations",
        "sdjwt",
        "jwt",
        "jws",
        "jwe",
        "kbjwt",
        "disclosure",
        "disclosures",
        "claim",
        "claims",
        "credential",
        "credentials",
        "proof",
        "proofs",
        "dpop",
        "key",
        "privatekey",
        "signingkey",
        "encryptionkey",
        "secretkey",
        "kek",
        "d",
        "jwk",
        "jwks",
        "pin",
        "txcode",
        "preauthorizedcode",
        "authorizationcode",
        "code",
        "enrolmentcode",
        "responsecode",
        "nonce",
        "cnonce",
        "state",
        "secret",
        "clientsecret",
        "password",
        "passphrase",
        "authorization",
        "proxyauthorization",
        "cookie",
        "setcookie",
        "databaseurl",
        "dsn",
        "url_with_credentials",
        "body",
        "content",
        "payload",
        "plaintext",
        "form",
        "params",
        "parameters",
        "headers",
        "query",
        "querystring",
    ]
)
_PERSONAL_NAMES = frozenset(
    [
        "name",
        "names",
        "givenname",
        "givennames",
        "familyname",
        "surname",
        "forename",
        "middlename",
        "fullname",
        "displayname",
        "knownas",
        "previousnames",
        "title",
        "birthdate",
        "dateofbirth",
        "dob",
        "birthplace",
        "sex",
        "gender",
        "ethnicity",
        "nationality",
        "nationalities",
        "email",
        "emailaddress",
        "phone",
        "phonenumber",
        "mobile",
        "address",
        "postaladdress",
        "postcode",
        "portrait",
        "photo",
        "picture",
        "holderref",
        "employeenumber",
        "esrnumber",
        "assignmentnumber",
        "nhsnumber",
        "ninumber",
        "nationalinsurancenumber",
        "passportnumber",
        "documentnumber",
        "registrationnumber",
        "gmcnumber",
        "nmcpin",
        "staffid",
        "personid",
        "subject",
        "person",
        "staff",
        "actor",
        "ip",
        "ipaddress",
        "client",
        "remoteaddr",
        "useragent",
    ]
)
DROPPED_NAMES = _SECRET_NAMES | _PERSONAL_NAMES

_SHAPES = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){2,4}(?:~[A-Za-z0-9_.~-]*)?"  # compact JWS, SD-JWT, JWE
    r"|(?<![A-Za-z0-9_-])WyJ[A-Za-z0-9_-]{8,}"  # a disclosure: base64url of ["salt…
    r"|-----BEGIN [A-Z ]+-----[\s\S]*?(?:-----END [A-Z ]+-----|$)"
    r"|(?i:bearer|dpop)\s+[A-Za-z0-9._~+/=-]{8,}"
    r'|\\?"d\\?"\s*:\s*\\?"[A-Za-z0-9_-]{20,}'  # the private member of a JWK
    r"|//[^/\s:@]+:[^/\s@]+@"  # credentials in a URL
    r"|[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{2,}"  # an e-mail address
)
# Control characters would let a value forge the next line wherever a log is read as text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# From the first quotation mark that opens one (not the one in "can't") to the end: a value may hold quotation
# marks of its own, so that no pair of them says where it ends.
_QUOTED = re.compile(r"""(?:(?<!\w)|(?<=\b[bB]))['"].*""")

# Their messages quote statements, parameters or input.
_QUOTING_LIBRARIES = (
    "pydantic",
    "pydantic_core",
    "sqlalchemy",
    "asyncpg",
    "sqlite3",
    "json",
    "jsonschema_rs",
    "httpx",
)


def redact_text(text: str) -> str:
    """Replace everything with the shape of a secret, and bound the length."""
    cleaned = _CONTROL.sub(" ", _SHAPES.sub(REDACTED, text[: 4 * MAX_TEXT]))
    return cleaned if len(cleaned) <= MAX_TEXT else cleaned[:MAX_TEXT] + "…"


def redact_value(value: Any, depth: int = 0) -> Any:
    """The value as it may be logged, containers included."""
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview) or depth >= MAX_DEPTH:
        return REDACTED
    if isinstance(value, Mapping):
        return {
            redact_text(str(key)): REDACTED if is_dropped(str(key)) else redact_value(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(item, depth + 1) for item in value]
    return redact_text(str(value))


def is_dropped(name: str) -> bool:
    """Whether nothing may be logged under this name."""
    return name.replace("_", "").replace("-", "").lower() in DROPPED_NAMES


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: runs last before rendering."""
    for key in list(event):
        event[key] = REDACTED if is_dropped(key) else redact_value(event[key])
    return event


def describe_exception(error: BaseException) -> dict[str, Any]:
    """An exception as facts: type, frames without locals, the message unless its library quotes values."""
    described: dict[str, Any] = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "frames": _frames(error.__traceback__),
    }
    module = type(error).__module__.partition(".")[0]
    if module not in _QUOTING_LIBRARIES:
        described["message"] = redact_text(_unquoted(error, str(error).partition("\n")[0]))
    for fact in ("sqlstate", "constraint_name", "sqlite_errorname"):
        found = getattr(getattr(error, "orig", None), fact, None) or getattr(error, fact, None)
        if isinstance(found, str):
            described[fact] = found
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and cause is not error:
        described["caused_by"] = f"{type(cause).__module__}.{type(cause).__qualname__}"
    return described


def _unquoted(error: BaseException, message: str) -> str:
    """A message up to what it quotes: Python's own errors repeat the value they could not use.

    Ours never do, and those of the operating system name a file or an address.
    """
    ours = type(error).__module__.startswith("passport_")
    return message if ours or isinstance(error, OSError) else _QUOTED.sub("…", message)


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)[-12:]]

"""`make openapi`: print the document for makers of staff apps, from the two services' own descriptions.

The services describe holder sessions beside their other routes; an app maker needs both sides in one document
and nothing else. Every path names the side that serves it; challenge and session are the same at both.
"""

from __future__ import annotations

import copy
import json
import sys
from typing import Any

from passport_issuer.http import holder_openapi as at_home
from passport_shared.service.holder_openapi import SCHEME
from passport_verifier.http import holder_openapi as at_host

HOME = {"url": "https://issuer.example", "description": "Your own trust (its Entity Identifier and /{ods})"}
HOST = {"url": "https://verifier.example", "description": "The trust you are visiting"}
OPEN = ("/{ods}/holder/challenge", "/{ods}/holder/sessions", *at_host.REQUIREMENTS)
ERROR = {
    "type": "object",
    "required": ["error", "error_description"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
DESCRIPTION = (
    "For makers of staff apps. The app proves that it holds the key of one of the person's credentials and "
    "gets a token of 15 minutes, bound to that key (DPoP, RFC 9449), for that person at that trust. See "
    "docs/staff-app.md for a walk through it."
)


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, Any] = {}
    for server, described in ((HOME, at_home.PATHS), (HOST, at_host.PATHS)):
        for path, methods in described.items():
            known = paths.get(path)
            if known is not None:
                known["servers"].append(server)
                for method, operation in methods.items():
                    known[method]["responses"] = {**operation["responses"], **known[method]["responses"]}
                continue
            paths[path] = {**_secured(path, methods), "servers": [server]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Staff passport for staff apps", "version": "1", "description": DESCRIPTION},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {"ProtocolError": ERROR},
            "securitySchemes": {
                SCHEME: {
                    "type": "http",
                    "scheme": "DPoP",
                    "description": "`Authorization: DPoP <token>` with a fresh proof in the DPoP header.",
                }
            },
        },
    }


def _secured(path: str, methods: dict[str, Any]) -> dict[str, Any]:
    """A copy in which what needs a session says so."""
    described: dict[str, Any] = copy.deepcopy(methods)
    for operation in described.values():
        operation["security"] = [] if path in OPEN else [{SCHEME: []}]
    return described


def main() -> None:
    """Print it as it is committed."""
    sys.stdout.write(json.dumps(document(), indent=2, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

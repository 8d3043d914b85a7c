"""TLS certificate and key that are read again when their files change: renewing needs no restart.

Connections that are open keep what they began with; new ones get the new certificate. Files that do not
belong together, as for a moment while they are being installed, change nothing and are looked at again.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509

LOOK_EVERY_S = 10.0

log = structlog.get_logger(__name__)


class TlsFiles:
    """The two files of one listener, and the context that serves them.

    Args:
        certificate: PEM chain.
        key: PEM private key.
        context: the listener's; what is read is loaded into it.
        told: gets the end of the certificate's life whenever one is loaded.
    """

    def __init__(
        self, certificate: Path, key: Path, context: ssl.SSLContext, told: Callable[[datetime], None]
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._context = context
        self._told = told
        self._seen = self._stamp()
        self._tell()

    def look(self) -> bool:
        """Load the files if they have changed and belong together; whether they were loaded."""
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return False
        try:
            # Tried elsewhere first: half a pair must not stand in the context that serves.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
            self._context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            log.warning("tls_certificate.not_loaded", reason=type(error).__name__)
            return False
        self._seen = stamp
        self._tell()
        log.info("tls_certificate.loaded")
        return True

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def _stamp(self) -> tuple[tuple[int, int], ...] | None:
        try:
            found = [os.stat(path) for path in (self._certificate, self._key)]
        except OSError:
            return None
        return tuple((one.st_mtime_ns, one.st_ino) for one in found)

    def _tell(self) -> None:
        try:
            leaf = x509.load_pem_x509_certificates(self._certificate.read_bytes())[0]
        except (OSError, ValueError, IndexError):
            return
        self._told(leaf.not_valid_after_utc)

"""A person's wallet in the demonstration: the command line program, with a home of its own."""

from __future__ import annotations

import secrets
import subprocess

from deploy.dev.stack import BIN, Stack

PASSPHRASE_BYTES = 18


class WalletRefused(Exception):
    """The wallet did not do it; the text is what it told the person."""


class Holder:
    """Runs `passport-wallet` as its owner would."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.home = stack.folder / f"wallet-{name}"
        self.home.mkdir(parents=True)
        self._passphrase = self.home / "passphrase"
        self._passphrase.touch(mode=0o600)
        self._passphrase.write_text(secrets.token_urlsafe(PASSPHRASE_BYTES))
        inherited = stack.services["issuer"].environment
        self._environment = {k: v for k, v in inherited.items() if not k.startswith("PASSPORT_")} | {
            "PASSPORT_WALLET_HOME": str(self.home),
            "PASSPORT_WALLET_PASSPHRASE_FILE": str(self._passphrase),
            "PASSPORT_WALLET_TLS_CA_FILE": str(stack.tls.ca),
            "PASSPORT_WALLET_OUTBOUND_ALLOW": ",".join(
                f"localhost:{service.port}" for service in stack.services.values()
            ),
            "COLUMNS": "200",
        }

    def run(self, *arguments: str, typed: str = "") -> str:
        """One command; `typed` is what the person types when asked.

        Raises:
            WalletRefused: with the wallet's words.
        """
        done = subprocess.run(
            [str(BIN / "passport-wallet"), *arguments],
            env=self._environment,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise WalletRefused((done.stderr.strip() or done.stdout.strip())[-2000:])
        return done.stdout

    @property
    def passphrase(self) -> str:
        """For the scene in which somebody mixes two people's wallets."""
        return self._passphrase.read_text()

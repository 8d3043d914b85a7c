"""A container engine: the one the machine has, or podman from the machine's own packages.

`Engine` runs the few commands the trial needs. On a machine that can pull no image it makes its own
stand-ins: a Python base image from Debian's packages, and on top of it PostgreSQL and the proxy. A machine on
which no engine can be had says why (`NoEngine`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGES = ("podman", "buildah", "runc", "netavark", "aardvark-dns", "iptables", "mmdebstrap")
PYTHON_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
CAP_SYS_RESOURCE = 24
SYSTEM_CA = Path("/etc/ssl/certs/ca-certificates.crt")
RUNC = ("/usr/sbin/runc", "/usr/bin/runc")
SAID = 3_000
"""How much of a failed command's own words are shown."""


class NoEngine(Exception):
    """No container engine can be had here; the text says why, in plain words."""


class EngineFailed(RuntimeError):
    """The engine refused something; the text has its last words."""


@dataclass(frozen=True)
class Engine:
    """podman, with the settings that work on this machine."""

    environment: dict[str, str]

    @classmethod
    def prepare(cls, folder: Path) -> Engine:
        """Find or install podman, and write below `folder` the few settings it needs here.

        Raises:
            NoEngine: it is not there and cannot be installed, or cannot start a container here.
        """
        if shutil.which("podman") is None:
            _install()
        folder.mkdir(parents=True, exist_ok=True)
        environment = dict(os.environ)
        if "CONTAINERS_CONF" not in environment:
            settings = folder / "containers.conf"
            settings.write_text(_settings(), encoding="utf-8")
            environment["CONTAINERS_CONF"] = str(settings.resolve())
        engine = cls(environment)
        done = engine.run("info", check=False)
        if done.returncode != 0:
            raise NoEngine(f"podman is here but does not work: {said(done)}")
        return engine

    def run(
        self, *arguments: str, check: bool = True, feed: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `podman` with these arguments; its output is kept.

        Raises:
            EngineFailed: it ended with another code than 0, unless `check` is off.
        """
        done = subprocess.run(
            ["podman", *arguments], env=self.environment, input=feed, capture_output=True, check=False
        )
        if check and done.returncode != 0:
            raise EngineFailed(f"podman {' '.join(arguments)} ended with {done.returncode}: {said(done)}")
        return done

    def output(self, *arguments: str) -> str:
        """What a command prints, without the last line end."""
        return self.run(*arguments).stdout.decode().rstrip("\n")

    def has_image(self, name: str) -> bool:
        """Whether there is such an image on the machine."""
        return self.run("image", "exists", name, check=False).returncode == 0

    def pulled(self, name: str) -> bool:
        """Whether an image of others is here, or can be had."""
        return self.has_image(name) or self.run("pull", "--quiet", name, check=False).returncode == 0

    def base_image(self) -> None:
        """Make a stand-in for the official Python image from Debian's packages, unless there is an image."""
        if self.pulled(PYTHON_IMAGE):
            return
        if shutil.which("mmdebstrap") is None:
            raise NoEngine(f"{PYTHON_IMAGE} cannot be pulled, and there is no mmdebstrap to make one")
        links = (
            'for n in python python3 python3.11; do ln -sf /usr/bin/python3.11 "$1/usr/local/bin/$n"; done'
        )
        unused = ("var/lib/apt/lists/*", "var/cache/apt/*.bin", "usr/share/doc/*", "usr/share/man/*")
        clean = "rm -rf " + " ".join(f'"$1"/{path}' for path in unused)
        # The suite from the machine's own mirror, but no file of the machine: its certificates stay its own.
        made = subprocess.Popen(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase"),
                "--include=ca-certificates,python3.11,python3.11-venv,tzdata",
                *(f"--customize-hook={links}", f"--customize-hook={clean}"),
                *("bookworm", "-"),
            ],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        imported = subprocess.run(
            [
                *("podman", "import", "--quiet"),
                *("--change", "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"),
                *("--change", "ENV LANG=C.UTF-8", "--change", 'CMD ["python3"]'),
                *("-", PYTHON_IMAGE),
            ],
            env=self.environment,
            stdin=made.stdout,
            capture_output=True,
            check=False,
        )
        _, errors = made.communicate()
        if made.returncode != 0 or imported.returncode != 0:
            self.run("image", "rm", "--force", PYTHON_IMAGE, check=False)
            raise NoEngine(f"no base image could be made: {errors.decode(errors='replace')[-SAID:]}")

    def build(self, tag: str, dockerfile: Path, arguments: Mapping[str, str]) -> None:
        """Build an image; a machine's own certificate bundle is a secret of the build, in no layer of it."""
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        bundle = Path(os.environ.get("SSL_CERT_FILE", SYSTEM_CA))
        secrets = ["--secret", f"id=ca,src={bundle}"] if bundle.is_file() else []
        self.run(
            *("build", "--quiet", "--format", "docker", "--pull=never", "--network=host"),
            *(["--isolation=chroot"] if os.geteuid() == 0 else []),
            *secrets,
            *given,
            *("--tag", tag, "--file", str(dockerfile), str(ROOT)),
        )


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    """A failed command's own last words."""
    return (done.stderr or done.stdout).decode(errors="replace")[-SAID:].strip()


def _install() -> None:
    if shutil.which("apt-get") is None:
        raise NoEngine("there is no podman, and no apt-get to install it with")
    if os.geteuid() != 0:
        raise NoEngine(f"there is no podman; as root: apt-get install {' '.join(PACKAGES)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", "-qq", *words], env=environment, capture_output=True, check=False)
        if done.returncode != 0:
            raise NoEngine(f"podman cannot be installed: {said(done)}")


def _settings() -> str:
    """containers.conf: netavark, no systemd, and a runtime that does not ask for what root may not give."""
    name, path = "runc", next((one for one in RUNC if Path(one).exists()), "runc")
    if os.geteuid() == 0 and not _capable(CAP_SYS_RESOURCE):
        name, path = "passport", str(HERE / "oci-runtime")
    return (
        '[network]\nnetwork_backend = "netavark"\n'
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        f'runtime = "{name}"\n[engine.runtimes]\n{name} = ["{path}"]\n'
    )


def _capable(number: int) -> bool:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False

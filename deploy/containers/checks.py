"""What the running containers are held to, beside the journey: hardened, limited, and two of each."""

from __future__ import annotations

import http
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from deploy.containers.stack import ContainerStack
from deploy.demo.story import Story
from deploy.demo.trusts import CHRISTIE, MANCHESTER
from deploy.dev.clients import Clients
from deploy.dev.management import http_client
from deploy.dev.stack import StackError

OURS = ("registry", "issuer", "verifier")
USER = "10001"
REQUESTS = 60
AT_ONCE = 6
GUESSES = 90
"""More than the sixty token requests of one address in ten seconds that compose.yaml allows."""
INSIDE = ("/metrics", "/health/ready", "/%6Detrics", "/%68ealth/ready", "/health%2Fready")
WRITES = "open('/opt/passport/x', 'w')"
NO_CAPABILITY = "0000000000000000"


def everything(story: Story, stack: ContainerStack, known: Clients, *, since: int) -> None:
    """All of them, in an order in which each leaves the stack as it found it; the limits come last.

    Args:
        story: told.
        stack: with the journey behind it.
        known: clients of the network.
        since: how many lines about requests the proxy had written when the stack was ready.
    """
    story.chapter("The containers themselves")
    hardened(story, stack)
    spread(story, stack, since)
    closed(story, stack)
    replicas_die(story, stack, known)
    limited(story, stack)


def hardened(story: Story, stack: ContainerStack) -> None:
    """No root, no capability, nothing to write to, bounds on memory and processes; healthy."""
    replicas = [name for service in OURS for name in stack.services[service].containers]
    for name in replicas:
        seen = json.loads(stack.execute(name, "python", "-c", _LOOK))
        story.expect(
            seen["uid"] == int(USER) and seen["capabilities"] == NO_CAPABILITY and seen["no_new_privileges"],
            f"{name} runs as {USER}, without a capability, and can gain none",
        )
        story.expect(_refused(stack, name), f"{name} cannot write to its root")
        host = stack.inspect(stack.id_of(name))["HostConfig"]
        story.expect(
            host["Memory"] > 0
            and host["PidsLimit"] > 0
            and host["ReadonlyRootfs"]
            and not host["Privileged"],
            f"{name} has bounds on memory and processes",
        )
        stack.wait_healthy(name)
        story.expect(True, f"{name} is healthy by its image's own check")
    tools = stack.execute(replicas[0], "python", "-c", _TOOLS).split()
    story.expect(not tools, f"an image installs and compiles nothing{': ' if tools else ''}{' '.join(tools)}")
    role = stack.services["issuer"].containers[0]
    story.expect(
        stack.execute(role, "python", "-c", _ROLE).strip() == "False True",
        "the issuer's database role is no superuser and cannot connect to the registry's database",
    )


def spread(story: Story, stack: ContainerStack, since: int) -> None:
    """Both replicas of every service have answered, and none has failed, by the proxy's own log."""
    lines = proxy_log(stack)[since:]
    for service in OURS:
        answered = {line["replica"] for line in lines if line["service"] == service}
        story.expect(
            answered >= set(stack.services[service].containers),
            f"both replicas of the {service} have answered",
        )
    failed = [line for line in lines if int(line["status"]) >= http.HTTPStatus.INTERNAL_SERVER_ERROR]
    story.expect(not failed, f"none of {len(lines)} requests of the journey met a failing service")


def closed(story: Story, stack: ContainerStack) -> None:
    """What is for operators stays inside, other names have no service, and large bodies are refused."""
    with http_client(stack.tls.ca) as client:
        url = stack.services["verifier"].url
        inside = [client.get(f"{url}{path}").status_code for path in INSIDE]
        story.expect(
            set(inside) == {http.HTTPStatus.NOT_FOUND},
            "metrics and readiness are not shown to the world, however their paths are spelt",
        )
        other = client.get(f"{url}/", headers={"host": "elsewhere.example"})
        story.expect(
            other.status_code == http.HTTPStatus.MISDIRECTED_REQUEST, "another host's name is refused"
        )
        large = client.post(f"{url}/R0A/oid4vp/response", content=b"x" * 300_000)
        story.expect(
            large.status_code == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a body too large is refused"
        )
        answer = client.get(
            f"{url}/problems", headers={"x-request-id": "a-request-of-ours", "x-forwarded-for": "192.0.2.1"}
        )
        story.expect(
            answer.headers["x-request-id"] == "a-request-of-ours", "a request id goes through and back"
        )
    last = proxy_log(stack)[-1]
    story.expect(last["request_id"] == "a-request-of-ours", "and stands in the proxy's log")


def replicas_die(story: Story, stack: ContainerStack, known: Clients) -> None:
    """One replica of each service is killed, in turn, while requests go on: the other one answers."""
    for service in OURS:
        first, second = stack.services[service].containers
        path = {
            "registry": "/api/v1/organisations?limit=5",
            "issuer": f"/api/v1/organisations/{CHRISTIE.ods}/staff?limit=5",
            "verifier": f"/api/v1/organisations/{MANCHESTER.ods}/movements?limit=5",
        }[service]
        url = f"{stack.services[service].url}{path}"
        headers = {"authorization": f"Bearer {known.machine.token(stack.services[service].url)}"}
        with http_client(stack.tls.ca) as client, ThreadPoolExecutor(AT_ONCE) as several:
            asked = [several.submit(client.get, url, headers=headers) for _ in range(REQUESTS)]
            stack.engine.run("kill", "--signal", "KILL", stack.id_of(first))
            asked += [several.submit(client.get, url, headers=headers) for _ in range(REQUESTS)]
            statuses = [one.result().status_code for one in asked]
        story.expect(
            statuses == [http.HTTPStatus.OK] * len(statuses),
            f"the {service} answers all of {len(statuses)} requests while one of its replicas is killed",
        )
        stack.compose("start", first)
        stack.wait_healthy(first)
        stack.wait_healthy(second)
        story.expect(True, f"{first} is back and healthy beside {second}")


def limited(story: Story, stack: ContainerStack) -> None:
    """Too many token requests from one address are told to wait, in the protocol's form."""
    url = f"{stack.services['issuer'].url}/oauth2/token"
    with http_client(stack.tls.ca) as client:
        answers = [client.post(url, data={"grant_type": "client_credentials"}) for _ in range(GUESSES)]
    refused = [one for one in answers if one.status_code == http.HTTPStatus.TOO_MANY_REQUESTS]
    story.expect(
        bool(refused) and all(_waits(one) for one in refused),
        f"{len(refused)} of {GUESSES} token requests in a row get 429 with Retry-After",
    )


def proxy_log(stack: ContainerStack) -> list[dict[str, Any]]:
    """The proxy's lines about requests."""
    done = stack.engine.run("logs", stack.id_of("proxy"))
    lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"event":"proxy.request"')]


def _waits(answer: httpx.Response) -> bool:
    return "retry-after" in answer.headers and "error" in answer.json()


def _refused(stack: ContainerStack, name: str) -> bool:
    try:
        stack.execute(name, "python", "-c", WRITES)
    except StackError as refusal:
        return "Read-only file system" in str(refusal)
    return False


_LOOK = """
import json, os
lines = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({"uid": os.getuid(), "capabilities": lines["CapEff"].strip(),
                  "no_new_privileges": lines["NoNewPrivs"].strip() == "1"}))
"""
_TOOLS = """
import shutil
print(*(name for name in ("pip", "pip3", "gcc", "cc", "curl", "wget") if shutil.which(name)))
"""
_ROLE = """
import asyncio, asyncpg
async def main():
    url = open("/run/secrets/database_url").read().strip()
    own = await asyncpg.connect(url)
    superuser = await own.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    try:
        await asyncpg.connect(url.rsplit("/", 1)[0] + "/registry")
        refused = False
    except asyncpg.PostgresError:
        refused = True
    print(superuser, refused)
asyncio.run(main())
"""

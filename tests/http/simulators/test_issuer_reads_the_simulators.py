"""An issuer and the simulated workforce systems: the pilot's surgeon from records to nothing missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.simulators import clients
from deploy.simulators.app import create_app
from deploy.simulators.people import PILOT
from deploy.simulators.settings import Settings
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import HR, IssuerBench, running_issuer

URL = "https://localhost:9003"
SYSTEMS = {
    "ESR": f"{URL}/esr",
    "LMS": f"{URL}/dsp-learning",
    "RECRUITMENT": f"{URL}/dsp-recruitment",
    "OCCUPATIONAL_HEALTH": f"{URL}/dsp-health",
}


async def connect(issuer: IssuerBench, system_type: str) -> dict[str, Any]:
    body = {
        "name": system_type,
        "system_type": system_type,
        "base_url": SYSTEMS[system_type],
        "authentication": "PRIVATE_KEY_JWT",
        "token_url": f"{URL}/oauth2/token",
        "client_id": "issuer-rbv",
        "private_hosts": ["localhost:9003"],
        "actor": HR,
    }
    return await issuer.made("/connections", body)


@pytest.mark.parametrize(
    "pilot", [one for one in PILOT if one.employing_ods == "RBV"][:1], ids=lambda one: one.key
)
async def test_a_pilot_person_from_four_systems(
    databases: FreshDatabases, tmp_path: Path, pilot: Any
) -> None:
    settings = Settings(public_url=URL, folder=tmp_path / "simulators", clock_file=tmp_path / "clock.json")
    app = create_app(settings)
    world = app.state.world
    employee = world.employee("RBV", pilot.person_id)
    database = await databases.url("passport_issuer")
    transport = httpx.ASGITransport(app=app)
    async with running_issuer(tmp_path, database, at=world.clock.now(), workforce=transport) as issuer:
        staff_id = await issuer.staff(
            legal_given=" ".join(filter(None, (employee.given_name, employee.middle_names))),
            legal_family=employee.family_name,
            birthdate=employee.birthdate.isoformat(),
            external_ids=[],
        )
        for number, system_type in enumerate(SYSTEMS):
            made = await connect(issuer, system_type)
            if number == 0:
                keys = made["jwks"]
                clients.register(settings.clients_file, "issuer-rbv", organisations=["RBV"], jwks=keys)
            tested = (await issuer.call("POST", f"/connections/{made['id']}/test", {"actor": HR})).json()
            assert tested["ok"], tested
            search = {"staff_id": staff_id, "actor": HR}
            found = (await issuer.call("POST", f"/connections/{made['id']}/search", search)).json()
            chosen = next(one for one in found["candidates"] if one["differences"]["birthdate"] == "SAME")
            link = {"person_id": chosen["person_id"], "actor": HR}
            if chosen["needs_reason"]:
                link["differences_accepted"] = "Known here under another name"
            linked = await issuer.call("PUT", f"/staff/{staff_id}/links/{made['id']}", link)
            assert linked.status_code == 200, linked.text
        gathering = await issuer.made(f"/staff/{staff_id}/gather", {"actor": HR})
        assert {source["outcome"] for source in gathering["sources"]} == {"READ"}, gathering["sources"]
        refused = {item["reason"] for item in gathering["items"] if item["state"] == "NOT_USABLE"}
        assert refused <= {"NOT_MAPPED"}, "a trust's own training goes into no passport"
        assert [one["type"] for one in gathering["not_held"]] == ["StaffIdentity"]
        chosen_items = [item["id"] for item in gathering["items"] if item["state"] in ("NEW", "CHANGED")]
        applied = await issuer.call(
            "POST",
            f"/staff/{staff_id}/gatherings/{gathering['id']}/apply",
            {"items": chosen_items, "actor": HR},
        )
        assert applied.status_code == 200, applied.text
        again = await issuer.made(f"/staff/{staff_id}/gather", {"actor": HR})
        assert {item["state"] for item in again["items"]} <= {"SAME", "NOT_USABLE"}

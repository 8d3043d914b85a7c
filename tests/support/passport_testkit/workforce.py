"""Workforce systems for tests, over real TLS: an ESR-shaped port, three systems behind the DSP API standard.

One server on 127.0.0.1 plays all of them under `/esr`, `/lms`, `/recruitment` and `/oh`, with a token
endpoint that checks assertions. Each can be made slow, silent, lying, endless or talking nonsense, one
without the others. `workforce_simulator` runs it; `Workforce.connect` adds a connection to a running issuer.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from passport_issuer.rules.workforce_names import tokens
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import JoseError, verify_with_jwks
from passport_testkit.issuers import HR, IssuerBench
from passport_testkit.servers import (
    Behaviour,
    MisbehavingServer,
    Received,
    TlsAuthority,
    answer,
    endless,
    reset,
    stalled,
    tls_server,
)

API_KEY = "simulated-api-key"
PREFIXES = {"ESR": "/esr", "LMS": "/lms", "RECRUITMENT": "/recruitment", "OCCUPATIONAL_HEALTH": "/oh"}
UP, SLOW, DOWN, BROKEN, GARBAGE = "up", "slow", "down", "broken", "garbage"
ENDLESS_BODY, ENDLESS_PAGES, LYING, LOCKED = "endless body", "endless pages", "lying", "locked"
BAD_DAYS = (SLOW, DOWN, BROKEN, GARBAGE, ENDLESS_BODY, LOCKED)

SURGEON_ID = "1234567"
PERSON: dict[str, Any] = {
    "person_id": SURGEON_ID,
    "title": "Ms",
    "given_name": "Adaeze",
    "family_name": "Okonkwo-Price",
    "previous_family_names": ["Okonkwo"],
    "birthdate": "1981-03-09",
    "work_email": "adaeze.okonkwo-price@trust.invalid",
    "primary_assignment": {
        "assignment_number": "20391234",
        "position_title": "Consultant urologist",
        "department": "Urology",
    },
    "employment_status": "ACTIVE",
    "leaving_date": None,
}
ASSIGNMENT: dict[str, Any] = {
    "assignment_number": "20391234",
    "primary": True,
    "assignment_type": "PERMANENT",
    "fte": 1.0,
    "start": "2015-08-05",
    "projected_end": None,
    "status": "ACTIVE",
    "position": {
        "position_number": "112233",
        "title": "Consultant urologist",
        "staff_group": "Medical and Dental",
        "job_role": "Consultant",
        "occupation_code": "N6A",
        "grade": "YC72",
        "department": "Urology",
        "site": "RBV01",
    },
}
REGISTRATION: dict[str, Any] = {
    "regulator": "GMC",
    "number": "7099999",
    "register_part": "Specialist Register",
    "status": "REGISTERED",
    "licence_to_practise": True,
    "registers": ["Urology"],
    "restrictions": [],
    "renewal_due": "2027-03-31",
    "checked_on": "2026-08-30",
}
CHECKS: dict[str, dict[str, Any]] = {
    "IDENTITY": {
        "check_type": "IDENTITY",
        "outcome": "CLEARED",
        "performed_on": "2026-03-01",
        "performed_by_role": "Recruitment",
        "evidence_ref": "esr-id-1",
        "fields": {"identity_scheme": "NHS_IDENTITY_CHECK_STANDARD", "gpg45_level": "NONE"},
    },
    "RTW": {
        "check_type": "RIGHT_TO_WORK",
        "outcome": "CLEARED",
        "performed_on": "2026-03-01",
        "performed_by_role": "Recruitment",
        "evidence_ref": "esr-rtw-1",
        "fields": {
            "permission": "UNLIMITED",
            "permission_expires": "NONE",
            "route": "LIST_A",
            "work_restriction": "NONE",
        },
    },
    "DBS": {
        "check_type": "DBS",
        "outcome": "CLEARED",
        "performed_on": "2026-03-10",
        "performed_by_role": "Recruitment",
        "evidence_ref": "esr-dbs-1",
        "fields": {
            "level": "ENHANCED_BARRED",
            "workforce": "BOTH",
            "barred_lists": ["ADULT", "CHILD"],
            "certificate_issued_on": "2026-03-02",
            "registered_body": "Otter Valley NHS Foundation Trust",
            "update_service": True,
        },
    },
    "OH": {
        "check_type": "OCCUPATIONAL_HEALTH",
        "outcome": "CLEARED_FOR_ROLE",
        "performed_on": "2026-02-20",
        "performed_by_role": "Occupational health",
        "evidence_ref": "esr-oh-1",
        "fields": {"role_category": "SURGICAL", "epp_cleared": "YES"},
    },
}
SKILL: dict[str, Any] = {
    "recordType": "CoreSkillsTraining",
    "competencyFramework": "CSTF",
    "subjectName": "Fire Safety",
    "competencyName": "Fire Safety",
    "subjectLevel": "1",
    "renewalPeriodNumber": "2",
    "renewalPeriodUnits": "Years",
    "proficiencyLevel": "0 - Not Assessed",
    "attainmentStatus": "ACHIEVED",
    "learningMethod": "eLearning",
    "awardingOrganisation": "RBV",
    "dateLastAwarded": "2026-01-15",
    "dateTo": "2028-01-14",
}
RESUSCITATION: dict[str, Any] = {
    **SKILL,
    "subjectName": "Resuscitation",
    "competencyName": "Resuscitation Adult Basic Life Support",
    "subjectLevel": "2",
    "proficiencyLevel": "1 - Assessed",
    "dateLastAwarded": "2026-02-01",
}
DBS_OUTCOME: dict[str, Any] = {
    "recordType": "DBSCheckOutcome",
    "applicantFirstName": "Adaeze",
    "applicantMiddleNames": "",
    "applicantSurname": "Okonkwo-Price",
    "applicantDateOfBirth": "1981-03-09",
    "typeOfDbsCheck": "Enhanced with barred list(s) check",
    "adultsBarredListChecked": "true",
    "childrensBarredListChecked": True,
    "certificateNumber": "123456789012",
    "disclosureIssueDate": "2026-03-02",
    "informationDisclosed": "false",
    "workforceType": "Child and Adult",
    "registeredBodyNumber": "12345678901",
    "registeredBodyName": "Otter Valley NHS Foundation Trust",
}
SCREENING: tuple[dict[str, Any], ...] = (
    {"recordType": "Vaccination", "code": "HEPB001", "description": "Hepatitis B Vaccine", "date": "2024-10"},
    {
        "recordType": "ClinicalTest",
        "code": "DTP002",
        "description": "Diphtheria Antibody Test",
        "date": "2024-09-01",
        "result": "78 IU/mL",
        "interpretation": "Not Detected",
    },
    {"recordType": "Observation", "code": "TB001", "description": "BCG Scar Evident", "result": True},
)


def esr_record(**changes: Any) -> dict[str, Any]:
    """A person with everything ESR answers for; `changes` are members of the person."""
    return {
        "person": {**copy.deepcopy(PERSON), **changes},
        "assignments": [copy.deepcopy(ASSIGNMENT)],
        "registrations": [copy.deepcopy(REGISTRATION)],
        "checks": [copy.deepcopy(check) for check in CHECKS.values()],
    }


def employee(records: tuple[dict[str, Any], ...] = (), **changes: Any) -> dict[str, Any]:
    """An employee of a system behind the standard, with the records it holds."""
    details = {
        "id": "E-77",
        "firstName": "Adaeze",
        "surname": "Okonkwo-Price",
        "birthDate": "1981-03-09",
        "email": "adaeze.okonkwo-price@trust.invalid",
        "furtherInformation": "Consultant urologist",
        **changes,
    }
    return {"details": details, "records": [copy.deepcopy(record) for record in records]}


@dataclass
class Workforce(MutableMapping[str, Behaviour]):
    """The systems of one trust and how each is today; as a mapping, the routes of the server."""

    ca_file: Path
    ods: str = "RBV"
    esr: dict[str, dict[str, Any]] = field(default_factory=dict)
    employees: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    modes: dict[str, str] = field(default_factory=dict)
    jwks: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    assertions: list[dict[str, Any]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    server: MisbehavingServer | None = None
    page: int = 50

    @property
    def host(self) -> str:
        """`host:port` of the server."""
        assert self.server is not None
        return f"localhost:{self.server.port}"

    def base_url(self, system_type: str) -> str:
        """The base URL of one system."""
        return f"https://{self.host}{PREFIXES[system_type]}"

    @property
    def token_url(self) -> str:
        """The token endpoint of all of them."""
        return f"https://{self.host}/oauth2/token"

    def hire(self, **changes: Any) -> dict[str, Any]:
        """Put a person into ESR, and the same one into the three other systems; the ESR record."""
        record = esr_record(**changes)
        self.esr[record["person"]["person_id"]] = record
        own = {
            "LMS": (SKILL, RESUSCITATION),
            "RECRUITMENT": (DBS_OUTCOME,),
            "OCCUPATIONAL_HEALTH": SCREENING,
        }
        for system_type, records in own.items():
            self.employees.setdefault(system_type, {})["E-77"] = employee(records)
        return record

    def says(self, kind: str, person_id: str = SURGEON_ID) -> None:
        """Add a line to the feed of changes."""
        line = {"cursor": f"c{len(self.changes) + 1}", "kind": kind, "person_id": person_id}
        self.changes.append({**line, "date": "2026-09-01"})

    def connection(self, system_type: str, **changes: Any) -> dict[str, Any]:
        """The body that adds a connection with an API key."""
        return {
            "name": f"{system_type} of the trust",
            "system_type": system_type,
            "base_url": self.base_url(system_type),
            "authentication": "API_KEY",
            "api_key": API_KEY,
            "private_hosts": [self.host],
            "timeout_s": 5.0,
            "actor": HR,
            **changes,
        }

    async def connect(self, issuer: IssuerBench, system_type: str, **changes: Any) -> str:
        """Add a connection to a running issuer; its id."""
        made = await issuer.made("/connections", self.connection(system_type, **changes))
        return str(made["id"])

    async def linked(
        self, issuer: IssuerBench, staff_id: str, system_type: str, person_id: str = "", **changes: Any
    ) -> str:
        """A connection through which the member of staff is linked; its id."""
        connection_id = await self.connect(issuer, system_type, **changes)
        chosen = person_id or (SURGEON_ID if system_type == "ESR" else "E-77")
        link = {"person_id": chosen, "differences_accepted": "Seen and known", "actor": HR}
        answered = await issuer.call("PUT", f"/staff/{staff_id}/links/{connection_id}", link)
        assert answered.status_code == 200, answered.text
        return connection_id

    def __getitem__(self, target: str) -> Behaviour:
        return self._behaviour(target)

    def __setitem__(self, key: str, value: Behaviour) -> None:
        raise TypeError("the routes follow from the systems")

    def __delitem__(self, key: str) -> None:
        raise TypeError("the routes follow from the systems")

    def __iter__(self) -> Iterator[str]:
        return iter(PREFIXES.values())

    def __len__(self) -> int:
        return len(PREFIXES)

    def _behaviour(self, target: str) -> Behaviour:
        async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
            self.seen.append(target)
            found = self._token(request) if target == "/oauth2/token" else self._system(request, target)
            await found(request, writer)

        return behave

    def _token(self, request: Received) -> Behaviour:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        try:
            verified = verify_with_jwks(form["client_assertion"], self.jwks, typ="JWT")
        except (JoseError, KeyError):
            return answer(b'{"error": "invalid_client"}', status=401)
        self.assertions.append({"header": verified.header, **verified.claims})
        if verified.claims.get("aud") != self.token_url:
            return answer(b'{"error": "invalid_client"}', status=401)
        token = random_token()
        self.tokens.add(token)
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": 300})

    def _system(self, request: Received, target: str) -> Behaviour:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        system_type, rest = next(
            (name, parts.path.removeprefix(prefix))
            for name, prefix in PREFIXES.items()
            if parts.path.startswith(prefix + "/")
        )
        mode = self.modes.get(system_type, UP)
        if mode == SLOW:
            return stalled(self.released)
        if mode == DOWN:
            return reset()
        if mode == BROKEN:
            return answer(b'{"detail": "down for maintenance"}', status=500)
        if mode == ENDLESS_BODY:
            return endless()
        if mode == GARBAGE:
            return answer(b'{"items": [{"person_id": 7}], "records": "none", "id": [')
        path = [unquote(part) for part in rest.strip("/").split("/")]
        if path[-1] in ("status", "_status"):
            up = {"status": "up"} if system_type == "ESR" else {"status": "pass"}
            return _json(up, "application/json" if system_type == "ESR" else "application/health+json")
        if mode == LOCKED or not self._authorised(request):
            return answer(b"{}", status=401)
        if system_type == "ESR":
            return self._esr(path, query, lying=mode == LYING, endlessly=mode == ENDLESS_PAGES)
        return self._dsp(system_type, path, query, lying=mode == LYING)

    def _authorised(self, request: Received) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        return bearer in self.tokens or request.headers.get("x-api-key") == API_KEY

    def _esr(self, path: list[str], query: dict[str, str], *, lying: bool, endlessly: bool) -> Behaviour:
        if path[0] != self.ods:
            return answer(b"{}", status=404)
        if path[1] == "changes":
            numbers = [change["cursor"] for change in self.changes]
            start = numbers.index(query["cursor"]) + 1 if query.get("cursor") in numbers else 0
            lines = self.changes[start : start + self.page]
            more = len(self.changes) > start + self.page or endlessly
            if endlessly:
                lines = self.changes[:1]
            return _json({"items": lines, "next": lines[-1]["cursor"] if lines and more else None})
        if path[1:] == ["persons"]:
            found = [one["person"] for one in self.esr.values() if _fits(one["person"], query)]
            return _json({"items": found, "next": random_token() if endlessly else None})
        record = self.esr.get(path[2])
        if record is None:
            return answer(b"{}", status=404)
        if len(path) == 3:
            lies = {"family_name": "Somebody", "given_name": "Else", "birthdate": "1990-01-01"}
            return _json({**record["person"], **(lies if lying else {})})
        return _json({"items": record[path[3]], "next": random_token() if endlessly else None})

    def _dsp(self, system_type: str, path: list[str], query: dict[str, str], *, lying: bool) -> Behaviour:
        known = self.employees.get(system_type, {})
        if path[:2] != ["organisations", self.ods]:
            return _outcome("not-found", 404)
        if path[2:] == ["employees"]:
            found = [one["details"] for one in known.values() if _is_searched(one["details"], query)]
            return _json(found)
        one = known.get(path[3])
        if one is None:
            return _outcome("not-found", 404)
        if path[4:] == ["records"]:
            return _json({"id": "somebody else" if lying else path[3], "records": one["records"]})
        return _json(one["details"])


def _json(value: Any, content_type: str = "application/json") -> Behaviour:
    return answer(json.dumps(value).encode(), content_type=content_type)


def _outcome(code: str, status: int) -> Behaviour:
    issue = {"severity": "error", "code": code, "details": {"text": "as the standard says"}}
    body = {"resourceType": "OperationOutcome", "issue": [issue]}
    return answer(json.dumps(body).encode(), status=status)


def _fits(person: dict[str, Any], query: dict[str, str]) -> bool:
    """The port's search: names without case, all else exactly."""
    if "assignment_number" in query:
        return bool(person["primary_assignment"]["assignment_number"] == query["assignment_number"])
    names = [person["family_name"], *person["previous_family_names"]]
    given = query.get("given_name", person["given_name"])
    return (
        query.get("family_name", "").casefold() in [name.casefold() for name in names]
        and query.get("birthdate", person["birthdate"]) == person["birthdate"]
        and tokens(given)[:1] == tokens(person["given_name"])[:1]
    )


def _is_searched(details: dict[str, Any], query: dict[str, str]) -> bool:
    """The standard's search: every parameter that is given, without case."""
    return all(str(details.get(name, "")).casefold() == value.casefold() for name, value in query.items())


@asynccontextmanager
async def workforce_simulator(folder: Path, *, ods: str = "RBV") -> AsyncIterator[Workforce]:
    """Run the systems; the certificate authority to trust is `ca_file`."""
    authority = TlsAuthority(folder / "workforce-tls")
    async with tls_server(authority.server_context("localhost"), {}) as server:
        systems = Workforce(ca_file=authority.ca_file, ods=ods, server=server)
        # Any mapping does; the server looks paths up in it.
        server.routes = cast("dict[str, Behaviour]", systems)
        try:
            yield systems
        finally:
            systems.released.set()

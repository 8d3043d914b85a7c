"""The pilot's own tables from the register's facts: imported history, and what the demonstration added."""

from __future__ import annotations

import csv
import io
from typing import Any

from deploy.demo.onboarding import OPERATOR
from deploy.demo.story import Story
from deploy.demo.tour.record import Table
from deploy.demo.trusts import (
    CHRISTIE,
    F1_HEADER,
    F2_HEADER,
    MANCHESTER,
    NORTHERN_CARE,
    PILOT,
    PRINTED_F2,
    printed_f1,
)
from deploy.dev import register
from deploy.dev.deployment import Deployment
from deploy.dev.management import ManagementClient

BASELINE_MINUTES = 240
BASELINE_SOURCE = "Invented for this demonstration: nobody has measured it"
SHARE = 23.7
HISTORY_DAY = "2022-11-01"


def import_history(stack: Deployment, operator: ManagementClient) -> None:
    """What the trusts had counted before: table F1 less what the demonstration makes, marked as imported."""
    facts = []
    for trust in PILOT:
        for n in range(trust.imported_issued):
            data = {"day": HISTORY_DAY, "employing_ods": trust.ods, "source": "imported"}
            facts.append({"id": f"f1-issued-{trust.ods}-{n}", "type": "passport.issued", "data": data})
        for n in range(trust.imported_verified):
            data = {"day": HISTORY_DAY, "host_ods": trust.ods, "source": "imported"}
            facts.append({"id": f"f1-verified-{trust.ods}-{n}", "type": "passport.verified", "data": data})
    body = {
        "source_note": "Greater Manchester pilot report, table in section 4.2, less what is live here",
        "facts": facts,
        "actor": OPERATOR,
    }
    operator.post(stack.services["registry"].url, "/api/v1/activity/imports", body)


def baseline(stack: Deployment, operator: ManagementClient) -> None:
    """What an honorary contract costs HR, as an estimate with its source."""
    path = "/api/v1/reports/baselines/HONORARY_CONTRACT/*"
    body = {"minutes": BASELINE_MINUTES, "citation": BASELINE_SOURCE, "actor": OPERATOR}
    operator.put(stack.services["registry"].url, path, body, if_match='"0"')


def arrived(stack: Deployment, operator: ManagementClient, *, issued: int, verified: int) -> None:
    """Wait until the facts of issuer and verifier have reached the registry."""

    def there() -> bool:
        live = {figure["key"]: figure["value"] for figure in report(stack, operator, "f1")["figures"]}
        return bool(live["issued"] >= issued and live["verified"] >= verified)

    register.wait_until(there, "the activity of issuer and verifier at the registry")


def report(stack: Deployment, operator: ManagementClient, name: str) -> dict[str, Any]:
    """A report as JSON."""
    found: dict[str, Any] = operator.get(stack.services["registry"].url, f"/api/v1/reports/{name}")
    return found


def printed(stack: Deployment, operator: ManagementClient, name: str) -> list[list[str]]:
    """A report as CSV in the printed layout: header and rows."""
    text = operator.get(stack.services["registry"].url, f"/api/v1/reports/{name}?format=csv")
    return list(csv.reader(io.StringIO(text)))


def check(
    story: Story, stack: Deployment, operator: ManagementClient
) -> tuple[list[Table], list[tuple[str, str, str]]]:
    """Hold both tables and their oracles to the printed report (domain model, report tables)."""
    f1, f2 = printed(stack, operator, "f1"), printed(stack, operator, "f2")
    ours = {row[1]: row for row in f1[1:]}
    rows = [ours.get(trust.printed, []) for trust in PILOT]
    story.expect(",".join(f1[0]) == F1_HEADER, "table F1 has the columns the pilot printed")
    story.expect(
        rows == printed_f1(), "and says of all eight trusts what was printed: 38 issued, 40 verified"
    )
    story.expect(sum(int(row[5]) for row in rows) == 38, "38 passports issued in all")
    story.expect(sum(int(row[6]) for row in rows) == 40, "40 verified: more than issued, counted apart")
    gm = [row for row in rows if row[0].startswith("GM")]
    story.expect(
        (sum(int(row[5]) for row in gm), sum(int(row[6]) for row in gm)) == (38, 40),
        "all of them in Greater Manchester",
    )
    story.expect(sum(row[5] != "0" for row in rows) == 6, "six trusts have issued")
    story.expect(
        sum(row[6] != "0" for row in rows) == 7,
        "seven have verified: not every trust, as the report's text has it",
    )
    told = report(stack, operator, "f1")
    live = {column: sum(row[column] for row in told["rows"]) for column in ("issued_live", "verified_live")}
    story.expect(
        live == {"issued_live": 9, "verified_live": 9},
        "nine issued and nine verified are live, the rest is marked as imported",
    )
    story.expect(tuple(f2[0]) == F2_HEADER, "table F2 has the columns the pilot printed")
    story.expect(
        [tuple(row) for row in f2[1:]] == list(PRINTED_F2), "and the four lines it printed, word for word"
    )
    uses = report(stack, operator, "f2")
    story.expect(
        sum(row["passports"] for row in uses["rows"]) == 9, "nine passports in four professional groups"
    )
    _figures_hold(story, told, uses)
    avoided = report(stack, operator, "r5")
    honorary = _figure(avoided, "honorary_contracts")
    story.expect(honorary == 4, "four honorary contracts were not needed")
    _consistent(story, stack, operator)
    tables = [
        Table("F1, trusts and their passports", F1_HEADER.split(","), printed_f1(), rows, _sources(told)),
        Table(
            "F2, what passports were used for",
            F2_HEADER,
            [list(row) for row in PRINTED_F2],
            f2[1:],
            _sources(uses),
        ),
    ]
    saved = _figure(avoided, "saved_minutes")
    figures = [
        ("4", "honorary contracts not needed", "counted from moves whose host said so before the decision"),
        (
            f"{saved} minutes",
            "of HR time saved (an estimate)",
            f"baseline of {BASELINE_MINUTES} minutes each, less what was measured. {BASELINE_SOURCE}.",
        ),
        (
            f"{_figure(uses, 'share_of_issued')} %",
            "share of the nine in all passports issued",
            "9 of 38, as the report's figures give",
        ),
    ]
    return tables, figures


def _figures_hold(story: Story, f1: dict[str, Any], f2: dict[str, Any]) -> None:
    """The oracles beside the tables (domain model, report tables)."""
    span = [_figure(f1, key) for key in ("first_registration", "last_registration", "registration_days")]
    story.expect(
        span == ["2021-07-13", "2022-02-17", 219],
        "the first trust registered on 13 July 2021, the last 219 days later",
    )
    trained = (_figure(f1, "trusts_trained"), _figure(f1, "trusts_with_esr_api"))
    story.expect(
        trained == (len(PILOT), len(PILOT)), "all eight are trained and linked to their staff record"
    )
    parts = {
        "by_employing_trust": [2, 7],
        "by_host_trust": [1, 8],
        "by_use_case": [1, 1, 3, 4],
        "by_method": [9],
    }
    for key, wanted in parts.items():
        counted = sorted(one["value"] for one in f2["figures"] if one["key"] == key)
        story.expect(counted == wanted, f"nine {key.replace('_', ' ')}: {', '.join(map(str, wanted))}")
    story.expect(
        float(_figure(f2, "share_of_issued")) == SHARE, f"which is {SHARE} % of all that were issued"
    )


def _consistent(story: Story, stack: Deployment, operator: ManagementClient) -> None:
    matrix = report(stack, operator, "r3")
    story.expect(matrix["n"] == 40, "the matrix of employing and host trusts counts the same forty")
    issued = {trust.ods: trust.issued for trust in PILOT}
    verified = {trust.ods: trust.verified for trust in PILOT}
    fits = (
        issued[CHRISTIE.ods] >= 2
        and issued[MANCHESTER.ods] >= 7
        and verified[NORTHERN_CARE.ods] >= 8
        and verified[MANCHESTER.ods] >= 1
    )
    story.expect(fits, "and F2 fits into F1, trust by trust")
    for name in ("r1", "r2", "r4"):
        story.expect(report(stack, operator, name)["rows"], f"report {name.upper()} is made")


def _figure(told: dict[str, Any], key: str) -> Any:
    return next((one["value"] for one in told["figures"] if one["key"] == key), None)


def _sources(told: dict[str, Any]) -> str:
    return f"Of {told['n']} facts, {told['live']} are live and {told['imported']} imported."

"""Employees as the ESR-shaped port shows them (docs/workforce/esr-port.openapi.json)."""

from __future__ import annotations

from typing import Any

from deploy.simulators.employees import Assignment, Employee, Registration

PERFORMED_BY = "Recruitment services"


def summary(employee: Employee) -> dict[str, Any]:
    """Enough to choose between people of the same name. What is not held is left out."""
    primary = employee.primary
    return _held(
        {
            "person_id": employee.person_id,
            "title": employee.title,
            "given_name": employee.given_name,
            "middle_names": employee.middle_names,
            "family_name": employee.family_name,
            "previous_family_names": list(employee.previous_family_names),
            "preferred_name": employee.preferred_name,
            "birthdate": employee.birthdate.isoformat(),
            "work_email": employee.work_email,
            "primary_assignment": {
                "assignment_number": primary.assignment_number,
                "position_title": primary.position.title,
                "department": primary.position.department,
            },
        }
    )


def person(employee: Employee, organisation: str | None = None) -> dict[str, Any]:
    """The summary with the person's standing; `organisation` is whose person a lying system says it is."""
    leaving = employee.leaving_date
    return summary(employee) | _held(
        {
            "organisation": organisation or employee.ods,
            "nhs_start_date": employee.nhs_start_date.isoformat(),
            "employment_status": employee.employment_status,
            "leaving_date": leaving.isoformat() if leaving else None,
            "updated_at": f"{employee.updated_on.isoformat()}T02:00:00Z",
        }
    )


def assignments(employee: Employee) -> list[dict[str, Any]]:
    """Posts held, past ones included."""
    return [_assignment(one) for one in employee.assignments]


def registrations(employee: Employee) -> list[dict[str, Any]]:
    """Registrations as the nightly check found them."""
    return [_registration(one) for one in employee.registrations]


def checks(employee: Employee) -> list[dict[str, Any]]:
    """Right to work, DBS, identity and the outcome of occupational health: never what was behind it."""
    rtw = employee.right_to_work
    found = [
        _check(
            employee,
            "IDENTITY",
            employee.identity_checked_on.isoformat(),
            {"identity_scheme": "NHS_IDENTITY_CHECK_STANDARD", "gpg45_level": "NONE"},
        ),
        _check(
            employee,
            "RIGHT_TO_WORK",
            rtw.performed_on.isoformat(),
            {
                "permission": "UNTIL" if rtw.expires else "UNLIMITED",
                "permission_expires": rtw.expires.isoformat() if rtw.expires else "NONE",
                "route": rtw.route,
                "work_restriction": rtw.work_restriction,
            },
        ),
    ]
    if employee.dbs is not None:
        dbs = employee.dbs
        fields: dict[str, Any] = {
            "level": dbs.level,
            "workforce": dbs.workforce,
            "barred_lists": list(dbs.barred_lists),
            "certificate_issued_on": dbs.certificate_issued_on.isoformat(),
            "registered_body": dbs.registered_body,
            "update_service": dbs.update_service,
        }
        found.append(_check(employee, "DBS", dbs.performed_on.isoformat(), fields))
    if employee.clearance is not None:
        clearance = employee.clearance
        fields = {
            "outcome": "CLEARED_FOR_ROLE" if clearance.cleared else "NOT_YET_CLEARED",
            "role_category": clearance.role_category,
            "epp_cleared": clearance.epp_cleared,
        }
        outcome = "CLEARED" if clearance.cleared else "NOT_YET_CLEARED"
        found.append(
            _check(
                employee,
                "OCCUPATIONAL_HEALTH",
                clearance.performed_on.isoformat(),
                fields,
                outcome=outcome,
                role="Occupational health",
            )
        )
    return found


def _assignment(one: Assignment) -> dict[str, Any]:
    position = one.position
    return _held(
        {
            "assignment_number": one.assignment_number,
            "primary": one.primary,
            "assignment_type": one.assignment_type,
            "fte": one.fte,
            "start": one.start.isoformat(),
            "projected_end": one.projected_end.isoformat() if one.projected_end else None,
            "status": one.status,
            "position": {
                "position_number": position.position_number,
                "title": position.title,
                "staff_group": position.staff_group,
                "job_role": position.job_role,
                "occupation_code": position.occupation_code,
                "grade": position.grade,
                "department": position.department,
                "site": position.site,
            },
        }
    )


def _registration(one: Registration) -> dict[str, Any]:
    return {
        "regulator": one.regulator,
        "number": one.number,
        "register_part": one.register_part,
        "status": one.status,
        "licence_to_practise": one.licence_to_practise,
        "registers": list(one.registers),
        "restrictions": list(one.restrictions),
        "renewal_due": one.renewal_due.isoformat(),
        "checked_on": one.checked_on.isoformat(),
    }


def _check(
    employee: Employee,
    check_type: str,
    performed_on: str,
    fields: dict[str, Any],
    *,
    outcome: str = "CLEARED",
    role: str = PERFORMED_BY,
) -> dict[str, Any]:
    return {
        "check_type": check_type,
        "outcome": outcome,
        "performed_on": performed_on,
        "performed_by_role": role,
        "evidence_ref": f"ESR/{employee.person_id}/{check_type}/{performed_on}",
        "fields": fields,
    }


def _held(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}

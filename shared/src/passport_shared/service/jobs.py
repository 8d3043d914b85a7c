"""Leases, resumable jobs and periodic tasks under one name; each has its own module."""

from passport_shared.service.job_queue import Job, JobFailed, JobHandler, JobQueue, JobRun, JobState
from passport_shared.service.leases import JobTables, Lease, LeaseLost, Leases, tables
from passport_shared.service.runner import Periodic, Runner

__all__ = [
    "Job",
    "JobFailed",
    "JobHandler",
    "JobQueue",
    "JobRun",
    "JobState",
    "JobTables",
    "Lease",
    "LeaseLost",
    "Leases",
    "Periodic",
    "Runner",
    "tables",
]

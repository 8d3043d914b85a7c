"""The service kit: application factory, database, keys, outbox, audit, jobs."""

"""The issuer: gathers a staff member's records and issues their passport."""

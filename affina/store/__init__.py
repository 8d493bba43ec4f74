"""What is kept of releases in a database: versions, stages, approvals, lineage and the audit log."""

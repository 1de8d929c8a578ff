"""What people see of a running archivmail: metrics, logs, the audit trail."""

"""The use case: bring one account's archive up to date. Knows ports, not IMAP libraries, databases or Kubernetes."""

"""archivmail: archive IMAP mailboxes byte for byte and show how complete the archive is."""

__version__ = "0.1.0"

"""The IMAP client: the only home of imapclient."""

"""Write archived messages as files that other programs read: eml, Maildir++, mbox, tar. Never changes the archive."""

"""Make texts fit for everybody who may read a resource: no address, no character that a terminal would act on. Pure."""

import re

ADDRESS = re.compile(r"[^\s<>\"'(),;:\[\]]+@[^\s<>\"'(),;:\[\]]+")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
MAX_EXAMINED = 4096  # characters; what is longer is cut before a pattern meets it


def fit_for_people(text: str) -> str:
    """Names of folders are free text of mailbox owners and servers, and may be an address or hold anything."""
    return ADDRESS.sub("…", UNPRINTABLE.sub(" ", text[:MAX_EXAMINED]))

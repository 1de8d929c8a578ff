"""Which files of which packages a lock has a hash of: from pylock.toml (PEP 751) on standard input, without addresses.

A test reads the list: an image for arm64 is built from the same lock as one for amd64.
"""

import sys
import tomllib

lock = tomllib.load(sys.stdin.buffer)
for package in lock["packages"]:
    for wheel in package.get("wheels", ()):
        name = wheel["url"].rsplit("/", 1)[-1]
        if name.endswith("-any.whl") or ("manylinux" in name and ("x86_64" in name or "aarch64" in name)):
            print(f"{wheel['hashes']['sha256']}  {name}")

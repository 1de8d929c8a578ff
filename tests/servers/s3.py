"""An S3 server for the tests: versitygw over a directory, unprivileged, on loopback, with a bucket for each test.

Buckets are directories and objects are files, so a test can look at them, damage them and take them away by hand.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

from .binaries import find_program
from .lifetime import Lifetime
from .ports import release_port, reserve_port
from .process import Identity, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

READY_S = 30.0
HEALTH = "/healthz"
REGION = "eu-test-1"
PROBE = "user.archivmail.probe"


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """One bucket: `url` is what `--archive` takes, `environment` how to get there."""

    server: S3Server
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    @property
    def environment(self) -> Mapping[str, str]:
        return self.server.environment()

    @property
    def folder(self) -> Path:
        """Where its objects lie as files."""
        return self.server.buckets / self.name

    def objects(self) -> list[str]:
        """The keys of its objects, sorted; uploads that were never completed are none."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        keys = (path.relative_to(self.folder).as_posix() for path in files)
        return sorted(key for key in keys if not key.startswith(".sgwtmp/"))


class S3Server(Lifetime):
    """One server. A context manager; `create_bucket` gives an empty bucket."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self._program = find_program("versitygw")
        self._identity = Identity.unprivileged()
        self.folder = Path(tempfile.mkdtemp(prefix="archivmail-s3-"))
        self.buckets = self.folder / "buckets"
        self.port = reserve_port()
        self.access_key = f"AK{secrets.token_hex(9).upper()}"
        self.secret_key = secrets.token_hex(20)
        self._process: ServerProcess | None = None

    def begin(self) -> None:
        for folder in (self.folder, self.buckets, self._sidecar):
            folder.mkdir(exist_ok=True)
            self._own(folder)
        self._place_program()
        self.start()

    def close(self) -> None:
        """End the server and remove its folder."""
        self.stop(grace_s=0)
        shutil.rmtree(self.folder, ignore_errors=True)
        release_port(self.port)

    # The server: same port and same objects after a stop.

    def start(self) -> None:
        """Start it; returns when it answers."""
        metadata = [] if self._has_attributes() else ["--sidecar", self._sidecar]
        self._process = ServerProcess(
            [
                self.folder / "versitygw", "--port", f"{self.host}:{self.port}", "--region", REGION,
                "--health", HEALTH, "--quiet", "posix", *metadata, self.buckets,
            ],
            log=self.folder / "versitygw.log",
            env={"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key, "HOME": str(self.folder)},
            cwd=self.folder,
            identity=self._identity,
            remove_if_orphaned=[self.folder],
        )  # fmt: skip
        self._process.wait_until(self.is_ready, deadline_s=READY_S)

    def stop(self, *, grace_s: float = 5) -> None:
        if self._process is not None:
            self._process.stop(grace_s=grace_s)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop it in its tracks: connections stay open, nothing answers."""
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}{HEALTH}", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    @property
    def process(self) -> ServerProcess:
        assert self._process is not None
        return self._process

    # Access

    def create_bucket(self) -> S3Bucket:
        bucket = S3Bucket(self, f"archive-{secrets.token_hex(6)}")
        bucket.folder.mkdir()
        self._own(bucket.folder)
        return bucket

    def remove_bucket(self, bucket: S3Bucket) -> None:
        """With all that is in it."""
        shutil.rmtree(bucket.folder, ignore_errors=True)

    def environment(self, *, port: int | None = None) -> Mapping[str, str]:
        """What a client of this server needs: the variables that AWS's own tools read, and obstore's two for plain
        HTTP. `port`: of a proxy before it."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": f"http://{self.host}:{port or self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        }

    def _place_program(self) -> None:
        """In the cache it may lie below a home directory that its user cannot enter."""
        try:
            os.link(self._program, self.folder / "versitygw")
        except OSError:
            shutil.copy(self._program, self.folder / "versitygw")

    @property
    def _sidecar(self) -> Path:
        return self.folder / "sidecar"

    def _own(self, folder: Path) -> None:
        shutil.chown(folder, self._identity.effective_uid, self._identity.effective_gid)

    def _has_attributes(self) -> bool:
        """Whether the file system keeps what belongs to an object with its file; an older tmpfs does not."""
        try:
            os.setxattr(self.buckets, PROBE, b"1")
            os.removexattr(self.buckets, PROBE)
        except OSError:
            return False
        return True

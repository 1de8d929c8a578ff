"""The built image: its configuration, its files, and commands inside it as a kubelet would run them.

Needs root and buildah, no container engine and no registry (hack/image.sh). The first build takes 3 minutes, one after
a change of the sources about 1.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers.binaries import cache_folder, find_program

from .chart import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "localhost/archivmail:test"
BUILD_S = 900
RUN_S = 60


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """The image of this checkout's sources as they were when the test run began."""

    rootfs: Path
    config: Mapping[str, Any] = field(repr=False)

    def run(self, *command: str, volumes: Mapping[Path, str] | None = None) -> subprocess.CompletedProcess[str]:
        """The finished command; `volumes` are host folders and where they are mounted."""
        return subprocess.run(
            self.command(*command, volumes=volumes),
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_S,
        )

    def command(
        self, *command: str, volumes: Mapping[Path, str] | None = None, variables: Mapping[str, str] | None = None
    ) -> list[str]:
        """What to start, with `environment`; the process that it gives is the program's own."""
        mounts = [part for host, inside in (volumes or {}).items() for part in ("-v", f"{host}:{inside}")]
        settings = [part for name, value in (variables or {}).items() for part in ("-e", f"{name}={value}")]
        return [str(CHECKOUT / "hack" / "image-run.sh"), *mounts, *settings, *command]

    @property
    def environment(self) -> dict[str, str]:
        return {"ARCHIVMAIL_ROOTFS": str(self.rootfs)}


def build() -> BuiltImage:
    """The image, built when the sources have changed. Raises RuntimeError with the build's own words."""
    done = subprocess.run(
        [CHECKOUT / "hack" / "image.sh", "rootfs"], capture_output=True, text=True, check=False, timeout=BUILD_S
    )
    if done.returncode != 0:
        raise RuntimeError(f"hack/image.sh failed:\n{done.stderr[-4000:]}")
    cache = cache_folder()
    inspected = subprocess.run(
        [
            find_program("buildah"),
            *("--root", cache / "containers", "--runroot", cache / "containers-run"),
            *("inspect", "--type", "image", NAME),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=RUN_S,
    )
    return BuiltImage(Path(done.stdout.strip()), json.loads(inspected.stdout)["OCIv1"]["config"])

"""A server lives as long as a `with` block, and leaves nothing behind when it does not come up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Lifetime(ABC):
    """A context manager."""

    @abstractmethod
    def begin(self) -> None:
        """Lay out what it needs and start it."""

    @abstractmethod
    def close(self) -> None:
        """End it and remove what it wrote; also what a `begin` that failed has left."""

    def __enter__(self) -> Self:
        try:
            self.begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

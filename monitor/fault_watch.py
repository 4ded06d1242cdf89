"""Keeps one step of the daemon's loops from ending the others: what fails is in the journal, is alerted about, and is tried again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import structlog

from monitor.faults import STORE_ERRORS, fault_text
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from monitor.alerting import Alerting
    from monitor.storage_thread import StorageThread

T = TypeVar("T")
log = structlog.get_logger("rootwarden")


@dataclass(frozen=True, slots=True)
class FaultWatch:
    """Runs steps that are tried again and again anyway."""

    alerting: Alerting
    storage: StorageThread
    _well: set[str] = field(default_factory=set)

    async def run(self, step: str, function: Callable[[], Awaitable[T]]) -> T | None:
        """What ``function`` returns, None where it failed. An alert stands from the first failure of ``step`` to its next success.

        Errors of the store go to the journal only: nothing can be written then, or what was changed in it is alerted about elsewhere.
        """
        try:
            result = await function()
            if step not in self._well:
                await self.storage.run(lambda c: self.alerting.settle_fault(c, step))
                self._well.add(step)
        except STORE_ERRORS as error:
            log.error("failed", step=step, error=safe(str(error)))
        except Exception as error:  # noqa: BLE001 - a step that fails ends neither its loop nor the daemon
            log.error("failed", step=step, error=fault_text(error))
            self._well.discard(step)
            await self._tell(step, error)
        else:
            return result
        return None

    async def _tell(self, step: str, fault: Exception) -> None:
        try:
            await self.storage.run(lambda c: self.alerting.report_fault(c, step, fault))
        except Exception as error:  # noqa: BLE001 - what cannot be written is in the journal, and is tried again with the next failure
            log.error("not alerted", step=step, error=fault_text(error))

"""crewAI's questions, brought to an Asker. The one place that imports crewai: import it late, it takes seconds."""

from __future__ import annotations

from sayso.errors import ExtraMissing, Misconfigured

try:
    import crewai.execution  # noqa: F401 - came with 1.15.16
    from crewai.hooks import InterceptionPoint  # noqa: F401
except ModuleNotFoundError as exc:
    if exc.name == "crewai":
        raise ExtraMissing("crewai is not installed: pip install 'sayso[crewai]'") from exc
    raise Misconfigured("this crewai is too old for sayso: pip install -U 'crewai>=1.15.16'") from exc
except ImportError as exc:
    raise Misconfigured("this crewai is too old for sayso: pip install -U 'crewai>=1.15.16'") from exc

from sayso.adapters.crewai.approval import require_approval
from sayso.adapters.crewai.chat import chat_input
from sayso.adapters.crewai.endings import Rejected, Stopped, Unanswered
from sayso.adapters.crewai.events import HumanInputCompletedEvent, HumanInputRequiredEvent
from sayso.adapters.crewai.identity import execution
from sayso.adapters.crewai.install import install, stand_by
from sayso.adapters.crewai.pause import Pause
from sayso.adapters.crewai.resume import Resumed, resume
from sayso.adapters.crewai.tool import AskHuman

__all__ = [
    "AskHuman",
    "HumanInputCompletedEvent",
    "HumanInputRequiredEvent",
    "Pause",
    "Rejected",
    "Resumed",
    "Stopped",
    "Unanswered",
    "chat_input",
    "execution",
    "install",
    "require_approval",
    "resume",
    "stand_by",
]

"""A small IMAP server in this process: correct by default, and wrong exactly where a test says so."""

from .conversation import Conversation, CutError
from .served import Folder, Message, sample
from .server import ScriptedServer
from .transcript import Transcript

__all__ = ["Conversation", "CutError", "Folder", "Message", "ScriptedServer", "Transcript", "sample"]

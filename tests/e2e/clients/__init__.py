"""Real clients, as they are: one row each. client.py says what a row has to have."""
from .curl import Curl
from .fetchmail import Fetchmail
from .horde import Horde, HordeState
from .imapflow import Imapflow, ImapflowState
from .mbsync import Mbsync
from .mutt import Mutt, Neomutt
from .offlineimap import OfflineImap
from .python_imaplib import Imaplib, ImaplibState

CLIENTS = (Imaplib, Mbsync, OfflineImap, Fetchmail, Mutt, Neomutt, Curl, Imapflow, Horde)

# With the modules of the tree's clients/: the same work with STATE.
STATE_CLIENTS = (ImaplibState, ImapflowState, HordeState)

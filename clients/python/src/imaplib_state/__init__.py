"""imaplib with the IMAP STATE extension: a session that has been set up once is brought back by a token.

    import imaplib_state

    with imaplib_state.IMAP4_SSL("mail.example.org") as imap:
        imap.login("ann", password, saved, "INBOX")     # saved: what was stored the last time, or None
        imap.set_up("ENABLE", "QRESYNC")                # these are sent only if they were not restored
        imap.set_up("NOTIFY", "SET (SELECTED (MessageNew MessageExpunge FlagChange))")
        imap.select("INBOX")                            # and this, as it was selected in the write of the login
        ...
        store(imap.save())                              # asks the server only if there is something new to save

Everything of imaplib is there unchanged. A server without STATE is simply set up each time. P1 to P18 in the comments are
the rules of the extension's specification, docs/protocol.md of imapstate.
"""
import contextlib
import enum
import imaplib
import json
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

__all__ = ["IMAP4", "IMAP4_SSL", "Restored", "StateMixin"]
__version__ = "0.1.0"

_VERSION = 1  # of what save() makes; another one is not read
_TOKEN = re.compile(r"[!#$&'+-\[\]-z|}~]{1,2048}", re.ASCII)  # RFC 9051 section 9, ASTRING-CHAR: its form is the server's affair
_ONE_OF_A_KIND = ("LANGUAGE", "COMPARATOR", "NOTIFY")  # a later one takes the place of an earlier one
_STORABLE = ("ENABLE", *_ONE_OF_A_KIND)
# A mailbox that can be selected before it is known what is enabled. "&" and octets beyond ASCII are read in another way
# with UTF8=ACCEPT (RFC 6855 section 3), and parameters may want CONDSTORE or QRESYNC to be on.
_SAME_IN_ANY_STATE = re.compile(r'[^(){ %*"\\&\x00-\x1f\x7f-\U0010ffff]+|"(?:[^"\\&\x00-\x1f\x7f-\U0010ffff]|\\["\\])+"')

# imaplib refuses to send a command that is not in its table.
for _name, _states in {"STATE": ("AUTH",), "SAVESTATE": ("AUTH", "SELECTED"), "NOTIFY": ("AUTH", "SELECTED"),
                       "LANGUAGE": ("NONAUTH", "AUTH", "SELECTED"), "COMPARATOR": ("AUTH", "SELECTED")}.items():
    imaplib.Commands.setdefault(_name, _states)


class Restored(enum.Enum):
    """What has become of the saved state. Only DONE is true."""

    DONE = "done"                # the session is in exactly the saved state
    NOT_ASKED = "not asked"      # nothing was saved, or the server does not offer STATE
    REFUSED = "refused"          # the token will never do again (P5)
    UNAVAILABLE = "unavailable"  # it cannot be tried just now (P6); imaplib raises abort where it next waits if BYE followed

    def __bool__(self) -> bool:
        return self is Restored.DONE


_Answer = Tuple[str, List[Any]]    # as imaplib has it
_Command = Tuple[str, ...]         # name and arguments
if TYPE_CHECKING:
    _Base = imaplib.IMAP4
else:
    _Base = object


class StateMixin(_Base):
    """For any subclass of imaplib.IMAP4; IMAP4 and IMAP4_SSL below are made by it.

    restored  what has become of the state that was given to login() or restore(): a Restored
    saved     the string that is worth being stored now, or None: what was given, unless it was refused; what save() has
              got since. It opens nothing without the user's login, but is to be kept as carefully as a cookie
    """

    restored: Restored = Restored.NOT_ASKED
    saved: Optional[str] = None
    _behind = b""       # goes out in the same write as what is sent next
    _tracking = False
    _covered: Tuple[_Command, ...] = ()    # commands in the state, in their order
    _covered_saved: Optional[Tuple[_Command, ...]] = None
    _has_list = False   # has a capability list come with the login?
    _selected: Optional[_Command] = None   # what select() would send; it is selected, but select() was not called yet
    _answer: Tuple[str, List[Any], Dict[str, List[Any]]]    # to that, and the untagged responses with it

    @property
    def covered(self) -> Tuple[str, ...]:
        """The commands that are in the state, so that a later session which restores it need not send them."""
        return tuple(" ".join(command) for command in self._covered)

    def covers(self, name: str, arguments: str) -> bool:
        """Is this set-up command in the state? An ENABLE is if all its names are."""
        command = _command(name, arguments)
        if command[0] != "ENABLE":
            return command in self._covered
        enabled = {each for kind, names in self._covered if kind == "ENABLE" for each in names.split()}
        return enabled.issuperset(command[1].split())

    def set_up(self, name: str, arguments: str) -> _Answer:
        """ENABLE, LANGUAGE, COMPARATOR or NOTIFY by the method of that name, unless the state covers it. Gives what the
        method gives, or ("OK", [None]).

        Call it for each command of the set-up, in the same order each time. If the set-up of your program changes, forget
        what is stored: a restored session has all that was saved (P4), also what is not asked for any more."""
        if name.upper() not in _STORABLE:
            raise self.error(f"{name} is not among the commands that STATE stores: {', '.join(_STORABLE)}")
        if self.covers(name, arguments):
            return "OK", [None]
        return getattr(self, name.lower())(arguments)

    def login(self, user: str, password: str, saved: Optional[str] = None, mailbox: Optional[str] = None,
              readonly: bool = False) -> _Answer:
        """As in imaplib; in the same write the saved state is restored or, with none, tracking is turned on (P3, P11).

        mailbox, readonly: the first select() that will be called, if that is known. Together with a saved state it is
        sent ahead, so that select() need not wait; it has to be called all the same.

        Afterwards `capabilities` is the list that came with the login, and `restored` tells what has become of `saved`.
        """
        if not self._may_ask(saved):
            answer = self._with_list(super().login, user, password)
            self.restore(saved, mailbox, readonly)  # should the list that came with it offer STATE
            return answer
        token = self._token()
        state, select = self._ahead("STATE", token), self._select_ahead(token, mailbox, readonly)
        try:
            answer = self._with_list(super().login, user, password)
        except self.abort:
            raise
        except self.error:
            if not self._behind:  # it was sent: the login is refused, and so is what stands behind it (P11)
                with contextlib.suppress(self.abort):
                    self._get_tagged_response(state)
                    self._take_selected(select)
            raise
        finally:
            self._behind = b""
        self._take_state(self._get_tagged_response(state)[0])
        self._take_selected(select)
        return answer

    def authenticate(self, mechanism: str, authobject: Callable[[bytes], Optional[bytes]]) -> _Answer:
        """As in imaplib; afterwards `capabilities` is the list that came with the login."""
        return self._with_list(super().authenticate, mechanism, authobject)

    def restore(self, saved: Optional[str] = None, mailbox: Optional[str] = None, readonly: bool = False) -> Restored:
        """Restores what save() gave in an earlier session, or with None just turns tracking on. Gives `restored`.

        For sessions that were authenticated by other means than login(), directly after that: once something is enabled
        nothing is restored (P7). mailbox, readonly: as for login()."""
        if self._may_ask(saved):
            token = self._token()
            select = self._select_ahead(token, mailbox, readonly)
            try:
                self._take_state(self._simple_command("STATE", token)[0])
            finally:
                was_sent, self._behind = not self._behind, b""
                if was_sent:
                    self._take_selected(select)
        return self.restored

    def save(self) -> Optional[str]:
        """Has the server seal the state, if it is not the saved one already; call it at any time after the set-up:
        with a mailbox selected, too. Gives `saved`, which stays what it was if the server has no STATE or refuses (P8)."""
        if not self._tracking or self._covered == self._covered_saved:
            return self.saved
        if not self._has_list:
            self._get_capabilities()
        if self._simple_command("SAVESTATE")[0] == "OK":
            token = self.untagged_responses.pop("SAVESTATE")[-1].decode("ascii")
            self.saved = json.dumps({"version": _VERSION, "token": token, "commands": self._covered,
                                     "capabilities": self.capabilities})
            self._covered_saved = self._covered
        return self.saved

    def notify(self, *args: str) -> _Answer:
        """NOTIFY (RFC 5465): notify("SET (SELECTED (MessageNew MessageExpunge))"), notify("NONE")."""
        return self._simple_command("NOTIFY", *args)

    def language(self, *ranges: str) -> _Answer:
        """LANGUAGE (RFC 5255): language("DE"); without arguments the list of languages. data: the LANGUAGE response."""
        return self._untagged_response(*self._simple_command("LANGUAGE", *ranges), "LANGUAGE")

    def comparator(self, *names: str) -> _Answer:
        """COMPARATOR (RFC 5255): comparator("i;unicode-casemap"). data: the COMPARATOR response."""
        return self._untagged_response(*self._simple_command("COMPARATOR", *names), "COMPARATOR")

    def capability(self) -> _Answer:
        """As in imaplib, but without a round trip if the server has volunteered its list, as most do in the greeting."""
        if "CAPABILITY" not in self.untagged_responses:
            return super().capability()
        # imaplib takes a response code to reach to the last bracket of its line.
        return "OK", [data.partition(b"]")[0] for data in self.untagged_responses.pop("CAPABILITY")]

    def send(self, data):
        behind, self._behind = self._behind, b""
        super().send(data + behind)

    def _command(self, name, *args):
        if self._selected:
            if name not in ("SELECT", "EXAMINE", "LOGOUT"):  # as if it were not selected: ENABLE is not allowed then
                self._unselect()
            self._selected = None
        return super()._command(name, *args)

    def _simple_command(self, name, *args):
        if self._selected == (name, *args):  # select()
            self._selected = None
            typ, data, self.untagged_responses = self._answer
            return typ, data
        self.untagged_responses.pop("STATECMD", None)
        typ, data = super()._simple_command(name, *args)
        # The list has changed. One that came with STARTTLS is not the one under TLS: imaplib asks, as it must (RFC 9051
        # section 6.2.1), since there is none here any more.
        if "CAPABILITY" in self.untagged_responses and name not in ("CAPABILITY", "LOGIN", "AUTHENTICATE"):
            self._get_capabilities()
        if typ == "OK" and name in _STORABLE:
            self._cover(_command(name, " ".join(args)))
        return typ, data

    def _with_list(self, log_in, *args):
        """A login, and the list that comes with it, which imaplib itself takes over in newest versions of Python only."""
        before = self.capabilities
        answer = log_in(*args)
        if "CAPABILITY" in self.untagged_responses:
            self._get_capabilities()
        self._has_list = self.capabilities is not before
        return answer

    def _cover(self, command):
        """A storable command has completed. One that is not announced is in effect, but not in the state (P9, P10); one that
        replaces a stored command has removed that in any case."""
        if command[0] in _ONE_OF_A_KIND and command[1]:
            self._covered = tuple(each for each in self._covered if each[0] != command[0])
        # imaplib has one command in flight at a time, so the tag in the code can only be this command's.
        if self.untagged_responses.pop("STATECMD", None):
            self._covered += (command,)

    def _may_ask(self, saved):
        self.saved, self.restored = saved, Restored.NOT_ASKED
        return "STATE" in self.capabilities

    def _token(self):
        """The token of what is saved; None, and nothing is saved, if that cannot be read."""
        try:
            return _read(self.saved)["token"]
        except ValueError:
            self.saved = None
            return None

    def _take_state(self, typ):
        """STATE was answered. Tracking is on after OK, also if nothing could be restored (P3, P5)."""
        self._tracking = self._tracking or typ == "OK"
        if self.saved is None:
            return
        if self.untagged_responses.pop("STATE", None):
            self.restored = Restored.DONE
            self._take_over(_read(self.saved))
        elif typ == "NO":
            self.restored = Restored.UNAVAILABLE
        else:
            self.restored, self.saved = Restored.REFUSED, None

    def _ahead(self, name, argument):
        """A command that goes out in the same write as the next one. Gives its tag."""
        tag = self._new_tag()
        self._behind += b" ".join((tag, *(each.encode("ascii") for each in (name, argument) if each))) + imaplib.CRLF
        return tag

    def _select_ahead(self, token, mailbox, readonly):
        """The same for what select() would send, if a token goes before it, and if it is right whatever becomes of that
        (P11). Gives its tag and itself, or None."""
        if not (token and mailbox and _SAME_IN_ANY_STATE.fullmatch(mailbox)):
            return None
        command = ("EXAMINE" if readonly else "SELECT", mailbox)
        return self._ahead(*command), command

    def _take_selected(self, select):
        """Reads the answer to the SELECT that was sent ahead. It stands only in the restored state: what is to be set up now
        comes before a SELECT. One that is refused is sent again by select(), which then tells why."""
        if not select:
            return
        tag, command = select
        before, self.untagged_responses = self.untagged_responses, {}
        typ, data = self._get_tagged_response(tag)
        if "CAPABILITY" in self.untagged_responses:
            self._get_capabilities()
        if typ == "OK":
            self._selected, self._answer = command, (typ, data, self.untagged_responses)
        for name in {"OK", "ALERT"}.intersection(self.untagged_responses):  # an alert's text is with OK
            before[name] = before.get(name, []) + self.untagged_responses[name]
        self.untagged_responses = before
        if self._selected and not self.restored:
            self._unselect()

    def _unselect(self):
        """Leaves what is selected; without CLOSE where it is writable, as that expunges (RFC 3501 section 6.4.2)."""
        untagged, literal, self.literal = self.untagged_responses, self.literal, None
        (_, mailbox), self._selected, self.state = self._selected, None, "SELECTED"
        if "UNSELECT" in self.capabilities:
            self.unselect()
        elif self.select(mailbox, readonly=True)[0] == "OK":
            self.close()
        self.untagged_responses, self.literal, self.is_readonly = untagged, literal, False

    def _take_over(self, content):
        self._covered = self._covered_saved = tuple(map(tuple, content["commands"]))
        if not self._has_list:  # the saved one is still true, or the token would have been refused (P12)
            self.capabilities = tuple(content["capabilities"])
            self._has_list = True
        if self.covers("ENABLE", "UTF8=ACCEPT"):
            self._mode_utf8()  # as enable() does


def _command(name, arguments):
    """A command in one spelling. Mailbox names in NOTIFY are the only arguments in which case matters."""
    name = name.upper()
    return name, (arguments if name == "NOTIFY" else arguments.upper())


def _read(saved):
    """What save() has made, as a dict. ValueError: it is something else."""
    content = json.loads(saved or "null")
    try:
        if content["version"] == _VERSION and _TOKEN.fullmatch(content["token"]) and _are_texts(content["capabilities"]) \
                and all(len(command) == 2 and _are_texts(command) for command in content["commands"]):
            return content
    except (TypeError, KeyError):
        pass
    raise ValueError("not made by save() of this version")


def _are_texts(values):
    return all(isinstance(value, str) for value in values)


class IMAP4(StateMixin, imaplib.IMAP4):
    """imaplib.IMAP4 with STATE. A server that demands TLS offers it after starttls()."""


if hasattr(imaplib, "IMAP4_SSL"):
    class IMAP4_SSL(StateMixin, imaplib.IMAP4_SSL):
        """imaplib.IMAP4_SSL with STATE."""

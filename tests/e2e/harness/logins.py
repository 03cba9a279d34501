"""Ways in which a client can log in, done to the letter: LOGIN in all its forms and the SASL mechanisms."""
import base64
import hashlib
import hmac
import os

from .imap import Answer, literal, quoted

_NOT_IN_ATOMS = set(b'(){ %*"\\')


def is_atom(text):
    """Can the text stand in a LOGIN as it is (RFC 9051 section 9, astring)?"""
    return bool(text) and text.isascii() and not _NOT_IN_ATOMS & set(text.encode()) and text.isprintable()


def is_quotable(text):
    return not set(text) & set("\r\n")


def encoded(octets):
    return base64.b64encode(octets.encode() if isinstance(octets, str) else octets)


def by_atoms(client, user, password):
    return client.command(f"LOGIN {user} {password}")


def by_quoted_strings(client, user, password):
    return client.command(b"LOGIN " + quoted(user) + b" " + quoted(password))


def by_plus_literals(client, user, password):
    return client.command(b"LOGIN " + literal(user) + b" " + literal(password))


def by_literals(client, user, password):
    """Synchronizing ones: each waits for its "+"."""
    tag, user, password = client.next_tag(), user.encode(), password.encode()
    client.send(b"%s LOGIN {%d}\r\n" % (tag.encode(), len(user)))
    client.continuation()
    client.send(user + b" {%d}\r\n" % len(password))
    client.continuation()
    client.send(password + b"\r\n")
    return client.wait(tag)


def plain(user, password, authorization=""):
    return f"{authorization}\0{user}\0{password}".encode()


def by_plain(client, user, password, authorization=""):
    return converse(client, "PLAIN", plain(user, password, authorization))


def by_plain_at_once(client, user, password, authorization=""):
    return client.command(b"AUTHENTICATE PLAIN " + encoded(plain(user, password, authorization)))


def by_mechanism_login(client, user, password):
    return converse(client, "LOGIN", user.encode(), password.encode())


def by_mechanism_login_at_once(client, user, password):
    tag = client.start(b"AUTHENTICATE LOGIN " + encoded(user))
    assert base64.b64decode(client.continuation()) == b"Password:"
    client.send(encoded(password) + b"\r\n")
    return client.wait(tag)


def converse(client, mechanism, *messages):
    """AUTHENTICATE without an initial response, then the messages, each behind a challenge; gives the answer."""
    tag = client.start(f"AUTHENTICATE {mechanism}")
    for message in messages:
        if (response := client.response()).startswith(tag.encode()):
            return Answer([], response)
        assert response.startswith(b"+"), response
        client.send(encoded(message) + b"\r\n")
    return client.wait(tag)


# Name, function, and which texts (user, password) it can carry.
WAYS = {
    "LOGIN with atoms": (by_atoms, is_atom),
    "LOGIN with quoted strings": (by_quoted_strings, is_quotable),
    "LOGIN with literals": (by_literals, lambda text: True),
    "LOGIN with {n+}": (by_plus_literals, lambda text: True),
    "PLAIN": (by_plain, lambda text: True),
    "PLAIN at once": (by_plain_at_once, lambda text: True),
    "AUTH=LOGIN": (by_mechanism_login, lambda text: True),
    "AUTH=LOGIN at once": (by_mechanism_login_at_once, lambda text: True),
}


def ways_for(*texts):
    return [name for name, (_, can_carry) in WAYS.items() if all(can_carry(text) for text in texts)]


def by(way, client, *credentials):
    return WAYS[way][0](client, *credentials)


def by_cram_md5(client, user, password, spelling="CRAM-MD5"):
    tag = client.start(f"AUTHENTICATE {spelling}")
    challenge = base64.b64decode(client.continuation())
    digest = hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()
    client.send(encoded(f"{user} {digest}") + b"\r\n")
    return client.wait(tag)


class Scram:
    """RFC 5802 without channel binding. authorization: on whose behalf. flag: "y" if we could do it, but the server does not
    offer it."""

    def __init__(self, name, user, password, authorization="", flag="n"):
        self.hash = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[name]
        self.password = password.encode()
        self.gs2 = f"{flag}," + (f"a={_saslname(authorization)}" if authorization else "") + ","
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.bare = f"n={_saslname(user)},r={self.nonce}"
        self.server_signature = b""

    def first(self):
        return (self.gs2 + self.bare).encode()

    def final(self, challenge):
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        assert fields["r"].startswith(self.nonce), "the server's nonce does not begin with ours"
        without_proof = f"c={encoded(self.gs2).decode()},r={fields['r']}"
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", self.hash)
        said = f"{self.bare},{challenge.decode()},{without_proof}".encode()
        signature = hmac.digest(hashlib.new(self.hash, client_key).digest(), said, self.hash)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.server_signature = hmac.digest(hmac.digest(salted, b"Server Key", self.hash), said, self.hash)
        return f"{without_proof},p={encoded(proof).decode()}".encode()

    def assert_server_knows_us(self, message):
        assert message == b"v=" + encoded(self.server_signature)


def by_scram(client, name, user, password, authorization="", at_once=True, flag="n"):
    scram = Scram(name, user, password, authorization, flag)
    first = encoded(scram.first())
    tag = client.start(f"AUTHENTICATE {name}".encode() + (b" " + first if at_once else b""))
    if not at_once:
        assert client.continuation() == b""
        client.send(first + b"\r\n")
    response = client.response()
    if not response.startswith(b"+"):
        return Answer([], response)
    client.send(encoded(scram.final(base64.b64decode(response[1:].strip()))) + b"\r\n")
    response = client.response()
    if not response.startswith(b"+"):
        return Answer([], response)
    scram.assert_server_knows_us(base64.b64decode(response[1:].strip()))
    client.send(b"\r\n")
    return client.wait(tag)


def xoauth2(user, token):
    return f"user={user}\1auth=Bearer {token}\1\1".encode()


def oauthbearer(token, user=None, host="host=mail.example.org\1port=993\1"):
    return f"n,{f'a={_saslname(user)}' if user else ''},\1{host}auth=Bearer {token}\1\1".encode()


def _saslname(name):
    return name.replace("=", "=3D").replace(",", "=2C")

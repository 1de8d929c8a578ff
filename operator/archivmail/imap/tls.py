"""TLS as the account asks for it, and one clear sentence for each way in which it can be refused."""

import ssl
from dataclasses import dataclass

from archivmail.model.account import Endpoint
from archivmail.model.errors import ArchivmailError, ConnectionLost, TlsRefused

# X509_V_ERR_* of openssl/x509_vfy.h; the ssl module gives only the numbers.
_NOT_YET_VALID = 9
_EXPIRED = 10
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 24, 27})
_WEAK = frozenset({66, 67, 68})
_WRONG_NAME = frozenset({62, 64})

_NO_TLS_THERE = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
_NO_COMMON_GROUND = frozenset({
    "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW",
    "NO_SHARED_CIPHER", "DH_KEY_TOO_SMALL", "WRONG_SIGNATURE_TYPE",
    "LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED", "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
})  # fmt: skip


def context_for(endpoint: Endpoint) -> ssl.SSLContext:
    """A verifying context, TLS 1.2 or newer; the account's own authorities are trusted besides the system's.

    Raises TlsRefused when they cannot be read.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if endpoint.ca_pem:
        try:
            context.load_verify_locations(cadata=endpoint.ca_pem)
        except (ssl.SSLError, ValueError) as error:
            raise TlsRefused(
                "the CA certificate in the Secret named by spec.tls.caSecretRef is not valid PEM; replace it"
            ) from error
        # Python 3.13 asks private authorities for key usage and identifiers that many lack (trap 99), and 3.11 does
        # not: the same account must work the same everywhere.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


@dataclass(frozen=True, slots=True)
class Side:
    """Whom a sentence is about, and what sets its address."""

    who: str
    another_port: str
    another_name: str


MAIL_SERVER = Side(
    "the server",
    "set spec.tls.mode to StartTLS, or spec.port to the port for TLS (993)",
    "correct spec.host, or set spec.tls.serverName to the name in the certificate",
)
TOKEN_ENDPOINT = Side(
    "the token endpoint", "correct spec.auth.oauth2.tokenURL", "correct the host in spec.auth.oauth2.tokenURL"
)


def refusal(error: ssl.SSLError | ssl.CertificateError, endpoint: Endpoint, of: Side = MAIL_SERVER) -> ArchivmailError:
    """The error of a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsRefused(_certificate_sentence(error.verify_code, error.verify_message, endpoint, of))
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS_THERE:
        return TlsRefused(f"{of.who} does not speak TLS on port {endpoint.port} from the first byte; {of.another_port}")
    if reason in _NO_COMMON_GROUND:
        return TlsRefused(f"{of.who} offers no TLS 1.2 or newer with a safe cipher; it must be updated")
    if reason == "SSLV3_ALERT_HANDSHAKE_FAILURE":  # how OpenSSL with TLS 1.2 says either
        return TlsRefused(
            f"{of.who} refused the TLS handshake: it has no cipher that is safe, or asks for a client certificate,"
            " which archivmail does not have; it must be set up otherwise"
        )
    if asks_for_a_certificate(error):
        return wants_a_certificate(of)
    return ConnectionLost(f"the TLS handshake with {of.who} broke off; it is tried again by itself")


def asks_for_a_certificate(error: OSError) -> bool:
    """The server ended the connection because no client certificate came.

    TLS 1.3 tells only after the handshake (RFC 8446 §4.4.2.4), with the first octets that are read.
    """
    reason = getattr(error, "reason", None) or ""
    return isinstance(error, ssl.SSLError) and "ALERT" in reason and ("CERT" in reason or "UNKNOWN_CA" in reason)


def wants_a_certificate(of: Side = MAIL_SERVER) -> TlsRefused:
    return TlsRefused(f"{of.who} asks for a client certificate, which archivmail does not have; it must not ask")


def _certificate_sentence(code: int, message: str, endpoint: Endpoint, of: Side) -> str:
    name = endpoint.server_name or endpoint.host
    if code == _EXPIRED:
        return f"the certificate of {of.who} has expired; it must be renewed there"
    if code == _NOT_YET_VALID:
        return f"the certificate of {of.who} is not yet valid; check the clocks there and of this machine"
    if code in _WRONG_NAME:
        return f"the certificate of {of.who} is not for {name}; {of.another_name}"
    if code in _UNKNOWN_AUTHORITY:
        return (
            f"the certificate of {of.who} is signed by an unknown authority; "
            "name a Secret with the authority's certificate in spec.tls.caSecretRef"
        )
    if code in _WEAK:
        return f"the certificate of {of.who} has a key or signature that is too weak; it must be renewed there"
    return f"the certificate of {of.who} cannot be trusted ({message}); it must be replaced there"

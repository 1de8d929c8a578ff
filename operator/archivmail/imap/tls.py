"""TLS as the account asks for it, and one clear sentence for each way in which it can be refused."""

import ssl

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
    "SSLV3_ALERT_HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "DH_KEY_TOO_SMALL", "WRONG_SIGNATURE_TYPE",
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


def refusal(error: ssl.SSLError | ssl.CertificateError, endpoint: Endpoint) -> ArchivmailError:
    """The error of a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsRefused(_certificate_sentence(error.verify_code, error.verify_message, endpoint))
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS_THERE:
        return TlsRefused(
            f"the server does not speak TLS on port {endpoint.port} from the first byte; "
            "set spec.tls.mode to StartTLS, or spec.port to the port for TLS (993)"
        )
    if reason in _NO_COMMON_GROUND:
        return TlsRefused("the server offers no TLS 1.2 or newer with a safe cipher; it must be updated")
    if "ALERT" in reason and ("CERT" in reason or "UNKNOWN_CA" in reason):
        return TlsRefused("the server asks for a client certificate, which archivmail does not have")
    return ConnectionLost("the TLS handshake with the server broke off; it is tried again by itself")


def _certificate_sentence(code: int, message: str, endpoint: Endpoint) -> str:
    name = endpoint.server_name or endpoint.host
    if code == _EXPIRED:
        return "the server's certificate has expired; it must be renewed on the server"
    if code == _NOT_YET_VALID:
        return "the server's certificate is not yet valid; check the clocks of the server and of this machine"
    if code in _WRONG_NAME:
        return (
            f"the server's certificate is not for {name}; "
            "correct spec.host, or set spec.tls.serverName to the name in the certificate"
        )
    if code in _UNKNOWN_AUTHORITY:
        return (
            "the server's certificate is signed by an unknown authority; "
            "name a Secret with the authority's certificate in spec.tls.caSecretRef"
        )
    if code in _WEAK:
        return "the server's certificate uses a key or signature that is too weak; it must be renewed on the server"
    return f"the server's certificate cannot be trusted ({message}); it must be replaced on the server"

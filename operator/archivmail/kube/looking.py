"""A fresh look at the object of an account: what the API server says now, not what a watch said some time ago."""

from archivmail.kube.api import Document, KubeApi
from archivmail.kube.live import LiveAccount, seen
from archivmail.model.status import AccountStatus


async def look(api: KubeApi, account: LiveAccount) -> tuple[Document, AccountStatus] | None:
    """The object and its status; None when it is gone, or another one has its name: the account leaves then.

    Raises ApiUnavailable and ApiForbidden.
    """
    document = await api.get_account(account.ref)
    if document is None or document["metadata"]["uid"] != account.seen.uid:
        account.leave(gone=True)
        return None
    now, status = seen(document)
    account.look_at(now)
    return document, status

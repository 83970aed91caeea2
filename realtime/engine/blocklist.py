"""Tokens that were revoked before their time: by their id, or all of a person's until a moment.

A trigger tells the hubs of each new row, so that what speaks by such a token is cut in the order of
all changes. Who signs for us puts `iat` and `jti` into a token; one without `iat` counts as older
than any moment.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from realtime.engine.conf import settings
from realtime.engine.models import RevokedToken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realtime.engine.members import Credential


def revoke(user: str, token_id: str = "") -> RevokedToken:
    """End one token of this user, or all that are there by now. It counts from its commit on.

    All: and those that are signed within TOKEN_LEEWAY_S after it.
    """
    return RevokedToken.objects.create(user=user, token_id=token_id)


def refused(vouchers: Iterable[Credential]) -> set[Credential]:
    """Those of them, each a token, that were revoked; one question for all, none for none."""
    by_user = defaultdict(list)
    for voucher in vouchers:
        by_user[voucher.token_user].append(voucher)
    if not by_user:
        return set()
    ids = {voucher.token_id for vouchers in by_user.values() for voucher in vouchers}
    rows = RevokedToken.objects.filter(user__in=by_user, token_id__in=ids | {""})
    return {voucher for row in rows for voucher in by_user[row.user] if _ends(row, voucher)}


def _ends(row: RevokedToken, voucher: Credential) -> bool:
    if row.token_id:
        return row.token_id == voucher.token_id
    # a clock that runs ahead dates what it signed before behind the revocation
    until = row.revoked_at.timestamp() + settings.TOKEN_LEEWAY_S
    return voucher.issued_at is None or voucher.issued_at <= until

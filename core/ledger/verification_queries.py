"""Statements of verification: which proofs have been used."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

# The case for whoever holds one of its tokens, before anybody looks at the proofs that came with it.
TOKENS_CASE = Statement(
    "tokens_case",
    """
    SELECT c.* FROM cases c JOIN case_tokens k ON k.case_id = c.case_id
    WHERE c.case_id = :case_id AND k.token_hash = :token_hash AND k.revoked_at IS NULL
    """,
)
USED_EVIDENCE = Statement(
    "used_evidence",
    "SELECT evidence_hash FROM used_evidence WHERE evidence_hash IN (SELECT value FROM json_each(:marks))",
    """
    SELECT evidence_hash FROM used_evidence
    WHERE evidence_hash = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:marks AS jsonb))))
    """,
)
INSERT_USED_EVIDENCE = insert("used_evidence", "evidence_hash case_id used_at")
FORGET_USED_EVIDENCE = Statement("forget_used_evidence", "DELETE FROM used_evidence WHERE used_at < :before")

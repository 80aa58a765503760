-- What `assent verify` asks the database, each of which must find nothing:
--   psql -qAtX "$DATABASE_URL" -f postgresql.sql
-- Hashes and signatures are not checked here; `assent verify` does that.
-- Written by `assent verify --sql postgresql`.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

SELECT 'duplicate interactions' AS oracle, key, 'this reply is in the ledger more than once' AS detail FROM (
    SELECT workflow_id || ' ' || gate_key || ' ' || topic || ' ' || dedupe_key AS key FROM human_interactions
    GROUP BY workflow_id, gate_key, topic, dedupe_key HAVING count(*) > 1
) AS found;

SELECT 'duplicate decisions' AS oracle, key, 'this gate was decided more than once' AS detail FROM (
    SELECT workflow_id || ' ' || key AS key FROM decisions GROUP BY workflow_id, key HAVING count(*) > 1
) AS found;

SELECT 'phantom prompts' AS oracle, key, 'two cases stand behind this gate' AS detail FROM (
    SELECT workflow_id || ' ' || gate_key AS key FROM cases GROUP BY workflow_id, gate_key HAVING count(*) > 1
) AS found;

SELECT 'phantom prompts' AS oracle, key, 'this was asked, and no case stands behind it' AS detail FROM (
    SELECT e.workflow_id || ' ' || e.key AS key FROM workflow_events e LEFT JOIN cases c
        ON c.case_id = e.case_id AND c.workflow_id = e.workflow_id AND c.gate_key = e.gate_key
    WHERE e.key = 'ui:' || e.gate_key AND c.case_id IS NULL
) AS found;

SELECT 'phantom prompts' AS oracle, key, 'this gate is open, and its workflow was never told what is asked' AS detail FROM (
    SELECT c.workflow_id || ' ' || c.gate_key AS key FROM runs r JOIN cases c ON c.workflow_id = r.workflow_id
    LEFT JOIN workflow_events e ON e.workflow_id = c.workflow_id AND e.key = 'ui:' || c.gate_key
    WHERE e.key IS NULL
) AS found;

SELECT 'events without a decision' AS oracle, key, 'nothing was decided that this could announce' AS detail FROM (
    SELECT e.event_id AS key FROM decision_events e LEFT JOIN decisions d ON d.case_id = e.case_id
    WHERE d.case_id IS NULL
) AS found;

SELECT 'decided cases with a source and no event' AS oracle, key, 'executors were never told' AS detail FROM (
    SELECT d.case_id AS key FROM decisions d JOIN cases c ON c.case_id = d.case_id
    LEFT JOIN tasks t ON t.case_id = d.case_id LEFT JOIN decision_events e ON e.case_id = d.case_id
    WHERE c.source_id IS NOT NULL AND e.event_id IS NULL
        AND (t.case_id IS NULL OR d.verdict <> 'APPROVE' OR t.dispatched_at IS NOT NULL)
) AS found;

SELECT 'decisions without a case' AS oracle, key, 'the case of this decision is gone' AS detail FROM (
    SELECT d.case_id AS key FROM decisions d LEFT JOIN cases c ON c.case_id = d.case_id WHERE c.case_id IS NULL
) AS found;

SELECT 'decisions without an accepted interaction' AS oracle, key, 'the ledger has no reply that this decision rests on' AS detail FROM (
    SELECT d.case_id AS key FROM decisions d
    LEFT JOIN human_interactions i ON i.interaction_id = d.interaction_id AND i.case_id = d.case_id
        AND i.workflow_id = d.workflow_id AND d.key = 'decision:' || i.gate_key
    WHERE i.interaction_id IS NULL
) AS found;

SELECT 'decisions without an accepted interaction' AS oracle, key, 'this case is closed, and the ledger has no row that closed it' AS detail FROM (
    SELECT c.case_id AS key FROM cases c LEFT JOIN decisions d ON d.case_id = c.case_id
       LEFT JOIN human_interactions i ON 
       i.interaction_id = COALESCE(d.interaction_id, (
           SELECT h.interaction_id FROM human_interactions h WHERE h.case_id = c.case_id AND h.topic <> 'sys:erase'
           ORDER BY h.created_at DESC LIMIT 1))
    AND i.case_id = c.case_id
       WHERE c.status IN ('cancelled', 'completed', 'expired') AND i.interaction_id IS NULL
) AS found;

SELECT 'ledger rows without a case' AS oracle, key, 'the case of this ledger row is gone' AS detail FROM (
    SELECT i.interaction_id AS key FROM human_interactions i LEFT JOIN cases c ON c.case_id = i.case_id
    WHERE c.case_id IS NULL
) AS found;

SELECT 'events that nothing pushes' AS oracle, key, 'its source has a webhook, and no delivery was made for it' AS detail FROM (
    SELECT e.event_id AS key FROM sources s JOIN decision_events e ON e.source_id = s.source_id
    LEFT JOIN deliveries d ON d.endpoint_id = e.source_id AND d.message_id = e.event_id
    WHERE s.mode <> 'PULL_ONLY'
        AND e.created_at > CAST(CAST(s.settings AS jsonb) ->> 'pushed_since' AS BIGINT) + 60000
        AND d.delivery_id IS NULL
) AS found;

SELECT 'approved tasks that nobody dispatched' AS oracle, key, 'it was approved, and executors never told' AS detail FROM (
    SELECT t.case_id AS key FROM tasks t JOIN decisions d ON d.case_id = t.case_id
    WHERE d.verdict = 'APPROVE' AND d.decided_at < CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - 10000 AND t.dispatched_at IS NULL AND t.failed_at IS NULL
) AS found;

SELECT 'duplicate run steps' AS oracle, key, 'this attempt at a step was recorded more than once' AS detail FROM (
    SELECT run_id || ' ' || step_id || ' ' || attempt AS key FROM run_steps
    GROUP BY run_id, step_id, attempt HAVING count(*) > 1
) AS found;

SELECT 'duplicate artifacts' AS oracle, key, 'this artifact was recorded more than once' AS detail FROM (
    SELECT run_id || ' ' || step_id || ' ' || task_key || ' ' || attempt || ' ' || idx AS key FROM artifacts
    GROUP BY run_id, step_id, task_key, attempt, idx HAVING count(*) > 1
) AS found;

SELECT 'duplicate gate events' AS oracle, key, 'this event of a workflow was written more than once' AS detail FROM (
    SELECT workflow_id || ' ' || key AS key FROM workflow_events GROUP BY workflow_id, key HAVING count(*) > 1
) AS found;

SELECT 'duplicate escalations' AS oracle, key, 'this escalation started more than once' AS detail FROM (
    SELECT workflow_id AS key FROM runs WHERE workflow_id LIKE 'esc:%'
    GROUP BY workflow_id HAVING count(*) > 1
) AS found;

SELECT 'escalations without a timeout' AS oracle, key, 'nobody was late at what it escalates' AS detail FROM (
    SELECT workflow_id AS key FROM runs
    WHERE workflow_id LIKE 'esc:%' AND workflow_id NOT IN (
        SELECT 'esc:' || c.workflow_id || ':' || c.gate_key FROM cases c WHERE c.status = 'expired')
) AS found;

SELECT 'results without an interaction' AS oracle, key, 'the ledger has no such reply' AS detail FROM (
    SELECT e.workflow_id || ' ' || e.key AS key FROM workflow_events e
    LEFT JOIN human_interactions i ON i.interaction_id = e.interaction_id AND i.case_id = e.case_id
    WHERE (e.key LIKE 'ui:%:' || 'result' OR e.key LIKE 'decision:%') AND i.interaction_id IS NULL
) AS found;

SELECT 'branches that nobody decided' AS oracle, key, 'the decisions know nothing of this branch' AS detail FROM (
    SELECT e.workflow_id || ' ' || e.key AS key FROM workflow_events e
    LEFT JOIN decisions d ON d.workflow_id = e.workflow_id AND d.key = e.key AND d.interaction_id = e.interaction_id
    WHERE e.key LIKE 'decision:%' AND d.case_id IS NULL
) AS found;

SELECT 'results of withdrawn gates' AS oracle, key, 'nobody answered this, and it has a result' AS detail FROM (
    SELECT e.workflow_id || ' ' || e.key AS key FROM workflow_events e JOIN cases c ON c.case_id = e.case_id
    WHERE c.status NOT IN ('completed', 'expired') AND (e.key LIKE 'ui:%:' || 'result' OR e.key LIKE 'decision:%')
) AS found;

SELECT 'gates that ended unheard' AS oracle, key, 'this gate has ended, and no signal says so' AS detail FROM (
    SELECT c.workflow_id || ' ' || c.gate_key AS key FROM runs r JOIN cases c ON c.workflow_id = r.workflow_id
    LEFT JOIN signals s ON s.workflow_id = c.workflow_id AND s.gate_key = c.gate_key
    WHERE c.status IN ('cancelled', 'completed', 'expired') AND c.settles_at IS NULL AND s.gate_key IS NULL
) AS found;

SELECT 'signals unsent' AS oracle, key, 'its workflow should have heard of this gate''s end 10 s ago' AS detail FROM (
    SELECT workflow_id || ' ' || gate_key AS key FROM signals
    WHERE received_at IS NULL AND created_at < CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - 10000
) AS found;

SELECT 'signals unsent' AS oracle, key, 'its answer could no longer be revised 10 s ago, and does not count yet' AS detail FROM (
    SELECT case_id AS key FROM cases WHERE settles_at IS NOT NULL AND settles_at < CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - 10000
) AS found;

SELECT 'runs that wait for nobody' AS oracle, key, 'it waits, and nobody is asked' AS detail FROM (
    SELECT r.workflow_id AS key FROM runs r
    WHERE r.status = 'waiting_input'
        AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.workflow_id = r.workflow_id AND NOT (c.status IN ('cancelled', 'completed', 'expired')))
        AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.workflow_id = r.workflow_id AND s.received_at IS NULL)
) AS found;

SELECT 'terminal rows that changed' AS oracle, key, 'this case was closed and is waiting again' AS detail FROM (
    SELECT c.case_id AS key FROM cases c WHERE NOT (c.status IN ('cancelled', 'completed', 'expired')) AND (
        EXISTS (SELECT 1 FROM decisions d WHERE d.case_id = c.case_id)
        OR EXISTS (SELECT 1 FROM case_events v WHERE v.case_id = c.case_id AND v.kind IN ('cancelled', 'completed', 'expired')))
) AS found;

SELECT 'terminal rows that changed' AS oracle, key, 'the case did not end as the ledger says' AS detail FROM (
    SELECT c.case_id AS key FROM cases c LEFT JOIN decisions d ON d.case_id = c.case_id
       JOIN human_interactions i ON 
       i.interaction_id = COALESCE(d.interaction_id, (
           SELECT h.interaction_id FROM human_interactions h WHERE h.case_id = c.case_id AND h.topic <> 'sys:erase'
           ORDER BY h.created_at DESC LIMIT 1))
    AND i.case_id = c.case_id
       WHERE c.status IN ('cancelled', 'completed', 'expired') AND c.status <> CASE i.topic WHEN 'sys:timeout' THEN 'expired'
           WHEN 'sys:cancel' THEN 'cancelled' WHEN 'sys:close' THEN 'cancelled' ELSE 'completed' END
) AS found;

SELECT 'terminal rows that changed' AS oracle, key, 'the ledger says something else of whether, and when, this was erased' AS detail FROM (
    SELECT c.case_id AS key FROM cases c LEFT JOIN human_interactions x ON x.case_id = c.case_id
        AND x.topic = 'sys:erase'
    WHERE (c.erased_at IS NULL) <> (x.interaction_id IS NULL) OR c.erased_at <> x.created_at
        OR (x.workflow_id, x.gate_key, x.dedupe_key) <> (c.workflow_id, c.gate_key, 'erase')
) AS found;

SELECT 'terminal rows that changed' AS oracle, key, 'this run has ended, and something moved since' AS detail FROM (
    SELECT workflow_id AS key FROM runs
    WHERE (status IN ('cancelled', 'completed', 'failed')) <> (finished_at IS NOT NULL) OR updated_at > finished_at
    UNION
    SELECT r.workflow_id AS key FROM runs r JOIN cases c ON c.workflow_id = r.workflow_id
    WHERE r.finished_at IS NOT NULL AND NOT (c.status IN ('cancelled', 'completed', 'expired'))
) AS found;

SELECT 'terminal rows that changed' AS oracle, key, 'this run does not stand where it last told its readers' AS detail FROM (
    SELECT r.workflow_id AS key FROM runs r
    LEFT JOIN run_stream s ON s.workflow_id = r.workflow_id AND s.counter = r.last_event
    WHERE r.last_event > 0 AND (s.kind IS NULL OR (s.kind = 'ended') <> (r.finished_at IS NOT NULL))
    UNION
    SELECT r.workflow_id AS key FROM runs r JOIN run_stream s ON s.workflow_id = r.workflow_id
    WHERE s.counter > r.last_event OR (s.kind = 'ended' AND s.counter < r.last_event)
) AS found;

SELECT 'ledger hash chain' AS oracle, key, 'this row claims a position that no seal covers' AS detail FROM (
    SELECT i.interaction_id AS key FROM human_interactions i LEFT JOIN chains c ON c.tenant_id = i.tenant_id
    WHERE i.position < 1 OR i.position > COALESCE(c.position, 0)
    UNION ALL
    SELECT e.event_id AS key FROM decision_events e LEFT JOIN chains c ON c.tenant_id = e.tenant_id
    WHERE e.position < 1 OR e.position > COALESCE(c.position, 0)
) AS found;

SELECT 'ledger hash chain' AS oracle, key, 'this row is missing' AS detail FROM (
    SELECT tenant_id || ' position ' || (previous + 1) AS key FROM (
        SELECT tenant_id, position, LAG(position, 1, CAST(0 AS BIGINT)) OVER (
            PARTITION BY tenant_id ORDER BY position) AS previous
        FROM (
            SELECT tenant_id, position FROM human_interactions WHERE position IS NOT NULL
            UNION SELECT tenant_id, position FROM decision_events WHERE position IS NOT NULL
            UNION SELECT tenant_id, position + 1 FROM chains) AS placed) AS steps
    WHERE position > previous + 1
) AS found;

SELECT 'ledger hash chain' AS oracle, key, 'two rows stand at this position' AS detail FROM (
    SELECT tenant_id || ' position ' || position AS key FROM (
        SELECT tenant_id, position FROM human_interactions WHERE position IS NOT NULL
        UNION ALL SELECT tenant_id, position FROM decision_events WHERE position IS NOT NULL) AS placed
    GROUP BY tenant_id, position HAVING count(*) > 1
) AS found;

SELECT 'ledger hash chain' AS oracle, key, 'this seal is missing' AS detail FROM (
    SELECT tenant_id || ' seal ' || (previous + 1) AS key FROM (
        SELECT tenant_id, seal_no, LAG(seal_no, 1, CAST(0 AS BIGINT)) OVER (
            PARTITION BY tenant_id ORDER BY seal_no) AS previous
        FROM (SELECT tenant_id, seal_no FROM seals UNION SELECT tenant_id, seal_no + 1 FROM chains) AS numbered
    ) AS steps
    WHERE seal_no > previous + 1
) AS found;

SELECT 'ledger hash chain' AS oracle, key, 'the end of the chain is not where its last seal was set' AS detail FROM (
    SELECT c.tenant_id || ' seal ' || c.seal_no AS key FROM chains c
    LEFT JOIN seals s ON s.tenant_id = c.tenant_id AND s.seal_no = c.seal_no
    WHERE c.seal_no > 0 AND (s.seal_no IS NULL OR s.last_position <> c.position OR s.chain_hash <> c.chain_hash)
    UNION
    SELECT s.tenant_id || ' seal ' || s.seal_no AS key FROM seals s
    LEFT JOIN chains c ON c.tenant_id = s.tenant_id WHERE s.seal_no > COALESCE(c.seal_no, 0)
) AS found;

COMMIT;

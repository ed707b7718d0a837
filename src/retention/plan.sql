-- retention: plans that are written down, and carried out as they were shown.
CREATE TABLE privacy_scan.plan_ledger (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    root        regclass    NOT NULL,
    root_name   text        NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    made_by     text        NOT NULL,
    at          timestamptz NOT NULL,
    cutoff      timestamptz NOT NULL,
    valid_until timestamptz NOT NULL,
    policy      text        NOT NULL,
    holds       text        NOT NULL,
    roots       text        NOT NULL,
    state       text        NOT NULL DEFAULT 'made' CHECK (state IN ('made', 'applying', 'applied', 'stopped')),
    applied_at  timestamptz,
    applied_by  text,
    ended_at    timestamptz,
    detail      text
);
COMMENT ON TABLE privacy_scan.plan_ledger IS
    'The plans of make_plan(), with what they rest on. Read privacy_scan.retention_plans instead.';
-- A plan is about this database's relations as they are: elsewhere it would fit none.
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.plan_ledger', 'WHERE false');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.plan_ledger_id_seq', '');

CREATE TABLE privacy_scan.plan_action_list (
    plan     bigint NOT NULL REFERENCES privacy_scan.plan_ledger ON DELETE CASCADE,
    place    bigint GENERATED ALWAYS AS IDENTITY,
    relation text   NOT NULL,
    member   text   NOT NULL,
    action   text   NOT NULL,
    target   text   NOT NULL,
    rows     bigint NOT NULL,
    bytes    bigint NOT NULL,
    key_from text   NOT NULL,
    key_to   text   NOT NULL,
    reason   text   NOT NULL,
    shape    text   NOT NULL,
    PRIMARY KEY (plan, place)
);
COMMENT ON TABLE privacy_scan.plan_action_list IS
    'What each plan would do, one row a relation or partition. Read privacy_scan.plan_actions instead. shape: a hash of the relation''s identity, columns, bounds and foreign keys.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.plan_action_list', 'WHERE false');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.plan_action_list_place_seq', '');

CREATE VIEW privacy_scan.retention_plans WITH (security_barrier) AS
SELECT p.id, p.root_name AS root, p.made_at, p.made_by, p.at, p.cutoff, p.valid_until,
       CASE WHEN p.state = 'made' AND p.valid_until < now() THEN 'over' ELSE p.state END AS state, a.rows,
       p.policy, nullif(p.holds, '') AS holds, p.applied_at, p.applied_by, p.ended_at, p.detail
FROM privacy_scan.plan_ledger p
JOIN pg_class r ON r.oid = p.root AND pg_has_role(r.relowner, 'USAGE')
CROSS JOIN LATERAL (SELECT coalesce(sum(l.rows), 0)::bigint AS rows FROM privacy_scan.plan_action_list l
                    WHERE l.plan = p.id AND l.action NOT IN ('keep', 'drop')) a;
COMMENT ON VIEW privacy_scan.retention_plans IS
    'The plans of the reader''s roots: cutoff, how many rows would go, what they rest on, and how they went: made, over (its time), applying (or its process died), applied, stopped, with why.';
GRANT SELECT ON privacy_scan.retention_plans TO PUBLIC;

CREATE VIEW privacy_scan.plan_actions WITH (security_barrier) AS
SELECT l.plan, l.place, l.relation, l.action, nullif(l.target, '') AS target, l.rows, l.bytes, nullif(l.key_from, '') AS key_from,
       nullif(l.key_to, '') AS key_to, l.reason
FROM privacy_scan.plan_action_list l
JOIN privacy_scan.plan_ledger p ON p.id = l.plan
JOIN pg_class r ON r.oid = p.root AND pg_has_role(r.relowner, 'USAGE');
COMMENT ON VIEW privacy_scan.plan_actions IS
    'What the plans of the reader''s roots would do, as plan_retention() shows it, in the order of place.';
GRANT SELECT ON privacy_scan.plan_actions TO PUBLIC;

CREATE FUNCTION privacy_scan.make_plan(root regclass, at timestamptz DEFAULT now(), valid interval DEFAULT '1 day')
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_make_plan';
COMMENT ON FUNCTION privacy_scan.make_plan(regclass, timestamptz, interval) IS
    'Writes down what run_retention() would do at that instant, for apply_plan(); the views retention_plans and plan_actions show it. Returns its id.';
REVOKE EXECUTE ON FUNCTION privacy_scan.make_plan(regclass, timestamptz, interval) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.apply_plan(plan bigint, force boolean DEFAULT false, confirm boolean DEFAULT false)
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_apply_plan';
COMMENT ON PROCEDURE privacy_scan.apply_plan(bigint, boolean, boolean) IS
    'Does what a plan says, committing each step, or refuses where policy, holds, definitions or rows have changed in a way that matters, naming what; stops at the first step that would do anything else.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.apply_plan(bigint, boolean, boolean) FROM PUBLIC;

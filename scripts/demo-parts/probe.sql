-- The application while we work: one writer, one reader, each a transaction (pgbench).
INSERT INTO "Evidence" (id, "scanId", kind, title, details, "createdAt") VALUES ('probe-' || gen_random_uuid(), 'probe', 'probe', 'Probe', '{"probe": true}', now() AT TIME ZONE 'UTC');
SELECT details FROM "Evidence" WHERE "scanId" = 'probe' AND "createdAt" > now() AT TIME ZONE 'UTC' - interval '1 second' ORDER BY "createdAt" DESC LIMIT 1;

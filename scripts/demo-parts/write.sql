-- The application writes: an upsert, as an ORM makes them.
INSERT INTO "Evidence" (id, "scanId", kind, title, details)
VALUES (privacy_scan.key_at('cuid', clock_timestamp()) || substr(md5(random()::text), 1, 16), 'probe', 'probe', 'Probe', '{"probe": true}')
ON CONFLICT (id) DO UPDATE SET severity = "Evidence".severity + 1;

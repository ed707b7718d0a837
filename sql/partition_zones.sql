-- Bounds follow the policy's zone, whatever the session's settings; days, weeks and months without a gap through every change of the clocks.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_zones;
SET search_path = ps_zones;

CREATE FUNCTION make(key_type text, every text, zone text, first timestamptz, last timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DROP TABLE IF EXISTS ps_zones.t;
  EXECUTE format('CREATE TABLE ps_zones.t (at %s NOT NULL) PARTITION BY RANGE (at)', key_type);
  CREATE TABLE ps_zones.rest PARTITION OF ps_zones.t FOR VALUES FROM ('2024-01-01 00:00+00') TO (MAXVALUE);
  PERFORM privacy_scan.manage_partitions('ps_zones.t', 'at', every, time_zone => zone, default_partition => false);
  PERFORM privacy_scan.ensure_partitions('ps_zones.t', first, last);
END $$;
-- The partitions made, as instants in UTC: their number, and a digest of the bounds.
CREATE FUNCTION bounds() RETURNS text LANGUAGE plpgsql SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
BEGIN
  RETURN (SELECT count(*) || ' ' || md5(string_agg(lower_bound || upper_bound || lower_at || upper_at, ',' ORDER BY lower_at))
          FROM privacy_scan.partitions WHERE parent = 'ps_zones.t'::regclass AND partition <> 'ps_zones.rest'::regclass);
END $$;

-- The same bounds from 20 sessions' zones and date styles.
CREATE FUNCTION bounds_in(session_zone text, style text, key_type text, every text, zone text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('timezone', session_zone, true), set_config('datestyle', style, true), set_config('intervalstyle', 'sql_standard', true);
  PERFORM ps_zones.make(key_type, every, zone, '2020-03-27 00:00+00', '2020-04-09 00:00+00');
  RETURN ps_zones.bounds();
END $$;
CREATE TABLE zones AS SELECT * FROM unnest('{UTC,America/St_Johns,Australia/Lord_Howe,Pacific/Apia,Antarctica/Troll,Europe/Berlin,Europe/Dublin,Africa/Casablanca,Asia/Kathmandu,Pacific/Chatham,America/New_York,America/Sao_Paulo,Asia/Tehran,Pacific/Kiritimati,Etc/GMT+12,America/Havana,Asia/Gaza,America/Scoresbysund,Africa/Cairo,Atlantic/Azores}'::text[]) WITH ORDINALITY z (zone, n);
SELECT key_type, every, p.zone, count(*) AS sessions, count(DISTINCT bounds_in(z.zone, (ARRAY['ISO, MDY', 'SQL, DMY', 'Postgres, MDY', 'German, DMY'])[1 + n % 4], key_type, every, p.zone)) AS different
FROM (VALUES ('timestamptz', '1 day', 'UTC'), ('timestamp', '1 week', 'UTC'), ('date', '1 month', 'UTC'),
             ('timestamptz', '1 week', 'America/St_Johns'), ('timestamp', '1 week', 'Pacific/Apia'), ('timestamptz', '6 hours', 'Australia/Lord_Howe')) p (key_type, every, zone),
     zones z
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- Days around the changes of four clocks: the hours that a day has there.
CREATE FUNCTION days(zone text, first text, last text) RETURNS TABLE (name text, lower_bound text, hours numeric) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM ps_zones.make('timestamptz', '1 day', zone, first::timestamptz, last::timestamptz);
  RETURN QUERY SELECT p.partition::text, p.lower_bound, round(extract(epoch FROM upper_at - lower_at)::numeric / 3600, 2)
    FROM privacy_scan.partitions p WHERE parent = 'ps_zones.t'::regclass AND p.partition <> 'ps_zones.rest'::regclass ORDER BY lower_at;
END $$;
SELECT * FROM days('America/St_Johns', '2010-03-13 12:00+00', '2010-03-16 00:00+00');   -- changed at 00:01
SELECT * FROM days('America/St_Johns', '2010-11-06 12:00+00', '2010-11-09 00:00+00');
SELECT * FROM days('Australia/Lord_Howe', '2020-04-03 12:00+00', '2020-04-06 00:00+00'); -- by half an hour
SELECT * FROM days('Australia/Lord_Howe', '2020-10-02 18:00+00', '2020-10-05 00:00+00');
SELECT * FROM days('Pacific/Apia', '2011-12-29 00:00+00', '2012-01-01 00:00+00');        -- no 30 December
SELECT * FROM days('Antarctica/Troll', '2020-03-28 12:00+00', '2020-03-30 12:00+00');    -- by two hours
SELECT * FROM days('Antarctica/Troll', '2020-10-24 12:00+00', '2020-10-26 12:00+00');
SELECT * FROM days('America/Sao_Paulo', '2018-11-03 12:00+00', '2018-11-06 00:00+00');   -- midnight skipped
SELECT * FROM days('America/Havana', '2020-10-31 12:00+00', '2020-11-03 00:00+00');      -- midnight twice
-- A timestamp holds UTC: its days begin at the zone's midnight, said in UTC; a date has no zone.
SELECT make('timestamp', '1 day', 'Asia/Kathmandu', '2020-02-28 20:00+00', '2020-03-01 00:00+00');
SELECT partition, lower_bound, upper_bound FROM privacy_scan.partitions WHERE parent = 't'::regclass AND partition <> 'rest'::regclass;
SELECT make('date', '1 day', 'Pacific/Kiritimati', '2020-02-28 20:00+00', '2020-03-01 00:00+00');
SELECT partition, lower_bound, lower_at AT TIME ZONE 'UTC' AS lower_at FROM privacy_scan.partitions WHERE parent = 't'::regclass AND partition <> 'rest'::regclass;
-- Hours are elapsed hours, in UTC.
SELECT make('timestamptz', '6 hours', 'Europe/Berlin', '2020-03-28 18:00+00', '2020-03-29 12:00+00');
SELECT partition, lower_bound, upper_bound FROM privacy_scan.partitions WHERE parent = 't'::regclass AND partition <> 'rest'::regclass;

-- Three years of days in two zones: one after the other, each beginning at the first instant of its local day.
CREATE FUNCTION three_years(zone text, from_year int) RETURNS TABLE (days bigint, seams bigint, at_midnight bigint, sum_of_hours numeric) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('privacy_scan.partition_max_created', '2000', true);
  PERFORM ps_zones.make('timestamptz', '1 day', zone, make_timestamptz(from_year, 1, 1, 12, 0, 0, zone), make_timestamptz(from_year + 3, 1, 1, 12, 0, 0, zone));
  RETURN QUERY SELECT count(*), count(*) FILTER (WHERE lower_at = previous),
      count(*) FILTER (WHERE (lower_at AT TIME ZONE zone)::date <> ((lower_at - interval '1 microsecond') AT TIME ZONE zone)::date),
      round(sum(extract(epoch FROM upper_at - lower_at))::numeric / 3600, 2)
    FROM (SELECT lower_at, upper_at, lag(upper_at) OVER (ORDER BY lower_at) AS previous FROM privacy_scan.partitions
          WHERE parent = 'ps_zones.t'::regclass AND partition <> 'ps_zones.rest'::regclass) p;
END $$;
SELECT * FROM three_years('America/St_Johns', 2009);
SELECT * FROM three_years('Pacific/Apia', 2010);

DROP SCHEMA ps_zones CASCADE;

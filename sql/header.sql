\echo Use "CREATE EXTENSION adapty" or "ALTER EXTENSION adapty UPDATE" to load this file. \quit

-- Nothing in the scripts may resolve to an object of somebody else.
SET LOCAL search_path TO pg_catalog, pg_temp;
-- Names, dates and intervals below are written in these styles.
SET LOCAL TimeZone TO 'UTC';
SET LOCAL DateStyle TO 'ISO, YMD';
SET LOCAL IntervalStyle TO 'postgres';
SET LOCAL standard_conforming_strings TO on;

-- Bare COPY into transactions, with its indexes and constraints and without triggers (foreign keys).
\set ON_ERROR_STOP on
SET session_replication_role = replica;
SELECT clock_timestamp() AS started \gset
COPY adapty.transactions FROM :'file' WITH (FORMAT csv);
SELECT 'Time: ' || extract(epoch FROM clock_timestamp() - :'started'::timestamptz) * 1000 || ' ms';

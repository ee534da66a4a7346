# What the scheduler is not told of is found all the same, within adapty.max_sleep.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = adapty_node('prepared', conf => <<'CONF');
max_prepared_transactions = 5
adapty.max_sleep = 500ms
CONF
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
wait_scheduler($node);
$node->safe_psql('postgres', "SELECT adapty.create_profile(u) FROM unnest(ARRAY['two', 'quiet']) u");

# --- two-phase commit: the commit comes from another session ---
$node->safe_psql('postgres', <<'SQL');
BEGIN;
SELECT adapty.grant_access_level('two', 'premium', expires_at => clock_timestamp() + interval '1 s');
PREPARE TRANSACTION 'grant';
SQL
is($node->safe_psql('postgres', "SELECT adapty.has_access('two', 'premium')"), 'f', 'a prepared grant gives nothing yet');
$node->safe_psql('postgres', "COMMIT PREPARED 'grant'");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM adapty.events WHERE NOT is_active"), 'the end of a prepared grant is announced');

# --- triggers off ---
$node->safe_psql('postgres', <<'SQL');
SET session_replication_role = replica;
INSERT INTO adapty.access_grants (profile_id, access_level_id, starts_at, expires_at, state)
SELECT profile_id, 'premium', now() - interval '1 day', clock_timestamp() + interval '1 s', 'active'
  FROM adapty.identities WHERE customer_user_id = 'quiet';
SQL
is($node->safe_psql('postgres', "SELECT adapty.has_access('quiet', 'premium')"), 't', 'a row written with triggers off counts');
ok($node->poll_query_until('postgres', "SELECT count(*) = 2 FROM adapty.events WHERE NOT is_active"), 'its end is announced');
lapses_announced_once($node, 2, 'once each');

# --- a rolled back prepared transaction ---
$node->safe_psql('postgres', <<'SQL');
BEGIN;
SELECT adapty.grant_access_level('two', 'premium', expires_at => clock_timestamp() + interval '1 s');
PREPARE TRANSACTION 'grant';
ROLLBACK PREPARED 'grant';
SQL
is($node->safe_psql('postgres', "SELECT adapty.has_access('two', 'premium')"), 'f', 'rolled back, it has given nothing');

$node->stop;
done_testing();

# Campaigns by the scheduler: everybody once, at the start and later, through crashes, a dump and a restart.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $users = 20_000;
my $node = adapty_node('campaigns', conf => <<'CONF');
restart_after_crash = on
adapty.batch_size = 50
adapty.campaign_interval = 1
adapty.max_sleep = 3s
CONF
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
wait_scheduler($node);
$node->safe_psql('postgres', <<"SQL");
INSERT INTO adapty.profiles (profile_id, custom_attributes)
    SELECT gen_random_uuid(), jsonb_build_object('score', i) FROM generate_series(1, $users) i;
SELECT adapty.create_segment('everybody with a score', 'attr.score is set');
SELECT adapty.create_promo_campaign('Start', 'everybody with a score', 'premium', duration => '7 days');
SQL

# Waits for a state of the campaign.
sub wait_campaign
{
	my ($condition, $name, $database) = @_;
	ok($node->poll_query_until($database // 'postgres', "SELECT $condition FROM adapty.promo_campaigns WHERE name = 'Start'"), $name);
	return;
}

# Everybody has exactly one entry, one grant and one event.
sub everybody_once
{
	my ($count, $name, $database) = @_;
	is($node->safe_psql($database // 'postgres', <<'SQL'), join('|', ($count) x 5), $name);
SELECT (SELECT granted FROM adapty.promo_campaigns WHERE name = 'Start'),
       (SELECT count(*) FROM adapty.promo_campaign_grants),
       (SELECT count(*) FROM adapty.access_grants WHERE source = 'promo_campaign' AND state = 'active'),
       (SELECT count(*) FROM adapty.events WHERE source = 'promo_campaign' AND is_active),
       (SELECT count(DISTINCT profile_id) FROM adapty.events WHERE source = 'promo_campaign')
SQL
	return;
}

# --- the start is told to the scheduler at commit ---
$node->safe_psql('postgres', "UPDATE adapty.promo_campaigns SET starts_at = now() + interval '1 hour'");
$node->safe_psql('postgres', "SELECT adapty.start_promo_campaign('Start')");
ok($node->poll_query_until('postgres', "SELECT next_look_at = starts_at AND granted = 0 FROM adapty.promo_campaigns"), 'a campaign of later waits');
$node->safe_psql('postgres', "SELECT adapty.pause_promo_campaign('Start')");
$node->safe_psql('postgres', "UPDATE adapty.promo_campaigns SET starts_at = now() + interval '1 second'");
$node->safe_psql('postgres', "SELECT adapty.start_promo_campaign('Start')");

# --- crashes in the middle ---
for my $at (1_000, 5_000)
{
	wait_campaign("granted >= $at", "$at have it");
	my $pid = scheduler_pid($node);
	kill 'KILL', $pid if $pid;
	$node->poll_query_until('postgres', 'SELECT true');
	wait_campaign('true', 'the server is back');
}
is($node->safe_psql('postgres', 'SELECT min(granted_at) >= (SELECT starts_at FROM adapty.promo_campaigns) FROM adapty.promo_campaign_grants'), 't', 'nobody before the start');
wait_campaign("granted = $users AND last_look_at IS NOT NULL", 'everybody has it');
everybody_once($users, 'once, however often the server went down');

# --- who enters later ---
$node->safe_psql('postgres', "SELECT adapty.create_profile('new' || i, '{\"custom_attributes\": {\"score\": 1}}') FROM generate_series(1, 3) i");
wait_campaign('granted = ' . ($users + 3), 'newcomers have it');
everybody_once($users + 3, 'once');

# --- dumped in the middle of taking back, restored, and gone on with ---
$node->safe_psql('postgres', "SELECT adapty.revoke_promo_campaign('Start')");
wait_campaign('revoked > 1000', 'it is being taken back');
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], 'pg_restore');
wait_campaign("state = 'revoked'", 'the restored campaign is taken back to its end', 'restored');
wait_campaign("state = 'revoked'", 'and the original');
for my $database ('postgres', 'restored')
{
	is($node->safe_psql($database, <<'SQL'), join('|', $users + 3, 0, $users + 3), "$database: from everybody, once");
SELECT (SELECT revoked FROM adapty.promo_campaigns),
       (SELECT count(*) FROM adapty.profile_access_levels WHERE is_active),
       (SELECT count(*) FROM adapty.events WHERE source = 'promo_campaign' AND NOT is_active)
SQL
}

$node->stop;
done_testing();

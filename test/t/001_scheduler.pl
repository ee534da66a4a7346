# The scheduler: lapses at their moment, wakes at commit and only then, survives errors, stops at once.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = adapty_node('scheduler');
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
wait_scheduler($node);

# Does a user have an announced end (or start) of premium, and was it announced in good time?
sub announcement
{
	my ($user, $is_active) = @_;
	return "SELECT e.recorded_at - e.event_datetime < interval '10 s'"
	  . " FROM adapty.events e JOIN adapty.identities i USING (profile_id)"
	  . " WHERE i.customer_user_id = '$user' AND e.event_type = 'access_level_updated'"
	  . " AND e.is_active = $is_active AND e.was_active = NOT e.is_active";
}

# --- a lapse at its moment ---
$node->safe_psql('postgres', <<'SQL');
SELECT adapty.create_profile('ann');
SELECT adapty.grant_access_level('ann', 'premium', expires_at => clock_timestamp() + interval '2 s');
SQL
is($node->safe_psql('postgres', "SELECT adapty.has_access('ann', 'premium')"), 't', 'access is there at once');
ok($node->poll_query_until('postgres', announcement('ann', 'false')), 'the end is announced when it comes');
is($node->safe_psql('postgres', "SELECT adapty.has_access('ann', 'premium')"), 'f', 'access is gone');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM adapty.events e JOIN adapty.identities i USING (profile_id)"
		  . " JOIN adapty.access_grants g USING (profile_id)"
		  . " WHERE customer_user_id = 'ann' AND NOT is_active AND event_datetime = g.expires_at"),
	'1', 'once, with the moment of the end as its time');

# --- a start in the future, then its end ---
$node->safe_psql('postgres', <<'SQL');
SELECT adapty.create_profile('fay');
SELECT adapty.grant_access_level('fay', 'premium', starts_at => clock_timestamp() + interval '2 s',
                                 expires_at => clock_timestamp() + interval '4 s');
SQL
is($node->safe_psql('postgres', "SELECT adapty.has_access('fay', 'premium')"), 'f', 'no access before the start');
ok($node->poll_query_until('postgres', announcement('fay', 'true')), 'the start is announced when it comes');
ok($node->poll_query_until('postgres', announcement('fay', 'false')), 'and so is the end');

# --- many moments close together: each is counted once ---
my $processed = stat_of($node, 'processed');
$node->safe_psql('postgres', <<'SQL');
SELECT adapty.create_profile('close' || n) FROM generate_series(1, 300) n;
SELECT adapty.grant_access_level('close' || n, 'premium', expires_at => clock_timestamp() + interval '1 s') FROM generate_series(1, 300) n;
SQL
ok($node->poll_query_until('postgres', "SELECT next_due_at IS NULL FROM adapty.stats"), 'many ends close together are announced');
is( $node->safe_psql('postgres',
		"SELECT count(*), count(DISTINCT profile_id) FROM adapty.events JOIN adapty.identities USING (profile_id)"
		  . " WHERE customer_user_id LIKE 'close%' AND was_active AND NOT is_active"),
	'300|300', 'once each');
is(stat_of($node, 'processed') - $processed, 300, 'and counted once');

# --- woken by a commit, and only by a commit ---
$node->safe_psql('postgres', "SELECT adapty.create_profile('rob')");
wait_scheduler($node);
my $before = stat_of($node, 'wakeups, next_wake_at');
my $grant = "SELECT adapty.grant_access_level('rob', 'premium', expires_at => date_trunc('second', now()) + interval '25 s')";
my $session = start_session($node);
$session->query("BEGIN; $grant");
is(stat_of($node, 'wakeups, next_wake_at'), $before, 'an open transaction does not move the plan');
$session->query('ROLLBACK');
is(stat_of($node, 'wakeups, next_wake_at'), $before, 'a rolled back grant wakes nobody');
$session->query("BEGIN; SAVEPOINT s; $grant; RELEASE s; COMMIT");
is( $node->safe_psql('postgres',
		"SELECT s.next_wake_at = g.expires_at FROM adapty.stats s, adapty.access_grants g"
		  . " JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id = 'rob'"),
	't', 'a committed grant makes the scheduler plan its end');
$session->query("SELECT adapty.grant_access_level('rob', 'premium', expires_at => now() + interval '90 days')");
is(stat_of($node, "next_wake_at < now() + interval '61 s'"), 't', 'it never sleeps longer than a minute');
$session->query("SELECT adapty.grant_access_level('rob', 'premium', is_lifetime => true)");

# --- what pg_stat_activity says ---
wait_scheduler($node);
# (a notification of what was written may come in between)
ok( $node->poll_query_until('postgres', <<'SQL'), 'pg_stat_activity tells until when it sleeps; no transaction is open');
SELECT application_name = 'adapty scheduler' AND state = 'idle' AND datname = 'postgres'
   AND query ~ '^idle until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d' AND xact_start IS NULL
  FROM pg_stat_activity WHERE backend_type = 'adapty scheduler'
SQL
is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'adapty launcher'"),
	'1', 'and the launcher is there');

# --- off and on by reload ---
my $pid = scheduler_pid($node);
$node->safe_psql('postgres', "ALTER SYSTEM SET adapty.scheduler = off");
$node->reload;
ok($node->poll_query_until('postgres', "SELECT state = 'off' FROM adapty.stats"), 'adapty.scheduler = off stops the work');
add_lapses($node, 3, "clock_timestamp()");
$node->safe_psql('postgres', <<'SQL');
SELECT adapty.create_profile('off');
SELECT adapty.grant_access_level('off', 'premium', expires_at => clock_timestamp() + interval '100 ms');
SQL
ok($node->poll_query_until('postgres', "SELECT due_now = 4 FROM adapty.stats"), 'what falls due waits');
is($node->safe_psql('postgres', "SELECT adapty.has_access('off', 'premium')"), 'f', 'access follows the clock all the same');
is(stat_of($node, 'state'), 'off', 'still off');
$node->safe_psql('postgres', "ALTER SYSTEM RESET adapty.scheduler");
$node->reload;
ok($node->poll_query_until('postgres', announcement('off', 'false')), 'on again it catches up');
is(stat_of($node, 'due_now'), '0', 'with all of it');
is(scheduler_pid($node), $pid, 'in the same process');

# --- an error of one user does not stop the others ---
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.profile_id = (SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'bad') THEN
        RAISE 'no event for this one';
    END IF;
    RETURN NEW;
END $$;
SELECT adapty.create_profile(u) FROM unnest(ARRAY['good1', 'bad', 'good2']) AS u;
SELECT adapty.grant_access_level(u, 'premium', expires_at => now() + interval '2 s') FROM unnest(ARRAY['good1', 'bad', 'good2']) AS u;
CREATE TRIGGER refuse BEFORE INSERT ON adapty.events FOR EACH ROW EXECUTE FUNCTION refuse();
SQL
ok($node->poll_query_until('postgres', announcement($_, 'false')), "$_ goes on") for qw(good1 good2);
ok($node->poll_query_until('postgres', "SELECT failed = 1 FROM adapty.stats"), 'the bad one is counted');
is(stat_of($node, "last_error, last_error_at > now() - interval '1 min'"), 'no event for this one|t', 'and the error is shown');
is($node->safe_psql('postgres', "SELECT adapty.has_access('bad', 'premium')"), 'f', 'its access is gone all the same');
add_lapses($node, 1, "clock_timestamp()");
$node->safe_psql('postgres', "SELECT adapty.create_profile('next')");
$node->safe_psql('postgres', "SELECT adapty.grant_access_level('next', 'premium', expires_at => now() + interval '1 s')");
ok($node->poll_query_until('postgres', announcement('next', 'false')), 'what falls due later goes on, too');
is(scheduler_pid($node), $pid, 'in the same process');
like(slurp_file($node->logfile), qr/WARNING:  could not announce .*no event for this one/, 'the log names it');
wait_scheduler($node);

# --- cancel, terminate ---
$node->safe_psql('postgres', "DROP TRIGGER refuse ON adapty.events");
is($node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)"), 't', 'cancelled while asleep');
is(scheduler_pid($node), $pid, 'it sleeps on');
is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 1000)"), 't', 'terminated, it is gone within a second');
ok($node->poll_query_until('postgres', announcement('bad', 'false')), 'a new one comes and announces what was set aside');
isnt(scheduler_pid($node), $pid, 'it is another process');

# --- users that others hold ---
wait_scheduler($node);
$node->safe_psql('postgres', "SELECT adapty.create_profile('held')");
$node->safe_psql('postgres', "SELECT adapty.grant_access_level('held', 'premium', expires_at => clock_timestamp() + interval '1 s')");
$session->query("BEGIN; SELECT FROM adapty.profiles JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'held' FOR UPDATE OF profiles");
ok($node->poll_query_until('postgres', "SELECT due_now = 1 AND next_due_at < now() - interval '3 s' FROM adapty.stats"), 'a held user waits');
cmp_ok(stat_of($node, 'wakeups'), '<', 20, 'without the scheduler spinning');
$session->query('COMMIT');
ok($node->poll_query_until('postgres', announcement('held', 'false')), 'until it is let go');
$session->quit;

# --- terminated in the middle of a long batch ---
$node->append_conf('postgresql.conf', 'adapty.batch_size = 100000');
$node->reload;
my $others = announced($node);
add_lapses($node, 30000, 'now()');
$pid = scheduler_pid($node);
$node->safe_psql('postgres', "ALTER SYSTEM SET adapty.max_sleep = '10ms'");
$node->reload;
ok( $node->poll_query_until('postgres', "SELECT xact_start IS NOT NULL OR EXISTS (SELECT FROM adapty.events OFFSET 20000) FROM pg_stat_activity WHERE pid = $pid"),
	'a long batch has begun');
is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 1000)"), 't', 'it stops within a second');
ok($node->poll_query_until('postgres', "SELECT due_now = 0 AND scheduler_running FROM adapty.stats"), 'the next scheduler does the work');
is(announced($node) - $others, 30000, 'every lapse is announced once');

# --- nobody without the right sees the statistics ---
my ($code, undef, $stderr) = $node->psql('postgres', "CREATE ROLE nobody; SET ROLE nobody; SELECT * FROM adapty.stats");
like($stderr, qr/permission denied/, 'adapty.stats is not for everybody');
is($node->safe_psql('postgres', "SET ROLE adapty_server; SELECT scheduler_running FROM adapty.stats"), 't', 'adapty_server may read it');
is($node->safe_psql('postgres', "SET ROLE pg_monitor; SELECT scheduler_running FROM adapty.stats"), 't', 'and so may pg_monitor');

my $began = time;
$node->stop('fast');
cmp_ok(time - $began, '<', 10, 'the server stops without waiting for the workers');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|server process .* was terminated/, 'nothing crashed');

done_testing();

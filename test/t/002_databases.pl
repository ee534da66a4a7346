# Schedulers come and go with databases and with the extension.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = adapty_node('databases', conf => 'max_worker_processes = 16');

# Databases with a scheduler, as text.
sub with_scheduler
{
	return $node->safe_psql('postgres',
		"SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_stat_activity WHERE backend_type = 'adapty scheduler'");
}

# Waits until a database has no scheduler.
sub wait_none
{
	my ($database, $name) = @_;
	ok( $node->poll_query_until('postgres',
			"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'adapty scheduler' AND datname = '$database'"),
		$name);
	return;
}

# --- several databases ---
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(one two plain);
$node->safe_psql($_, 'CREATE EXTENSION adapty') for qw(one two);
wait_scheduler($node, $_) for qw(one two);
is(with_scheduler(), 'one two', 'a scheduler in each database that has the extension, none elsewhere');
add_lapses($node, 10, 'clock_timestamp()', $_) for qw(one two);
$node->safe_psql('postgres', "ALTER SYSTEM SET adapty.max_sleep = '100ms'");
$node->reload;
for my $database (qw(one two))
{
	ok($node->poll_query_until($database, 'SELECT due_now = 0 FROM adapty.stats'), "work is done in $database");
	lapses_announced_once($node, 10, "once for every user of $database", $database);
}
$node->safe_psql('postgres', "ALTER SYSTEM RESET adapty.max_sleep");
$node->reload;

# --- CREATE and DROP EXTENSION while running ---
is($node->safe_psql('plain', 'BEGIN; CREATE EXTENSION adapty; ROLLBACK; SELECT 1'), '1', 'CREATE EXTENSION is rolled back');
$node->safe_psql('plain', 'CREATE EXTENSION adapty');
wait_scheduler($node, 'plain');
my $pid = scheduler_pid($node, 'plain');
is($node->safe_psql('plain', 'BEGIN; DROP EXTENSION adapty; ROLLBACK; SELECT 1'), '1', 'DROP EXTENSION is rolled back');
wait_scheduler($node, 'plain');
is(scheduler_pid($node, 'plain'), $pid, 'the scheduler has stayed');
$node->safe_psql('plain', "SET lock_timeout = '10s'; DROP EXTENSION adapty");
wait_none('plain', 'DROP EXTENSION makes the scheduler leave');
$node->safe_psql('plain', 'CREATE EXTENSION adapty');
wait_scheduler($node, 'plain');
$node->safe_psql('plain', 'DROP SCHEMA adapty CASCADE');
wait_none('plain', 'so does DROP SCHEMA ... CASCADE');
$node->safe_psql('plain', 'CREATE EXTENSION adapty; DROP EXTENSION adapty; CREATE EXTENSION adapty');
wait_scheduler($node, 'plain');
$node->safe_psql('postgres', "ALTER SYSTEM SET adapty.scheduler = off");
$node->reload;
ok($node->poll_query_until('plain', "SELECT state = 'off' FROM adapty.stats"), 'switched off');
$node->safe_psql('plain', 'DROP EXTENSION adapty');
wait_none('plain', 'a scheduler that is switched off leaves, too');
$node->safe_psql('postgres', "ALTER SYSTEM RESET adapty.scheduler");
$node->reload;
wait_scheduler($node, 'one');

# --- CREATE DATABASE ... TEMPLATE, ALTER DATABASE RENAME ---
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
wait_scheduler($node, $_) for qw(one copy);
lapses_announced_once($node, 10, 'the copy has what the original had', 'copy');
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO copied');
wait_scheduler($node, 'copied');
is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'adapty scheduler' AND datname = 'copied'"),
	'1', 'under its new name it has one scheduler');
$node->safe_psql('postgres', 'BEGIN; ALTER DATABASE copied RENAME TO other; ROLLBACK');
wait_scheduler($node, 'copied');

# --- ALTER DATABASE SET TABLESPACE ---
my $tablespace = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$tablespace'");
$node->safe_psql('postgres', 'ALTER DATABASE copied SET TABLESPACE elsewhere');
wait_scheduler($node, 'copied');
lapses_announced_once($node, 10, 'a moved database is whole', 'copied');

# --- DROP DATABASE ---
$node->safe_psql('postgres', 'DROP DATABASE copied');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = 'copied'"), '0', 'DROP DATABASE works');
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE two');
wait_scheduler($node, 'copied');
$node->safe_psql('postgres', 'DROP DATABASE copied WITH (FORCE)');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = 'copied'"), '0', 'so does WITH (FORCE)');

# --- refused: the scheduler stays or comes back ---
$pid = scheduler_pid($node, 'two');
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN CREATEDB');
for my $statement ('DROP DATABASE two', 'DROP DATABASE two WITH (FORCE)', 'ALTER DATABASE two RENAME TO mine', 'CREATE DATABASE mine TEMPLATE two')
{
	my (undef, undef, $stderr) = $node->psql('postgres', "SET ROLE stranger; $statement");
	like($stderr, qr/must be owner|permission denied/, "refused to a stranger: $statement");
}
is(scheduler_pid($node, 'two'), $pid, 'a stranger cannot move the scheduler');
my $session = start_session($node, 'two');
$session->query('SELECT 1');
my (undef, undef, $stderr) = $node->psql('postgres', 'DROP DATABASE two');
like($stderr, qr/being accessed by other users/, 'DROP DATABASE fails because of somebody else');
unlike($stderr, qr/There are 2/, 'and of nobody of ours');
$session->quit;
wait_scheduler($node, 'two');
isnt(scheduler_pid($node, 'two'), $pid, 'the scheduler has come back');

# --- adapty.databases ---
$node->append_conf('postgresql.conf', q(adapty.databases = 'two, "odd, name"'));
$node->reload;
wait_none('one', 'a database that is not named loses its scheduler');
$node->safe_psql('postgres', 'CREATE DATABASE "odd, name" TEMPLATE one');
$node->safe_psql('postgres', 'CREATE DATABASE unnamed TEMPLATE one');
wait_scheduler($node, 'odd, name');
is(with_scheduler(), 'odd, name two', 'only named databases have one');
(undef, undef, $stderr) = $node->psql('postgres', q(ALTER SYSTEM SET adapty.databases = '"open'));
like($stderr, qr/invalid value for parameter "adapty.databases"/, 'a list that cannot be read is refused');
$node->append_conf('postgresql.conf', q(adapty.databases = ''));
$node->reload;
wait_scheduler($node, $_) for qw(one unnamed);

# --- a database that takes no connections, and one that becomes a template ---
$node->safe_psql('postgres', 'ALTER DATABASE unnamed ALLOW_CONNECTIONS false');
wait_none('unnamed', 'ALLOW_CONNECTIONS false makes the scheduler leave');
$node->safe_psql('postgres', 'ALTER DATABASE unnamed ALLOW_CONNECTIONS true');
wait_scheduler($node, 'unnamed');
$node->safe_psql('postgres', 'ALTER DATABASE unnamed IS_TEMPLATE true');
wait_none('unnamed', 'so does IS_TEMPLATE true');

# --- SQL objects of another version than the library ---
$node->safe_psql('one', "UPDATE pg_extension SET extversion = '0.0.0' WHERE extname = 'adapty'");
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . scheduler_pid($node, 'one') . ', 1000)');
$node->wait_for_log(qr/LOG:  adapty scheduler is idle: its library is version/);
is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'adapty scheduler' AND datname = 'one'"),
	'1', 'it stays and does nothing');
(undef, undef, $stderr) = $node->psql('one', "SELECT adapty.create_profile('x')");
like($stderr, qr/HINT:  Run ALTER EXTENSION adapty UPDATE/, 'functions say what to do');
$node->safe_psql('one', "UPDATE pg_extension SET extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'adapty') WHERE extname = 'adapty'");
$node->safe_psql('one', 'ALTER EXTENSION adapty UPDATE');
wait_scheduler($node, 'one');

# --- the launcher ends: schedulers go on, a new launcher knows them ---
$pid = scheduler_pid($node, 'one');
is( $node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE backend_type = 'adapty launcher'"),
	't', 'the launcher is terminated');
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'adapty launcher'"), 'and comes back');
$node->safe_psql('plain', 'CREATE EXTENSION adapty');
wait_scheduler($node, 'plain');
is(scheduler_pid($node, 'one'), $pid, 'the other schedulers have stayed');

# --- more databases than processes ---
$node->append_conf('postgresql.conf', 'max_worker_processes = 2');
$node->restart;
$node->wait_for_log(qr/WARNING:  no background worker left for the adapty scheduler/);
is(scalar(() = slurp_file($node->logfile) =~ /no background worker left/g), 1, 'too few processes are reported once');
like(slurp_file($node->logfile), qr/HINT:  Increase max_worker_processes/, 'with a hint');

$node->stop('fast');
unlike(slurp_file($node->logfile), qr/FATAL:  database .* does not exist|TRAP|PANIC/, 'no process is started for a database that is gone');

done_testing();

# Segments survive dump, restore and upgrade: rows and views, once each, and they go on working.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = adapty_node('source', conf => "adapty.scheduler = off\n");
$source->safe_psql('postgres', 'CREATE DATABASE app');
$source->safe_psql('app', <<'SQL');
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'German';
SET IntervalStyle = 'sql_standard';
CREATE EXTENSION adapty;
CREATE ROLE reader;
SELECT adapty.create_profile('user' || n, jsonb_build_object('custom_attributes', jsonb_build_object('words', n, 'level', CASE WHEN n % 2 = 0 THEN 'gold' ELSE 'it''s "odd"' END)))
  FROM generate_series(1, 20) n;
SELECT adapty.update_profile('user' || n, '{"installation_meta": {"device_id": "11111111-0000-4000-8000-000000000001", "platform": "iOS", "app_version": "1.10.0", "locale": "pt-BR"}}')
  FROM generate_series(1, 10) n;
SELECT adapty.grant_access_level('user' || n, 'premium', duration => '7 days') FROM generate_series(1, 5) n;
SELECT adapty.create_segment('words', 'attr.words between 3 and 12 and attr.level != ''gold''', 'Some learn.');
SELECT adapty.create_segment('Odd "quotes" \ and ünïcode', 'attr.level = ''it''''s "odd"'' or app_version > ''1.9.0'' and language = ''pt''');
SELECT adapty.create_segment('times', 'created_at after ''2020-02-29'' and last_seen within last 3 months and age is not set and not access(''premium'')');
SELECT adapty.create_segment('all kinds', 'access() or subscription_expires_at after now or (platform = iOS or attribution_status = unknown) and customer_user_id is set');
SELECT adapty.duplicate_segment('Never subscribed', 'never');
GRANT USAGE ON SCHEMA adapty_segments TO reader;
GRANT SELECT ON adapty_segments.words TO reader;
REVOKE SELECT ON adapty_segments.times FROM adapty_analyst;
CREATE VIEW on_top AS SELECT count(*) AS n FROM adapty_segments.words JOIN adapty_segments.never USING (profile_id);
CREATE TABLE campaign (title text, segment_id uuid REFERENCES adapty.segments);
INSERT INTO campaign SELECT name, segment_id FROM adapty.segments;
SQL

my $rows = "SELECT string_agg(concat_ws('|', segment_id, name, filter, description, is_predefined, created_at), E'\\n' ORDER BY segment_id) FROM adapty.segments";
my $views = "SELECT string_agg(concat_ws('|', c.relname, pg_get_userbyid(c.relowner) = pg_get_userbyid(t.relowner), c.relacl, obj_description(c.oid), d.objid IS NOT NULL, md5(pg_get_viewdef(c.oid))), E'\\n' ORDER BY c.relname)
  FROM pg_class c JOIN pg_class t ON t.oid = 'adapty.profiles'::regclass LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
 WHERE c.relnamespace = 'adapty_segments'::regnamespace";
my $members = "SELECT string_agg(name || ' ' || adapty.segment_count(name), ', ' ORDER BY name) FROM adapty.segments";
my %expected = map { $_ => $source->safe_psql('app', $_) } ($rows, $views, $members, 'SELECT n FROM on_top');
is($expected{$members}, 'Never subscribed 20, Odd "quotes" \ and ünïcode 15, Subscription cancelled 0, Trial cancelled 0, all kinds 20, never 20, times 5, words 5',
	'members');

my $dir = PostgreSQL::Test::Utils::tempdir;
$source->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/app.dump", $source->connstr('app') ], 'pg_dump -Fc');
$source->command_ok([ 'pg_dump', '-f', "$dir/app.sql", $source->connstr('app') ], 'pg_dump in plain SQL');
$source->command_ok([ 'pg_dump', '--data-only', '-f', "$dir/data.sql", $source->connstr('app') ], 'pg_dump of data');

for my $way ('pg_restore', 'psql', 'data')
{
	$source->safe_psql('postgres', "CREATE DATABASE $way");
	my $to = $source->connstr($way);
	if ($way eq 'pg_restore') { $source->command_ok([ 'pg_restore', '--exit-on-error', '-d', $to, "$dir/app.dump" ], "$way: restored"); }
	if ($way eq 'psql') { $source->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/app.sql", $to ], "$way: restored"); }
	if ($way eq 'data')
	{
		# only rows: the trigger makes the views
		$source->safe_psql($way, 'CREATE EXTENSION adapty; CREATE TABLE campaign (title text, segment_id uuid)');
		$source->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/data.sql", $to ], "$way: restored");
	}
	is($source->safe_psql($way, $rows), $expected{$rows}, "$way: the same segments, each once");
	is($source->safe_psql($way, $members), $expected{$members}, "$way: the same members");
	if ($way ne 'data')
	{
		is($source->safe_psql($way, $views), $expected{$views}, "$way: the same views, owners and privileges");
		is($source->safe_psql($way, 'SELECT n FROM on_top'), $expected{'SELECT n FROM on_top'}, "$way: a view on top");
		my (undef, undef, $in_use) = $source->psql($way, "SELECT adapty.drop_segment('words')");
		like($in_use, qr/segment "words" is in use.*campaign "words"/s, "$way: a segment in use is kept");
	}
	$source->safe_psql($way, "SELECT adapty.alter_segment('times', 'attr.words < 3'); SELECT adapty.rename_segment('times', 'few')");
	is($source->safe_psql($way, "SELECT adapty.segment_count('few'), count(*) FROM adapty_segments.few"), '2|2', "$way: it can be changed");
	my (undef, undef, $stderr) = $source->psql($way, 'DROP EXTENSION adapty');
	like($stderr, qr/view adapty_segments\.\S+ depends on .*HINT:  Use DROP \.\.\. CASCADE/s, "$way: DROP EXTENSION says that views depend on it");
	$source->safe_psql($way, 'DROP EXTENSION adapty CASCADE');
	is($source->safe_psql($way, "SELECT count(*) FROM pg_namespace WHERE nspname = 'adapty_segments'"), '0', "$way: CASCADE drops them too");
}

# An upgrade: from a version that never was, by the part of the script that every upgrade has.
chomp(my $extension = `pg_config --sharedir`);
$extension .= '/extension';
SKIP:
{
	skip "$extension is not writable", 4 unless -w $extension;
	my $script = "$extension/adapty--0.0.9--0.1.0.sql";
	my $text = join('', map { slurp_file($_) } "$ENV{TESTDIR}/sql/header.sql", sort glob("$ENV{TESTDIR}/sql/always/*.sql"));
	append_to_file($script, $text);
	$source->safe_psql('app', <<'SQL');
UPDATE pg_extension SET extversion = '0.0.9' WHERE extname = 'adapty';
-- as if the version before had written views otherwise
DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW adapty_segments.words AS ' || replace(pg_get_viewdef('adapty_segments.words'::regclass), 'WHERE', 'WHERE false AND '); END $$;
SQL
	my (undef, undef, $stderr) = $source->psql('app', 'ALTER EXTENSION adapty UPDATE', on_error_die => 0);
	unlink $script;
	is($stderr, '', 'ALTER EXTENSION UPDATE');
	is($source->safe_psql('app', $rows), $expected{$rows}, 'upgrade: the same segments');
	is($source->safe_psql('app', $views), $expected{$views}, 'upgrade: the views are written again, and are of the same owners and members of the same extension');
	is($source->safe_psql('app', $members), $expected{$members}, 'upgrade: the same members');
}
$source->stop;
done_testing();

# 10,000 random filters over random profiles: their SQL finds the same members as an evaluation of its
# own, written here from docs/segments.md.  ADAPTY_SEED and ADAPTY_FILTERS change what is run.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::Local qw(timegm_modern);

my $seed = $ENV{ADAPTY_SEED} // 20261125;
my $filters = $ENV{ADAPTY_FILTERS} // 10000;
my $people = 100;
my $now;    # microseconds since 1970, known after the run
note "seed $seed, $filters filters";
srand($seed);

sub pick { return $_[ int(rand(@_)) ]; }
sub chance { return rand() < $_[0]; }
sub quote_text { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }

# ---- times: absolute in microseconds, or relative to now ----
my $day = 86400 * 1_000_000;

sub absolute { my ($y, $m, $d, $us) = @_; return { at => timegm_modern(0, 0, 0, $d, $m - 1, $y) * 1_000_000 + ($us // 0) }; }
sub some_time
{
	return absolute(2026, 1, 31, pick(-1, 0, 1, $day / 2, $day - 1, $day)) if chance(0.3);
	return { from_now => pick(-31, -30, -29, -7, -1, 0, 1, 3, 30) * $day + pick(-1, 0, 0, 1) };
}
sub maybe { my ($value, $chance) = @_; return chance($chance // 0.7) ? $value : undef; }
sub time_sql
{
	my ($time) = @_;
	return 'NULL' unless defined $time;
	return "now() + '$time->{from_now} microseconds'::interval" if exists $time->{from_now};
	return "'epoch'::timestamptz + '$time->{at} microseconds'::interval";
}
sub time_us { my ($time) = @_; return defined $time ? $time->{at} // $now + $time->{from_now} : undef; }
sub literal_sql { my ($value) = @_; return defined $value ? quote_text($value) : 'NULL'; }
sub utc_date { my ($us) = @_; my @t = gmtime(POSIX_floor($us / 1_000_000)); return ($t[5] + 1900, $t[4] + 1, $t[3]); }
sub POSIX_floor { my ($x) = @_; my $i = int($x); return $i > $x ? $i - 1 : $i; }

# now and some units, by the calendar in UTC
sub moment
{
	my ($amount, $unit) = @_;
	my %us = (minute => 60_000_000, hour => 3600_000_000, day => $day, week => 7 * $day);
	return $now + $amount * $us{$unit} if exists $us{$unit};
	my ($y, $m, $d) = utc_date($now);
	my $months = $y * 12 + $m - 1 + $amount * ($unit eq 'year' ? 12 : 1);
	my ($year, $month) = (int($months / 12), $months % 12 + 1);
	my @length = (31, $year % 4 == 0 && ($year % 100 != 0 || $year % 400 == 0) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31);
	$d = $length[ $month - 1 ] if $d > $length[ $month - 1 ];
	return timegm_modern(0, 0, 0, $d, $month - 1, $year) * 1_000_000 + $now % $day;
}

# ---- SemVer, by its specification ----
sub version_parts
{
	my ($version) = @_;
	return unless defined $version && length $version <= 255;
	my $id = '(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)';
	return unless $version =~ /\A(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:-($id(?:\.$id)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?\z/;
	return [ $1, $2, $3, $4 ];
}
sub compare_versions
{
	my ($left, $right) = @_;
	for my $i (0 .. 2) { my $c = $left->[$i] <=> $right->[$i]; return $c if $c; }
	return 0 unless defined $left->[3] || defined $right->[3];
	return 1 unless defined $left->[3];
	return -1 unless defined $right->[3];
	my @a = split /\./, $left->[3];
	my @b = split /\./, $right->[3];
	while (@a && @b)
	{
		my ($x, $y) = (shift @a, shift @b);
		my ($xn, $yn) = ($x =~ /\A[0-9]+\z/, $y =~ /\A[0-9]+\z/);
		my $c = $xn && $yn ? $x <=> $y : $xn ? -1 : $yn ? 1 : $x cmp $y;
		return $c if $c;
	}
	return @a <=> @b;
}

# ---- people ----
my @countries = ('US', 'DE', 'FR');
my @states = qw(never_subscribed active_trial trial_cancelled subscribed auto_renew_off grace_period billing_issue subscription_cancelled);
my @platforms = ('iOS', 'Android', 'web');
my @locales = ('en', 'en-US', 'pt_BR', 'fil-PH', 'DE', 'e');
my @versions = ('1.9.0', '1.10.0', '1.10.0-rc.1', '1.10.0-rc.2', '1.10.0+b7', '2.0.0', '26.03.4', '1.10', 'beta', '');
my @products = ('monthly', 'annual');
my %custom_values = (
	words => [ [ n => 0 ], [ n => 1 ], [ n => 99.5 ], [ n => 100 ], [ n => -3 ], [ n => 1e20 ], [ t => 'many' ], [ t => '100' ], [ t => "it's" ] ],
	level => [ [ t => 'gold' ], [ t => 'silver' ], [ n => 5 ] ],
	'my-key.1' => [ [ t => 'x' ], [ n => 1 ] ]);

sub random_person
{
	my %p = (
		birthday => undef,
		country => maybe(pick(@countries)), store_country => maybe(pick(@countries)), gender => maybe(pick('f', 'm', 'o')),
		subscription_state => pick(@states), total_revenue_usd => pick('0', '9.99', '10', '10.01', '100'),
		created_at => some_time(), last_seen => maybe(some_time()), known => chance(0.7), custom => {});
	if (chance(0.7))
	{
		my ($y, $m, $d) = utc_date(time * 1_000_000 + pick(-1, 0, 1) * $day);
		($m, $d) = (3, 1) if $m == 2 && $d == 29;
		$p{birthday} = sprintf('%04d-%02d-%02d', $y - pick(17, 18, 19, 30, 31), $m, $d);
	}
	for my $key (keys %custom_values) { $p{custom}{$key} = pick(@{ $custom_values{$key} }) if chance(0.6); }
	$p{devices} = [ map { {
		platform => maybe(pick(@platforms)), device => maybe(pick('iPhone 15', 'Pixel 8')), os => maybe(pick('iOS 17', 'Android 14')),
		locale => maybe(pick(@locales)), app_version => maybe(pick(@versions)), app_version_on_install => maybe(pick(@versions)),
		installed_at => some_time() } } 1 .. pick(0, 1, 1, 2, 3) ];
	my @sources = pick([], [], ['adjust'], ['appsflyer'], [ 'adjust', 'appsflyer' ]);
	$p{attributions} = [ map { {
		source => $_, status => pick('organic', 'non_organic', 'unknown'), channel => maybe(pick('Ads', 'Web')), campaign => maybe(pick('summer', 'winter')),
		ad_group => maybe('g1'), ad_set => maybe('s1'), creative => maybe('c1') } } @{ $sources[0] } ];
	$p{subscriptions} = [ map { {
		expires_at => some_time(), grace => maybe(some_time(), 0.3), refunded => chance(0.2), product => pick(@products) } } 1 .. pick(0, 0, 1, 2) ];
	$p{grants} = [ map { my $starts = pick(-2, -1, 0, 1) * $day + pick(-1, 0, 1); {
		level => $_, starts => $starts, expires => $starts + pick(1, $day, 3 * $day), offset => maybe(pick(-$day, $day, 2 * $day), 0.3) } }
		@{ pick([], ['premium'], ['sports'], [ 'premium', 'sports' ]) } ];
	return \%p;
}

my @persons = map { random_person() } 1 .. $people;

sub load_sql
{
	my $sql = "SET session_replication_role = replica;\nINSERT INTO adapty.access_levels (access_level_id, title) VALUES ('sports', 'Sports');\n";
	for my $n (1 .. $people)
	{
		my $p = $persons[ $n - 1 ];
		my $id = sprintf("'00000000-0000-4000-9000-%012d'", $n);
		my $custom = join(', ', map { my ($kind, $value) = @{ $p->{custom}{$_} }; "\"$_\": " . ($kind eq 'n' ? $value : "\"$value\"") } sort keys %{ $p->{custom} });
		$custom =~ s/'/''/g;
		$sql .= "INSERT INTO adapty.profiles (profile_id, birthday, ip_country, store_country, gender, subscription_state, total_revenue_usd, created_at, last_seen_at, custom_attributes) VALUES ($id, "
		  . join(', ', map { literal_sql($p->{$_}) } qw(birthday country store_country gender subscription_state total_revenue_usd)) . ', '
		  . time_sql($p->{created_at}) . ', ' . time_sql($p->{last_seen}) . ", '{$custom}');\nINSERT INTO people VALUES ($n, $id);\n";
		$sql .= "INSERT INTO adapty.identities VALUES ('user$n', $id);\n" if $p->{known};
		for my $d (@{ $p->{devices} })
		{
			$sql .= "INSERT INTO adapty.installations (profile_id, device_id, created_at, platform, device, os, locale, app_version, installed_app_version) VALUES ($id, gen_random_uuid(), "
			  . join(', ', time_sql($d->{installed_at}), map { literal_sql($d->{$_}) } qw(platform device os locale app_version app_version_on_install)) . ");\n";
		}
		for my $a (@{ $p->{attributions} })
		{
			$sql .= "INSERT INTO adapty.attributions (profile_id, source, status, channel, campaign, ad_group, ad_set, creative) VALUES ($id, "
			  . join(', ', map { literal_sql($a->{$_}) } qw(source status channel campaign ad_group ad_set creative)) . ");\n";
		}
		for my $i (0 .. $#{ $p->{subscriptions} })
		{
			my $s = $p->{subscriptions}[$i];
			my $refunded = $s->{refunded} ? 'now()' : 'NULL';
			$sql .= "INSERT INTO adapty.subscriptions (profile_id, starts_at, purchased_at, originally_purchased_at, expires_at, grace_period_expires_at, refunded_at, environment, renew_status, store, store_original_transaction_id, store_transaction_id, store_product_id) VALUES ($id, '2020-01-01', '2020-01-01', '2020-01-01', "
			  . time_sql($s->{expires_at}) . ', ' . time_sql($s->{grace}) . ", $refunded, 'Production', true, 'app_store', 't$n-$i', 't$n-$i', '$s->{product}');\n";
		}
		for my $g (@{ $p->{grants} })
		{
			$sql .= "INSERT INTO adapty.access_grants (profile_id, access_level_id, starts_at, expires_at, test_clock_offset) VALUES ($id, '$g->{level}', "
			  . time_sql({ from_now => $g->{starts} }) . ', ' . time_sql({ from_now => $g->{expires} }) . ', ' . ($g->{offset} // 'NULL') . ");\n";
		}
	}
	return $sql . "SET session_replication_role = origin;\n";
}

# ---- filters: a tree, and its text ----
my %kinds = (
	age => 'number', total_revenue_usd => 'number', country => 'text', store_country => 'text', gender => 'word', subscription_state => 'word',
	created_at => 'time', last_seen => 'time', customer_user_id => 'presence', app_version => 'version', app_version_on_install => 'version',
	device => 'text', os => 'text', platform => 'word', language => 'text', installed_at => 'time', attribution_source => 'text',
	attribution_status => 'word', attribution_channel => 'text', attribution_campaign => 'text', attribution_ad_group => 'text',
	attribution_ad_set => 'text', attribution_creative => 'text', subscription_expires_at => 'time', subscription_product => 'text',
	custom => 'custom', access => 'access');
my %texts = (
	country => \@countries, store_country => \@countries, gender => [ 'f', 'm', 'o' ], subscription_state => \@states,
	device => [ 'iPhone 15', 'Pixel 8' ], os => [ 'iOS 17', 'Android 14' ], platform => \@platforms, language => [ 'en', 'pt', 'de', 'fi' ],
	attribution_source => [ 'adjust', 'appsflyer' ], attribution_status => [ 'organic', 'non_organic', 'unknown' ],
	attribution_channel => [ 'Ads', 'Web' ], attribution_campaign => [ 'summer', 'winter' ], attribution_ad_group => [ 'g1', 'g2' ],
	attribution_ad_set => [ 's1', 's2' ], attribution_creative => [ 'c1', 'c2' ], subscription_product => \@products);
my %numbers = (age => [ 17, 18, 18.5, 30, 31, 0, -1, 250 ], total_revenue_usd => [ 0, 9.99, 10, 10.005, 100 ], custom => [ 0, 1, 99.5, 100, -3, 1e20, 5 ]);
my @good_versions = grep { version_parts($_) } @versions, '1.9.9', '1.10.0-alpha';

# a value: {text => how it is written, and what it is}
sub random_value
{
	my ($attribute, $kind) = @_;
	if ($kind eq 'number') { my $n = pick(@{ $numbers{$attribute} }); return { text => $n, number => $n }; }
	if ($kind eq 'text' || $kind eq 'word')
	{
		my $t = pick(@{ $texts{$attribute} });
		return { text => $kind eq 'word' && chance(0.8) ? $t : quote_text($t), string => $t };
	}
	if ($kind eq 'version') { my $v = pick(@good_versions); return { text => quote_text($v), version => version_parts($v) }; }
	# time
	if (chance(0.3)) { my $d = pick(30, 31); return { text => "'2026-01-$d'", from => timegm_modern(0, 0, 0, $d, 0, 2026) * 1_000_000, is_day => 1 }; }
	if (chance(0.2))
	{
		my $hours = pick(0, 12, 24);
		return { text => $hours == 24 ? "'2026-02-01T00:00:00Z'" : sprintf("'2026-01-31 %02d:00:00+00:00'", $hours), from => timegm_modern(0, 0, 0, 31, 0, 2026) * 1_000_000 + $hours * 3600_000_000 };
	}
	return { text => 'now', amount => 0, unit => 'day' } if chance(0.1);
	my ($amount, $unit) = @{ pick([ 30, 'day' ], [ 7, 'day' ], [ 1, 'day' ], [ 1, 'week' ], [ 1, 'month' ], [ 24, 'hour' ], [ 90, 'minute' ], [ 1, 'year' ], [ 3, 'day' ]) };
	my $past = chance(0.7);
	return { text => "$amount $unit" . ($amount == 1 ? '' : 's') . ($past ? ' ago' : ' from now'), amount => $past ? -$amount : $amount, unit => $unit };
}

# the first and the last moment of a time's value, when now is known
sub value_from { my ($v) = @_; return $v->{from} // moment($v->{amount}, $v->{unit}); }
sub value_to { my ($v) = @_; return $v->{is_day} ? $v->{from} + $day - 1 : value_from($v); }

# Does "a between b" surely hold nothing?  Those are refused.
sub is_reversed
{
	my ($kind, $x, $y) = @_;
	return $x->{number} > $y->{number} if $kind eq 'number';
	return compare_versions($x->{version}, $y->{version}) > 0 if $kind eq 'version';
	return defined $x->{from} && defined $y->{from} && !$x->{is_day} == !$y->{is_day} && $x->{from} > $y->{from};
}

sub random_condition
{
	my $attribute = pick(sort keys %kinds);
	my $kind = $kinds{$attribute};
	my $node = { type => 'condition', attribute => $attribute };
	if ($kind eq 'access')
	{
		$node->{levels} = pick([], ['premium'], ['sports'], [ 'premium', 'sports' ], ['nothing']);
		$node->{text} = 'access(' . join(', ', map { "'$_'" } @{ $node->{levels} }) . ')';
		return $node;
	}
	my $name = $attribute;
	if ($kind eq 'custom')
	{
		$node->{key} = pick(sort keys %custom_values, 'nothing');
		$name = $node->{key} =~ /-/ ? "attr.\"$node->{key}\"" : "attr.$node->{key}";
		$kind = pick('number', 'text');
		$texts{custom} = [ 'many', '100', "it's", 'gold', 'silver', 'x' ];
	}
	$node->{kind} = $kind;
	my @ops = $kind eq 'presence' ? ('is set', 'is not set') : ('=', '!=', 'is set', 'is not set');
	push @ops, 'in', 'not in' if $kind ne 'time' && $kind ne 'presence';
	push @ops, '<', '<=', '>', '>=', 'between', 'not between' if $kind =~ /number|version|time/;
	my $op = $node->{op} = pick(@ops);
	my $count = $op =~ /is/ ? 0 : $op =~ /in/ ? 1 + int(rand(3)) : $op =~ /between/ ? 2 : 1;
	$node->{values} = [ map { random_value($attribute, $kind) } 1 .. $count ];
	@{ $node->{values} } = reverse @{ $node->{values} } if $op =~ /between/ && is_reversed($kind, @{ $node->{values} });
	my @written = map { $_->{text} } @{ $node->{values} };
	my $word = $kind eq 'time' && $op eq '<' ? 'before' : $kind eq 'time' && $op eq '>' ? 'after' : $op;
	$node->{text} = "$name $word" . ($op =~ /is/ ? '' : $op =~ /in/ ? ' (' . join(', ', @written) . ')' : ' ' . join(' and ', @written));
	return $node;
}

sub random_filter
{
	my ($depth) = @_;
	return { type => 'everyone', text => 'everyone' } if chance(0.01);
	return random_condition() if $depth == 0 || chance(0.3);
	if (chance(0.25))
	{
		my $child = random_filter($depth - 1);
		return { type => 'not', children => [$child], text => "not ($child->{text})" };
	}
	my $type = pick('and', 'and', 'or');
	my @children = map { random_filter($depth - 1) } 1 .. 2 + int(rand(3));
	return { type => $type, children => \@children, text => '(' . join(" $type ", map { $_->{text} } @children) . ')' };
}

# ---- the meaning, as documented ----
sub compare
{
	my ($kind, $op, $x, @v) = @_;    # x is there
	return $op eq 'is set' if $op =~ /is/;
	if ($kind eq 'time')
	{
		my ($from, $to) = (value_from($v[0]), value_to($v[-1]));
		return $op eq '<' ? $x < $from : $op eq '>' ? $x > $to : $op eq '>=' ? $x >= $from : $op eq '<=' ? $x <= $to
		  : ($op eq '=' || $op eq 'between') ? $x >= $from && $x <= $to : !($x >= $from && $x <= $to);
	}
	my @c = map { $kind eq 'number' ? $x <=> $_->{number} : $kind eq 'version' ? compare_versions($x, $_->{version}) : $x cmp $_->{string} } @v;
	return $op eq '=' ? $c[0] == 0 : $op eq '!=' ? $c[0] != 0 : $op eq '<' ? $c[0] < 0 : $op eq '<=' ? $c[0] <= 0 : $op eq '>' ? $c[0] > 0
	  : $op eq '>=' ? $c[0] >= 0 : $op eq 'in' ? (grep { $_ == 0 } @c) > 0 : $op eq 'not in' ? (grep { $_ == 0 } @c) == 0
	  : $op eq 'between' ? $c[0] >= 0 && $c[1] <= 0 : !($c[0] >= 0 && $c[1] <= 0);
}

sub age
{
	my ($birthday) = @_;
	return unless defined $birthday;
	my ($y, $m, $d) = utc_date($now);
	my ($by, $bm, $bd) = map { $_ + 0 } split /-/, $birthday;
	return $y - $by - (($m < $bm || ($m == $bm && $d < $bd)) ? 1 : 0);
}

# the value of an attribute of (profile, device, attribution); undef if absent
sub value_of
{
	my ($node, $p, $d, $attribution) = @_;
	my $name = $node->{attribute};
	return age($p->{birthday}) if $name eq 'age';
	return time_us($p->{$name}) if $name eq 'created_at' || $name eq 'last_seen';
	return $p->{known} ? 1 : undef if $name eq 'customer_user_id';
	if ($name eq 'custom')
	{
		my $value = $p->{custom}{ $node->{key} };
		return unless defined $value;
		return 1 if $node->{op} =~ /is/;
		return $value->[0] eq ($node->{kind} eq 'number' ? 'n' : 't') ? $value->[1] : undef;
	}
	if ($name =~ /^attribution_(.*)/) { return $attribution ? $attribution->{$1} : $1 eq 'status' ? 'unknown' : undef; }
	if ($name =~ /^app_version/) { return version_parts($d && $d->{$name}); }
	if ($name eq 'language') { return $d && defined $d->{locale} && $d->{locale} =~ /^([A-Za-z]{2})(?:[-_]|$)/ ? lc $1 : undef; }
	if ($name eq 'installed_at') { return $d ? time_us($d->{$name}) : undef; }
	if ($name =~ /^(device|os|platform)$/) { return $d ? $d->{$name} : undef; }
	if ($name eq 'subscription_expires_at')
	{
		my ($latest) = sort { $b <=> $a } map { time_us($_->{expires_at}) } @{ $p->{subscriptions} };
		return $latest;
	}
	return $p->{$name};
}

sub holds
{
	my ($node, $p, $d, $attribution) = @_;
	my $type = $node->{type};
	return 1 if $type eq 'everyone';
	return !holds($node->{children}[0], $p, $d, $attribution) if $type eq 'not';
	if ($type eq 'and') { holds($_, $p, $d, $attribution) || return 0 for @{ $node->{children} }; return 1; }
	if ($type eq 'or') { holds($_, $p, $d, $attribution) && return 1 for @{ $node->{children} }; return 0; }
	if ($node->{attribute} eq 'access')
	{
		for my $g (@{ $p->{grants} })
		{
			my $clock = $g->{offset} // 0;
			next if @{ $node->{levels} } && !grep { $_ eq $g->{level} } @{ $node->{levels} };
			return 1 if $g->{starts} <= $clock && $clock < $g->{expires};
		}
		return 0;
	}
	if ($node->{attribute} eq 'subscription_product')
	{
		my @active = grep { !$_->{refunded} && (time_us($_->{expires_at}) > $now || (defined $_->{grace} && time_us($_->{grace}) > $now)) } @{ $p->{subscriptions} };
		return !@active if $node->{op} eq 'is not set';
		return (grep { compare('text', $node->{op}, $_->{product}, @{ $node->{values} }) } @active) > 0;
	}
	my $value = value_of($node, $p, $d, $attribution);
	return $node->{op} eq 'is not set' unless defined $value;
	return compare($node->{kind}, $node->{op}, $value, @{ $node->{values} });
}

# in the segment: with one of the devices and one of the attributions, or with none where there is none
# (with a platform only its devices count)
sub is_member
{
	my ($node, $p, $platform) = @_;
	my @devices = grep { !defined $platform || (defined $_->{platform} && $_->{platform} eq $platform) } @{ $p->{devices} };
	for my $d (@devices ? @devices : undef)
	{
		for my $attribution (@{ $p->{attributions} } ? @{ $p->{attributions} } : undef) { return 1 if holds($node, $p, $d, $attribution); }
	}
	return 0;
}

# ---- both, compared ----
my $node = adapty_node('segments', conf => "adapty.scheduler = off\njit = off\n");
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
my @on = map { chance(0.3) ? pick(@platforms) : undef } 1 .. $filters;
my @trees = map { random_filter(pick(0, 1, 2, 3)) } 1 .. $filters;
my $sql = "BEGIN;\nCREATE TABLE people (n integer, profile_id uuid PRIMARY KEY);\nCREATE TABLE filters (n integer PRIMARY KEY, platform adapty.platform, filter text, same boolean, members integer[]);\n"
  . load_sql() . "ANALYZE;\nCOPY filters (n, platform, filter) FROM stdin;\n"
  . join('', map { "$_\t" . ($on[$_] // '\N') . "\t$trees[$_]{text}\n" } 0 .. $#trees) . "\\.\n" . <<'SQL';
DO $$
DECLARE
    f record;
    parsed adapty.segment_filter;
    found integer[];
BEGIN
    SET LOCAL search_path = pg_catalog;
    FOR f IN SELECT * FROM public.filters LOOP
        parsed := f.filter::adapty.segment_filter;
        EXECUTE 'SELECT array_agg(p.n ORDER BY p.n) FROM public.people p JOIN (' || adapty.segment_sql(parsed, f.platform) || ') s USING (profile_id)' INTO found;
        UPDATE public.filters SET members = coalesce(found, '{}'), same =
            parsed::text::adapty.segment_filter OPERATOR(adapty.=) parsed AND parsed::jsonb::adapty.segment_filter OPERATOR(adapty.=) parsed
            AND adapty.segment_sql(parsed::jsonb::adapty.segment_filter) = adapty.segment_sql(f.filter::adapty.segment_filter)
         WHERE n = f.n;
    END LOOP;
END $$;
SELECT (extract(epoch FROM adapty.now()) * 1000000)::bigint AS now_us \gset
\echo now :now_us
COMMIT;
SELECT n, same, array_to_string(members, ',') FROM filters ORDER BY n;
SQL
my $stdout = '';
my $stderr = '';
$node->psql('postgres', $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 1, timeout => 600);
($now) = $stdout =~ /^now (\d+)$/m;
is($stderr, '', 'the filters ran');
die $stderr unless defined $now;

my ($wrong, $not_same, $members) = (0, 0, 0);
for my $line (grep { /^\d+\|/ } split /\n/, $stdout)
{
	my ($n, $same, $found) = split /\|/, $line, 3;
	my $expected = join(',', grep { is_member($trees[$n], $persons[ $_ - 1 ], $on[$n]) } 1 .. $people);
	$not_same++ if $same ne 't';
	$members += () = $found =~ /\d+/g;
	next if $expected eq $found;
	diag("seed $seed, filter $n" . (defined $on[$n] ? " on $on[$n]" : '') . ": $trees[$n]{text}\nexpected $expected\nfound    $found") if $wrong++ < 5;
}
is($wrong, 0, "$filters filters find the members that they mean (seed $seed)");
is($not_same, 0, 'each reads back as itself, as text and as JSON');
my $share = $members / $filters / $people;
ok($share > 0.1 && $share < 0.9, sprintf('a filter has %.0f %% of the users as members on average', 100 * $share));
$node->stop;
done_testing();

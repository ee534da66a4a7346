# AdaptyHttp: the whole HTTP API for a test: a server with the extension, the real PostgREST and the real
# nginx, both with the files of deploy/.
package AdaptyHttp;

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use Exporter 'import';
use File::Basename qw(dirname);
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(api api_key api_start error_is http_raw jwt missing_binaries);

our $jwt_secret = 'a secret of at least thirty-two bytes, for tests';
our $port;
my $json = JSON::PP->new->canonical->allow_nonref->utf8;
my %children;

# Why the tests cannot run here; nothing if they can.
sub missing_binaries
{
	return 'ADAPTY_POSTGREST is not set: the path of a postgrest binary' unless defined $ENV{ADAPTY_POSTGREST};
	return 'nginx is not installed' unless defined nginx();
	return;
}

sub nginx
{
	for my $path ($ENV{ADAPTY_NGINX} // (), '/usr/sbin/nginx', '/usr/local/sbin/nginx')
	{
		return $path if -x $path;
	}
	return;
}

# Starts a child, its output in a file.
sub spawn
{
	my ($log, @command) = @_;
	my $pid = fork;
	die "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		open STDOUT, '>>', $log or die $!;
		open STDERR, '>&', \*STDOUT or die $!;
		exec @command or die "$command[0]: $!";
	}
	$children{$pid} = 1;
	return $pid;
}

# Ends a child and waits for it.
sub reap
{
	my ($pid) = @_;
	return unless delete $children{$pid};
	kill 'TERM', $pid;
	waitpid $pid, 0;
	return;
}

END
{
	my $status = $?;
	reap($_) for keys %children;
	$? = $status;
}

# Starts everything for a running node whose database has the extension; returns an object with
# start_postgrest(), stop_postgrest() and url-less fields port (nginx) and postgrest_port.
sub api_start
{
	my ($node, %options) = @_;
	my $deploy = dirname(__FILE__) . '/../../deploy';
	my $self = bless {
		node => $node,
		dir => PostgreSQL::Test::Utils::tempdir,
		postgrest_port => PostgreSQL::Test::Cluster::get_free_port(),
		port => PostgreSQL::Test::Cluster::get_free_port(),
		deploy => $deploy,
		options => \%options,
	}, __PACKAGE__;
	$node->safe_psql($options{database} // 'postgres', slurp_file("$deploy/roles.sql"));
	append_to_file("$self->{dir}/nginx.conf", <<"CONF");
daemon off;
worker_processes 1;
pid $self->{dir}/nginx.pid;
error_log $self->{dir}/nginx.log warn;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path $self->{dir}/tmp; proxy_temp_path $self->{dir}/tmp;
    fastcgi_temp_path $self->{dir}/tmp; uwsgi_temp_path $self->{dir}/tmp; scgi_temp_path $self->{dir}/tmp;
    upstream adapty_postgrest { server 127.0.0.1:$self->{postgrest_port}; keepalive 32; }
    include $deploy/nginx/http.conf;
    server {
        listen 127.0.0.1:$self->{port};
        include $deploy/nginx/server.conf;
    }
}
CONF
	$port = $self->{port};
	$self->start_postgrest;
	$self->{nginx} = spawn("$self->{dir}/nginx.log", nginx(), '-c', "$self->{dir}/nginx.conf", '-p', $self->{dir});
	$self->wait_until_up;
	return $self;
}

sub start_postgrest
{
	my ($self) = @_;
	my $node = $self->{node};
	local $ENV{PGRST_DB_URI} = 'postgres://adapty_authenticator@/' . ($self->{options}{database} // 'postgres')
	  . '?host=' . $node->host . '&port=' . $node->port;
	local $ENV{PGRST_JWT_SECRET} = $jwt_secret;
	local $ENV{PGRST_SERVER_PORT} = $self->{postgrest_port};
	local $ENV{PGRST_DB_POOL} = 6;
	$self->{postgrest} = spawn("$self->{dir}/postgrest.log", $ENV{ADAPTY_POSTGREST}, "$self->{deploy}/postgrest.conf");
	return;
}

sub stop_postgrest
{
	my ($self) = @_;
	reap($self->{postgrest});
	return;
}

# Waits until a request is answered by the extension: 401 without a key.
sub wait_until_up
{
	my ($self) = @_;
	my $last = '';
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($status, undef, $text) = api('GET', '/api/v2/server-side-api/profile/');
		return if $status == 401;
		$last = "$status $text";
		select undef, undef, undef, 0.1;
	}
	die "the API does not answer: $last\n" . slurp_file("$self->{dir}/postgrest.log") . slurp_file("$self->{dir}/nginx.log");
}

# Sends bytes as they are to a port and returns the answer as it is.
sub http_raw
{
	my ($bytes, $to) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $to // $port, Timeout => 10)
	  or return '';
	local $SIG{PIPE} = 'IGNORE';
	my $sent = 0;
	while ($sent < length $bytes)
	{
		my $n = syswrite $socket, $bytes, 65536, $sent;
		last unless defined $n;
		$sent += $n;
	}
	my $answer = '';
	while (sysread $socket, my $part, 65536) { $answer .= $part; }
	close $socket;
	return $answer;
}

# One request: (status, decoded body, body as text, headers as text).  Options: key or bearer, user
# (customer_user_id), profile (profile_id), body (a Perl value, or a string sent as it is), type
# (content type), headers (array of lines), port.
sub api
{
	my ($method, $path, %options) = @_;
	my $body = $options{body};
	my $content = !defined $body ? '' : ref $body ? $json->encode($body) : $body;
	my @lines = ("$method $path HTTP/1.1", 'Host: localhost', 'Connection: close');
	push @lines, "Authorization: Api-Key $options{key}" if defined $options{key};
	push @lines, "Authorization: Bearer $options{bearer}" if defined $options{bearer};
	push @lines, "adapty-customer-user-id: $options{user}" if defined $options{user};
	push @lines, "adapty-profile-id: $options{profile}" if defined $options{profile};
	push @lines, 'Content-Type: ' . ($options{type} // 'application/json') if defined $body && ($options{type} // 'x') ne '';
	push @lines, 'Content-Length: ' . length $content if defined $body;
	push @lines, @{ $options{headers} // [] };
	my $answer = http_raw(join("\r\n", @lines) . "\r\n\r\n$content", $options{port});
	my ($head, $text) = split /\r\n\r\n/, $answer, 2;
	my ($status) = ($head // '') =~ m{^HTTP/\S+ (\d+)};
	if (($head // '') =~ /^Transfer-Encoding: chunked/mi)
	{
		my $rest = $text;
		$text = '';
		while ($rest =~ s/^([0-9A-Fa-f]+)\r\n// && hex $1)
		{
			$text .= substr $rest, 0, hex $1, '';
			$rest =~ s/^\r\n//;
		}
	}
	my $value = defined $text && length $text ? eval { $json->decode($text) } : undef;
	return ($status // 0, $value, $text // '', $head // '');
}

# A token of PostgREST's own, with these claims; alg => 'none' leaves it unsigned.
sub jwt
{
	my (%claims) = @_;
	my $alg = delete $claims{alg} // 'HS256';
	my $signed = encode_base64url(qq({"alg":"$alg","typ":"JWT"})) . '.' . encode_base64url($json->encode(\%claims));
	return "$signed." if $alg eq 'none';
	return $signed . '.' . encode_base64url(hmac_sha256($signed, $jwt_secret));
}

# A new API key.
sub api_key
{
	my ($node, $kind, $name, $environment) = @_;
	return $node->safe_psql('postgres',
		"SELECT adapty.create_api_key('$kind', '" . ($name // 'test') . "', '" . ($environment // 'Production') . "')");
}

# Passes if an answer (status and body of api()) is an error in the API's form with this status,
# error_code and, if given, source.
sub error_is
{
	my ($status, $body, $expected_status, $code, $name, @source) = @_;
	my $shape = ref $body eq 'HASH' && ref $body->{errors} eq 'ARRAY' && ref $body->{errors}[0] eq 'HASH'
	  && ref $body->{errors}[0]{errors} eq 'ARRAY';
	my $got = $shape
	  ? join(' ', $status, $body->{status_code}, $body->{error_code}, @source ? $body->{errors}[0]{source} // 'null' : ())
	  : "$status without an error body";
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($got, join(' ', $expected_status, $expected_status, $code, @source ? $source[0] // 'null' : ()), $name)
	  or diag($json->encode($body // 'no body'));
	return;
}

1;

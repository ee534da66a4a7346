# Webhooks against nginx: certificates that are not to be trusted, ones that are, HTTP/2, redirects to http.
use strict;
use warnings;

use AdaptyNode;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($nginx) = grep { -x } map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'nginx is not installed' unless $nginx;
plan skip_all => 'openssl is not installed' if system('openssl version >/dev/null 2>&1') != 0;

my $dir = PostgreSQL::Test::Utils::tempdir;
my ($https, $http) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
	  . " -keyout $dir/key.pem -out $dir/cert.pem >/dev/null 2>&1") == 0 or die 'openssl failed';
open my $conf, '>', "$dir/nginx.conf" or die;
print $conf <<"CONF";
daemon off;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { }
http {
    log_format seen '\$server_protocol \$request_method \$uri \$http_webhook_id';
    access_log $dir/access.log seen;
    client_body_temp_path $dir/body; proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi; scgi_temp_path $dir/scgi;
    server {
        listen 127.0.0.1:$https ssl http2;
        ssl_certificate $dir/cert.pem;
        ssl_certificate_key $dir/key.pem;
        default_type application/json;
        location /ok { return 200 '{}'; }
        location /down { return 307 http://127.0.0.1:$http/plain; }
    }
    server {
        listen 127.0.0.1:$http;
        default_type application/json;
        location / { return 200 '{}'; }
    }
}
CONF
close $conf;
my $pid = fork // die;
if ($pid == 0)
{
	open STDERR, '>', "$dir/stderr";
	exec $nginx, '-c', "$dir/nginx.conf" or POSIX::_exit(1);
}
END { if ($pid) { local $?; kill 'TERM', $pid; waitpid $pid, 0; } }
for (1 .. 100) { last if IO::Socket::INET->new("127.0.0.1:$https"); select undef, undef, undef, 0.1; }

my $node = adapty_node('tls');
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub state_is
{
	my ($id, $path, $state, $reason, $name) = @_;
	sql("SELECT adapty.define_webhook('$id', '$path')");
	sql("SELECT adapty.enable_webhook('$id')");
	ok($node->poll_query_until('postgres', "SELECT state = '$state' FROM adapty.webhooks WHERE webhook_id = '$id'"), $name);
	like(sql("SELECT coalesce(state_reason, '') FROM adapty.webhooks WHERE webhook_id = '$id'"), $reason, "$name: the reason");
	return;
}

state_is('untrusted', "https://localhost:$https/ok", 'failed', qr/certificate/i, 'a certificate that nobody vouches for is refused');
sql("ALTER SYSTEM SET adapty.webhook_ca_file = '$dir/cert.pem'");
$node->reload;
state_is('name', "https://127.0.0.1:$https/ok", 'failed', qr/certificate|does not match/i, 'so is one for another name');
state_is('trusted', "https://localhost:$https/ok/trusted", 'enabled', qr/^$/, 'with adapty.webhook_ca_file it is trusted');
state_is('down', "https://localhost:$https/down", 'failed', qr/protocol.*(not supported|disabled)/i, 'https does not become http by a redirect');
sql("SELECT adapty.create_profile('u' || n) FROM generate_series(1, 500) n");
sql("SELECT adapty.grant_access_level('u' || n, 'premium', duration => '1 day') FROM generate_series(1, 500) n");
ok($node->poll_query_until('postgres', "SELECT delivered = 500 FROM adapty.webhook_status WHERE webhook_id = 'trusted'"), '500 events are delivered to nginx');
my @seen = split /\n/, slurp_file("$dir/access.log");
my %ids = map { m{^HTTP/2.0 POST /ok/trusted (\S+)} ? ($1 => 1) : () } @seen;
is(scalar keys %ids, 501, 'all of them, and the verification, by HTTP/2');
is(scalar(grep { m{/plain} } @seen), 0, 'and nothing went out in the clear');
$node->stop;

done_testing();

# AdaptyStore: a server for the tests of token validation that answers as a store's API does.
#
# It is a process of its own.  What it answers is in files of its folder, which the tests write:
#   answers   {"GET path without query": answer, ...}, as JSON
# and an answer is {"status": 200, "body": text or value, "delay": ms, "headers": "Name: value\r\n"}.  It takes
# one key; requests with another get 401.  What it was asked is in "requests", a line each.
package AdaptyStore;

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(sleep);

my $json = JSON::PP->new->canonical->allow_nonref->utf8;

# Starts one; options: dir, key, unknown (body of 404), refused (body of 401).
sub new
{
	my ($class, %options) = @_;
	my $self = bless {%options}, $class;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1, Listen => 100)
	  or die "cannot listen: $!";
	$self->{port} = $listener->sockport;
	$self->answers({});
	my $parent = $$;
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		$SIG{$_} = 'DEFAULT' for qw(TERM INT __DIE__ __WARN__);
		$SIG{CHLD} = 'IGNORE';
		while (my $socket = $listener->accept)
		{
			# each connection is a child's: a slow answer keeps nobody waiting
			POSIX::_exit(0) if getppid != $parent;
			my $child = fork // die "fork: $!";
			if ($child == 0) { $self->serve($socket); POSIX::_exit(0); }
			close $socket;
		}
		POSIX::_exit(0);
	}
	close $listener;
	$self->{pid} = $pid;
	return $self;
}

sub url { my ($self) = @_; return "http://127.0.0.1:$self->{port}"; }

sub answers
{
	my ($self, $answers) = @_;
	open my $out, '>', "$self->{dir}/answers.new" or die $!;
	print $out $json->encode($answers);
	close $out;
	rename "$self->{dir}/answers.new", "$self->{dir}/answers" or die $!;
	return;
}

# What was asked since the last call, each "path?query version".
sub requests
{
	my ($self) = @_;
	open my $in, '<', "$self->{dir}/requests" or return;
	my @lines = <$in>;
	close $in;
	unlink "$self->{dir}/requests";
	chomp @lines;
	return @lines;
}

sub stop
{
	my ($self) = @_;
	return unless $self->{pid};
	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
	return;
}

sub DESTROY { my ($self) = @_; local ($?, $!, $@); $self->stop; return; }

# Answers the requests of one connection.
sub serve
{
	my ($self, $socket) = @_;
	my $buffer = '';
	while (sysread $socket, $buffer, 65536, length $buffer)
	{
		while ($buffer =~ s/\A(.*?)\r\n\r\n//s)
		{
			my ($method, $path, $query) = (my $head = $1) =~ m{\A(\S+) ([^ ?]+)\??(\S*)};
			my ($key) = $head =~ /^Authorization: Bearer (\S+)/mi;
			my ($version) = $head =~ /^(?:Stripe|Paddle)-Version: (\S+)/mi;
			open my $out, '>>', "$self->{dir}/requests" or die $!;
			syswrite $out, "$method $path?$query $version\n";
			close $out;
			open my $in, '<', "$self->{dir}/answers" or die $!;
			my $answers = $json->decode(do { local $/; <$in> });
			close $in;
			my $after = $query =~ /(?:starting_)?after=(\w+)/ ? "#$1" : '';
			my $answer = $answers->{ $path . $after } // { status => 404, body => $self->{unknown} };
			$answer = { status => 401, body => $self->{refused} } if ($key // '') ne $self->{key};
			sleep $answer->{delay} / 1000 if $answer->{delay};
			my $body = ref $answer->{body} ? $json->encode($answer->{body}) : $answer->{body} // '';
			my $date = POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime);
			my $status = $answer->{status} // 200;
			syswrite $socket, "HTTP/1.1 $status X\r\nDate: $date\r\n" . ($answer->{headers} // '')
			  . 'Content-Type: application/json' . "\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
		}
	}
	return;
}

1;

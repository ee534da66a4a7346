# AdaptyReceiver: an HTTP server for the tests of webhooks, with answers by script.
#
# It is a process of its own that keeps what it gets in a file, one line a request, as JSON:
#   {"at": seconds, "method": ..., "path": ..., "headers": {...}, "body": ...}
# The first part of the path says how to answer; "n" counts requests of the same path and webhook-id:
#   /ok                 200 and {}
#   /status/N           status N
#   /flaky/N            500 for the first N requests of each event, then 200
#   /poison/REASON      500 for an event whose reason is that, unless the file "up" exists, else 200
#   /slow/MS            200 after MS milliseconds
#   /drop               closes the connection without an answer
#   /huge               200 and ten megabytes
#   /headers            200 and a megabyte of headers
#   /text               200 and a body that is no JSON
#   /loop               302 to itself
#   /away/URL           302 to the rest of the path, with ":" for "://"
#   /toggle             200 if the file "up" exists, else 503
package AdaptyReceiver;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(sleep time);

# Starts one; options: dir (where its files go), port (0 for any).
sub new
{
	my ($class, %options) = @_;
	my $self = bless { dir => $options{dir}, file => "$options{dir}/requests" }, $class;
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		LocalPort => $options{port} // 0,
		ReuseAddr => 1,
		Listen => 500) or die "cannot listen: $!";

	$self->{port} = $listener->sockport;
	my $parent = $$;
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		$SIG{$_} = 'DEFAULT' for qw(TERM INT __DIE__ __WARN__);
		$SIG{PIPE} = 'IGNORE';
		eval { $self->serve($listener, $parent); 1 } or print STDERR "receiver: $@";
		POSIX::_exit(0);
	}
	close $listener;
	$self->{pid} = $pid;
	return $self;
}

sub url { my ($self, $path) = @_; return "http://127.0.0.1:$self->{port}$path"; }

# Ends it; start() lets another listen on the same port.
sub stop
{
	my ($self) = @_;
	return unless $self->{pid};
	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
	return;
}

sub start
{
	my ($self) = @_;
	my $again = AdaptyReceiver->new(dir => $self->{dir}, port => $self->{port});
	$self->{pid} = $again->{pid};
	$again->{pid} = 0;
	return;
}

sub DESTROY { my ($self) = @_; local ($?, $!, $@); $self->stop; return; }

# All requests so far, of paths that begin so.
sub requests
{
	my ($self, $path) = @_;
	my @found;

	open my $in, '<', $self->{file} or return;
	while (my $line = <$in>)
	{
		last unless $line =~ /\n\z/;
		my $request = eval { decode_json($line) } or next;
		push @found, $request if index($request->{path}, $path // '') == 0 && $request->{body} ne '{}';
	}
	close $in;
	return @found;
}

# How many requests a path has got, and how often each webhook-id: quicker than reading them all.
sub ids
{
	my ($self, $path) = @_;
	my %ids;

	open my $in, '<', $self->{file} or return {};
	while (my $line = <$in>)
	{
		next unless index($line, "\"path\":\"$path\"") >= 0;
		$ids{$1}++ if $line =~ /"webhook-id":"([0-9a-f-]{36})"/;
	}
	close $in;
	return \%ids;
}

# ---- the process ----

sub serve
{
	my ($self, $listener, $parent) = @_;
	my $select = IO::Select->new($listener);
	my (%buffer, %count, @later);

	$listener->blocking(0);
	open my $out, '>>', $self->{file} or die "cannot write: $!";
	$out->autoflush(1);
	# A test that was killed leaves nobody behind.
	while (getppid == $parent)
	{
		my $wait = 1;
		@later = sort { $a->{at} <=> $b->{at} } @later;
		while (@later && $later[0]{at} <= time)
		{
			my $due = shift @later;
			$due->{socket}->blocking(1);
			syswrite $due->{socket}, $due->{answer};
			$due->{socket}->blocking(0);
		}
		$wait = $later[0]{at} - time if @later;
		for my $socket ($select->can_read($wait < 0 ? 0 : $wait > 1 ? 1 : $wait))
		{
			if ($socket == $listener)
			{
				while (my $new = $listener->accept)
				{
					$new->blocking(0);
					$select->add($new);
					$buffer{$new} = '';
				}
				next;
			}
			my $n = sysread $socket, $buffer{$socket}, 65536, length $buffer{$socket};
			if (!defined $n) { next if $!{EAGAIN}; $n = 0; }
			my $open = $n > 0;
			while ($open && $buffer{$socket} =~ /\A(.*?)\r\n\r\n/s)
			{
				my $head = $1;
				my %headers = map { /^([^:]+):\s*(.*?)\s*$/ ? (lc $1 => $2) : () } split /\r\n/, $head;
				my $length = $headers{'content-length'} // 0;
				last if length($buffer{$socket}) < length($head) + 4 + $length;
				my $body = substr $buffer{$socket}, length($head) + 4, $length;
				substr($buffer{$socket}, 0, length($head) + 4 + $length) = '';
				my ($method, $path) = $head =~ /\A(\S+) (\S+)/;
				print $out encode_json({ at => time, method => $method, path => $path, headers => \%headers, body => $body }) . "\n";
				$open = $self->answer($socket, $path, $body, ++$count{ $path . ' ' . ($headers{'webhook-id'} // '') }, \@later);
			}
			if (!$open)
			{
				$select->remove($socket);
				delete $buffer{$socket};
				close $socket;
			}
		}
	}
	return;
}

# Answers one request; false to close the connection.
sub answer
{
	my ($self, $socket, $path, $body, $n, $later) = @_;
	my ($status, $text, $more) = (200, '{}', '');

	if ($body eq '{}' && $path !~ m{^/(text|status|drop|slow|loop|away|huge)}) { }
	elsif ($path =~ m{^/status/(\d+)}) { $status = $1; }
	elsif ($path =~ m{^/flaky/(\d+)}) { $status = $n > $1 ? 200 : 500; }
	elsif ($path =~ m{^/poison/(\w+)}) { $status = 500 if $body =~ /"reason": ?"$1"/ && !-e "$self->{dir}/up"; }
	elsif ($path =~ m{^/slow/(\d+)})
	{
		push @$later, { at => time + $1 / 1000, socket => $socket, answer => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" };
		return 1;
	}
	elsif ($path =~ m{^/drop}) { return 0; }
	elsif ($path =~ m{^/huge}) { $text = '[' . ('1,' x 5_000_000) . '1]'; }
	elsif ($path =~ m{^/headers}) { $more = "X-Long: " . ('x' x 1_000) . "\r\n"; $more x= 1_000; }
	elsif ($path =~ m{^/text}) { $text = 'hello'; }
	elsif ($path =~ m{^/loop}) { $status = 302; $more = "Location: $path\r\n"; }
	elsif ($path =~ m{^/away/(\w+):(.*)}) { $status = 302; $more = "Location: $1://$2\r\n"; }
	elsif ($path =~ m{^/toggle}) { $status = -e "$self->{dir}/up" ? 200 : 503; }
	my $answer = "HTTP/1.1 $status X\r\n${more}Content-Type: application/json\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
	$socket->blocking(1);
	while (length $answer)
	{
		my $written = syswrite $socket, $answer;
		return 0 unless $written;
		substr($answer, 0, $written) = '';
	}
	$socket->blocking(0);
	return 1;
}

1;

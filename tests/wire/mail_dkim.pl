#!/usr/bin/perl
# mail_dkim.pl KEYS <MESSAGE
#
# What Mail::DKIM says of each DKIM signature of a message, a line each:
# SELECTOR RESULT (DETAIL).  RESULT is "unknown" for an algorithm that the
# installed version does not have.  KEYS has lines NAME RECORD: all of DNS.
# Exit status 77: Mail::DKIM is not here.
use strict;
use warnings;

eval { require Mail::DKIM::Verifier; require Net::DNS; 1 } or exit 77;

my %zone;
open my $keys, '<', $ARGV[0] or die "$ARGV[0]: $!\n";
while (<$keys>) {
	chomp;
	my ($name, $record) = split / /, $_, 2;
	$zone{lc $name =~ s/\.$//r} = $record;
}
close $keys;

{
	no warnings qw(redefine once);
	*Mail::DKIM::DNS::query = sub {
		my ($name, $type) = @_;
		my $record = $zone{lc $name};

		if (!defined $record) {
			$@ = 'NXDOMAIN';
			return;
		}
		return Net::DNS::RR->new(name => $name, type => 'TXT',
		    txtdata => [$record =~ /(.{1,255})/gs]);
	};
}

binmode STDIN;
my $verifier = Mail::DKIM::Verifier->new;
while (<STDIN>) {
	$verifier->PRINT($_);
}
$verifier->CLOSE;
for my $signature ($verifier->signatures) {
	my $known = $signature->get_algorithm_class(
	    $signature->algorithm // '');

	printf "%s %s\n", $signature->selector,
	    $known ? $signature->result_detail : 'unknown';
}

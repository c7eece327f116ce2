#!/usr/bin/perl
# fields.pl FILE...: what SpamAssassin sees of each message's fields, one
# line "file TAB spec TAB value" for each spec on stdin, values as JSON, null
# where there is none; then its URIs.
use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use Mail::SpamAssassin;

my $tmp = tempdir(CLEANUP => 1);
mkdir "$tmp/site";
open(my $site, '>', "$tmp/site/site.cf") or die;
print $site "use_bayes 0\nskip_rbl_checks 1\ndns_available no\n",
    "clear_trusted_networks\ntrusted_networks 192.0.2.255/32\n",
    "clear_internal_networks\ninternal_networks 192.0.2.255/32\n";
close $site;
my $sa = Mail::SpamAssassin->new({
	rules_filename => '/usr/share/spamassassin',
	site_rules_filename => "$tmp/site", userprefs_filename => "$tmp/none",
	userstate_dir => $tmp, home_dir_for_helpers => $tmp,
	local_tests_only => 1, dont_copy_prefs => 1, debug => 0 });
$sa->init(1);
my $json = JSON::PP->new->canonical->latin1->allow_nonref;
chomp(my @specs = <STDIN>);

sub bytes {
	my $s = shift;
	utf8::encode($s) if utf8::is_utf8($s);
	return $s;
}

sub emit {
	my ($file, $what, $value) = @_;
	$value = join('', map { sprintf '\\x%02x', $_ } ()) if 0;
	my $out = defined $value ? bytes($value) : undef;
	if (defined $out) {
		$out =~ s/([\\"\x00-\x1f\x7f-\xff])/sprintf '\\x%02x', ord $1/ge;
		$out = "\"$out\"";
	} else {
		$out = 'null';
	}
	print "$file\t$what\t$out\n";
}

for my $file (@ARGV) {
	open(my $in, '<:raw', $file) or next;
	local $/;
	my $text = <$in>;
	my $msg = $sa->parse($text, 1);
	my $pms = Mail::SpamAssassin::PerMsgStatus->new($sa, $msg);
	$pms->extract_message_metadata();
	for my $spec (@specs) {
		my @values = $pms->get($spec);
		my $joined;
		$joined = join($values[0] =~ /\n\z/ ? '' : "\n", @values)
		    if @values;
		emit($file, $spec, $joined);
	}
	emit($file, 'uri', $_) for sort map { bytes($_) } $pms->get_uri_list();
	$pms->finish();
	$msg->finish();
}

#!/usr/bin/perl
# What SpamAssassin sees of messages, in the form of view.c, one JSON object
# a line.  view_oracle.pl FILE...; paths on stdin where there are none.
use strict;
use warnings;
use JSON::PP;
use Mail::SpamAssassin;

my $sa = Mail::SpamAssassin->new({
    rules_filename => '/dev/null', site_rules_filename => '/dev/null',
    userprefs_filename => '/dev/null', local_tests_only => 1,
    dont_copy_prefs => 1, config_text => "use_bayes 0\n" });
$sa->init(0);
my $json = JSON::PP->new->canonical->ascii;
my @facts = qw(length html_length non_space_len image_area min_size max_size
    ratio closed_extra_ratio bad_tag_ratio non_element_ratio
    obfuscation_ratio font_low_contrast font_invalid_color font_face_bad
    form_action_mailto embeds);

sub octets { my $s = shift; utf8::encode($s) if utf8::is_utf8($s); $s }

sub facts {
    my $r = shift;
    my %f = map { $_ => defined $r->{$_} ? 0 + $r->{$_} :
        /ratio/ ? -1 : 0 } @facts;
    $f{$_} = [map { octets($_) } @{$r->{$_} || []}]
        for qw(title comment script anchor);
    my %u;
    for my $u (keys %{$r->{uri_detail} || {}}) {
        $u{"$_ " . octets($u)} = 1
            for keys %{$r->{uri_detail}{$u}{types} || {}};
    }
    $f{uris} = [sort keys %u];
    $f{inside} = { map { octets($_) => $r->{inside}{$_} }
        keys %{$r->{inside} || {}} };
    return \%f;
}

my @files = @ARGV;
if (!@files) { @files = <STDIN>; chomp @files }
$| = 1;
for my $file (@files) {
    open(my $h, '<:raw', $file) or do { warn "$file: $!\n"; next };
    my $raw = do { local $/; <$h> };
    my $m = $sa->parse(defined $raw ? $raw : '', 0);
    my %r = (file => $file,
        rendered => [@{$m->get_rendered_body_text_array}],
        rawbody => [@{$m->get_decoded_body_text_array}]);
    my (@parts, @html);
    my @todo = ([0, $m]);
    while (my $t = shift @todo) {
        my ($depth, $p) = @$t;
        my $leaf = $p->is_leaf ? JSON::PP::true : JSON::PP::false;
        push @parts, [$depth, $p->{type}, $p->{name} || '', $leaf,
            scalar grep { !/[ \t]$/ } @{$p->{header_order}}];
        push @html, facts($p->{html_results}) if $p->{html_results};
        unshift @todo, map { [$depth + 1, $_] } @{$p->{body_parts} || []};
    }
    $r{parts} = \@parts;
    $r{html} = \@html;
    print $json->encode(\%r), "\n";
    $m->finish;
}

# Prints the files that a script uses or requires. Searches their text, runs
# none. Standard input: the script; arguments: further files that it loads.
use strict;
use warnings;

my (%files, %notes, %seen, @todo);
# What modules require by names that they compute.
my %hidden = ('File/Spec.pm' => 'File::Spec::Unix', 'Digest/SHA.pm' => 'Digest::base', 'Encode.pm' => 'Encode::Config');

sub take {
    my ($file) = @_;
    push @todo, $file unless $files{$file}++;
}

# A file by its name under @INC; with it what was compiled for it.
sub find {
    my ($name, $called) = @_;
    return if $seen{$name}++;
    my ($found) = grep { -f } map { "$_/$name" } grep { !ref && m{^/} } @INC;
    if (!defined $found) {
        $notes{"$called: '$name' is not found"} = 1 if defined $called;
        return;
    }
    take($found);
    module($hidden{$name}) if $hidden{$name};
    (my $stem = $name) =~ s/\.pm$// or return;
    my ($last) = $stem =~ m{([^/]+)$};
    for my $folder (grep { !ref && m{^/} } @INC) {
        my $auto = "$folder/auto/$stem";
        $files{$_} = 1 for grep { -f } "$auto/$last.so", "$auto/autosplit.ix";
        take($_) for glob("\Q$auto\E/*.al");
    }
}

sub module {
    my ($name, $called) = @_;
    $name =~ s{::|'}{/}g;
    find("$name.pm", $called);
}

sub scan {
    my ($text, $called) = @_;
    $text =~ s/^__(?:END|DATA)__\s*$.*//ms if defined $called;
    $text =~ s/^=[a-zA-Z].*?(?:^=cut\b.*?$|\z)//msg;
    my $word = qr/[A-Za-z_]\w*(?:(?:::|')\w+)*/;
    my $plain = $text =~ s/#.*$//mgr;
    while ($plain =~ /^\s*(?:use|no)\s+($word)/mg) { module($1, $called) }
    while ($text =~ /\b(?:use|no|require)\s+($word)/g) { module($1) }
    while ($text =~ /\b(?:require|do)\b\s*\(?\s*(["'])([^"'\$\@\n]+)\1/g) {
        my $name = $2;
        if ($name =~ m{^/}) { take($name) if -f $name }
        else { find($name) }
    }
    while ($text =~ /\buse\s+(?:parent|base|if|autouse|mro|fields)\b(.*?);/gs) {
        my $list = $1;
        module($1) while $list =~ /($word)/g;
    }
    # What the interpreter loads by itself.
    module('PerlIO::encoding'), module('Encode') if $text =~ /:encoding\(/;
    module('_charnames') if $text =~ /\\N\{/;
    $notes{"$called: it computes the name of a module"} = 1
        if defined $called && $plain =~ /\brequire\s*\(?\s*[\$\@]/;
}

module($_) for qw(Errno File::Glob IO::File PerlIO::scalar Tie::Hash::NamedCapture);
{
    local $/;
    my $script = <STDIN>;
    scan(defined $script ? $script : '', 'the script');
}
take($_) for @ARGV;
while (defined(my $file = pop @todo)) {
    open my $in, '<', $file or do { $notes{"'$file': $!"} = 1; next };
    local $/;
    my $text = <$in>;
    scan($text) if defined $text;
}
s/\n/ /g, print "note\t$_\n" for sort keys %notes;
print "file\t$_\n" for sort keys %files;

//! Scripts of many languages, with and without a compiler at run time.

use super::Software;
use crate::kit::EVERYONE;

const TEXT: &str = "pear 3\napple 10\nfig 7\napple 5\n";

/// The script's output, once it is the same with secure-exec.
fn output(text: &str, profile: &str, arguments: &[&str]) -> String {
    let outputs = EVERYONE.map(|user| {
        let software = Software::script(user, text, profile);
        software.alike(arguments, TEXT).succeeded().stdout
    });
    assert_eq!(outputs[0], outputs[1]);
    outputs[0].clone()
}

#[test]
fn perl() {
    let text = r#"#!/usr/bin/perl -w
use strict; use utf8; use open qw(:std :utf8);
use Digest::SHA qw(sha256_hex); use JSON::PP; use List::Util qw(sum max); use POSIX qw(strftime floor);
my %sum; while (<STDIN>) { $sum{$1} += $2 if /^(\w+) (\d+)/ }
print JSON::PP->new->canonical->encode(\%sum), "\n";
print join(",", sort { $sum{$b} <=> $sum{$a} || $a cmp $b } keys %sum), " ", max(values %sum), "\n";
print sha256_hex("x"), " ", strftime("%F", gmtime 0), " ", floor(2.5), " ", lc("Ä"), "\n";
eval { die { code => 7 } }; print $@->{code}, " @ARGV\n";
"#;
    let profile = "extends: default\nfilesystem: { read: [/usr/share/perl] }";
    let output = output(text, profile, &["a b"]);
    assert!(output.starts_with("{\"apple\":15,"), "{output}");
    assert!(output.ends_with(" 1970-01-01 2 ä\n7 a b\n"), "{output}");
}

#[test]
fn ruby() {
    let text = r#"#!/usr/bin/ruby
require "json"; require "digest"; require "set"; require "time"; require "stringio"; require "bigdecimal"
sums = STDIN.each_line.map(&:split).group_by(&:first).transform_values { |l| l.sum { |x| x[1].to_i } }
puts JSON.pretty_generate(sums.sort.to_h), Digest::SHA256.hexdigest("x")
queue = Queue.new
4.times.map { |n| Thread.new { queue << n * n } }.each(&:join)
puts Array.new(4) { queue.pop }.sort.inspect
fiber = Fiber.new { Fiber.yield 1; 2 }
puts fiber.resume, fiber.resume, Time.at(0).utc.iso8601, BigDecimal("0.1") + 1, "Ä".downcase, ARGV.inspect
exit 3
"#;
    let profile = "extends: default\n\
        filesystem: { read: [/usr/lib/ruby, /usr/share/rubygems-integration, /var/lib/gems] }";
    for user in EVERYONE {
        let software = Software::script(user, text, profile);
        let outcome = software.alike(&["a b"], TEXT);
        assert_eq!((outcome.status, &*outcome.stderr), (3, ""));
        assert!(outcome.stdout.contains("\"apple\": 15"), "{outcome:#?}");
    }
}

#[test]
fn lua() {
    let text = r#"#!/usr/bin/lua5.4
local sums, names = {}, {}
for line in io.lines() do
  local name, n = line:match("(%a+) (%d+)")
  if not sums[name] then names[#names + 1] = name end
  sums[name] = (sums[name] or 0) + n
end
table.sort(names)
for _, name in ipairs(names) do print(name, sums[name], string.pack(">I2", sums[name]):byte(1, 2)) end
local each = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
print(each(), each(), each(), 7 // 2, 2^53 | 0, utf8.len("aä"), os.date("!%F", 0), ...)
print(pcall(error, 7))
"#;
    let output = output(text, "default", &["a b"]);
    assert!(output.contains("apple\t15\t0\t15\n"), "{output}");
    assert!(output.contains("1\t4\t9\t3\t9007199254740992\t2\t1970-01-01\ta b\n"));
}

#[test]
fn php() {
    let text = r#"#!/usr/bin/php
<?php
$sums = [];
foreach (explode("\n", trim(stream_get_contents(STDIN))) as $line) {
  [$name, $n] = explode(" ", $line);
  $sums[$name] = ($sums[$name] ?? 0) + (int) $n;
}
ksort($sums);
echo json_encode($sums), " ", hash("sha256", "x"), " ", date("Y-m-d", 0), "\n";
echo preg_replace_callback('/(?<=p)\w/', fn($m) => strtoupper($m[0]), "apple pear"), "\n";
function each_square() { foreach ([1, 2, 3] as $n) yield $n * $n; }
echo implode(",", iterator_to_array(each_square())), " ", intdiv(7, 2), " ", $argv[1], "\n";
enum Kind: string { case A = "a"; }
echo Kind::from("a")->name, " ", strlen(serialize(new ArrayObject([1]))), "\n";
exit(0);
"#;
    // PHP compiles regular expressions at run time, and complains on its
    // output where it can't.
    let profile = "extends: default\n\
        filesystem: { read: [/etc/php, /usr/lib/php] }\n\
        memory: { write_execute: true }";
    let output = output(text, profile, &["a b"]);
    assert!(output.starts_with("{\"apple\":15,"), "{output}");
    assert!(
        output.contains("\napPLe pEar\n1,4,9 3 a b\nA 65\n"),
        "{output}"
    );
}

#[test]
fn bash() {
    let text = r#"#!/bin/bash
set -euo pipefail
declare -A sums
while read -r name n; do (( sums[$name] = ${sums[$name]:-0} + n )); done
for name in $(printf '%s\n' "${!sums[@]}" | { mapfile -t names; for n in apple fig pear; do echo "$n"; done; }); do
  printf '%s=%d\n' "$name" "${sums[$name]}"
done
echo one two | while read -r a b; do echo "$b $a"; done
read -r line < <(echo "from a process"); echo "$line"
read -r word <<< "a here-string"; echo "$word"
coproc { read -r x; echo "$x$x"; }
echo k >&"${COPROC[1]}"; read -r y <&"${COPROC[0]}"; echo "$y"
[[ "v1.25" =~ ^v([0-9]+)\.([0-9]+)$ ]] && echo "${BASH_REMATCH[2]}"
(exit 3) || echo "status $?"
trap 'echo signalled' USR1; kill -USR1 $$
sleepless() { local i; for ((i = 0; i < 3; i++)); do ( exit "$i" ) & done; wait; echo waited; }
sleepless
echo "$*"
"#;
    let profile = "extends: default\nprocesses: { fork: true }";
    let output = output(text, profile, &["a b"]);
    assert!(output.starts_with("apple=15\nfig=7\npear=3\ntwo one\nfrom a process\na here-string\nkk\n25\nstatus 3\nsignalled\nwaited\n"), "{output}");
}

#[test]
fn tcl() {
    let text = r#"#!/usr/bin/tclsh
package require Tcl 8.6
while {[gets stdin line] >= 0} { lassign $line name n; dict incr sums $name $n }
puts [lsort -stride 2 $sums]
puts [expr {2**100}] ; puts [clock format 0 -gmt 1 -format %Y-%m-%d] ; puts [lmap x {1 2 3} {expr {$x*$x}}]
coroutine each apply {{} { yield; foreach x {a b} { yield $x } }} ; puts [each][each]
after 1 {set done 1} ; vwait done
puts [zlib gunzip [zlib gzip packed]] ; puts [encoding convertfrom utf-8 \xc3\xa4] ; puts $argv
"#;
    let profile = "extends: default\nfilesystem: { read: [/usr/share/tcltk] }";
    let output = output(text, profile, &["a b"]);
    assert!(output.starts_with("apple 15 fig 7 pear 3\n1267650600228229401496703205376\n1970-01-01\n1 4 9\nab\npacked\n"), "{output}");
}

#[test]
fn gawk() {
    let text = r#"#!/usr/bin/gawk -f
BEGIN { PROCINFO["sorted_in"] = "@ind_str_asc" }
{ sums[$1] += $2; seen[$1][$2] = NR }
END {
  for (name in sums) print name, sums[name], length(seen[name])
  print strftime("%F", 0, 1), gensub(/(a)(b)/, "\\2\\1", "g", "abab"), and(12, 10), toupper("ä"), ARGV[1]
}
"#;
    for user in EVERYONE {
        let software = Software::script(user, text, "default");
        let outcome = software.alike(&["-"], TEXT).succeeded();
        outcome.prints("apple 15 2\nfig 7 1\npear 3 1\n1970-01-01 baba 8 Ä -\n");
    }
}

#[test]
fn luajit() {
    let text = r#"#!/usr/bin/luajit
local ffi, bit = require("ffi"), require("bit")
ffi.cdef "int snprintf(char *s, size_t n, const char *format, ...);"
local sum = 0
for i = 1, 2e7 do sum = (sum * 31 + i) % 1000003 end
local text = ffi.new("char[32]")
ffi.C.snprintf(text, 32, "%05d", ffi.cast("int", sum))
print(ffi.string(text), bit.bxor(5, 3), jit.status())
for line in io.lines() do io.write(line:upper(), "\n") end
"#;
    let profile = "extends: default\nmemory: { write_execute: true }";
    let output = output(text, profile, &[]);
    assert!(output.contains("\t6\ttrue\t"), "{output}");
    assert!(output.ends_with("\nAPPLE 5\n"), "{output}");
}

#[test]
fn pypy() {
    let text = r#"#!/usr/bin/pypy3
import collections, ctypes, hashlib, json, sqlite3, sys, threading
sums = collections.Counter()
for line in sys.stdin:
    name, n = line.split()
    sums[name] += int(n)
total = 0
for i in range(20_000_000):
    total = (total * 31 + i) % 1000003
print(json.dumps(sums, sort_keys=True), total, hashlib.sha256(b"x").hexdigest())
print(sqlite3.connect(":memory:").execute("select 1 + 1").fetchone(), ctypes.sizeof(ctypes.c_long))
threads = [threading.Thread(target=sums.update, args=({"x": 1},)) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sums["x"], sys.implementation.name, sys.argv[1:])
"#;
    let profile = "extends: python\n\
        filesystem: { read: [/usr/lib/pypy3.9, /proc/cpuinfo] }\n\
        memory: { write_execute: true }";
    let output = output(text, profile, &["a b"]);
    assert!(output.starts_with("{\"apple\": 15,"), "{output}");
    assert!(output.ends_with("\n4 pypy ['a b']\n"), "{output}");
}

//! `jvm`.

use std::path::Path;
use std::process::Command;

use super::ISOLATIONS;
use crate::kit::{EVERYONE, Host, User, digest, run};

const JAVA: &str = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java";

const MAIN: &str = r#"import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Main {
    static int step(int value, int n) { return value * 31 + (n ^ (value >>> 3)); }

    public static void main(String[] arguments) throws Exception {
        int value = 0;
        for (int i = 0; i < 20_000_000; i++) value = step(value, i);
        System.out.println(value + " " + Arrays.toString(arguments));

        ExecutorService threads = Executors.newFixedThreadPool(8);
        List<Future<Long>> parts = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            int from = i;
            parts.add(threads.submit(() -> LongStream.range(from, 100_000 + from).sum()));
        }
        long total = 0;
        for (Future<Long> part : parts) total += part.get();
        threads.shutdown();
        System.out.println(total);

        long live = 0;
        for (int i = 0; i < 2000; i++) live += new byte[1 << 20].length >> 20;
        System.gc();
        System.out.println(live);

        byte[] digest = java.security.MessageDigest.getInstance("SHA-256").digest(System.in.readAllBytes());
        System.out.println(HexFormat.of().formatHex(digest));
        System.out.println(new Scanner("a b c").tokens().collect(Collectors.joining("-")));
        System.out.println(java.time.ZonedDateTime.ofInstant(java.time.Instant.EPOCH, java.time.ZoneId.of("Asia/Kolkata")));
        System.out.println(javax.net.ssl.SSLContext.getDefault().getProtocol());
        for (String path : new String[] { "/etc/passwd", "/etc/hostname" }) {
            try {
                java.nio.file.Files.readAllBytes(java.nio.file.Path.of(path));
                System.out.println(path + " works");
            } catch (java.nio.file.AccessDeniedException | java.nio.file.NoSuchFileException refused) {
                System.out.println(path + " refused");
            }
        }
        try {
            new ProcessBuilder("/bin/true").start().waitFor();
            System.out.println("run works");
        } catch (java.io.IOException refused) {
            System.out.println("run refused");
        }
        try (java.net.ServerSocket socket = new java.net.ServerSocket(0)) {
            System.out.println("listen works");
        } catch (java.net.SocketException refused) {
            System.out.println("listen refused");
        }
        System.exit(4);
    }
}
"#;

/// Compiles the program into an executable archive: a first line that names
/// the interpreter, then the archive, which Java finds from its end.
fn archive(host: &Host) -> Vec<u8> {
    let classes = host.folder("classes");
    host.write("Main.java", MAIN);
    for words in [
        "javac -d classes Main.java",
        "jar --create --file main.jar --main-class Main -C classes .",
    ] {
        let mut words = words.split(' ');
        let program = Path::new(JAVA).with_file_name(words.next().unwrap());
        let mut command: Command = host.command(program);
        command.args(words).current_dir(classes.parent().unwrap());
        run(command, b"").succeeded();
    }
    let mut bytes = format!("#!{JAVA} -jar\n").into_bytes();
    bytes.extend(std::fs::read(host.path("main.jar")).unwrap());
    bytes
}

/// What of the output is the same everywhere, and what is refused.
fn compare(bare: &str, confined: &str) {
    let split = |text: &str| {
        let refusable = |line: &&str| line.ends_with(" works") || line.ends_with(" refused");
        let (tried, computed): (Vec<&str>, Vec<&str>) = text.lines().partition(refusable);
        (tried.join(", "), computed.join("\n"))
    };
    let (bare, confined) = (split(bare), split(confined));
    assert_eq!(confined.1, bare.1);
    assert_eq!(
        bare.0,
        "/etc/passwd works, /etc/hostname works, run works, listen works"
    );
    assert_eq!(
        confined.0,
        "/etc/passwd refused, /etc/hostname refused, run refused, listen refused"
    );
}

#[test]
fn jvm_runs_a_verified_archive_with_its_compiler_threads_and_collector() {
    let builder = Host::new();
    let bytes = archive(&builder);
    let mut bare = builder.command(JAVA);
    bare.args(["-jar", "main.jar", "a b", "-c"]);
    let bare = run(bare, b"in");
    assert_eq!(bare.status, 4, "{bare:#?}");
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install("p", &bytes);
        host.list("p", &[]);
        for isolation in ISOLATIONS {
            host.profile("p", &format!("extends: jvm\nisolation: {isolation}"));
            let launch = host.launch("p").profile("p").args(["a b", "-c"]);
            let confined = launch.stdin("in").run();
            assert_eq!(confined.status, 4, "{isolation}: {confined:#?}");
            compare(&bare.stdout, &confined.stdout);
        }
    }
}

#[test]
fn jvm_needs_memory_that_is_written_and_then_executed() {
    let mut host = Host::new();
    let bytes = archive(&host);
    host.install("p", bytes);
    let profile = "profile: { extends: jvm, memory: { write_execute: false } }";
    host.list("p", &[profile]);
    let outcome = host.launch("p").run();
    assert_ne!(outcome.status, 4, "{outcome:#?}");
}

#[test]
fn jvm_runs_java_itself_as_the_plugin_with_the_entrys_arguments() {
    let mut host = Host::of(User::Root);
    archive(&host);
    let classes = host.path("classes");
    host.profile(
        "classes",
        &format!("extends: jvm\nfilesystem: {{ read: [{classes:?}] }}"),
    );
    let arguments = format!("args: ['-cp', {classes:?}, Main]");
    let hash = digest(Path::new(JAVA));
    host.list_path("java", JAVA, &hash, &["profile: classes", &arguments]);
    let mut bare = host.command(JAVA);
    bare.arg("-cp").arg(&classes).args(["Main", "x"]);
    let bare = run(bare, b"");
    let confined = host.launch("java").arg("x").run();
    assert_eq!(confined.status, 4, "{confined:#?}");
    compare(&bare.stdout, &confined.stdout);
}

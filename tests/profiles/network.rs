//! `network-client` and `network-service`, in network namespaces of the tests'
//! own, with servers and clients that are real and outside of the sandbox.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, Outcome, program, run};

/// Serves one page to whoever connects, until the test ends.
pub(crate) fn serve_page(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let page = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\npage\n";
            let _gone = stream.write_all(page.as_bytes());
        }
    });
}

/// Answers every question for an IPv4 address with 127.0.0.1.
fn serve_names() {
    let socket = UdpSocket::bind(("127.0.0.1", 53)).unwrap();
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut question) {
            let end = 12 + question[12..length].iter().position(|b| *b == 0).unwrap() + 5;
            let is_address = question[end - 3] == 1;
            let mut answer = question[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, is_address.into(), 0, 0, 0, 0]);
            if is_address {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            socket.send_to(&answer, client).unwrap();
        }
    });
}

/// A program that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// Starts a program and waits for its line.
pub(crate) fn started(mut command: Command, line: &str) -> (Running, BufReader<ChildStdout>) {
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Running(command.spawn().unwrap());
    let mut output = BufReader::new(child.0.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains(line) {
        said.clear();
        assert!(
            output.read_line(&mut said).unwrap() > 0,
            "it ended without '{line}'"
        );
    }
    (child, output)
}

/// A TLS server on port 443, by OpenSSL.
pub(crate) fn serve_tls(host: &Host) -> Running {
    let mut make = host.command("openssl");
    make.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(' '));
    make.args("-subj /CN=plugin.test -keyout key.pem -out cert.pem".split(' '));
    run(make, b"").succeeded();
    let mut server = Command::new("openssl");
    server.current_dir(host.path("."));
    server.args("s_server -accept 127.0.0.1:443 -www -key key.pem -cert cert.pem".split(' '));
    started(server, "ACCEPT").0
}

#[test]
fn network_client_resolves_names_and_speaks_to_the_usual_ports_alone() {
    for user in EVERYONE {
        private(|| {
            let mut host = Host::of(user);
            let resolver = host.write("resolv.conf", "nameserver 127.0.0.1\n");
            let mut mount = Command::new("mount");
            mount.arg("--bind").arg(resolver).arg("/etc/resolv.conf");
            run(mount, b"").succeeded();
            serve_names();
            serve_page(80);
            serve_page(8081);
            let _tls = serve_tls(&host);
            host.install_copy("curl", "/usr/bin/curl");
            host.list("curl", &["profile: network-client"]);
            let fetch = |url: &str| -> [Outcome; 2] {
                let arguments = ["-sS", "-k", url];
                let bare = host.bare("/usr/bin/curl", &arguments).succeeded();
                [bare, host.launch("curl").args(arguments).run()]
            };
            let [bare, confined] = fetch("http://plugin.test/");
            assert_eq!(bare.stdout, "page\n");
            confined.succeeded().prints("page\n");
            let [bare, confined] = fetch("https://plugin.test/");
            assert!(bare.stdout.contains("TLSv1.3"), "{bare:#?}");
            assert!(confined.stdout.contains("TLSv1.3"), "{confined:#?}");
            let [bare, confined] = fetch("http://127.0.0.1:8081/");
            assert_eq!(bare.stdout, "page\n");
            // curl's own status for a connection that could not be made.
            assert_eq!((confined.status, &*confined.stdout), (7, ""));
            let [bare, confined] = fetch("file:///etc/passwd");
            assert!(bare.stdout.contains("root:"));
            assert_eq!((confined.status, &*confined.stdout), (37, ""));
        });
    }
}

#[test]
fn network_client_reads_certificates_and_no_private_keys() {
    let mut host = Host::new();
    host.install(
        "p",
        "#!/usr/bin/perl\nopendir(my $d, $_) ? print \"$_\\n\" : print \"$!\\n\" for @ARGV;\n",
    );
    let folders = ["/etc/ssl/certs", "/etc/ssl/private"];
    host.bare(host.path("plugins/p"), &folders)
        .prints("/etc/ssl/certs\n/etc/ssl/private\n");
    for profile in ["network-client", "network-service", "node", "mcp-stdio"] {
        let name = format!("p-{profile}");
        let path = host.path("plugins/p");
        host.install_copy(&name, path);
        host.list(&name, &[&format!("profile: {profile}")]);
        let outcome = host.launch(&name).args(folders).run().succeeded();
        outcome.prints("/etc/ssl/certs\nPermission denied\n");
    }
}

#[test]
fn network_client_serves_nobody() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::c(SERVER));
        host.list("p", &["profile: network-client"]);
        let launch = host.launch("p").arg("8080").stdin("");
        let outcome = private(|| launch.run());
        assert_eq!(outcome.status, 2, "{outcome:#?}");
        outcome.says("bind: Permission denied");
    }
}

/// Serves one connection on a port, sending back what it is sent; then tries
/// to connect to itself.
const SERVER: &str = r#"#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
static int fail(const char *what, int status) { perror(what); return status; }
int main(int n, char **a) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(a[1])) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct sockaddr *at = (struct sockaddr *)&address;
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    if (server < 0) return fail("socket", 1);
    if (bind(server, at, sizeof address)) return fail("bind", 2);
    if (listen(server, 8)) return fail("listen", 3);
    puts("listening");
    fflush(stdout);
    int peer = accept(server, 0, 0);
    if (peer < 0) return fail("accept", 4);
    char text[64];
    for (ssize_t got; (got = read(peer, text, sizeof text)) > 0;) write(peer, text, got);
    if (connect(client, at, sizeof address)) perror("connect");
    else puts("connected");
    return 0;
}"#;

#[test]
fn network_service_answers_on_its_ports_and_connects_to_nothing() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::c(SERVER));
        host.list("p", &["profile: network-service"]);
        let talk = |command: Command, port: u16| {
            let (mut server, mut output) = started(command, "listening");
            let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            client.write_all(b"to and fro").unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "to and fro");
            let mut rest = String::new();
            output.read_to_string(&mut rest).unwrap();
            let mut errors = server.0.stderr.take().unwrap();
            errors.read_to_string(&mut rest).unwrap();
            assert!(server.0.wait().unwrap().success());
            rest
        };
        private(|| {
            let mut bare = host.command(host.path("plugins/p"));
            bare.arg("8081");
            assert_eq!(talk(bare, 8081), "connected\n");
            let said = talk(host.launch("p").arg("8080").command(), 8080);
            assert_eq!(said, "connect: Operation not permitted\n");
            let refused = host.launch("p").arg("8081").run();
            assert_eq!(refused.status, 2, "{refused:#?}");
            refused.says("bind: Permission denied");
        });
    }
}

//! `go-plugin`: HashiCorp's handshake between a host and a plugin in Go. The
//! host only knows a path, which is a link to the launcher.

use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, User, program, run};

const PLUGIN: &str = r#"package main

import (
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"strings"
)

type Greeter struct{}

func (Greeter) Greet(name string, answer *string) error {
	*answer = "hello " + name
	return nil
}

// Tries what a plugin of this kind has no need of.
func (Greeter) Attempt(folder string, answer *string) error {
	var works []string
	attempt := func(name string, err error) {
		if err == nil {
			works = append(works, name)
		}
	}
	_, err := os.ReadFile("/etc/passwd")
	attempt("read", err)
	attempt("write", os.WriteFile(folder+"/planted", nil, 0o600))
	_, err = net.Listen("unix", folder+"/planted.sock")
	attempt("listen", err)
	_, err = net.Listen("tcp", "127.0.0.1:0")
	attempt("tcp", err)
	_, err = net.Dial("unix", folder+"/host.sock")
	attempt("dial", err)
	attempt("run", exec.Command("/bin/true").Run())
	*answer = strings.Join(works, " ")
	return nil
}

func (Greeter) Quit(_ int, _ *int) error {
	os.Exit(0)
	return nil
}

func main() {
	if os.Getenv("TEST_MAGIC_COOKIE") != "d602bf8f470bc67ca7faa0386276bbdd" {
		fmt.Fprintln(os.Stderr, "This binary is a plugin. Please execute the program that consumes it.")
		os.Exit(1)
	}
	file, err := os.CreateTemp(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "plugin")
	if err != nil {
		panic(err)
	}
	path := file.Name()
	file.Close()
	if err := os.Remove(path); err != nil {
		panic(err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	rpc.Register(Greeter{})
	fmt.Printf("1|%s|unix|%s|netrpc|\n", os.Getenv("PLUGIN_PROTOCOL_VERSIONS"), path)
	rpc.Accept(listener)
}
"#;

const HOST: &str = r#"package main

import (
	"bufio"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"strings"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	_, err := net.Listen("unix", os.Args[2]+"/host.sock")
	must(err)
	plugin := exec.Command(os.Args[1])
	plugin.Env = append(os.Environ(), "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_MIN_PORT=10000",
		"PLUGIN_MAX_PORT=25000", "PLUGIN_UNIX_SOCKET_DIR="+os.Args[2],
		"TEST_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd")
	plugin.Stderr = os.Stderr
	output, err := plugin.StdoutPipe()
	must(err)
	must(plugin.Start())
	defer plugin.Process.Kill()
	line, err := bufio.NewReader(output).ReadString('\n')
	must(err)
	fields := strings.Split(strings.TrimSpace(line), "|")
	fmt.Println(len(fields), fields[0], fields[1], fields[2], fields[4])
	fmt.Fprintln(os.Stderr, fields[3])
	client, err := rpc.Dial(fields[2], fields[3])
	must(err)
	var answer string
	must(client.Call("Greeter.Greet", "host", &answer))
	fmt.Println(answer)
	must(client.Call("Greeter.Attempt", os.Args[2], &answer))
	fmt.Println("works:", answer)
	client.Call("Greeter.Quit", 0, nil)
	must(plugin.Wait())
}
"#;

#[test]
fn go_plugin_lets_a_plugin_shake_hands_and_serve_its_host() {
    for user in EVERYONE {
        // Root's runtime folder lies in /run.
        private(|| {
            let mut host = Host::of(user);
            host.install_copy("greeter", program::go(PLUGIN));
            host.list("greeter", &["profile: go-plugin"]);
            let folders = ["bare", "confined"].map(|name| host.folder(name));
            let runtime = host.folder("runtime");
            let shim = host.shim("greeter");
            let plugin = host.path("plugins/greeter");
            let [bare, confined] =
                [(&plugin, &folders[0]), (&shim, &folders[1])].map(|(path, folder)| {
                    let mut command = host.command(program::go(HOST));
                    command.arg(path).arg(folder);
                    command.envs(host.shim_variables());
                    command.env("XDG_RUNTIME_DIR", &runtime);
                    run(command, b"").succeeded()
                });
            let same = "6 1 1 unix netrpc\nhello host\nworks:";
            let all = "read write listen tcp dial run";
            assert_eq!(bare.stdout, format!("{same} {all}\n"));
            assert_eq!(confined.stdout, format!("{same} \n"), "{confined:#?}");
            let place = match user {
                User::Root => "/run/secure-exec/greeter/plugin".to_string(),
                User::Ordinary => format!("{}/secure-exec/greeter/plugin", runtime.display()),
            };
            assert!(confined.stderr.starts_with(&place), "{confined:#?}");
        });
    }
}

#[test]
fn go_plugin_does_not_pass_other_variables_so_the_cookie_is_checked() {
    for user in EVERYONE {
        private(|| {
            let mut host = Host::of(user);
            host.install_copy("greeter", program::go(PLUGIN));
            host.list("greeter", &["profile: go-plugin"]);
            let outcome = host
                .launch("greeter")
                .env("XDG_RUNTIME_DIR", host.path("home"))
                .env("TEST_MAGIC_BISCUIT", "d602bf8f470bc67ca7faa0386276bbdd")
                .run();
            assert_eq!((outcome.status, &*outcome.stdout), (1, ""));
            outcome.says("Please execute the program that consumes it.");
        });
    }
}

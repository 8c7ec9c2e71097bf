//! `python` and `node`.

use super::ISOLATIONS;
use crate::kit::{EVERYONE, Host};

const PYTHON: &str = r#"#!/usr/bin/python3
import asyncio, decimal, hashlib, json, multiprocessing, os, sqlite3, ssl, sys, threading, time
import ctypes, datetime, mimetypes, re, subprocess, zoneinfo

print(json.loads('{"a": [1, 2.5, null]}'), decimal.Decimal(1) / 7)
print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())

base = sqlite3.connect(":memory:")
base.execute("create table t (n)")
base.executemany("insert into t values (?)", [(n,) for n in range(100)])
print(base.execute("select sum(n) from t").fetchone())

context = ssl.create_default_context()
print(context.verify_mode, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).minimum_version)

found = []
lock = threading.Lock()
def add(n):
    with lock:
        found.append(n)
threads = [threading.Thread(target=add, args=(n,)) for n in range(20)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(found) == list(range(20)))

def child(pipe):
    pipe.send(os.getppid())
    pipe.close()
fork = multiprocessing.get_context("fork")
here, there = fork.Pipe()
process = fork.Process(target=child, args=(there,))
process.start()
print(here.recv() == os.getpid())
process.join()
print(process.exitcode)

async def double(n):
    await asyncio.sleep(0)
    return 2 * n
async def all():
    thread = asyncio.to_thread(lambda: 5)
    return await asyncio.gather(double(1), double(2), thread)
print(asyncio.run(all()))

print(ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda n: n + 1)(1))
print(datetime.datetime.fromtimestamp(0, zoneinfo.ZoneInfo("Asia/Kolkata")))
print(mimetypes.guess_type("a.html"), re.sub("a+", "b", "caat"))
"#;

const PYTHON_REFUSED: &str = r#"#!/usr/bin/python3
import os, socket, subprocess, sys, tempfile

def attempt(name, what):
    try:
        what()
        print(name, "works")
    except Exception as error:
        print(name, type(error).__name__)
attempt("read", lambda: open("/etc/passwd").close())
attempt("write", lambda: tempfile.TemporaryFile(dir=sys.argv[1]).close())
attempt("run", lambda: subprocess.run(["/bin/true"]))
def become():
    if os.fork() == 0:
        try:
            os.execv("/bin/true", ["true"])
        except FileNotFoundError:
            os._exit(1)
    if os.wait()[1]:
        raise FileNotFoundError
attempt("become", become)
attempt("socket", lambda: socket.socket().close())
sys.stdout.flush()
"#;

#[test]
fn python_gives_a_script_its_standard_library() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install("p", PYTHON);
        host.list("p", &[]);
        let bare = host.bare(host.path("plugins/p"), &[]).succeeded();
        for isolation in ISOLATIONS {
            host.profile("p", &format!("extends: python\nisolation: {isolation}"));
            let confined = host.launch("p").profile("p").run().succeeded();
            assert_eq!(confined.stdout, bare.stdout, "{isolation}");
            assert_eq!(confined.stderr, "", "{isolation}");
        }
    }
}

#[test]
fn python_gives_a_script_no_file_no_program_and_no_network() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install("p", PYTHON_REFUSED);
        host.list("p", &["profile: python"]);
        let home = host.path("home");
        let bare = host.bare(host.path("plugins/p"), &[home.to_str().unwrap()]);
        bare.prints("read works\nwrite works\nrun works\nbecome works\nsocket works\n");
        let confined = host.launch("p").arg(&home).run();
        // Without a grant there is no program.
        confined.succeeded().prints(
            "read PermissionError\nwrite PermissionError\nrun FileNotFoundError\nbecome FileNotFoundError\n\
             socket PermissionError\n",
        );
    }
}

#[test]
fn python_imports_nothing_from_beside_the_script_or_from_the_caller() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install(
            "p",
            "#!/usr/bin/python3\nimport json\nprint(json.__file__)\n",
        );
        host.write("plugins/json.py", "print('planted')\n");
        host.list("p", &["profile: python"]);
        let bare = host.bare(host.path("plugins/p"), &[]);
        assert!(bare.stdout.starts_with("planted\n"), "{bare:#?}");
        let launch = host.launch("p").env("PYTHONPATH", host.path("plugins"));
        let launch = launch.env("PYTHONSTARTUP", host.path("plugins/json.py"));
        let outcome = launch.run().succeeded();
        assert!(
            outcome.stdout.starts_with("/usr/lib/python3"),
            "{outcome:#?}"
        );
    }
}

const NODE: &str = r#"#!/usr/bin/node
const crypto = require('crypto'), fs = require('fs'), path = require('path');
const { Worker } = require('worker_threads');
const zlib = require('zlib');
const input = fs.readFileSync(0);
console.log(crypto.createHash('sha256').update(input).digest('hex'));
console.log(JSON.stringify({ a: [1, null, 'ä'], b: new Date(0) }), zlib.gunzipSync(zlib.gzipSync('z')) + '');
const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
console.log(crypto.verify(null, input, publicKey, crypto.sign(null, input, privateKey)));

// (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
const wasm = Buffer.from('0061736d0100000001070160027f7f017f03020100070701036164640000' +
  '0a09010700200020016a0b', 'hex');
console.log(new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports.add(2, 3));

let hot = 0;
for (let i = 0; i < 3e6; i++) hot = (hot * 31 + i) | 0;
console.log(hot);

const [folder] = process.argv.slice(2);
const file = path.join(folder, 'out');
fs.writeFileSync(file, 'kept');
console.log(fs.readFileSync(file, 'utf8'), fs.readdirSync(folder));

const work = `const { parentPort, workerData } = require('worker_threads');
parentPort.postMessage(workerData.reduce((a, b) => a + b));`;
const worker = (list) => new Promise((resolve, reject) => {
  new Worker(work, { eval: true, workerData: list }).on('message', resolve).on('error', reject);
});
(async () => {
  console.log(await Promise.all([worker([1, 2]), worker([3, 4])]));
  console.log(await fs.promises.readFile(file, 'utf8'));
  await new Promise((resolve) => setTimeout(resolve, 1));
  console.log(await new Promise((done) => crypto.pbkdf2('a', 'b', 1000, 8, 'sha512', (e, key) => done(key.toString('hex')))));
})();
"#;

const NODE_REFUSED: &str = r#"#!/usr/bin/node
const { execFileSync, spawn } = require('child_process');
const fs = require('fs'), net = require('net');
const attempt = (name, what) => {
  try { what(); console.log(name, 'works'); } catch (error) { console.log(name, error.code); }
};
attempt('read', () => fs.readFileSync('/etc/passwd'));
attempt('write', () => fs.writeFileSync(process.argv[2] + '/planted', ''));
attempt('run', () => execFileSync('/bin/true'));
attempt('spawn', () => spawn('/bin/true'));
const server = net.createServer();
server.on('error', (error) => console.log('listen', error.code));
server.listen(0, '127.0.0.1', () => { console.log('listen works'); server.close(); });
"#;

#[test]
fn node_gives_a_script_its_compiler_threads_and_library() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let folder = host.folder("bare");
        host.install("p", NODE);
        host.list("p", &[]);
        let bare = host.bare(host.path("plugins/p"), &[folder.to_str().unwrap()]);
        let bare = bare.succeeded();
        for isolation in ISOLATIONS {
            let folder = host.folder(isolation);
            let grants = format!("filesystem: {{ write: [{folder:?}] }}");
            let profile = format!("extends: node\nisolation: {isolation}\n{grants}");
            host.profile("p", &profile);
            let confined = host.launch("p").profile("p").arg(&folder);
            let confined = confined.run().succeeded();
            assert_eq!(confined.stdout, bare.stdout, "{isolation}");
            assert_eq!(confined.stderr, "", "{isolation}");
        }
    }
}

#[test]
fn node_gives_a_script_no_file_no_program_and_no_network() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install("p", NODE_REFUSED);
        host.list("p", &["profile: node"]);
        let home = host.path("home");
        let bare = host.bare(host.path("plugins/p"), &[home.to_str().unwrap()]);
        bare.prints("read works\nwrite works\nrun works\nspawn works\nlisten works\n");
        let confined = host.launch("p").arg(&home).run().succeeded();
        confined.prints("read EACCES\nwrite EACCES\nrun EPERM\nspawn EPERM\nlisten EPERM\n");
    }
}

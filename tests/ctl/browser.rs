//! A browser without a screen, told what to do over two pipes in the DevTools
//! protocol. What pages it opens do is in its events.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

pub(crate) struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    calls: u64,
    session: Option<String>,
    events: Vec<Value>,
    _folder: tempfile::TempDir,
}

/// What a page looks like to its reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Pixels.
    pub(crate) width: u32,
    pub(crate) dark: bool,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        for pipe in [&to, &from] {
            assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
        }
        // It reads commands from descriptor 3 and answers on 4.
        let program = "exec chromium-headless-shell --no-sandbox --disable-gpu --disable-dev-shm-usage \
            --no-first-run --user-data-dir=\"$0/profile\" --remote-debugging-pipe about:blank 3<\"$0/to\" 4>\"$0/from\"";
        let mut command = Command::new("/bin/bash");
        command.args(["-c", program]).arg(folder.path());
        command.env("HOME", folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let mut browser = Self {
            child,
            to: File::options().write(true).open(to).unwrap(),
            from: BufReader::new(File::open(from).unwrap()),
            calls: 0,
            session: None,
            events: Vec::new(),
            _folder: folder,
        };
        let made = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let to = json!({ "targetId": made["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &to);
        browser.session = Some(attached["sessionId"].as_str().unwrap().into());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Opens a file, and returns once all of it is loaded.
    pub(crate) fn open(&mut self, file: &Path, look: Look) {
        self.look(look);
        self.events.clear();
        let url = format!("file://{}", file.display());
        let opened = self.call("Page.navigate", &json!({ "url": url }));
        assert_eq!(opened["errorText"], Value::Null, "{url}");
        while !self.has("Page.loadEventFired") {
            let message = self.message();
            self.events.push(message);
        }
    }

    pub(crate) fn look(&mut self, look: Look) {
        let mobile = look.width < 600;
        let size =
            json!({ "width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if look.dark { "dark" } else { "light" };
        let media = json!({ "media": "", "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// Shows the page as it would be printed.
    pub(crate) fn print(&mut self) {
        self.call("Emulation.setEmulatedMedia", &json!({ "media": "print" }));
    }

    /// What a JavaScript expression comes to on the page.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let what = json!({ "expression": expression, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", &what);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    /// What the page asked the network for.
    pub(crate) fn requests(&self) -> Vec<String> {
        let urls = self.named("Network.requestWillBeSent");
        urls.map(|event| event["params"]["request"]["url"].as_str().unwrap().into())
            .collect()
    }

    /// What the browser complains of.
    pub(crate) fn complaints(&self) -> Vec<&Value> {
        let kinds = [
            "Log.entryAdded",
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
        ];
        kinds
            .into_iter()
            .flat_map(|kind| self.named(kind))
            .collect()
    }

    fn named(&self, method: &str) -> impl Iterator<Item = &Value> {
        self.events
            .iter()
            .filter(move |event| event["method"] == method)
    }

    fn has(&self, method: &str) -> bool {
        self.named(method).next().is_some()
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.to
            .write_all(format!("{message}\0").as_bytes())
            .unwrap();
        loop {
            let message = self.message();
            if message["id"] == self.calls {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn message(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(
            bytes.pop(),
            Some(0),
            "chromium-headless-shell is needed, and ended"
        );
        serde_json::from_slice(&bytes).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

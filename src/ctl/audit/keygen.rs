//! `audit keygen`: a key that signs the log's head.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use secure_exec::failure::Failure;
use secure_exec_core::audit::head::SigningKey;
use secure_exec_core::escape::Escaped;
use secure_exec_sys::process;
use serde_json::json;

use crate::screen::Screen;

/// `audit keygen`.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Where the private key goes; the public key goes to FILE.pub
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Makes a pair of keys. No file that exists is touched.
pub(crate) fn run(keygen: &Keygen, screen: Screen) -> Result<ExitCode, Failure> {
    let private = &keygen.out;
    let mut public = private.clone().into_os_string();
    public.push(".pub");
    let public = PathBuf::from(public);
    let key = SigningKey::from_seed(process::random_bytes().map_err(Failure::own)?);
    let verifying = key.verifying_key();
    create(&public, 0o644, &verifying.to_pem())?;
    if let Err(failure) = create(private, 0o600, &key.to_pem()) {
        // A public key whose private one does not exist is of no use.
        let _stays = std::fs::remove_file(&public);
        return Err(failure);
    }
    let (private, public) = (private.to_string_lossy(), public.to_string_lossy());
    if screen.json {
        screen.print_json(&json!({
            "private_key": private,
            "public_key": public,
            "name": verifying.name(),
        }))?;
    } else {
        screen.print(&format!(
            "{}: private key {}, for 'audit.sign.key' in the configuration\n\
             {}: public key, for 'audit verify --key'; keep a copy on another machine\n",
            Escaped(&private),
            verifying.name(),
            Escaped(&public),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a new file, or leaves none.
fn create(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let cure = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "Choose another name; no key is overwritten.",
            std::io::ErrorKind::NotFound => "Make its folder first.",
            _ => "Choose a place that you can write.",
        };
        let shown = path.to_string_lossy();
        Failure::own(format!("the key '{}': {error}\n{cure}", Escaped(&shown)))
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut file = options.open(path).map_err(failed)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _stays = std::fs::remove_file(path);
        failed(error)
    })
}

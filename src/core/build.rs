//! Turns the shipped profiles from YAML into JSON, which the launcher reads in
//! a tenth of the time. Parsing at build time also means that a profile that
//! is no YAML stops the build.

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("../../profiles");
    println!("cargo::rerun-if-changed={}", folder.display());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        println!("cargo::rerun-if-changed={}", path.display());
        let text = std::fs::read_to_string(&path)?;
        let profile: serde_json::Value = serde_yaml::from_str(&text)?;
        let name = path.with_extension("json");
        let name = name.file_name().ok_or("a profile has no name")?;
        std::fs::write(out.join(name), profile.to_string())?;
    }
    Ok(())
}

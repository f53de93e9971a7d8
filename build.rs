//! Lists the platform files, so that a new one needs no line in a list of files.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=platforms");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("platforms");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(format!("    include_str!({path:?}),\n"));
        }
    }
    files.sort();
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let list = format!("[\n{}]\n", files.concat());
    fs::write(Path::new(&out).join("platform_files.rs"), list)
}

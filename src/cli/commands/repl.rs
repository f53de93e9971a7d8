//! `tagcast repl`

use std::path::PathBuf;

use crate::base::Lang;
use crate::cli::args::OutputFormat;
use crate::cli::output::Context;
use crate::engine::Failure;
use crate::repl::editor;
use crate::repl::session::{Session, SessionOptions};

pub fn run(cx: &Context) -> Result<u8, Failure> {
    cx.format(&[OutputFormat::Human])?;
    let mut session = Session::open(SessionOptions {
        program: cx.global.program.clone(),
        store: cx.store_dir(),
        now: cx.global.now.clone(),
        lang: cx.global.lang.map(Lang::from),
        color: cx.color_out(),
        world: cx.world(),
    })?;
    editor::run(&mut session, cx.color_out(), history_file())?;
    Ok(0)
}

/// Where shells keep such things; nowhere if the machine does not say.
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    let folder = state.join("tagcast");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

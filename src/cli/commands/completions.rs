//! `tagcast completions SHELL`

use clap::CommandFactory;

use crate::cli::args::{Cli, CompletionsArgs, OutputFormat};
use crate::cli::output::{Context, print_out};
use crate::engine::Failure;

pub fn run(cx: &Context, args: &CompletionsArgs) -> Result<u8, Failure> {
    cx.format(&[OutputFormat::Human])?;
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tagcast", &mut script);
    print_out(&String::from_utf8_lossy(&script))?;
    Ok(0)
}

//! The `tagcast` command: arguments, exit codes, and the real world behind the engine.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done and clean,
//! 1 findings, refused or stopped, 2 could not run.

mod args;
mod commands;
mod output;
mod system_world;

use std::process::ExitCode;

use clap::Parser;

use args::{AuditCommand, Cli, Command};
use output::Context;

/// Runs the command line that the process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; anything else is a command line that could not be run.
            let code = if error.use_stderr() { 2 } else { 0 };
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                // The reader of the help has gone away, as with any result.
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::from(code),
                Err(_) => ExitCode::from(2),
            };
        }
    };
    let cx = match Context::new(cli.global) {
        Ok(cx) => cx,
        Err((lang, failure)) => {
            output::print_failure(lang, false, &failure);
            return ExitCode::from(failure.exit);
        }
    };
    let result = match cli.command {
        Command::Check(a) => commands::check::run(&cx, &a),
        Command::Fmt(a) => commands::fmt::run(&cx, &a),
        Command::Tags(a) => commands::tags::run(&cx, &a),
        Command::Events(a) => commands::events::run(&cx, &a),
        Command::Sync => commands::sync::run(&cx),
        Command::Query(a) => commands::query::run(&cx, &a),
        Command::Plan(a) => commands::plan::run(&cx, &a),
        Command::Apply(a) => commands::apply::run(&cx, &a),
        Command::Run(a) => commands::run::run(&cx, &a),
        Command::Serve(a) => commands::serve::run(&cx, &a),
        Command::SendTest(a) => commands::send_test::run(&cx, &a),
        Command::Preview(a) => commands::preview::run(&cx, &a),
        Command::Why(a) => commands::why::run(&cx, &a),
        Command::Work(a) => commands::work::run(&cx, &a),
        Command::Status => commands::status::run(&cx),
        Command::Pause(a) => commands::hold::pause(&cx, &a),
        Command::Resume(a) => commands::hold::resume(&cx, &a),
        Command::Cancel(a) => commands::hold::cancel(&cx, &a),
        Command::Recall(a) => commands::recall::run(&cx, &a),
        Command::Resolve(a) => commands::resolve::run(&cx, &a),
        Command::Audit(AuditCommand::Verify) => commands::audit::verify(&cx),
        Command::Test(a) => commands::test::run(&cx, &a),
        Command::Repl => commands::repl::run(&cx),
        Command::Explain(a) => commands::explain::run(&cx, &a),
        Command::SampleData(a) => commands::sample_data::run(&cx, &a),
        Command::Completions(a) => commands::completions::run(&cx, &a),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output::print_failure(cx.lang(), cx.color_err(), &failure);
            ExitCode::from(failure.exit)
        }
    }
}

//! The `tagcast` command.

fn main() -> std::process::ExitCode {
    tagcast::cli::main()
}

//! `tagcast serve`: the service, with its journal on standard error (or as JSON Lines on standard
//! output).

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::base::Zone;
use crate::base::world::World;
use crate::base::{Lang, Msg};
use crate::cli::args::{OutputFormat, ServeArgs};
use crate::cli::output::Context;
use crate::deliver::http::secret::Secret;
use crate::engine::Failure;
use crate::msg;
use crate::serve::http::ListenOptions;
use crate::serve::{Journal, ServeOptions, serve};

pub fn run(cx: &Context, args: &ServeArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    if cx.global.now.is_some() {
        return Err(Failure::new(msg!(
            "`serve` works on the real clock: leave `--now` out",
            "`serve` 使用真实时钟：请去掉 `--now`"
        ))
        .help(msg!(
            "rehearse with `tagcast run --now … --until …`",
            "请用 `tagcast run --now … --until …` 演练"
        )));
    }
    let cx = cx.for_path(args.path.as_deref())?;
    super::sync::fill_if_empty(&cx)?;
    let project = cx.load_data(&[])?.0;
    cx.require_sound(&project)?;
    let journal = Spoken {
        json: format == OutputFormat::Json,
        lang: cx.lang_of(&project),
        quiet: cx.global.quiet,
        zone: project.program.policy.zone,
        world: cx.world(),
    };
    let listen = if args.no_http {
        None
    } else {
        Some(ListenOptions::new(args.listen, token(args)?)?)
    };
    let options = ServeOptions {
        program: cx.global.program.clone(),
        store: cx.store_dir(),
        ledger: cx.ledger()?,
        listen,
    };
    serve(options, cx.world(), Arc::new(journal))?;
    Ok(0)
}

/// The variable that holds the service's token.
const TOKEN: &str = "TAGCAST_TOKEN";

/// The token that callers must bring, from a file or the environment.
fn token(args: &ServeArgs) -> Result<Option<Secret>, Failure> {
    let found = match &args.token_file {
        Some(file) => Some(Secret::from_file(file)),
        None => std::env::var_os(TOKEN).map(|_| Secret::from_env(TOKEN)),
    };
    found.transpose().map_err(Failure::new)
}

/// Lines with the time before them.
struct Spoken {
    json: bool,
    lang: Lang,
    quiet: bool,
    zone: Zone,
    world: Arc<dyn World>,
}

impl Spoken {
    fn line(&self, level: &str, what: &Msg) {
        let at = self.zone.show_rfc3339(self.world.now());
        if self.json {
            // A reader that has gone away does not end the service.
            let _ = writeln!(
                std::io::stdout().lock(),
                "{}",
                json!({"at": at, "level": level, "message": what.en})
            );
        } else if level != "info" || !self.quiet {
            let _ = writeln!(std::io::stderr().lock(), "{at}  {}", what.get(self.lang));
        }
    }
}

impl Journal for Spoken {
    fn info(&self, what: Msg) {
        self.line("info", &what);
    }

    fn retrying(&self, why: &Failure, wait: Duration) {
        let (en, zh, seconds) = (&why.message.en, &why.message.zh, wait.as_secs());
        self.line(
            "error",
            &msg!(
                "{en}; tried again in {seconds} s",
                "{zh}；{seconds} 秒后重试"
            ),
        );
    }
}

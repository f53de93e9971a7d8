//! Where words go: language, colours, and the one way that every command prints findings and
//! failures.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{ColorWhen, Global, OutputFormat};
use super::system_world::RealWorld;
use crate::base::Instant;
use crate::base::world::World;
use crate::base::{Lang, Msg};
use crate::diag::render::{self, RenderFormat};
use crate::diag::{Finding, Level};
use crate::engine::eval_data::{self, RejectedCondition};
use crate::engine::{Config, Failure, Project, ProjectOptions, project};
use crate::ledger::LedgerLocation;
use crate::msg;
use crate::store::Snapshot;
use crate::store::mapped::{self, ReadMode};
use crate::syntax::keyword;

/// What every command needs: the global options, settled.
pub struct Context {
    pub global: Global,
    world: Arc<RealWorld>,
    folder: PathBuf,
    pub config: Config,
}

/// How the store's files are read: as `--no-mmap` says, or `TAGCAST_NO_MMAP` with anything but
/// nothing or `0` in it.
fn access(global: &Global) -> ReadMode {
    let told = global.no_mmap
        || std::env::var_os("TAGCAST_NO_MMAP").is_some_and(|v| !v.is_empty() && v != "0");
    if told {
        ReadMode::ReadIntoMemory
    } else {
        ReadMode::Map
    }
}

impl Context {
    /// # Errors
    /// A program path that is not there, or a wrong `tagcast.toml`; with the language to say it in.
    pub fn new(global: Global) -> Result<Self, (Lang, Failure)> {
        let lang = global.lang.map_or(Lang::En, Lang::from);
        let at = |f: Failure| (lang, f);
        mapped::configure(access(&global), lang == Lang::Zh);
        let folder = project::folder_of(&global.program).map_err(at)?;
        let config = Config::load(&folder).map_err(at)?;
        Ok(Context {
            global,
            world: Arc::new(RealWorld::new()),
            folder,
            config,
        })
    }

    /// The same context for a path given as an argument.
    pub fn for_path(&self, path: Option<&Path>) -> Result<Context, Failure> {
        let mut global = self.global.clone();
        if let Some(path) = path {
            global.program = path.to_path_buf();
        }
        let folder = project::folder_of(&global.program)?;
        let config = Config::load(&folder)?;
        Ok(Context {
            global,
            world: self.world.clone(),
            folder,
            config,
        })
    }

    /// The language of messages that belong to no file.
    pub fn lang(&self) -> Lang {
        self.global.lang.map_or(Lang::En, Lang::from)
    }

    /// The language of messages about a program: as told, else that of its first file.
    pub fn lang_of(&self, project: &Project) -> Lang {
        let first = project
            .focus
            .as_ref()
            .and_then(|f| f.iter().next().copied())
            .or(project.files.first().map(|f| f.id));
        self.global.lang.map_or_else(
            || first.map_or(Lang::En, |f| project.lang_of(f)),
            Lang::from,
        )
    }

    /// As the floors below know it.
    pub fn world(&self) -> Arc<dyn World> {
        self.world.clone()
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The store's folder: `--store`, else what `tagcast.toml` says, else `.tagcast` in the
    /// program's folder.
    pub fn store_dir(&self) -> PathBuf {
        match (&self.global.store, &self.config.store) {
            (Some(dir), _) => dir.clone(),
            (None, Some(dir)) => self.folder.join(dir),
            (None, None) => self.folder.join(".tagcast"),
        }
    }

    /// Where the ledger is: in the store, unless `tagcast.toml` says otherwise.
    ///
    /// # Errors
    /// A `[ledger]` that makes no sense.
    pub fn ledger(&self) -> Result<LedgerLocation, Failure> {
        self.config.ledger(&self.store_dir())
    }

    /// The moment of the command: what `--now` says, else the wall clock.
    pub fn now(&self, project: &Project) -> Instant {
        project.now.unwrap_or_else(|| self.world.now())
    }

    /// The program at the given paths (at `--program` if none), checked against `--now` if given.
    ///
    /// # Errors
    /// Those of [`Project::load`].
    pub fn project(&self, paths: &[PathBuf], options: ProjectOptions) -> Result<Project, Failure> {
        let default = [self.global.program.clone()];
        let paths = if paths.is_empty() {
            &default[..]
        } else {
            paths
        };
        let options = ProjectOptions {
            now: self.global.now.clone(),
            ..options
        };
        Project::load(paths, &options, self.world.as_ref())
    }

    /// The program with the store's own tags, and the snapshot it is evaluated on.
    ///
    /// # Errors
    /// As [`Context::project`]; a store that cannot be opened.
    pub fn load_data(&self, paths: &[PathBuf]) -> Result<(Project, Arc<Snapshot>), Failure> {
        let default = [self.global.program.clone()];
        let paths = if paths.is_empty() {
            &default[..]
        } else {
            paths
        };
        let loaded = eval_data::load(
            paths,
            &self.store_dir(),
            self.global.now.as_deref(),
            &self.world(),
        )?;
        if loaded.1.user_count() == 0 {
            let store = self.store_dir();
            let store = store.display();
            self.say(&msg!(
                "note: the store `{store}` holds no users; `tagcast tags import FILE --id COLUMN` fills it, `tagcast sample-data` makes one to try",
                "注意：数据仓 `{store}` 中没有用户；可用 `tagcast tags import 文件 --id 列` 导入，或用 `tagcast sample-data` 生成一个来试用"
            ));
        }
        Ok(loaded)
    }

    /// Prints what is wrong with a condition given on the command line.
    ///
    /// # Errors
    /// A standard output that cannot be written.
    pub fn print_rejected(
        &self,
        rejected: &RejectedCondition,
        format: OutputFormat,
    ) -> Result<(), Failure> {
        let first = rejected
            .sources
            .iter()
            .last()
            .map_or("", |(_, f)| f.text.as_str());
        let lang = self
            .global
            .lang
            .map_or_else(|| keyword::language_of(first), Lang::from);
        match format {
            OutputFormat::Json => print_out(&render::render(
                RenderFormat::Json,
                &rejected.sources,
                &rejected.findings,
                &|_| lang,
                false,
            )),
            _ => {
                print_err(&render::render(
                    RenderFormat::Human,
                    &rejected.sources,
                    &rejected.findings,
                    &|_| lang,
                    self.color_err(),
                ));
                Ok(())
            }
        }
    }

    pub fn color_out(&self) -> bool {
        use_color(self.global.color, std::io::stdout().is_terminal())
    }

    pub fn color_err(&self) -> bool {
        use_color(self.global.color, std::io::stderr().is_terminal())
    }

    /// Whether progress may be drawn.
    pub fn progress(&self) -> bool {
        !self.global.quiet
            && std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
    }

    /// The format asked for, if the command knows it.
    ///
    /// # Errors
    /// One that it does not know.
    pub fn format(&self, known: &[OutputFormat]) -> Result<OutputFormat, Failure> {
        let asked = self.global.format.unwrap_or(OutputFormat::Human);
        if known.contains(&asked) {
            return Ok(asked);
        }
        let name = |f: &OutputFormat| format!("{f:?}").to_lowercase();
        let list = known.iter().map(name).collect::<Vec<_>>().join(", ");
        let asked = name(&asked);
        Err(Failure::new(msg!(
            "this command has no format `{asked}`; it knows {list}",
            "此命令没有 `{asked}` 格式；可用：{list}"
        )))
    }

    pub fn say(&self, message: &Msg) {
        if !self.global.quiet {
            print_err(&format!("{}\n", message.get(self.lang())));
        }
    }

    /// Prints findings of a program in a format that [`Context::format`] let through, and gives the
    /// worst level.
    ///
    /// # Errors
    /// A standard output that cannot be written.
    pub fn print_findings(
        &self,
        project: &Project,
        findings: &[Finding],
        format: OutputFormat,
    ) -> Result<Option<Level>, Failure> {
        let lang_of = |f: &Finding| {
            self.global
                .lang
                .map_or_else(|| project.lang_of(f.span.file), Lang::from)
        };
        let (format, to_stdout) = match format {
            OutputFormat::Concise => (RenderFormat::Concise, true),
            OutputFormat::Json => (RenderFormat::Json, true),
            OutputFormat::Sarif => (RenderFormat::Sarif, true),
            OutputFormat::Github => (RenderFormat::Github, true),
            OutputFormat::Human | OutputFormat::Csv | OutputFormat::Jsonl => {
                (RenderFormat::Human, false)
            }
        };
        let color = if to_stdout {
            self.color_out()
        } else {
            self.color_err()
        };
        let text = render::render(format, &project.sources, findings, &lang_of, color);
        if to_stdout {
            print_out(&text)?;
        } else {
            print_err(&text);
        }
        Ok(findings.iter().map(|f| f.level).max())
    }

    /// Refuses a program with errors, after showing them.
    ///
    /// # Errors
    /// The refusal: exit code 1.
    pub fn require_sound(&self, project: &Project) -> Result<(), Failure> {
        if !project.has_errors() {
            return Ok(());
        }
        let errors: Vec<Finding> = project
            .findings
            .iter()
            .filter(|f| f.level == Level::Error)
            .cloned()
            .collect();
        self.print_findings(project, &errors, OutputFormat::Human)?;
        Err(Failure::refused(msg!(
            "the program has errors, so nothing was done",
            "程序有错误，没有执行任何操作"
        )))
    }
}

fn use_color(when: ColorWhen, terminal: bool) -> bool {
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => {
            terminal
                && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
                && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
        }
    }
}

/// Writes a result. A reader that has gone away (`| head`) ends the command quietly.
///
/// # Errors
/// A full disk behind a redirection, for instance.
pub fn print_out(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => Err(Failure::new(msg!(
            "the result could not be written: {e}",
            "无法写出结果：{e}"
        ))),
    }
}

/// Writes what is said beside the result. Where nobody can read it (`2>&1 | head -1`) the command
/// continues: its exit code tells.
pub fn print_err(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Pretty JSON with a newline at the end.
///
/// # Errors
/// As [`print_out`].
pub fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print_out(&format!("{value:#}\n"))
}

pub fn print_failure(lang: Lang, color: bool, failure: &Failure) {
    let (error, help) = match lang {
        Lang::En => ("error", "help"),
        Lang::Zh => ("错误", "提示"),
    };
    let paint = |code: &str, word: &str| {
        if color {
            format!("\u{1b}[{code}m{word}\u{1b}[0m")
        } else {
            word.to_string()
        }
    };
    let mut text = format!("{}: {}\n", paint("1;31", error), failure.message.get(lang));
    for line in &failure.help {
        text.push_str(&format!("{}: {}\n", paint("1;36", help), line.get(lang)));
    }
    print_err(&text);
}

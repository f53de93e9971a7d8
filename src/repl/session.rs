//! What the REPL answers to a line. Plain text in, plain text out, so that a test needs no
//! terminal.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::Lang;
use crate::base::value::{count_of, group_digits};
use crate::base::world::World;
use crate::diag::render::{self, RenderFormat};
use crate::diag::{Finding, Sources};
use crate::engine::eval_data::{self, EvalData};
use crate::engine::{Failure, Project, planning};
use crate::msg;
use crate::program::typed::Program;
use crate::store::Snapshot;
use crate::syntax::parse;

/// What to do after an answer.
pub enum ReplResponse {
    Text(String),
    Quit,
}

/// How a session was started.
pub struct SessionOptions {
    pub program: PathBuf,
    pub store: PathBuf,
    pub now: Option<String>,
    pub lang: Option<Lang>,
    pub color: bool,
    pub world: Arc<dyn World>,
}

pub struct Session {
    options: SessionOptions,
    project: Project,
    data: EvalData,
}

/// Every command of the REPL: word, arguments, English and Chinese help. One table for help,
/// completion and dispatch.
pub const COMMANDS: [(&str, &str, &str, &str); 8] = [
    (":help", "", "this list", "显示此列表"),
    (
        ":tags",
        "[PART]",
        "the tags that a condition can use",
        "可用的标签",
    ),
    (
        ":type",
        "EXPR",
        "the type of an expression, and whether it can be missing",
        "表达式的类型，以及是否可能缺失",
    ),
    (
        ":why",
        "USER CONDITION|CAMPAIGN",
        "the condition with this user's values",
        "用该用户的值逐项说明条件",
    ),
    (
        ":plan",
        "[CAMPAIGN]",
        "what a run would do",
        "运行将会做什么",
    ),
    (
        ":explain",
        "CONDITION",
        "how a condition is evaluated",
        "条件如何求值",
    ),
    (
        ":reload",
        "",
        "read program and store again",
        "重新读取程序与数据",
    ),
    (":quit", "", "leave (also Ctrl-D)", "退出（也可按 Ctrl-D）"),
];

impl Session {
    /// # Errors
    /// A program or store that cannot be read. A program with errors opens all the same: what it
    /// declares soundly can be explored.
    pub fn open(options: SessionOptions) -> Result<Session, Failure> {
        let (project, data) = Self::load(&options)?;
        Ok(Session {
            options,
            project,
            data,
        })
    }

    fn load(options: &SessionOptions) -> Result<(Project, EvalData), Failure> {
        let paths = [options.program.clone()];
        let (project, snapshot) = eval_data::load(
            &paths,
            &options.store,
            options.now.as_deref(),
            &options.world,
        )?;
        let now = project.now.unwrap_or_else(|| options.world.now());
        let data = EvalData::gather(&project, snapshot, &options.store, now, &options.world)?;
        Ok((project, data))
    }

    pub fn program(&self) -> &Program {
        &self.project.program
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.data.snapshot
    }

    fn lang(&self) -> Lang {
        let first = self.project.files.first().map(|f| f.id);
        self.options
            .lang
            .unwrap_or_else(|| first.map_or(Lang::En, |f| self.project.lang_of(f)))
    }

    /// The words that greet: how many users and tags there are.
    pub fn greeting(&self) -> String {
        let users = self.data.snapshot.user_count();
        let tags = self.project.program.schema.tags.len();
        let errors = self
            .project
            .findings
            .iter()
            .filter(|f| f.level == crate::diag::Level::Error)
            .count();
        let mut text = match self.lang() {
            Lang::En => {
                format!(
                    "{}, {}. A condition gives its counts; :help lists the rest.\n",
                    count_of(users, "user"),
                    count_of(tags, "tag")
                )
            }
            Lang::Zh => format!(
                "{} 个用户，{tags} 个标签。输入条件即可得到计数；:help 查看其他命令。\n",
                group_digits(users as u64)
            ),
        };
        if errors > 0 {
            text.push_str(&match self.lang() {
                Lang::En => format!(
                    "The program has {}; `tagcast check` shows more.\n",
                    count_of(errors, "error")
                ),
                Lang::Zh => format!("程序有 {errors} 个错误；运行 `tagcast check` 查看。\n"),
            });
        }
        text
    }

    /// Whether the text continues in the next line.
    pub fn is_incomplete(text: &str) -> bool {
        !text.trim_start().starts_with(':') && parse::is_incomplete(text)
    }

    pub fn answer(&mut self, line: &str) -> ReplResponse {
        let line = line.trim();
        if line.is_empty() || (line.starts_with('#')) {
            return ReplResponse::Text(String::new());
        }
        if matches!(line, ":quit" | ":q" | "exit" | "quit") {
            return ReplResponse::Quit;
        }
        let result = match line.strip_prefix(':') {
            Some(command) => {
                let (word, rest) = command
                    .split_once(char::is_whitespace)
                    .unwrap_or((command, ""));
                self.command(word, rest.trim())
            }
            None => self.counts(line),
        };
        ReplResponse::Text(result.unwrap_or_else(|failure| self.show_failure(&failure)))
    }

    fn command(&mut self, word: &str, rest: &str) -> Result<String, Failure> {
        // What a command needs stands in capitals, without brackets.
        let needs = COMMANDS.iter().find(|(name, args, ..)| {
            name.get(1..) == Some(word) && args.starts_with(|c: char| c.is_uppercase())
        });
        if let Some((name, args, ..)) = needs.filter(|_| rest.is_empty()) {
            return Err(Failure::refused(msg!(
                "write `{name} {args}`",
                "请写 `{name} {args}`"
            )));
        }
        match word {
            "help" | "h" => Ok(self.help()),
            "tags" => Ok(self.tags(rest)),
            "type" => self.type_of(rest),
            "why" => self.why(rest),
            "plan" => self.plan(rest),
            "explain" => match eval_data::condition(&self.project, rest) {
                Ok((condition, _)) => Ok(crate::plan::describe(&self.project.program, &condition)),
                Err(rejected) => Ok(self.findings(&rejected.sources, &rejected.findings)),
            },
            "reload" => {
                (self.project, self.data) = Self::load(&self.options)?;
                Ok(self.greeting())
            }
            _ => {
                let near = COMMANDS
                    .iter()
                    .map(|c| c.0)
                    .min_by_key(|c| strsim::damerau_levenshtein(&c[1..], word))
                    .unwrap_or(":help");
                Err(
                    Failure::refused(msg!("there is no command `:{word}`", "没有命令 `:{word}`"))
                        .help(msg!("did you mean `{near}`?", "是否想要 `{near}`？")),
                )
            }
        }
    }

    fn help(&self) -> String {
        let mut text = String::new();
        for (word, args, en, zh) in COMMANDS {
            let meaning = if self.lang() == Lang::Zh { zh } else { en };
            let call = format!("{word} {args}");
            text.push_str(&format!("  {call:<32} {meaning}\n"));
        }
        text.push_str(match self.lang() {
            Lang::En => "  anything else is a condition: region == \"Shanghai\" and did(purchase, last 30 days)\n",
            Lang::Zh => "  其他输入都是条件：地域 == \"上海\" 且 did(购买, 最近 30天)\n",
        });
        text
    }

    fn tags(&self, part: &str) -> String {
        let mut text = String::new();
        for tag in self
            .project
            .program
            .schema
            .tags
            .iter()
            .filter(|t| t.name.contains(part))
        {
            let kind = if tag.derived { " (derived)" } else { "" };
            text.push_str(&format!("  {:<24} {}{kind}\n", tag.name, tag.ty.describe()));
        }
        text
    }

    fn counts(&self, line: &str) -> Result<String, Failure> {
        let (condition, _) = match eval_data::condition(&self.project, line) {
            Ok(checked) => checked,
            Err(rejected) => return Ok(self.findings(&rejected.sources, &rejected.findings)),
        };
        Ok(eval_data::line(
            self.data.counts(&self.project.program, &condition)?,
            self.lang(),
        ))
    }

    fn type_of(&self, text: &str) -> Result<String, Failure> {
        match eval_data::expression(&self.project, text) {
            Ok(expr) => {
                let missing = match (expr.optional, self.lang()) {
                    (false, _) => "",
                    (true, Lang::En) => ", can be missing",
                    (true, Lang::Zh) => "，可能缺失",
                };
                Ok(format!("{}{missing}\n", expr.ty.describe()))
            }
            Err(rejected) => Ok(self.findings(&rejected.sources, &rejected.findings)),
        }
    }

    fn why(&self, rest: &str) -> Result<String, Failure> {
        let (user, what) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let Some(number) = self.data.snapshot.user_no(user) else {
            return Err(Failure::refused(msg!(
                "the store has no user with this id",
                "数据中没有此编号的用户"
            )));
        };
        let what = what.trim();
        if let Some(id) = self.project.program.campaign_named(what) {
            let when = self.project.program.campaign(id).when.clone();
            let trace = self.data.explain(&self.project.program, &when, number)?;
            return Ok(trace.show(&self.project.sources, self.lang()));
        }
        match eval_data::condition(&self.project, what) {
            Ok((condition, sources)) => {
                let trace = self
                    .data
                    .explain(&self.project.program, &condition, number)?;
                Ok(trace.show(&sources, self.lang()))
            }
            Err(rejected) => Ok(self.findings(&rejected.sources, &rejected.findings)),
        }
    }

    fn plan(&self, campaign: &str) -> Result<String, Failure> {
        if !campaign.is_empty() && self.project.program.campaign_named(campaign).is_none() {
            return Err(Failure::refused(msg!(
                "no campaign is named `{campaign}`",
                "没有名为 `{campaign}` 的活动"
            )));
        }
        if self.project.has_errors() {
            return Err(Failure::refused(msg!(
                "the program has errors; `tagcast check` shows them",
                "程序有错误；运行 `tagcast check` 查看"
            )));
        }
        let wanted = if campaign.is_empty() {
            None
        } else {
            Some(campaign)
        };
        let plan = planning::plan(
            &self.project,
            &self.data,
            &self.options.store,
            wanted,
            &self.options.world,
        )?;
        Ok(plan.show(&self.project, self.lang()))
    }

    fn findings(&self, sources: &Sources, findings: &[Finding]) -> String {
        let lang = self.lang();
        render::render(
            RenderFormat::Human,
            sources,
            findings,
            &|_| lang,
            self.options.color,
        )
    }

    fn show_failure(&self, failure: &Failure) -> String {
        let lang = self.lang();
        let mut text = format!("{}\n", failure.message.get(lang));
        for help in &failure.help {
            text.push_str(&format!("{}\n", help.get(lang)));
        }
        text
    }
}

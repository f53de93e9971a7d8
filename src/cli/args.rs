//! The command line, as clap sees it. What a command does stands in `commands/`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Parser, Debug)]
#[command(
    name = "tagcast",
    version,
    about = "Tag-targeted message campaigns as text: checked before anything is sent, sent at most once, explained afterwards",
    after_help = "Examples:\n  tagcast check                                   check every .campaign file of this folder\n  tagcast run examples/first.campaign             plan, apply and run what is due now\n  tagcast query 'region == \"Shanghai\"' --count     how many users a condition selects\n  tagcast why u00042 spring_sale                  why this user got a message, or did not\n\nExit codes: 0 done and clean · 1 findings, refused or stopped · 2 could not run",
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args, Debug, Clone)]
pub struct Global {
    /// The tag store [default: .tagcast in the program's folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// The program: a folder, or one of its files
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        default_value = ".",
        hide_default_value = true
    )]
    pub program: PathBuf,
    /// Read the store's files into memory instead of mapping them: for folders on a network [env:
    /// TAGCAST_NO_MMAP]
    #[arg(long, global = true)]
    pub no_mmap: bool,
    /// What the clock says: a date, or with time, seconds, RFC 3339 zone [default: now]
    #[arg(long, global = true, value_name = "INSTANT")]
    pub now: Option<String>,
    /// Language of messages [default: the file's own]
    #[arg(long, global = true, value_enum)]
    pub lang: Option<LangArg>,
    /// Output format; which ones a command knows stands in its help
    #[arg(long, global = true, value_name = "FORMAT", value_enum)]
    pub format: Option<OutputFormat>,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub color: ColorWhen,
    /// Say less: results and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LangArg {
    En,
    Zh,
}

impl From<LangArg> for crate::base::Lang {
    fn from(arg: LangArg) -> Self {
        match arg {
            LangArg::En => crate::base::Lang::En,
            LangArg::Zh => crate::base::Lang::Zh,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    Human,
    Concise,
    Json,
    Sarif,
    Github,
    Csv,
    Jsonl,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailLevel {
    Error,
    Warning,
    Note,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Parse, check and lint; nothing is read but the program
    #[command(
        after_help = "Examples:\n  tagcast check\n  tagcast check campaigns/ --format sarif > findings.sarif\n  tagcast check --fail-level warning\n  tagcast check --fix\n\nFormats: human, concise, json, sarif, github"
    )]
    Check(CheckArgs),
    /// Bring files into the one layout; refuses to change what they mean
    #[command(
        after_help = "Examples:\n  tagcast fmt\n  tagcast fmt --check\n  tagcast fmt --keywords zh campaigns/spring.campaign"
    )]
    Fmt(FmtArgs),
    /// Fill the store with what is known of users, and look at it
    #[command(
        subcommand,
        after_help = "Examples:\n  tagcast tags import users.csv --id user_id\n  tagcast tags stats"
    )]
    Tags(TagsCommand),
    /// Fill the store with what users did
    #[command(
        subcommand,
        after_help = "Example:\n  tagcast events import purchase purchases.csv --id user_id --at time"
    )]
    Events(EventsCommand),
    /// Import the sources that tagcast.toml names, where they changed
    #[command(after_help = "Example:\n  tagcast sync --program campaigns/")]
    Sync,
    /// One audience: counts of true, false and unknown, or the users' ids
    #[command(
        after_help = "Examples:\n  tagcast query 'region == \"Shanghai\" and coupon_rate > 30%'\n  tagcast query 'did(purchase, last 30 days)' --ids > ids.txt\n  tagcast query 'everyone' --out users.parquet --columns region,age\n\nFormats: human, json"
    )]
    Query(QueryArgs),
    /// What a run would do, before anything happens
    #[command(
        after_help = "Examples:\n  tagcast plan\n  tagcast plan examples/first.campaign -o plan.json\n\nFormats: human, json"
    )]
    Plan(PlanArgs),
    /// Make exactly a saved plan live
    #[command(after_help = "Example:\n  tagcast apply plan.json")]
    Apply(ApplyArgs),
    /// Plan, apply and run what is due
    #[command(
        after_help = "Examples:\n  tagcast run examples/first.campaign\n  tagcast run --now 2027-11-11T09:00 --until 2027-11-12     on a simulated clock\n\nFormats: human, json"
    )]
    Run(RunArgs),
    /// Run what is due as it becomes due, and take events, tag changes and callbacks over
    /// HTTP
    #[command(
        after_help = "Examples:\n  tagcast serve\n  TAGCAST_TOKEN=… tagcast serve campaigns/ --listen 127.0.0.1:7420\n  tagcast serve --no-http --format json\n\nStops cleanly on SIGTERM and Ctrl-C; started again, it continues with every wait. Formats: human, json"
    )]
    Serve(ServeArgs),
    /// Why a user got a campaign's message, or did not
    #[command(after_help = "Example:\n  tagcast why u00042 spring_sale\n\nFormats: human, json")]
    Why(WhyArgs),
    /// Send what another process plans, on a ledger in PostgreSQL, until told to stop
    #[command(
        after_help = "Examples:\n  tagcast work\n  tagcast work --once          until nothing is due now\n\n`[ledger] url` in tagcast.toml names the database; `serve` or `run` plans. Formats: human"
    )]
    Work(WorkArgs),
    /// How things stand: what is open, held back, unknown; quotas left, time to finish
    #[command(
        after_help = "Examples:\n  tagcast status\n  tagcast status --format json\n\nExit code 1 when a person has something to do. Formats: human, json"
    )]
    Status,
    /// Send nothing more of a campaign, an account or all, until resumed
    #[command(
        after_help = "Examples:\n  tagcast pause spring_sale\n  tagcast pause --account rose --by li\n  tagcast pause --all\n\nTakes effect before the next send of a process that is at work. Formats: human, json"
    )]
    Pause(HoldArgs),
    /// End a pause or a cancellation
    #[command(
        after_help = "Examples:\n  tagcast resume spring_sale\n  tagcast resume --all\n\nFormats: human, json"
    )]
    Resume(HoldArgs),
    /// Pause, and withdraw what is planned and not sent
    #[command(
        after_help = "Examples:\n  tagcast cancel spring_sale --by li\n  tagcast cancel --account rose\n\nFormats: human, json"
    )]
    Cancel(HoldArgs),
    /// Take a run back: what is not sent never leaves, what is sent where the channel can
    #[command(
        after_help = "Examples:\n  tagcast recall 7 --by li\n  tagcast recall 7 --format json          what became of each user's message\n\n`tagcast status` shows the numbers of runs. Exit code 1 when something stays with a user. Formats: human, json"
    )]
    Recall(RecallArgs),
    /// List sends that nobody knows about, settle one, or continue with an old copy of the ledger
    #[command(
        after_help = "Examples:\n  tagcast resolve                                list them\n  tagcast resolve 12 --sent --by li              the platform's console shows it\n  tagcast resolve 12 --not-sent --by li          it does not; nothing is sent again by this\n  tagcast resolve --after-restore --by li        the ledger is an old copy: give up what was due\n\nExit code 1 while any are left. Formats: human, json"
    )]
    Resolve(ResolveArgs),
    /// Prove that the ledger is what was written
    #[command(subcommand, after_help = "Example:\n  tagcast audit verify")]
    Audit(AuditCommand),
    /// A campaign's messages as they will look: the longest, with defaults, with values missing, or
    /// one user's
    #[command(
        after_help = "Examples:\n  tagcast preview spring_sale\n  tagcast preview spring_sale --user u00042\n  tagcast preview spring_sale --html preview.html\n\nFormats: human, json"
    )]
    Preview(PreviewArgs),
    /// One real message to a named person, recorded as a test: outside runs and caps
    #[command(
        after_help = "Examples:\n  tagcast send-test spring_sale --to u00042\n  tagcast send-test spring_sale --to o6_bmjrPTlm6_2sgVt7hMZOPfL2M --via service_account.mass\n\nAn account that is not bound writes to the sandbox's file. Exit code 1 when the channel did not take it. Formats: human, json"
    )]
    SendTest(SendTestArgs),
    /// Run the tests that the program contains
    #[command(after_help = "Examples:\n  tagcast test\n  tagcast test examples/retail")]
    Test(TestArgs),
    /// Explore: conditions, counts, why
    #[command(after_help = "Example:\n  tagcast repl --program campaigns/")]
    Repl,
    /// Explain a finding by its name
    #[command(
        after_help = "Examples:\n  tagcast explain                  all names\n  tagcast explain unknown-name"
    )]
    Explain(ExplainArgs),
    /// Make a store of real-looking users to try things on
    #[command(
        after_help = "Examples:\n  tagcast sample-data demo\n  tagcast sample-data demo --users 10000 --seed 2"
    )]
    SampleData(SampleDataArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  tagcast completions bash > tagcast.bash")]
    Completions(CompletionsArgs),
}

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Folders or files [default: the program]
    pub paths: Vec<PathBuf>,
    /// Exit with 1 from this level on
    #[arg(long, value_enum, default_value = "error")]
    pub fail_level: FailLevel,
    /// Apply the fixes that keep the meaning
    #[arg(long)]
    pub fix: bool,
}

#[derive(Args, Debug)]
pub struct FmtArgs {
    /// Folders or files [default: the program]; `-` formats standard input to standard output
    pub paths: Vec<PathBuf>,
    /// Change nothing; exit with 1 if a file would change
    #[arg(long)]
    pub check: bool,
    /// Rewrite keywords in this language
    #[arg(long, value_enum)]
    pub keywords: Option<LangArg>,
}

#[derive(Subcommand, Debug)]
pub enum TagsCommand {
    /// Import users and their tags from CSV, JSON Lines, Parquet or Arrow: all rows or none
    #[command(
        after_help = "Examples:\n  tagcast tags import users.csv --id user_id\n  tagcast tags import users.parquet --id id --infer\n  tagcast tags import scores.csv --id id --only churn_risk --replace"
    )]
    Import(TagsImportArgs),
    /// Set tags as they change: durable, and seen by every query, when the command has answered
    #[command(
        after_help = "Examples:\n  tagcast tags set u00042 city=Shanghai age=\n  echo '{\"user\": \"u00042\", \"tags\": {\"city\": \"Shanghai\", \"age\": null}}' | tagcast tags set\n\nFormats: human, jsonl (an answer a line)"
    )]
    Set(TagsSetArgs),
    /// Fold the live changes into the columns; imports do so too
    Compact,
    /// The tags that there are
    List,
    /// What the store knows of each tag: known, missing, values, age
    Stats(TagsStatsArgs),
}

#[derive(Args, Debug)]
pub struct TagsImportArgs {
    pub file: PathBuf,
    /// The column with the user's id
    #[arg(long, value_name = "COLUMN")]
    pub id: String,
    /// Write tags.campaign for columns that are not declared
    #[arg(long)]
    pub infer: bool,
    /// Read only these columns
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Users who are not in the file lose their values of the tags that it fills
    #[arg(long)]
    pub replace: bool,
    /// Users who are not in the file keep their values (the default)
    #[arg(long, conflicts_with = "replace")]
    pub upsert: bool,
    /// Numbers for money count fen and not yuan
    #[arg(long)]
    pub minor_units: bool,
}

#[derive(Args, Debug)]
pub struct TagsSetArgs {
    /// The user's id; without it JSON Lines are read from standard input
    #[arg(requires = "values")]
    pub user: Option<String>,
    /// tag=value; tag= takes the value away
    pub values: Vec<String>,
}

#[derive(Args, Debug)]
pub struct EventsAddArgs {}

#[derive(Args, Debug)]
pub struct TagsStatsArgs {
    /// Only these tags
    pub tags: Vec<String>,
    /// Read all of the store and compare it with its checksums first
    #[arg(long)]
    pub verify: bool,
}

#[derive(Subcommand, Debug)]
pub enum EventsCommand {
    /// Import events from CSV, JSON Lines, Parquet or Arrow: all rows or none; they are added to
    /// those there
    #[command(
        after_help = "Example:\n  tagcast events import purchase purchases.csv --id user_id --at time"
    )]
    Import(EventsImportArgs),
    /// Add events as they happen, as JSON Lines from standard input; one whose id is known counts
    /// once
    #[command(
        after_help = "Example:\n  echo '{\"event\": \"purchase\", \"user\": \"u00042\", \"at\": \"2026-11-11 10:00\", \"id\": \"o-1\", \"amount\": 12.5}' | tagcast events add\n\nFormats: human, jsonl (an answer a line)"
    )]
    Add(EventsAddArgs),
    /// The events that there are
    List,
}

#[derive(Args, Debug)]
pub struct EventsImportArgs {
    /// The declared event
    pub event: String,
    pub file: PathBuf,
    /// The column with the user's id
    #[arg(long, value_name = "COLUMN")]
    pub id: String,
    /// The column with the time
    #[arg(long, value_name = "COLUMN")]
    pub at: String,
    /// Import a file that was imported already once more
    #[arg(long)]
    pub again: bool,
    /// Numbers for money count fen and not yuan
    #[arg(long)]
    pub minor_units: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstantArg {
    Live,
    Manifest,
}

#[derive(Args, Debug)]
pub struct QueryArgs {
    /// The condition, in the language
    pub condition: String,
    /// Counts (the default)
    #[arg(long, group = "what")]
    pub count: bool,
    /// The ids of the users for whom it is true, one a line, sorted
    #[arg(long, group = "what")]
    pub ids: bool,
    /// Write the users to a file: .csv, .jsonl, .parquet or .arrow
    #[arg(long, value_name = "FILE", group = "what")]
    pub out: Option<PathBuf>,
    /// With --out: these tags beside the id
    #[arg(long, value_name = "TAGS", value_delimiter = ',', requires = "out")]
    pub columns: Vec<String>,
    /// Print the audience plan instead
    #[arg(long, group = "what")]
    pub explain: bool,
    /// What to look at: everything, or the columns without the live changes after them
    #[arg(long, value_enum, default_value = "live", value_name = "WHAT")]
    pub at: InstantArg,
}

#[derive(Args, Debug)]
pub struct PlanArgs {
    /// A folder or a file [default: the program]
    pub path: Option<PathBuf>,
    /// Save the plan, to be applied exactly so
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ApplyArgs {
    /// A plan that `plan -o` wrote
    pub file: PathBuf,
    /// How far an audience may have grown or shrunk since the plan, in percent
    #[arg(long, default_value_t = 5.0, value_name = "PERCENT")]
    pub max_drift: f64,
}

#[derive(Args, Debug)]
pub struct RunArgs {
    /// A folder or a file [default: the program]
    pub path: Option<PathBuf>,
    /// Go on up to then, on a simulated clock: an instant, or a time of day
    #[arg(long, value_name = "INSTANT")]
    pub until: Option<String>,
}

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// A folder or a file [default: the program]
    pub path: Option<PathBuf>,
    /// Where to listen; only a loopback address may go without a token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7420")]
    pub listen: SocketAddr,
    /// A file with the token that callers must bring, readable by its owner alone [default: the
    /// variable TAGCAST_TOKEN]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Take nothing in: the scheduler alone
    #[arg(long, conflicts_with_all = ["listen", "token_file"])]
    pub no_http: bool,
}

#[derive(Args, Debug)]
pub struct WhyArgs {
    /// The user's id
    pub user: String,
    /// The campaign's name
    pub campaign: String,
}

#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("scope").required(true).args(["campaign", "account", "all"])))]
pub struct HoldArgs {
    /// The campaign's name
    pub campaign: Option<String>,
    /// All campaigns, as far as they use this account
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Everything
    #[arg(long)]
    pub all: bool,
    /// Who says so, for the record [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Args, Debug)]
pub struct WorkArgs {
    /// End when nothing is due
    #[arg(long)]
    pub once: bool,
}

#[derive(Args, Debug)]
pub struct RecallArgs {
    /// The run's number
    pub run: i64,
    /// Who says so, for the record [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Args, Debug)]
pub struct ResolveArgs {
    /// The number of an unknown send
    #[arg(requires = "said", conflicts_with = "after_restore")]
    pub number: Option<i64>,
    /// It was sent
    #[arg(long, group = "said", requires = "number", requires = "by")]
    pub sent: bool,
    /// It was not sent; who resends it takes the risk knowingly
    #[arg(long, group = "said", requires = "number", requires = "by")]
    pub not_sent: bool,
    /// Go on with a ledger that is older than the messages sent with it
    #[arg(long, requires = "by")]
    pub after_restore: bool,
    /// Who found out, for the record
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum AuditCommand {
    /// Follow every chain of records, make the tables again and compare; name what is not as it was
    /// written
    #[command(
        after_help = "Examples:\n  tagcast audit verify\n  tagcast audit verify --format json\n\nExit code 1 when something was changed. Formats: human, json"
    )]
    Verify,
}

#[derive(Args, Debug)]
pub struct SendTestArgs {
    /// The campaign's name
    pub campaign: String,
    /// A user's id, or an address of the channel
    #[arg(long, value_name = "USER|ADDRESS")]
    pub to: String,
    /// The channel, as the campaign names it [default: the first that reaches the user]
    #[arg(long, value_name = "ACCOUNT.ENDPOINT")]
    pub via: Option<String>,
    /// Of a split [default: the first]
    #[arg(long)]
    pub arm: Option<String>,
    /// A follow-up [default: the first message]
    #[arg(long)]
    pub step: Option<String>,
    /// Who says so, for the record [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Args, Debug)]
pub struct PreviewArgs {
    /// The campaign's name
    pub campaign: String,
    /// The message of this user
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// Write a page with phone bubbles instead
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct TestArgs {
    /// Folders or files [default: the program]
    pub paths: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// The finding's name, as it stands in brackets
    pub name: Option<String>,
}

#[derive(Args, Debug)]
pub struct SampleDataArgs {
    /// Where to: a folder that is empty or not there
    #[arg(default_value = "sample")]
    pub dir: PathBuf,
    #[arg(long, default_value_t = crate::store::sample::DEFAULT_USERS, value_parser = clap::value_parser!(u32).range(1..=20_000_000))]
    pub users: u32,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Args, Debug)]
pub struct CompletionsArgs {
    pub shell: clap_complete::Shell,
}

//! A program together with its data: the snapshot, the lists and tables it names, and its own past
//! messages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Failure, Project, ProjectOptions};
use crate::base::Lang;
use crate::base::value::group_digits;
use crate::base::world::World;
use crate::base::{FileId, Instant, UserNo};
use crate::diag::{Finding, Findings, Sources};
use crate::eval::{
    self, AudienceCounts, AudienceMask, EvalScope, MessageLog, PreparedProgram, Tables, Trace,
};
use crate::ledger::LedgerReader;
use crate::program::check::{check_condition, check_value};
use crate::program::typed::Program;
use crate::program::typed_expr::Expr;
use crate::store::{Snapshot, Store};
use crate::syntax::{ast, parse};

/// Everything that evaluating a condition needs.
pub struct EvalData {
    /// Of the program that it was gathered for.
    pub prepared: Arc<PreparedProgram>,
    pub snapshot: Arc<Snapshot>,
    pub tables: Tables,
    pub own: MessageLog,
    pub now: Instant,
}

/// A condition that does not check: its text as a source, and what is wrong.
pub struct RejectedCondition {
    pub sources: Sources,
    pub findings: Vec<Finding>,
}

/// `true 1,234 · false 5,678 · unknown 90 · of 7,002 users`
pub fn line(counts: AudienceCounts, lang: Lang) -> String {
    let n = |n: usize| group_digits(n as u64);
    let (yes, no, unknown, users) = (
        n(counts.yes),
        n(counts.no),
        n(counts.unknown),
        n(counts.users),
    );
    match lang {
        Lang::En => format!("true {yes} · false {no} · unknown {unknown} · of {users} users\n"),
        Lang::Zh => format!("真 {yes} · 假 {no} · 未知 {unknown} · 共 {users} 个用户\n"),
    }
}

/// The snapshot of the store at a folder, for reading; `None` when there is no store yet.
///
/// # Errors
/// A store that cannot be opened.
pub fn open_snapshot(dir: &Path, world: &Arc<dyn World>) -> Result<Option<Arc<Snapshot>>, Failure> {
    if !Store::exists(dir) {
        return Ok(None);
    }
    Ok(Some(Store::open(dir, world.clone())?.snapshot()?))
}

/// Loads the program at `paths` with the tags that only the store declares, and what it needs to be
/// evaluated.
///
/// # Errors
/// A program or a store that cannot be read; lists and lookups that cannot be loaded.
pub fn load(
    paths: &[PathBuf],
    store: &Path,
    now: Option<&str>,
    world: &Arc<dyn World>,
) -> Result<(Project, Arc<Snapshot>), Failure> {
    let snapshot = open_snapshot(store, world)?;
    let schema = snapshot.as_ref().map(|s| s.schema().clone());
    let project = Project::load(
        paths,
        &ProjectOptions {
            now: now.map(str::to_owned),
            store_schema: schema,
        },
        world.as_ref(),
    )?;
    Ok((
        project,
        snapshot.unwrap_or_else(|| Arc::new(Snapshot::empty())),
    ))
}

impl EvalData {
    /// Loads lists, lookups and own messages for a sound program.
    ///
    /// # Errors
    /// Files that cannot be read, rows that do not fit, a ledger that cannot be opened.
    pub fn gather(
        project: &Project,
        snapshot: Arc<Snapshot>,
        store: &Path,
        now: Instant,
        world: &Arc<dyn World>,
    ) -> Result<EvalData, Failure> {
        let tables = Tables::load(
            &project.program,
            &project.folder,
            world.as_ref(),
            &snapshot,
            now,
        )?;
        let own = match LedgerReader::open(project.config.ledger(store)?)? {
            Some(ledger) => ledger.message_log()?,
            None => MessageLog::default(),
        };
        Ok(EvalData {
            prepared: project.prepared(),
            snapshot,
            tables,
            own,
            now,
        })
    }

    /// The program must be the one that the data were gathered for.
    pub fn scope<'a>(&'a self, program: &'a Program) -> EvalScope<'a> {
        EvalScope {
            snapshot: &self.snapshot,
            program,
            prepared: &self.prepared,
            tables: &self.tables,
            own: &self.own,
            now: self.now,
            trigger: None,
            outcomes: None,
        }
    }

    /// # Errors
    /// A store whose types do not fit the program's.
    pub fn audience(&self, program: &Program, condition: &Expr) -> Result<AudienceMask, Failure> {
        let audience = eval::audience(&self.scope(program), condition)?;
        self.snapshot.intact()?;
        Ok(audience)
    }

    /// # Errors
    /// As [`EvalData::audience`].
    pub fn counts(&self, program: &Program, condition: &Expr) -> Result<AudienceCounts, Failure> {
        let counts = eval::counts(&self.scope(program), condition)?;
        self.snapshot.intact()?;
        Ok(counts)
    }

    /// # Errors
    /// As [`EvalData::audience`].
    pub fn explain(
        &self,
        program: &Program,
        condition: &Expr,
        user: UserNo,
    ) -> Result<Trace, Failure> {
        Ok(eval::explain(&self.scope(program), condition, user)?)
    }
}

/// Parses and checks one condition against a program.
///
/// # Errors
/// The findings, with the sources that their spans point into.
pub fn condition(project: &Project, text: &str) -> Result<(Expr, Sources), RejectedCondition> {
    checked(project, text, check_condition)
}

/// Parses and checks one expression of any type against a program.
///
/// # Errors
/// As [`condition`].
pub fn expression(project: &Project, text: &str) -> Result<Expr, RejectedCondition> {
    checked(project, text, check_value).map(|(expr, _)| expr)
}

type Check = fn(&Program, &Sources, &ast::Expr, &mut Findings) -> Option<Expr>;

fn checked(
    project: &Project,
    text: &str,
    check: Check,
) -> Result<(Expr, Sources), RejectedCondition> {
    let mut sources = project.sources.clone();
    let id: FileId = sources.add("<condition>", text);
    let mut findings = Findings::default();
    let tree = parse::parse_condition(id, text, &mut findings);
    let expr = tree.and_then(|tree| check(&project.program, &sources, &tree, &mut findings));
    match expr {
        Some(expr) if !findings.has_errors() => Ok((expr, sources)),
        _ => Err(RejectedCondition {
            sources,
            findings: findings.sorted(),
        }),
    }
}

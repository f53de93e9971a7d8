//! The program that is served, with its accounts: loaded at the start, and again when its files
//! change. A changed program with errors is refused as a whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::service_state::ServiceState;
use super::watch::FileWatch;
use crate::base::value::count_of;
use crate::base::world::World;
use crate::base::{Lang, Msg};
use crate::diag::Level;
use crate::engine::binding::AccountBindings;
use crate::engine::cycle::Cycle;
use crate::engine::eval_data::EvalData;
use crate::engine::project::folder_of;
use crate::engine::{Failure, Project, ProjectOptions};
use crate::eval::{MessageLog, Tables};
use crate::msg;
use crate::store::Snapshot;

pub struct LoadedProgram {
    /// A folder or a file.
    path: PathBuf,
    pub project: Arc<Project>,
    pub accounts: AccountBindings,
    watch: FileWatch,
}

/// What changed files say.
pub struct ProgramChange {
    pub project: Arc<Project>,
    pub accounts: AccountBindings,
    pub changed_accounts: BTreeSet<String>,
    pub same_program: bool,
    pub same_config: bool,
    pub same_words: bool,
}

impl LoadedProgram {
    /// # Errors
    /// A program with errors, accounts that cannot be set up.
    pub fn load(
        path: PathBuf,
        store: &Path,
        snapshot: &Snapshot,
        world: &Arc<dyn World>,
    ) -> Result<Self, Failure> {
        let watch = FileWatch::of(&folder_of(&path)?, Vec::new())?;
        let project = load(&path, snapshot, world.as_ref())?;
        if project.has_errors() {
            return Err(Failure::refused(errors(&project))
                .help(msg!("run `tagcast check`", "请运行 `tagcast check`")));
        }
        let accounts = AccountBindings::new(&project, store, world)?;
        Ok(LoadedProgram {
            path,
            project: Arc::new(project),
            accounts,
            watch,
        })
    }

    /// Whether any of the program's files looks different from when this was asked last.
    /// `word_files`: its files of forbidden words.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn files_changed(&mut self, word_files: Vec<PathBuf>) -> Result<bool, Failure> {
        let watch = FileWatch::of(&self.project.folder, word_files)?;
        let changed = watch != self.watch;
        self.watch = watch;
        Ok(changed)
    }

    /// What the files say now; `None` where that comes to the same.
    ///
    /// # Errors
    /// Why the files cannot be taken over.
    pub fn change(
        &self,
        snapshot: &Snapshot,
        cycle: Option<&Cycle>,
        world: &Arc<dyn World>,
    ) -> Result<Option<ProgramChange>, Msg> {
        let project =
            load(&self.path, snapshot, world.as_ref()).map_err(|failure| failure.message)?;
        if project.has_errors() {
            return Err(errors(&project));
        }
        let (accounts, changed_accounts) = self
            .accounts
            .renewed(&project, world)
            .map_err(|failure| failure.message)?;
        let change = ProgramChange {
            same_program: project.digest() == self.project.digest(),
            same_config: project.config == self.project.config,
            same_words: cycle.is_some_and(|cycle| cycle.decider().forbids_as(&project)),
            project: Arc::new(project),
            accounts,
            changed_accounts,
        };
        let same = change.same_program
            && change.same_config
            && change.same_words
            && change.changed_accounts.is_empty();
        Ok((!same).then_some(change))
    }

    /// Takes over a change; gives the project before it.
    pub fn replace(&mut self, project: Arc<Project>, accounts: AccountBindings) -> Arc<Project> {
        self.accounts = accounts;
        std::mem::replace(&mut self.project, project)
    }
}

/// The cycle of a project, on a state of the store: what it remembers is read from the ledger.
///
/// # Errors
/// Lists, lookups or forbidden words that cannot be read; a ledger that cannot be written.
pub fn start_cycle(
    project: &Arc<Project>,
    snapshot: &Arc<Snapshot>,
    service: &ServiceState,
) -> Result<Cycle, Failure> {
    let data = read_data(project, snapshot, service)?;
    let now = service.world.now();
    let (cycle, withdrawn) = Cycle::start(
        project.clone(),
        data,
        now,
        &mut service.ledger(),
        service.world.clone(),
    )?;
    let metrics = &service.metrics;
    let campaigns = project.campaigns().len();
    metrics
        .campaigns
        .set(i64::try_from(campaigns).unwrap_or(i64::MAX));
    metrics.withdrawn.add(withdrawn);
    Ok(cycle)
}

/// A state of the store with the lists and lookups of a project.
///
/// # Errors
/// Files that cannot be read.
pub fn read_data(
    project: &Project,
    snapshot: &Arc<Snapshot>,
    service: &ServiceState,
) -> Result<EvalData, Failure> {
    let (world, now) = (service.world.as_ref(), service.world.now());
    let tables = Tables::load(&project.program, &project.folder, world, snapshot, now)?;
    // The decider reads the program's own messages itself, where conditions ask about them.
    Ok(EvalData {
        prepared: project.prepared(),
        snapshot: snapshot.clone(),
        tables,
        own: MessageLog::default(),
        now,
    })
}

/// Ends the waits and follow-ups of campaigns that a project had and the next one has not.
///
/// # Errors
/// A ledger that cannot be written.
pub fn withdraw_removed(
    before: &Project,
    project: &Project,
    service: &ServiceState,
) -> Result<(), Failure> {
    let names = |p: &Project| -> BTreeSet<String> {
        p.campaigns()
            .into_iter()
            .map(|id| p.program.campaign(id).declared.name.clone())
            .collect()
    };
    let removed: Vec<String> = names(before).difference(&names(project)).cloned().collect();
    let now = service.world.now();
    Ok(service.ledger().planner().withdraw_later(&removed, now)?)
}

fn load(path: &Path, snapshot: &Snapshot, world: &dyn World) -> Result<Project, Failure> {
    let wanted = ProjectOptions {
        now: None,
        store_schema: Some(snapshot.schema().clone()),
    };
    Project::load(&[path.to_path_buf()], &wanted, world)
}

/// The first error of a program, and how many there are.
fn errors(project: &Project) -> Msg {
    let errors: Vec<_> = project
        .findings
        .iter()
        .filter(|f| f.level == Level::Error)
        .collect();
    let n = errors.len();
    let first = |lang: Lang| {
        errors.first().map_or(String::new(), |f| {
            let (line, _) = project.sources.line_column(f.span.file, f.span.start);
            format!(
                "{}:{line}: {}",
                project.sources.path(f.span.file).display(),
                f.message.get(lang)
            )
        })
    };
    let (en, zh) = (first(Lang::En), first(Lang::Zh));
    let errors = count_of(n, "error");
    msg!(
        "the program has {errors}; the first: {en}",
        "程序有 {n} 个错误；第一个：{zh}"
    )
}

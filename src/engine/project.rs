//! A program as it lies on disk: which files belong together, read, parsed, checked and linted.
//!
//! All `.campaign` files of a folder and its subfolders are one program; a subfolder with its own
//! `tagcast.toml` is another. A file given by path runs its own campaigns with its folder's
//! declarations.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::config::{self, Config};
use super::failure::Failure;
use crate::base::Lang;
use crate::base::world::World;
use crate::base::{CampaignId, FileId, Instant, Schema, Zone};
use crate::diag::{Finding, Findings, Level, Sources};
use crate::eval::PreparedProgram;
use crate::program::check::{CheckOptions, check};
use crate::program::typed::Program;
use crate::syntax::clause_table::ClauseId;
use crate::syntax::{ast, parse};
use crate::{lint, msg};

/// No folder that people write by hand comes near this; a home folder given by mistake does.
pub const MAX_FILES: usize = 50_000;
/// How deep folders may lie in one another.
const MAX_DEPTH: usize = 32;

/// What else a program is checked against.
#[derive(Default, Clone)]
pub struct ProjectOptions {
    /// As a person gives it; read in the policy's zone.
    pub now: Option<String>,
    /// Tags that no file declares take the store's type.
    pub store_schema: Option<Schema>,
}

pub struct Project {
    pub folder: PathBuf,
    pub config: Config,
    pub sources: Sources,
    pub files: Vec<ast::File>,
    pub program: Program,
    prepared: OnceLock<Arc<PreparedProgram>>,
    digest: OnceLock<String>,
    pub findings: Vec<Finding>,
    /// `--now`, in the policy's zone.
    pub now: Option<Instant>,
    /// The files given by path; `None` when a folder was given.
    pub focus: Option<BTreeSet<FileId>>,
}

/// The folder of the program that a path belongs to: a folder is itself; a file belongs to the
/// nearest folder above it with a `tagcast.toml`, else to its own.
pub fn folder_of(path: &Path) -> Result<PathBuf, Failure> {
    let meta = std::fs::metadata(path).map_err(|e| Failure::io(path, &e))?;
    if meta.is_dir() {
        return Ok(path.to_path_buf());
    }
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let mut above = Some(parent.as_path());
    while let Some(folder) = above {
        if folder.join(config::FILE_NAME).is_file() {
            return Ok(folder.to_path_buf());
        }
        above = folder.parent().filter(|p| !p.as_os_str().is_empty());
    }
    Ok(parent)
}

impl Project {
    /// Reads, parses, checks and lints the program that the paths belong to; they must belong to
    /// one.
    ///
    /// # Errors
    /// Paths that are not there, files that cannot be read, a wrong `tagcast.toml`. Mistakes in the
    /// program are findings.
    pub fn load(
        paths: &[PathBuf],
        options: &ProjectOptions,
        world: &dyn World,
    ) -> Result<Project, Failure> {
        let Some(first) = paths.first() else {
            return Err(Failure::new(msg!("no path given", "没有给出路径")));
        };
        let folder = folder_of(first)?;
        let config = Config::load(&folder)?;
        let mut names = Vec::new();
        collect(&folder, &mut names)?;
        let mut given = BTreeSet::new();
        for path in paths {
            if path.is_dir() {
                continue;
            }
            match names.iter().position(|n| same_file(n, path)) {
                Some(at) => given.insert(at),
                // A file by another name than *.campaign is checked with the folder all the same.
                None => {
                    names.push(path.clone());
                    given.insert(names.len() - 1)
                }
            };
        }
        let focus = (!paths.iter().any(|p| p.is_dir()))
            .then(|| given.iter().map(|i| FileId(*i as u32)).collect());
        let mut findings = Findings::default();
        let (sources, files) = parse_all(&names, &mut findings, world)?;
        let now = options
            .now
            .as_deref()
            .map(|text| parse_instant(text, zone_of(&files)))
            .transpose()?;
        let options = CheckOptions {
            now,
            store_schema: options.store_schema.clone(),
        };
        let program = check(&sources, &files, &options, &mut findings);
        // Of a program that is half understood, lints would say what is not so.
        if !findings.has_errors() {
            lint::run(
                &lint::LintContext {
                    sources: &sources,
                    files: &files,
                    program: &program,
                    now,
                },
                &mut findings,
            );
        }
        Ok(Project {
            folder,
            config,
            sources,
            files,
            program,
            prepared: OnceLock::new(),
            digest: OnceLock::new(),
            findings: findings.sorted(),
            now,
            focus,
        })
    }

    /// The program's conditions and values, ready to be evaluated; each is lowered once, however
    /// often and over whatever data it is asked.
    pub fn prepared(&self) -> Arc<PreparedProgram> {
        self.prepared
            .get_or_init(|| Arc::new(PreparedProgram::new(&self.program)))
            .clone()
    }

    /// Findings in the files given; all when a folder was given.
    pub fn focused_findings(&self) -> Vec<Finding> {
        self.findings
            .iter()
            .filter(|f| self.in_focus(f.span.file))
            .cloned()
            .collect()
    }

    /// Errors in files that were not given, which stop a plan all the same.
    pub fn errors_elsewhere(&self) -> usize {
        self.findings
            .iter()
            .filter(|f| f.level == Level::Error && !self.in_focus(f.span.file))
            .count()
    }

    pub fn in_focus(&self, file: FileId) -> bool {
        self.focus.as_ref().is_none_or(|set| set.contains(&file))
    }

    /// Whether real accounts are bound, whose lists have a least size.
    pub fn is_bound(&self) -> bool {
        !self.config.accounts.is_empty()
    }

    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.level == Level::Error)
    }

    /// The campaigns that the given files contain; all when a folder was given.
    pub fn campaigns(&self) -> Vec<CampaignId> {
        let all = self.program.campaigns.iter().enumerate();
        all.filter(|(_, c)| self.in_focus(c.declared.span.file))
            .map(|(i, _)| CampaignId(i as u32))
            .collect()
    }

    /// Where `sandbox.file` writes: as `tagcast.toml` says, else beside the ledger.
    pub fn outbox(&self, store: &Path) -> PathBuf {
        self.config
            .outbox
            .as_ref()
            .map_or_else(|| store.join("outbox.jsonl"), |file| self.folder.join(file))
    }

    /// The language that messages about a file are in unless told otherwise.
    pub fn lang_of(&self, file: FileId) -> Lang {
        crate::syntax::keyword::language_of(self.sources.text(file))
    }

    /// A digest of everything that the program means, by file name and text; the same files give
    /// the same digest.
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            for (_, file) in self.sources.iter() {
                let name = file
                    .path
                    .strip_prefix(&self.folder)
                    .unwrap_or(&file.path)
                    .to_string_lossy()
                    .replace('\\', "/");
                for part in [name.as_bytes(), file.text.as_bytes()] {
                    hasher.update(&(part.len() as u64).to_le_bytes());
                    hasher.update(part);
                }
            }
            hasher.finalize().to_hex().to_string()
        })
    }
}

/// Reads an instant that a person gives on the command line.
///
/// # Errors
/// A text that is none.
pub fn parse_instant(text: &str, zone: Zone) -> Result<Instant, Failure> {
    zone.parse_instant(text).ok_or_else(|| {
        Failure::new(msg!("`{text}` is not an instant", "`{text}` 不是一个时刻")).help(msg!(
            "write `2026-11-11`, `2026-11-11T10:00` or `2026-11-11T10:00:00+08:00`",
            "请写成 `2026-11-11`、`2026-11-11T10:00` 或 `2026-11-11T10:00:00+08:00`"
        ))
    })
}

/// The zone that policy names, before anything is checked: `--now` is read in it.
fn zone_of(files: &[ast::File]) -> Zone {
    let clauses = files.iter().flat_map(|f| &f.items).filter_map(|item| {
        if let ast::ItemKind::Policy(policy) = &item.kind {
            Some(&policy.clauses)
        } else {
            None
        }
    });
    clauses
        .flatten()
        .find_map(|clause| {
            if let ast::ClauseKind::Text(ClauseId::Timezone, name) = &clause.kind {
                Zone::named(&name.value)
            } else {
                None
            }
        })
        .unwrap_or(Zone::SHANGHAI)
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(x), Ok(y)) if x == y)
}

/// The `.campaign` files of a folder in the order of their names; hidden folders and folders of
/// another program are left out.
fn collect(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), Failure> {
    collect_where(folder, 0, &|sub| !sub.join(config::FILE_NAME).exists(), out)
}

fn collect_where(
    folder: &Path,
    depth: usize,
    enter: &dyn Fn(&Path) -> bool,
    out: &mut Vec<PathBuf>,
) -> Result<(), Failure> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .map_err(|e| Failure::io(folder, &e))?;
    entries.sort();
    for path in entries {
        let hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'));
        let link = path
            .symlink_metadata()
            .is_ok_and(|m| m.file_type().is_symlink());
        if hidden {
            continue;
        }
        if path.is_dir() {
            if !link && depth < MAX_DEPTH && enter(&path) {
                collect_where(&path, depth + 1, enter, out)?;
            }
        } else if path.extension().is_some_and(|e| e == "campaign") {
            out.push(strip_dot(&path));
        }
        if out.len() > MAX_FILES {
            let shown = folder.display();
            return Err(Failure::new(msg!(
                "`{shown}` holds more than {MAX_FILES} .campaign files",
                "`{shown}` 中的 .campaign 文件超过 {MAX_FILES} 个"
            ))
            .help(msg!(
                "name the folder of one program with --program",
                "请用 --program 指定一个程序的文件夹"
            )));
        }
    }
    Ok(())
}

/// The `.campaign` files of the program in a folder, in the order of their names.
///
/// # Errors
/// A folder that cannot be read, or far too many files.
pub fn source_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut out = Vec::new();
    collect(folder, &mut out)?;
    Ok(out)
}

/// Every `.campaign` file below a folder, those of other programs too.
///
/// # Errors
/// A folder that cannot be read, or far too many files.
pub fn collect_all(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), Failure> {
    collect_where(folder, 0, &|_| true, out)
}

/// `./a.campaign` as people write it: `a.campaign`.
fn strip_dot(path: &Path) -> PathBuf {
    path.strip_prefix("./").unwrap_or(path).to_path_buf()
}

/// Reads and parses all files, both cores at work; the order of names is the order of file numbers.
fn parse_all(
    names: &[PathBuf],
    findings: &mut Findings,
    world: &dyn World,
) -> Result<(Sources, Vec<ast::File>), Failure> {
    let read: Vec<Result<(String, ast::File, Findings), Failure>> = names
        .par_iter()
        .enumerate()
        .map(|(i, path)| {
            let bytes = world.read(path).map_err(|e| Failure::io(path, &e))?;
            let id = FileId(i as u32);
            let mut found = Findings::default();
            let text = parse::decode(id, &bytes, &mut found);
            let tree = parse::parse(id, &text, &mut found);
            Ok((text, tree, found))
        })
        .collect();
    let (mut sources, mut files) = (Sources::default(), Vec::with_capacity(names.len()));
    for (path, one) in names.iter().zip(read) {
        let (text, tree, found) = one?;
        sources.add(path, text);
        files.push(tree);
        findings.extend(found);
    }
    Ok((sources, files))
}

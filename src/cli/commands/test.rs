//! `tagcast test`: runs the tests that the program contains.

use crate::base::Lang;
use crate::cli::args::{OutputFormat, TestArgs};
use crate::cli::output::{Context, print_out};
use crate::engine::{Failure, ProjectOptions, testing};

pub fn run(cx: &Context, args: &TestArgs) -> Result<u8, Failure> {
    cx.format(&[OutputFormat::Human])?;
    let project = cx.project(&args.paths, ProjectOptions::default())?;
    cx.require_sound(&project)?;
    let lang = cx.lang_of(&project);
    let now = cx.now(&project);
    let (mut passed, mut failed) = (0, 0);
    let mut out = String::new();
    for test in project
        .program
        .tests
        .iter()
        .filter(|t| project.in_focus(t.span.file))
    {
        let unmet = testing::run_test(&project, test, now, &cx.world())?;
        let title = &test.title;
        if unmet.is_empty() {
            passed += 1;
            out.push_str(&format!("ok    {title}\n"));
            continue;
        }
        failed += 1;
        out.push_str(&format!(
            "{}  {title}\n",
            if lang == Lang::Zh { "失败" } else { "FAILED" }
        ));
        for u in unmet {
            let (line, _) = project.sources.line_column(u.span.file, u.span.start);
            let path = project.sources.path(u.span.file).display();
            out.push_str(&format!("  {path}:{line}: {}\n", u.message.get(lang)));
            for line in u.instead.get(lang).lines() {
                out.push_str(&format!("    {line}\n"));
            }
        }
    }
    out.push_str(&match lang {
        Lang::En => format!("{passed} passed, {failed} failed\n"),
        Lang::Zh => format!("{passed} 个通过，{failed} 个失败\n"),
    });
    print_out(&out)?;
    Ok(u8::from(failed > 0))
}

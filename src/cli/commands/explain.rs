//! `tagcast explain NAME`: the page of a finding; without a name, the list of all.

use crate::cli::args::{ExplainArgs, OutputFormat};
use crate::cli::output::{Context, print_out};
use crate::diag::{Level, finding_pages};
use crate::engine::Failure;
use crate::lint;
use crate::msg;

pub fn run(cx: &Context, args: &ExplainArgs) -> Result<u8, Failure> {
    cx.format(&[OutputFormat::Human])?;
    let codes = lint::all_codes();
    let Some(name) = &args.name else {
        let mut text = String::new();
        for code in &codes {
            let level = match code.level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note => "note",
            };
            text.push_str(&format!("{level:8} {}\n", code.name));
        }
        print_out(&text)?;
        return Ok(0);
    };
    // People copy what stands in the message: `error[unknown-tag]`.
    let name = name
        .rsplit('[')
        .next()
        .unwrap_or(name)
        .trim_end_matches(']');
    match codes.iter().find(|code| code.name == name) {
        Some(code) => print_out(&finding_pages::page(code, cx.lang(), cx.color_out())).map(|()| 0),
        None => {
            let failure = Failure::refused(msg!(
                "no finding is named `{name}`",
                "没有名为 `{name}` 的检查结果"
            ));
            Err(match finding_pages::nearest(name, &codes) {
                Some(near) => failure.help(msg!("did you mean `{near}`?", "是否想要 `{near}`？")),
                None => failure.help(msg!(
                    "`tagcast explain` lists all names",
                    "运行 `tagcast explain` 查看全部名称"
                )),
            })
        }
    }
}

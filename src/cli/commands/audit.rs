//! `tagcast audit verify`: the proof that the ledger is what was written.

use serde_json::json;

use crate::base::Lang;
use crate::base::value::{count_of, group_digits};
use crate::cli::args::OutputFormat;
use crate::cli::output::{Context, print_json, print_out};
use crate::engine::Failure;
use crate::ledger::LedgerReader;
use crate::msg;

pub fn verify(cx: &Context) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let Some(ledger) = LedgerReader::open(cx.ledger()?)? else {
        return Err(super::hold::no_ledger());
    };
    let verified = ledger.verify()?;
    let whole = verified.problems.is_empty();
    let lang = cx.lang();
    match format {
        OutputFormat::Json => print_json(&json!({
            "whole": whole,
            "records": verified.records,
            "heads": verified.heads,
            "problems": verified.problems.iter().map(|p| p.get(lang)).collect::<Vec<_>>(),
        }))?,
        _ => {
            let mut out: String = verified
                .problems
                .iter()
                .map(|p| format!("{}\n", p.get(lang)))
                .collect();
            for head in &verified.heads {
                let (writer, n, digest) = (
                    &head.writer,
                    group_digits(head.records.unsigned_abs()),
                    head.digest.get(..16).unwrap_or(""),
                );
                out += &match lang {
                    Lang::En => format!(
                        "{writer}: {}, the last {digest}\n",
                        count_of(head.records, "record")
                    ),
                    Lang::Zh => format!("{writer}：{n} 条记录，最后一条 {digest}\n"),
                };
            }
            print_out(&out)?;
        }
    }
    if whole {
        cx.say(&msg!(
            "every record and row is as it was written",
            "所有记录与数据行均与写入时一致"
        ));
        return Ok(0);
    }
    Err(Failure::refused(msg!(
        "the ledger is not what was written",
        "账本与写入时不一致"
    ))
    .help(msg!(
        "put the newest copy back; until then send nothing with it (`tagcast pause --all`)",
        "请放回最新的副本；在此之前不要用它发送（`tagcast pause --all`）"
    )))
}
